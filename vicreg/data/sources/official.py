"""The authors' CIFAR archives, fetched from their address."""

from pathlib import Path
from typing import ClassVar

from vicreg.data.cifar_files import LAYOUTS, read_archive
from vicreg.data.download import fetch
from vicreg.data.images import Images
from vicreg.data.source import Source

ALTERNATIVE = "Without a network, fetch {url} elsewhere, put it in a folder and set `source: local` with that `folder`."


class Official(Source):
    """Downloads a dataset's archive into `scratch`, unless it is there, checks its MD5 and reads all of it."""

    DATASETS = tuple(LAYOUTS)
    ADDRESS: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/"

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """A cut-off download stays in `scratch` (`.part`); the next call goes on with it."""
        layout, url = LAYOUTS[dataset], self.ADDRESS + LAYOUTS[dataset].archive
        archive = fetch(url, scratch / layout.archive, md5=layout.md5, alternative=ALTERNATIVE.format(url=url))
        return read_archive(archive, dataset)
