"""The contract of a source: where images come from. Each file in `vicreg/data/sources/` is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from vicreg.data.images import Images
from vicreg.io import plugins
from vicreg.io.section import Section


class Source:
    """Gives the images of datasets.

    Attributes:
        Params: its parameters, beside `source`, in a dataset's section of params.yaml.
        DATASETS: names of the datasets it has; None where a dataset may have any name.
    """

    Params: ClassVar[type[Section]] = Section
    DATASETS: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, params: Any):
        self.params = params

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Return the images of a dataset, in any order; `seed` is that of all that is drawn.

        scratch: a folder for downloads and other large files, kept between calls.
        fraction: in (0, 1], how much of `Images.totals` the study needs of each class; a source may give more.

        Raises ValueError that says what to do where the images cannot be read, ConnectionError where a download fails.
        """
        raise NotImplementedError


def find(name: str) -> type[Source]:
    """The class in the file `sources/<name>.py`; raises LookupError that lists the choices."""
    module = plugins.member("sources", name)
    members = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Source))
    return next(member for member in members if member.__module__ == module.__name__)


def make(name: str, dataset: str, params: Mapping[str, Any]) -> Source:
    """The source of this name with its `params`; raises ValueError for a dataset that it does not have."""
    member = find(name)
    if member.DATASETS is not None and dataset not in member.DATASETS:
        raise ValueError(f"the source `{name}` has no {dataset!r}; choose from {', '.join(member.DATASETS)}")
    return member(member.Params(**params))
