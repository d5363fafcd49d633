"""The contract of a source: where images come from. Each file in `vicreg/data/sources/` is one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from vicreg.data.images import Images
from vicreg.io import plugins
from vicreg.io.section import Section


class Source:
    """Gives the images of datasets."""

    Params: ClassVar[type[Section]] = Section  # beside `source`, in a dataset's section of params.yaml
    DATASETS: ClassVar[tuple[str, ...] | None] = None  # names of those it has; None where any name will do

    def __init__(self, params: Any):
        self.params = params

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Return the images of a dataset, in any order; `seed` is that of all that is drawn.

        scratch: a folder for downloads and other large files, kept between calls.
        fraction: in (0, 1], how much of `Images.totals` the study needs of each class; a source may give more.
        Raises ValueError that says what to do where the images cannot be read, ConnectionError where a download fails.
        """
        raise NotImplementedError


def make(name: str, dataset: str, params: Mapping[str, Any]) -> Source:
    """The source of this name with its `params`; raises LookupError, and ValueError for a dataset that it lacks."""
    member = plugins.member_class("sources", name, Source)
    if member.DATASETS is not None and dataset not in member.DATASETS:
        raise ValueError(f"the source `{name}` has no {dataset!r}; choose from {', '.join(member.DATASETS)}")
    return member(member.Params(**params))
