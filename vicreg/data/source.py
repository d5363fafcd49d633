"""The contract of a source: where images come from. Each file in `vicreg/data/sources/` is one."""

from pathlib import Path
from typing import Any, ClassVar

from vicreg.data.images import Images
from vicreg.io import plugins
from vicreg.io.section import Section


class Source:
    """Gives the images of a dataset.

    Attributes:
        Params: its parameters, beside `source`, in a dataset's section of params.yaml.
        DATASETS: names of the datasets it has; None where a dataset may have any name.
    """

    Params: ClassVar[type[Section]] = Section
    DATASETS: ClassVar[tuple[str, ...] | None] = None

    def __init__(self, params: Any):
        self.params = params

    def load(self, dataset: str, *, scratch: Path, fraction: float, seed: int) -> Images:
        """Return the images of a dataset, in any order.

        scratch: a folder for downloads and other large files, kept between calls.
        fraction: in (0, 1], how much of the dataset the study needs; a source that draws or cuts gives each class this
            part of `Images.totals` at least, the others give all.
        seed: of all that is drawn.

        Raises ValueError that says what to do where the images cannot be read, ConnectionError where a download fails.
        """
        raise NotImplementedError

    def check(self, dataset: str) -> None:
        """Raise ValueError, with the choices, for a dataset that this source does not have."""
        if self.DATASETS is not None and dataset not in self.DATASETS:
            name = type(self).__module__.rpartition(".")[2]
            raise ValueError(f"the source `{name}` has no {dataset!r}; choose from {', '.join(self.DATASETS)}")


def find(name: str) -> type[Source]:
    """The class in the file `sources/<name>.py`; raises LookupError that lists the choices."""
    module = plugins.member("sources", name)
    members = (value for value in vars(module).values() if isinstance(value, type) and issubclass(value, Source))
    return next(member for member in members if member.__module__ == module.__name__)
