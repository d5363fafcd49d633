"""The authors' CIFAR archives, fetched from their address."""

from pathlib import Path
from typing import ClassVar

import pooch

from vicreg.data.cifar_files import LAYOUTS, read_archive
from vicreg.data.images import Images
from vicreg.data.source import Source


class Official(Source):
    """Downloads a dataset's archive into `scratch`, unless it is there, checks its MD5 and reads all of it."""

    DATASETS = tuple(LAYOUTS)
    ADDRESS: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/"

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Raises ConnectionError that says what else to do where the archive, or another one, does not arrive."""
        layout, url = LAYOUTS[dataset], self.ADDRESS + LAYOUTS[dataset].archive
        try:
            archive = pooch.retrieve(url, f"md5:{layout.md5}", layout.archive, scratch, progressbar=True)
        except (OSError, ValueError) as error:  # what requests raises, and pooch for another MD5
            raise ConnectionError(
                f"could not download {url}: {error}. Without a network, fetch it elsewhere, put it in a folder and set "
                "`source: local` with that `folder`."
            ) from error
        return read_archive(Path(archive), dataset)
