"""Files: a study's report in one folder, a file for each thing that a person opens or DVC compares."""

import json
from pathlib import Path

import numpy as np

from vicreg.images import Images
from vicreg.reporting import comparison, curves, figures, sheet, style
from vicreg.reporting.metrics import metrics
from vicreg.reporting.study import Dataset, Study
from vicreg.views import Policy


def write(study: Study, folder: Path) -> None:
    """Write the document, the metrics, and the curves of accuracy and loss as data and as figures."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(metrics(study), indent=1, allow_nan=False, ensure_ascii=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    (folder / "comparison.md").write_text(comparison.document(study), encoding="utf-8")
    looks = style.styles(study.encoders)
    for dataset in study.datasets:
        write_accuracy(study, dataset, looks, folder / f"accuracy-{dataset.slot}")
    write_losses(study, looks, folder / "losses")


def write_accuracy(study: Study, dataset: Dataset, looks: dict[str, style.Style], stem: Path) -> None:
    """Write `stem`.csv, .svg and .png: accuracy over the epochs of the probe."""
    lines = curves.accuracy_curves(study.evaluations, dataset.slot)
    stem.with_suffix(".csv").write_text(curves.as_csv(lines, curves.SCORES), encoding="utf-8")
    title = f"{dataset.name}: test accuracy of a linear probe on frozen representations"
    style.save(figures.accuracy(lines, looks, title, dataset.classes), stem)


def write_losses(study: Study, looks: dict[str, style.Style], stem: Path) -> None:
    """Write `stem`.csv, .svg and .png: the loss and its terms over the epochs of pretraining."""
    history, online = curves.histories(study.pretraining), curves.histories(study.pretraining, "online")
    stem.with_suffix(".csv").write_text(curves.as_csv(history, curves.terms(history)), encoding="utf-8")
    style.save(figures.losses(history, online, looks, f"Pretraining on {study.datasets[0].name}"), stem)


def write_views(images: Images, policies: dict[str, Policy], seed: int, stem: Path, rows: int = 6) -> None:
    """Write `stem`.svg and .png: one image each of the first classes, and what the policies make of them."""
    _, first = np.unique(images.labels, return_index=True)
    pixels = images.pixels[first[:rows]]
    views = {name: sheet.sample_views(pixels, policy, seed) for name, policy in policies.items()}
    style.save(sheet.sheet(pixels, views, f"{images.name}: images and their views by policy"), stem)
