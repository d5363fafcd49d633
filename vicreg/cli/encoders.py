"""What users name: encoders by name or file, and the images for them; else a message that says what there is."""

import sys
from pathlib import Path
from typing import Any

from vicreg.io import description, yaml
from vicreg.study.paths import Paths

SUFFIX = ".safetensors"
SHIPPED = Path(__file__).parents[2] / "shipped" / "cifar_aug.safetensors"  # a file of this repository, with its card


def study_params() -> dict[str, Any]:
    """What params.yaml in the current folder holds; raises ValueError where there is none."""
    if not Path("params.yaml").is_file():
        raise ValueError(f"no params.yaml here: change to the repository's folder, or give the path of a {SUFFIX} file")
    return yaml.load("params.yaml")


def complete(incomplete: str) -> list[str]:
    """For shells: the encoders of the current study whose names begin so; none where there is no study."""
    try:
        folder = Paths(study_params()["study"]).model("any").parent
    except ValueError:
        return []
    return sorted(file.stem for file in folder.glob(f"*{SUFFIX}") if file.name.startswith(incomplete))


def resolve(encoder: str) -> Path:
    """The file of an encoder, given its name or path; raises ValueError that says what to do where there is none.

    Where no study here has an encoder of the shipped one's name, it is that one, and a line says so.
    """
    file, hint = Path(encoder), "check its path"
    if not encoder.endswith(SUFFIX):
        study = study_params().get("study") if Path("params.yaml").is_file() else None
        here = study is not None and Paths(str(study)).model(encoder).is_file()
        if encoder == SHIPPED.stem and not here and SHIPPED.is_file():
            print(f"no study here has pretrained {encoder}: taking the one in {SHIPPED.parent}", file=sys.stderr)
            return SHIPPED
        params = study_params()
        file = Paths(params["study"]).model(encoder)
        names = ", ".join(complete("") or params["rows"])
        hint = f"run `dvc repro pretrain@{encoder}`" if encoder in params["rows"] else f"choose from {names}"
    if not file.is_file():
        raise ValueError(f"there is no encoder {encoder}: {hint}, or give the path of a {SUFFIX} file")
    if reason := description.encoder(file).get("not_run"):
        raise ValueError(f"{file} holds no encoder: {reason}")
    return file


def read_images(paths: list[Path], encoder: Path) -> tuple[Any, list[str]]:
    """The pixels (N, S, S, 3) uint8 of image files and folders, in the size S that the encoder takes, and their names.

    A name is a file's path as given, within a single folder the path there. Raises ValueError for a file that is no
    image; in folders such files are passed over, and a line says so.
    """
    import numpy as np

    from vicreg.data import image_files

    size = description.encoder(encoder)["data"]["image_size"]
    parts, names = [], list[str]()
    for path in paths:
        if path.is_dir():
            pixels, files, skipped = image_files.read_folder(path, size)
            names += files if len(paths) == 1 else [f"{path}/{file}" for file in files]
            if skipped:
                print(f"{image_files.shown(path)}: {image_files.summary(skipped)}", file=sys.stderr)
        else:
            pixels = image_files.read(path, size)[np.newaxis]
            names.append(str(path))
        parts.append(pixels)
    return np.concatenate(parts), names
