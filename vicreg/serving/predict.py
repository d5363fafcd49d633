"""Predictions: what a probe of a finished study takes pictures for."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicreg.data.images import load_arrays
from vicreg.evaluation import probe_files
from vicreg.io import plugins
from vicreg.serving.classifier import Classifier
from vicreg.study.paths import SLOTS, Paths, study_of


@dataclass(frozen=True)
class Judge:
    """A trained probe on its encoder, and the names of its classes; `dataset` is what they come from, in words."""

    classifier: Classifier
    dataset: str
    classes: tuple[str, ...]

    @property
    def drawn(self) -> bool:
        """Whether the classes are those of pictures that this project drew."""
        return self.dataset in plugins.member("sources", "synthetic").NAMES.values()

    def best(self, pixels: np.ndarray, count: int) -> list[list[tuple[str, float]]]:
        """The `count` likeliest classes of each image (N, 32, 32, 3) uint8, with their probabilities."""
        found = self.classifier.predict(pixels)  # (N, C)
        orders = np.argsort(-found, axis=1, kind="stable")[:, :count]
        rows = zip(found, orders, strict=True)
        return [[(self.classes[place], float(row[place])) for place in order] for row, order in rows]


def load(encoder: Path, dataset: str, probe: str) -> Judge:
    """Return the probe that was trained on the encoder in the file `encoder`.

    dataset: whose classes to name, see `slot_of`. Raises ValueError where the probe is not there, was trained on other
    weights, or the encoder lies outside its study's folders, since the probes lie in those.
    """
    paths = study_of(encoder)
    if paths is None:
        raise ValueError(
            f"{encoder} does not lie in the folder models/<study>/ of a repository, so its probes cannot be found: "
            "name an encoder of a study, whose probes `dvc repro` has trained"
        )
    slot, data = slot_of(dataset, paths)
    file = paths.heads(encoder.stem)
    if not file.is_file():
        raise ValueError(f"there are no probes of {encoder}, {file}: run `dvc repro linear_eval@{encoder.stem}`")
    heads = probe_files.describe(file).get("heads", {})
    there = [name.partition("/")[2] for name in heads if name.startswith(f"{slot}/")]
    if probe not in there:
        raise ValueError(f"there is no probe {probe!r} in {file}: choose from {', '.join(sorted(there)) or 'none'}")
    return Judge(Classifier(encoder, file, slot, probe), str(data["name"]), tuple(map(str, data["classes"])))


def slot_of(dataset: str, paths: Paths) -> tuple[str, dict[str, np.ndarray]]:
    """Return the slot of a dataset of a study, and the dataset's name and classes.

    dataset: "primary", "transfer", or a name such as "cifar100" or "CIFAR-100". Raises ValueError for any other.
    """
    for slot in SLOTS:
        if not (file := paths.data(slot)).is_file():
            raise ValueError(f"{file} is not there, which names the classes: run `dvc repro download@{slot}`")
    found = {slot: load_arrays(paths.data(slot), lambda name: name in ("name", "classes")) for slot in SLOTS}
    for slot, data in found.items():
        if dataset == slot or simple(dataset) == simple(str(data["name"])):
            return slot, data
    there = ", ".join(f"{slot} ({data['name']})" for slot, data in found.items())
    raise ValueError(f"there is no dataset {dataset!r}: choose from {there}")


def simple(name: str) -> str:
    """The letters and digits of a dataset's name, without what stands behind it in brackets."""
    return "".join(character for character in name.partition(" (")[0].lower() if character.isalnum())


def told(judge: Judge, names: list[str], rows: list[list[tuple[str, float]]]) -> str:
    """The likeliest classes of each image, and what to make of them."""
    lines = []
    for name, row in zip(names, rows, strict=True):
        lines += [name, *(f"  {100 * share:5.1f} %  {label}" for label, share in row), ""]
    about = judge.classifier.about
    right = f"right for {100 * about['top1']:.1f} % of its test images"
    lines.append(f"By the {about['probe']} probe for {judge.dataset} on {about['encoder']}, {right}.")
    lines.append(f"It knows {len(judge.classes)} classes, and names one of them whatever a picture shows.")
    if judge.drawn:
        lines.append("These are drawn shapes: of a photo it says nothing.")
    return "\n".join(lines)
