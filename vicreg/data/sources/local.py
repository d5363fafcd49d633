"""A folder on this machine: the authors' archive, its unpacked pickles, or one PNG file per image."""

from pathlib import Path

from vicreg.data.cifar_files import LAYOUTS, layout_of, read_archive, read_folder
from vicreg.data.images import OFFICIAL_SPLITS, Images
from vicreg.data.png_files import read_png_folder

DATASETS = tuple(LAYOUTS)


def load(dataset: str, *, folder: Path | None, scratch: Path, fraction: float, seed: int) -> Images:
    """Read a dataset from `folder/<dataset>` or `folder`, in whichever layout is found there first.

    dataset: "cifar10" or "cifar100".
    folder: holds `cifar-10-python.tar.gz`; or `cifar-10-batches-py/`, or that folder's files; or
        `{train,test}/<class>/*.png`. For CIFAR-100 `cifar-100-python.tar.gz` and `cifar-100-python/`.
    scratch, fraction, seed: not needed.

    Raises ValueError when nothing of the kind is there, or a file is damaged.
    """
    layout = layout_of(dataset)
    if folder is None:
        raise ValueError("the source `local` needs a `folder`: where the archive, pickles or PNG files lie")
    for place in (folder / dataset, folder):
        if (place / layout.archive).is_file():
            return read_archive(place / layout.archive, dataset)
        for inner in (place / layout.folder, place):
            if (inner / layout.meta).is_file():
                return read_folder(inner, dataset)
        if all((place / split).is_dir() for split in OFFICIAL_SPLITS):
            return read_png_folder(place, dataset)
    raise ValueError(
        f"{folder} holds no {dataset}: looked there and in {folder / dataset} for {layout.archive}, "
        f"{layout.folder}/{layout.meta}, {layout.meta} and {{train,test}}/<class>/*.png"
    )
