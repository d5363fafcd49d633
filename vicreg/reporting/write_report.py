"""Files: a study's report in one folder, a file for each thing that a person opens or DVC compares."""

import json
from pathlib import Path
from typing import Any

from vicreg.reporting import content, curves, judging, tables
from vicreg.reporting.figures import image_grid, line_plots, style
from vicreg.reporting.figures.confusion import by_superclass, confusion
from vicreg.reporting.figures.embedding_map import embedding_map
from vicreg.reporting.figures.interval_plot import answer
from vicreg.reporting.figures.judging_plot import judging as judging_plot
from vicreg.reporting.figures.panels import PanelFigure
from vicreg.reporting.figures.pretext_plot import pretext
from vicreg.reporting.image_samples import Samples
from vicreg.reporting.markdown import latex
from vicreg.reporting.metrics import hits, metrics, top1
from vicreg.reporting.page import page
from vicreg.reporting.study import Study


def write(study: Study, samples: Samples, folder: Path) -> dict[str, Any]:
    """Write the page, the document, the metrics, every figure, and curves as data too; return the metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers, figures = metrics(study), study_figures(study)
    texts = {"comparison.md": content.document(study), "index.html": page.document(study, samples, figures)}
    texts |= {"judging.csv": judging.as_csv(study), "comparison.tex": tables.overview(numbers, latex) + "\n"}
    for name, values in {"metrics.json": numbers, "top1.json": top1(numbers), "hits.json": hits(study)}.items():
        texts[name] = json.dumps(values, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    for name in ("losses", "online", *(f"accuracy-{dataset.role}" for dataset in study.datasets)):
        texts[f"{name}.csv"] = curves.as_csv(figures[name].curves, figures[name].keys)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    del figures["online"]  # which is drawn beside the losses
    drawings = {name: figure.draw() for name, figure in figures.items()}
    drawings |= {grid.__name__: grid(samples) for grid in (image_grid.views, image_grid.pairs, image_grid.neighbors)}
    for name, drawing in drawings.items():
        style.save(drawing, folder / name)
    return numbers


def study_figures(study: Study) -> dict[str, PanelFigure]:
    """Return all figures that are made of panels, by name."""
    return {
        "answer": answer(study),
        **{f"accuracy-{dataset.role}": line_plots.accuracy(study, dataset) for dataset in study.datasets},
        **line_plots.pretraining(study),
        "pretext": pretext(study),
        "judging": judging_plot(study),
        "map": embedding_map(study),
        "confusion": confusion(study),
        "superclasses": by_superclass(study),
    }
