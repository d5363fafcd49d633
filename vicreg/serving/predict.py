"""The classes that a probe of a finished study predicts for images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.serving.classifier import ImageClassifier
from vicreg.study.paths import ROLES, Paths, study_of


@dataclass(frozen=True)
class Classes:
    """A dataset as a probe knows it: `synthetic` where its images are drawn."""

    name: str
    classes: tuple[str, ...]
    synthetic: bool


def load(encoder_file: Path, dataset: str, probe: str) -> tuple[ImageClassifier, Classes]:
    """Return the probe that was trained on the encoder in the file, and the dataset whose classes it knows.

    dataset: "primary", "transfer", or a name such as "cifar100" or "CIFAR-100". Raises ValueError where the probe is
    not there or was trained on other weights.
    """
    paths, file = study_of(encoder_file), exported_probes(encoder_file)
    if paths is None and not file.is_file():
        raise ValueError(f"{encoder_file} lies neither in a folder models/<study>/ nor beside {file.name}: no probes")
    if paths is None:
        about = probe_files.describe(file)["datasets"]
        datasets = {role: Classes(**it | {"classes": tuple(it["classes"])}) for role, it in about.items()}
    else:
        file, datasets = paths.probes(encoder_file.stem), classes_of(paths)
    role = find_dataset(dataset, datasets)
    probes = probe_files.describe(file).get("top1", {}).get(role, {})
    if probe not in probes:
        raise ValueError(f"there is no probe {probe!r} in {file}: choose from {', '.join(sorted(probes)) or 'none'}")
    return ImageClassifier(encoder_file, file, role, probe), datasets[role]


def exported_probes(encoder_file: Path) -> Path:
    """Where the probes of an encoder lie outside a study, as `vicreg.serving.export` writes them."""
    return encoder_file.with_name(f"{encoder_file.stem}-probes.safetensors")


def classes_of(paths: Paths) -> dict[str, Classes]:
    """What both datasets of a study are, by role."""
    data = {role: images.load(paths.data(role)) for role in ROLES}
    return {role: Classes(it.name, it.classes, it.synthetic) for role, it in data.items()}


def find_dataset(dataset: str, datasets: Mapping[str, Classes]) -> str:
    """The role of a dataset by its role or name; raises ValueError for any other."""
    for role, about in datasets.items():
        if dataset == role or normalize_name(dataset) == normalize_name(about.name):
            return role
    choices = ", ".join(f"{role} ({about.name})" for role, about in datasets.items())
    raise ValueError(f"there is no dataset {dataset!r}: choose from {choices}")


def normalize_name(name: str) -> str:
    """The letters and digits of a dataset's name, without what stands behind it in brackets."""
    return re.sub(r" \(.*|[\W_]", "", name.lower())


def predict(model: ImageClassifier, dataset: Classes, pixels: np.ndarray, names: list[str], k: int) -> str:
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
