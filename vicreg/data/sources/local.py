"""CIFAR in a folder on this machine: the authors' archive, its unpacked pickles, or one PNG file per image."""

from pathlib import Path

from vicreg.data.cifar_files import LAYOUTS, read_archive, read_folder
from vicreg.data.images import OFFICIAL_SPLITS, Images
from vicreg.data.source import Source
from vicreg.data.sources.folder import Folder
from vicreg.io.section import PathOrUrl, Section


class Local(Source):
    """Reads a dataset from `folder/<dataset>` or `folder`, in whichever layout is there first.

    Neither archives nor pickles are trusted, whatever their checksum: no code in them runs, and by its content the
    dataset is then recognized as genuine or not.
    """

    class Params(Section):
        """folder: holds `cifar-10-python.tar.gz`; or `cifar-10-batches-py/`, or that folder's files; or
        `{train,test}/<class>/*.png`. For CIFAR-100 `cifar-100-python.tar.gz` and `cifar-100-python/`.
        allow_subset: other images than all of the genuine ones, too; every table then says "subset".
        """

        folder: PathOrUrl
        allow_subset: bool = False

    DATASETS = tuple(LAYOUTS)

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Raises ValueError when nothing of the kind is there, or a file is damaged."""
        layout, root = LAYOUTS[dataset], Path(self.params.folder).expanduser()
        for folder in (root / dataset, root):
            if (folder / layout.archive).is_file():
                return read_archive(folder / layout.archive, dataset)
            for inner in (folder / layout.folder, folder):
                if (inner / layout.meta).is_file():
                    return read_folder(inner, dataset)
            if all((folder / split).is_dir() for split in OFFICIAL_SPLITS):
                pictures = Folder(Folder.Params(folder=str(folder), image_size=32))
                return pictures.load(dataset, scratch=scratch, fraction=1, seed=seed)
        raise ValueError(
            f"{root} holds no {dataset}: looked there and in {root / dataset} for {layout.archive}, "
            f"{layout.folder}/{layout.meta}, {layout.meta} and {{train,test}}/<class>/*.png"
        )
