"""The classes that the probes of a finished study predict for images."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vicreg.data import images
from vicreg.io import description
from vicreg.study.paths import ROLES, Paths, study_of


@dataclass(frozen=True)
class Classes:
    """A dataset as a probe knows it: `synthetic` where its images are drawn."""

    name: str
    classes: tuple[str, ...]
    synthetic: bool


@dataclass(frozen=True)
class Probes:
    """Probes of one kind that were trained on the encoder in a file, without their weights.

    file: which holds them; name: "linear", for example; datasets: by role, those whose classes they know; top1: on the
    test images, by role.
    """

    encoder_file: Path
    file: Path
    name: str
    datasets: dict[str, Classes]
    top1: dict[str, float]


def find_probes(encoder_file: Path, probe: str, dataset: str | None = None) -> Probes:
    """Find the probes of this name that were trained on the encoder in the file, without importing torch.

    dataset: "primary", "transfer", or a name such as "cifar100" or "CIFAR-100"; all that have the probe by default.
    Raises ValueError where there is none, or where they were trained on other weights.
    """
    paths, file = study_of(encoder_file), exported_probes(encoder_file)
    if paths is None and not file.is_file():
        raise ValueError(f"{encoder_file} lies neither in a folder models/<study>/ nor beside {file.name}: no probes")
    if paths is None:
        entries = description.probes(file)["datasets"]
        datasets = {role: Classes(**it | {"classes": tuple(it["classes"])}) for role, it in entries.items()}
    else:
        file, datasets = paths.probes(encoder_file.stem), classes_of(paths)
    if dataset:
        role = find_dataset(dataset, datasets)
        datasets = {role: datasets[role]}
    probes = {role: description.probes(file).get("top1", {}).get(role, {}) for role in datasets}
    top1 = {role: scores[probe] for role, scores in probes.items() if probe in scores}
    if not top1:
        choices = ", ".join(sorted({name for scores in probes.values() for name in scores})) or "none"
        raise ValueError(f"there is no probe {probe!r} in {file}: choose from {choices}")
    description.probes_of(encoder_file, file)
    return Probes(encoder_file, file, probe, {role: datasets[role] for role in top1}, top1)


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


def predict(probes: Probes, pixels: np.ndarray, names: list[str], k: int) -> dict[str, Any]:
    """The k likeliest classes of each image (N, H, W, 3) uint8, by each of the probes, as values for JSON."""
    import torch

    from vicreg.evaluation import probe_files
    from vicreg.nn.encoder import extract_features
    from vicreg.study.builders import load_encoder

    features = torch.from_numpy(extract_features(load_encoder(probes.encoder_file), pixels, torch.device("cpu")))
    datasets = []
    for role, dataset in probes.datasets.items():
        with torch.inference_mode():
            probabilities = probe_files.load(probes.file, role, probes.name)(features).numpy()
        predictions = [
            {dataset.classes[label]: float(row[label]) for label in np.argsort(-row, kind="stable")[:k]}
            for row in probabilities
        ]
        about = {"name": dataset.name, "classes": len(dataset.classes), "synthetic": dataset.synthetic}
        by_image = dict(zip(names, predictions, strict=True))
        datasets.append({**about, "top1": probes.top1[role], "images": by_image})
    return {"encoder": str(probes.encoder_file), "probe": probes.name, "datasets": datasets}
