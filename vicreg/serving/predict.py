"""The classes that a probe of a finished study predicts for images."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicreg.data import images
from vicreg.data.images import Images
from vicreg.evaluation import probe_files
from vicreg.serving.classifier import ImageClassifier
from vicreg.study.paths import ROLES, Paths, study_of

Predictions = list[tuple[str, float]]  # classes and their probabilities, the likeliest first


@dataclass(frozen=True)
class LoadedProbe:
    """A trained probe on its encoder, and the dataset whose classes it knows."""

    classifier: ImageClassifier
    dataset: Images

    def topk(self, pixels: np.ndarray, k: int) -> list[Predictions]:
        """The k likeliest classes of each image (N, H, W, 3) uint8, with their probabilities."""
        probabilities, classes = self.classifier.predict(pixels), self.dataset.classes  # (N, C)
        orders = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
        rows = zip(probabilities, orders, strict=True)
        return [[(classes[label], float(row[label])) for label in order] for row, order in rows]


def load(encoder_file: Path, dataset: str, probe: str) -> LoadedProbe:
    """Return the probe that was trained on the encoder in the file.

    dataset: whose classes to name, see `find_dataset`. Raises ValueError where the probe is not there, was trained on
    other weights, or the encoder lies outside its study's folders, since the probes lie in those.
    """
    paths = study_of(encoder_file)
    if paths is None:
        raise ValueError(f"{encoder_file} does not lie in a folder models/<study>/, so its probes cannot be found")
    role, data = find_dataset(dataset, paths)
    file = paths.probes(encoder_file.stem)
    probes = probe_files.describe(file).get("top1", {}).get(role, {})
    if probe not in probes:
        raise ValueError(f"there is no probe {probe!r} in {file}: choose from {', '.join(sorted(probes)) or 'none'}")
    return LoadedProbe(ImageClassifier(encoder_file, file, role, probe), data)


def find_dataset(dataset: str, paths: Paths) -> tuple[str, Images]:
    """Return the role and the images of a dataset of a study.

    dataset: "primary", "transfer", or a name such as "cifar100" or "CIFAR-100". Raises ValueError for any other.
    """
    datasets = {role: images.load(paths.data(role)) for role in ROLES}
    for role, data in datasets.items():
        if dataset == role or normalize_name(dataset) == normalize_name(data.name):
            return role, data
    choices = ", ".join(f"{role} ({data.name})" for role, data in datasets.items())
    raise ValueError(f"there is no dataset {dataset!r}: choose from {choices}")


def normalize_name(name: str) -> str:
    """The letters and digits of a dataset's name, without what stands behind it in brackets."""
    return re.sub(r" \(.*|[\W_]", "", name.lower())


def format_predictions(probe: LoadedProbe, names: list[str], predictions: list[Predictions]) -> str:
    """The likeliest classes of each image, and what to make of them."""
    lines = []
    for name, row in zip(names, predictions, strict=True):
        lines += [name, *(f"  {100 * share:5.1f} %  {label}" for label, share in row), ""]
    about, dataset = probe.classifier.about, probe.dataset
    accuracy = f"right for {100 * about['top1']:.1f} % of its test images"
    lines.append(f"By the {about['probe']} probe for {dataset.name} on {about['encoder']}, {accuracy}.")
    lines.append(f"It knows {len(dataset.classes)} classes, and names one of them whatever a picture shows.")
    if dataset.synthetic:
        lines.append("These are drawn shapes: of a photo it says nothing.")
    return "\n".join(lines)
