"""Places: where the files of a study lie, as dvc.yaml has them."""

from dataclasses import dataclass
from pathlib import Path

SLOTS = ("primary", "transfer")


@dataclass(frozen=True)
class Paths:
    """The files of one study, in the repository whose root is `root`."""

    study: str
    root: Path = Path()

    def data(self, name: str) -> Path:
        return self.root / "data" / self.study / f"{name}.npz"

    def model(self, encoder: str) -> Path:
        return self.root / "models" / self.study / f"{encoder}.safetensors"

    def heads(self, encoder: str) -> Path:
        return self.root / "models" / self.study / "probes" / f"{encoder}.safetensors"

    def features(self, encoder: str, slot: str) -> Path:
        return self.root / "features" / self.study / f"{encoder}-{slot}.npz"

    def result(self, name: str) -> Path:
        return self.root / "results" / self.study / f"{name}.json"

    def report(self, name: str) -> Path:
        return self.root / "reports" / self.study / name


def study_of(model: Path) -> Paths | None:
    """The study whose encoder lies at `model`; None for a file that lies elsewhere."""
    file = model.absolute()  # not where links lead: DVC may keep the file itself in its cache
    return Paths(file.parent.name, file.parents[2]) if file.parts[-3:-2] == ("models",) else None
