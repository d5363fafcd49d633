"""Encoder names: what a person calls an encoder leads to its file, or to a message that says which there are."""

from pathlib import Path

from vicreg.places import Paths

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


def present_study() -> str:
    from vicreg import params

    if not Path("params.yaml").exists():
        raise ValueError(
            f"there is no params.yaml here, so names of encoders mean nothing: give the path of a {SUFFIX} file, or "
            "change to the folder of a study"
        )
    return params.load().study


def encoder_file(given: str) -> Path:
    """The file of the encoder that a person names; raises ValueError that lists those there are."""
    if given.endswith(SUFFIX) or Path(given).name != given:
        if not Path(given).is_file():
            raise ValueError(f"there is no encoder file {given}: give the path of a {SUFFIX} file")
        return Path(given)
    file = Paths(present_study()).model(given)
    if not file.is_file():
        there = ", ".join(name for name in known_encoders() if not missing(Paths(present_study()).model(name)))
        todo = f"choose from {there}, or give a path" if there else "run `dvc repro`, or give the path of a file"
        raise ValueError(f"there is no encoder {given!r} in {file.parent}: {todo}")
    return file


def chosen(given: str) -> Path:
    """The file of the encoder that a person names; raises ValueError for one that did not take part."""
    file = encoder_file(given)
    if reason := missing(file):
        raise ValueError(f"{file} holds no encoder: {reason}")
    return file


def missing(file: Path) -> str:
    """Why the encoder of this file did not take part; empty where it did."""
    from vicreg import encoder

    return str(encoder.describe(file).get("not_run", ""))
