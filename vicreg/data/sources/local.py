"""CIFAR in a folder on this machine: the authors' archive, its unpacked pickles, or one PNG file per image."""

from pathlib import Path

from vicreg.data.cifar_files import LAYOUTS, read_archive, read_folder
from vicreg.data.images import OFFICIAL_SPLITS, Images
from vicreg.data.source import Source
from vicreg.data.sources.folder import Folder
from vicreg.io.section import PathOrUrl, Section


class Local(Source):
    """Reads a dataset from `folder/<dataset>` or `folder`, in whichever layout is there first.

    None is trusted, whatever its checksum: no code in pickles runs, and genuine CIFAR is recognized by its content.
    """

    class Params(Section):
        """Where the genuine images lie, and whether some of them will do."""

        folder: PathOrUrl  # holds the authors' archive, its unpacked folder, that folder's files, or PNG files as below
        allow_subset: bool = (
            False  # whether other images than all of the genuine ones will do; every table says "subset"
        )

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
        layouts = f"{layout.archive}, {layout.folder}/{layout.meta}, {layout.meta} or {{train,test}}/<class>/*.png"
        raise ValueError(f"{root} holds no {dataset}: there is none of {layouts}, nor in {root / dataset}")
