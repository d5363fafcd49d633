"""The classes that a probe of a finished study predicts for images."""

import re
from pathlib import Path

import numpy as np

from vicreg.data import images
from vicreg.data.images import Images
from vicreg.evaluation import probe_files
from vicreg.serving.classifier import ImageClassifier
from vicreg.study.paths import ROLES, Paths, study_of


def load(encoder_file: Path, dataset: str, probe: str) -> tuple[ImageClassifier, Images]:
    """Return the probe that was trained on the encoder in the file, and the dataset whose classes it knows.

    dataset: see `find_dataset`. Raises ValueError where the probe is not there, was trained on other weights, or the
    encoder lies outside its study's folders, since the probes lie in those.
    """
    paths = study_of(encoder_file)
    if paths is None:
        raise ValueError(f"{encoder_file} does not lie in a folder models/<study>/, so its probes cannot be found")
    role, data = find_dataset(dataset, paths)
    file = paths.probes(encoder_file.stem)
    probes = probe_files.describe(file).get("top1", {}).get(role, {})
    if probe not in probes:
        raise ValueError(f"there is no probe {probe!r} in {file}: choose from {', '.join(sorted(probes)) or 'none'}")
    return ImageClassifier(encoder_file, file, role, probe), data


def find_dataset(dataset: str, paths: Paths) -> tuple[str, Images]:
    """Return the role and the images of a dataset of a study.

    dataset: "primary", "transfer", or a name such as "cifar100" or "CIFAR-100". Raises ValueError for any other.
    """
    choices = []
    for role in ROLES:
        data = images.load(paths.data(role))
        if dataset == role or normalize_name(dataset) == normalize_name(data.name):
            return role, data
        choices.append(f"{role} ({data.name})")
    raise ValueError(f"there is no dataset {dataset!r}: choose from {', '.join(choices)}")


def normalize_name(name: str) -> str:
    """The letters and digits of a dataset's name, without what stands behind it in brackets."""
    return re.sub(r" \(.*|[\W_]", "", name.lower())


def predict(model: ImageClassifier, dataset: Images, pixels: np.ndarray, names: list[str], k: int) -> str:
    """The k likeliest classes of each image (N, H, W, 3) uint8 below its name, and what to make of them."""
    lines, about = [], model.about
    for name, row in zip(names, model.predict(pixels), strict=True):
        likeliest = np.argsort(-row, kind="stable")[:k]
        lines += [name, *(f"  {100 * row[label]:5.1f} %  {dataset.classes[label]}" for label in likeliest), ""]
    accuracy = f"right for {100 * about['top1']:.1f} % of its test images"
    lines.append(f"By the {about['probe']} probe for {dataset.name} on {about['encoder']}, {accuracy}.")
    lines.append(f"It knows {len(dataset.classes)} classes, and names one of them whatever a picture shows.")
    lines += ["These are drawn shapes: of a photo it says nothing."] if dataset.synthetic else []
    return "\n".join(lines)
