"""Where the files of a study lie, as dvc.yaml has them."""

from dataclasses import dataclass
from pathlib import Path

ROLES = ("primary", "transfer")


@dataclass(frozen=True)
class Paths:
    """The files of one study, in the repository whose root is `root`."""

    study: str
    root: Path = Path()

    def recipe(self, row: str) -> Path:
        """A row's recipe, all its parameters, YAML."""
        return self.root / "recipes" / self.study / f"{row}.yaml"

    def settings(self, stage: str) -> Path:
        """What params.yaml says to a stage, YAML."""
        return self.root / "recipes" / self.study / "stages" / f"{stage}.yaml"

    def data(self, role: str) -> Path:
        """The folder of the dataset in a role, `primary` or `transfer`."""
        return self.root / "data" / self.study / role

    @property
    def split(self) -> Path:
        """The positions of each part of the datasets."""
        return self.root / "data" / self.study / "split.npz"

    def model(self, row: str) -> Path:
        """A row's weights."""
        return self.root / "models" / self.study / f"{row}.safetensors"

    def probes(self, row: str) -> Path:
        """The probes fitted on a row's features."""
        return self.root / "models" / self.study / "probes" / f"{row}.safetensors"

    def features(self, row: str, role: str) -> Path:
        """A row's representations of the dataset in a role."""
        return self.root / "features" / self.study / f"{row}-{role}.npz"

    def result(self, name: str) -> Path:
        """The numbers that a stage found, JSON."""
        return self.root / "results" / self.study / f"{name}.json"

    def report(self, name: str) -> Path:
        """A file of the report."""
        return self.root / "reports" / self.study / name


def study_of(model: Path) -> Paths | None:
    """The study whose encoder lies at `model`; None for a file that lies elsewhere."""
    file = model.absolute()  # not where links lead: DVC may keep the file itself in its cache
    return Paths(file.parent.name, file.parents[2]) if file.parts[-3:-2] == ("models",) else None
