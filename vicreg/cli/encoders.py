"""Names of encoders -> their files, or a message that says which there are."""

from pathlib import Path
from typing import Any

from vicreg.io import yaml
from vicreg.study.paths import Paths

SUFFIX = ".safetensors"


def study_params() -> dict[str, Any]:
    """What params.yaml in the current folder holds."""
    if not Path("params.yaml").is_file():
        raise ValueError(
            "there is no params.yaml here: change to the folder of the repository, which has it, or give the path of a "
            f"{SUFFIX} file where an encoder is asked for"
        )
    return yaml.load(Path("params.yaml"))


def complete(incomplete: str) -> list[str]:
    """For shells: the encoders of the current study whose names begin so; none where there is no study."""
    try:
        files = Paths(study_params()["study"]).model(incomplete).parent.glob(f"{incomplete}*{SUFFIX}")
    except ValueError:
        return []
    return sorted(file.stem for file in files)


def resolve(encoder: str) -> Path:
    """The file of an encoder, given its name or path; raises ValueError that says what to do where it is missing."""
    from vicreg.nn.encoder import describe

    file = Path(encoder)
    if not encoder.endswith(SUFFIX):
        params = study_params()
        file = Paths(params["study"]).model(encoder)
        if not file.is_file() and encoder in params["encoders"]:
            raise ValueError(f"there is no encoder {encoder!r} in {file.parent}: run `dvc repro pretrain@{encoder}`")
        if not file.is_file():
            names = ", ".join(complete("") or params["encoders"])
            raise ValueError(
                f"there is no encoder {encoder!r}: choose from {names}, or give the path of a {SUFFIX} file"
            )
    elif not file.is_file():
        raise ValueError(f"there is no encoder file {file}: give the path of a {SUFFIX} file")
    if reason := describe(file).get("not_run"):
        raise ValueError(f"{file} holds no encoder: {reason}")
    return file
