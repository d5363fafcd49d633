"""The authors' archives, fetched from their address."""

from pathlib import Path

from vicreg.data.cifar_files import LAYOUTS, layout_of, read_archive
from vicreg.data.download import fetch
from vicreg.data.images import Images

DATASETS = tuple(LAYOUTS)

ADDRESS = "https://www.cs.toronto.edu/~kriz/"
ALTERNATIVE = "Without a network, fetch {url} elsewhere, put it in a folder and set `source: local` with that `folder`."


def load(
    dataset: str, *, folder: Path | None, scratch: Path, fraction: float, seed: int, address: str = ADDRESS
) -> Images:
    """Download a dataset's archive into `scratch`, unless it is there, and read it.

    dataset: "cifar10" or "cifar100".
    scratch: keeps the archive, and a cut-off download (`.part`) that the next call goes on with.
    folder, fraction, seed: not needed; the archive is always taken whole.

    Raises ValueError for another dataset or a damaged archive, ConnectionError when the download fails.
    """
    layout = layout_of(dataset)
    url = address.rstrip("/") + "/" + layout.archive
    archive = fetch(url, scratch / layout.archive, md5=layout.md5, alternative=ALTERNATIVE.format(url=url))
    return read_archive(archive, dataset)
