"""Files: a study's report in one folder, a file for each thing that a person opens or DVC compares."""

import json
from pathlib import Path

from vicreg.reporting import curves, markdown_report
from vicreg.reporting.figures import image_grid, interval_plot, line_plots, maps, style
from vicreg.reporting.image_samples import Pictures
from vicreg.reporting.metrics import metrics, top1
from vicreg.reporting.page import page
from vicreg.reporting.study import Dataset, Study


def write(study: Study, pictures: Pictures, folder: Path) -> None:
    """Write the page, the document, the metrics, and every figure; curves as data too."""
    folder.mkdir(parents=True, exist_ok=True)
    found = metrics(study)
    for name, values in {"metrics.json": found, "top1.json": top1(found)}.items():
        text = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False)
        (folder / name).write_text(text + "\n", encoding="utf-8")
    (folder / "comparison.md").write_text(markdown_report.document(study), encoding="utf-8")
    (folder / "index.html").write_text(page.document(study, pictures), encoding="utf-8")
    looks = style.styles(study.encoders)
    for dataset in study.datasets:
        write_accuracy(study, dataset, looks, folder / f"accuracy-{dataset.slot}")
    write_pretraining(study, looks, folder)
    style.save(interval_plot.answer(study, looks), folder / "answer")
    write_pictures(study, pictures, folder)


def write_accuracy(study: Study, dataset: Dataset, looks: dict[str, style.Style], stem: Path) -> None:
    """Write `stem`.csv, .svg and .png: accuracy over the epochs of the probe."""
    lines = curves.accuracy_curves(study.evaluations, dataset.slot)
    stem.with_suffix(".csv").write_text(curves.as_csv(lines, curves.SCORES), encoding="utf-8")
    title = f"{dataset.name}: test accuracy of a linear probe on frozen representations"
    style.save(line_plots.accuracy(lines, looks, title, len(dataset.classes)), stem)


def write_pretraining(study: Study, looks: dict[str, style.Style], folder: Path) -> None:
    """Write the loss, its terms and the indicators of collapse over the epochs, and the online evaluation."""
    name = study.datasets[0].name
    history, online = curves.histories(study.pretraining), curves.histories(study.pretraining, "online")
    (folder / "losses.csv").write_text(curves.as_csv(history, curves.terms(history)), encoding="utf-8")
    (folder / "online.csv").write_text(curves.as_csv(online, curves.SCORES), encoding="utf-8")
    style.save(line_plots.losses(history, online, looks, f"Pretraining on {name}"), folder / "losses")
    style.save(
        line_plots.collapse(history, looks, f"Pretraining on {name}: indicators of collapse"), folder / "collapse"
    )


def write_pictures(study: Study, pictures: Pictures, folder: Path) -> None:
    """Write what is made of images and of their representations."""
    name, classes = pictures.name, pictures.classes
    style.save(image_grid.views(pictures), folder / "views")
    style.save(image_grid.pairs(pictures), folder / "pairs")
    style.save(image_grid.neighbours(pictures), folder / "neighbours")
    style.save(
        maps.map_figure(study, classes, f"{name}: test images as each encoder represents them, t-SNE"), folder / "map"
    )
    title = f"{name}: what the linear probe takes each class for, % of its test images"
    style.save(maps.confusion_figure(study, "primary", classes, title), folder / "confusion")
