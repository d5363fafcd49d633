"""Encoder names: what a person calls an encoder leads to its file, or to a message that says which there are."""

from pathlib import Path

from vicreg.study.paths import Paths

SUFFIX = ".safetensors"


def known_encoders() -> list[str]:
    """Names of the encoders of the present study that are on the disk."""
    return sorted(file.stem for file in Paths(present_study()).model("x").parent.glob(f"*{SUFFIX}"))


def completed(incomplete: str) -> list[str]:
    """For shells: the encoders whose names begin so; none where there is no study."""
    try:
        return [name for name in known_encoders() if name.startswith(incomplete)]
    except ValueError:
        return []


def present_study(instead: str = "") -> str:
    """The study that params.yaml names; `instead` says what else a person could do where there is none."""
    from vicreg.study import params

    if not Path("params.yaml").exists():
        raise ValueError(f"there is no params.yaml here: change to the folder of the repository, which has it{instead}")
    return params.load().study


def encoder_file(given: str) -> Path:
    """The file of the encoder that a person names; raises ValueError that lists those there are."""
    if given.endswith(SUFFIX) or Path(given).name != given:
        if not Path(given).is_file():
            raise ValueError(f"there is no encoder file {given}: give the path of a {SUFFIX} file")
        return Path(given)
    if Path(given).is_file():
        raise ValueError(f"{given} is no {SUFFIX} file, and only these hold encoders")
    paths = Paths(present_study(f", or give the path of a {SUFFIX} file"))
    file = paths.model(given)
    if not file.is_file():
        there = [name for name in known_encoders() if not missing(paths.model(name))]
        raise ValueError(f"there is no encoder {given!r} in {file.parent}: {advice(given, there)}")
    return file


def advice(given: str, there: list[str]) -> str:
    """What to do where the study has trained these encoders, and not the one that was asked for."""
    from vicreg.study import params

    declared = list(params.load().encoders)
    if given in declared:
        return f"run `dvc repro pretrain@{given}`"
    return f"choose from {', '.join(there or declared)}, or give the path of a {SUFFIX} file"


def chosen(given: str) -> Path:
    """The file of the encoder that a person names; raises ValueError for one that did not take part."""
    file = encoder_file(given)
    if reason := missing(file):
        raise ValueError(f"{file} holds no encoder: {reason}")
    return file


def missing(file: Path) -> str:
    """Why the encoder of this file did not take part; empty where it did."""
    from vicreg.nn import encoder

    return str(encoder.describe(file).get("not_run", ""))
