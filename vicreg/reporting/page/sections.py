"""Chapters of the page on numbers: the answer, the tables, the training. Each is plain data that a template shows."""

from typing import Any

from vicreg.reporting import curves, literature, summary, tables
from vicreg.reporting.curves import INDICATORS, PROBE, Curves
from vicreg.reporting.figures import interval_plot, line_plots, style
from vicreg.reporting.markdown import code, count, escape, table
from vicreg.reporting.markdown_report import ROLES
from vicreg.reporting.metrics import accuracies, best_two
from vicreg.reporting.page.figure_html import Drawer
from vicreg.reporting.page.html import Table, inline
from vicreg.reporting.study import Dataset, Study

MOST_ROWS = 25  # of a curve's numbers, for each encoder


def answer(study: Study, drawer: Drawer) -> dict[str, Any]:
    """What was asked, and the answer as a sentence and as a figure."""
    looks = style.styles(study.encoders)
    size = (4.1, interval_plot.height(study))
    caption = f"Top-1 accuracy of the {PROBE} probe on frozen representations, with its 95 % interval over test images."
    warnings = dict.fromkeys(filter(None, map(summary.warning, study.datasets)))
    return {
        "warnings": [inline(warning) for warning in warnings],
        "sentence": inline(summary.headline(study)),
        "figure": drawer.figure(interval_plot.panels(study, looks), caption, *study.datasets, size=size),
        "encoders": [_encoder(study, name, looks[name], drawer) for name in study.encoders],
    }


def _encoder(study: Study, name: str, look: style.Style, drawer: Drawer) -> dict[str, Any]:
    """An entry of the legend: how its lines look, and what it is."""
    recipe = ", ".join(f"{key} {code(value)}" for key, value in study.recipes.get(name, {}).items())
    reason = study.evaluations[name].get("not_run")
    words = f"{recipe}; {reason}" if recipe and reason else recipe or reason or ""
    return {"name": name, "swatch": drawer.swatch(name, look.line(3)), "words": inline(words)}


def results(study: Study, dataset: Dataset, drawer: Drawer) -> dict[str, Any]:
    """The comparison on one dataset: sentences, table, curves, and what others published."""
    found = accuracies(study.evaluations, dataset.slot)
    pair = best_two(study.evaluations, dataset.slot, PROBE)
    said = [summary.answer(found), *([summary.versus(pair)] if pair else [])]
    role = ROLES[dataset.slot] if study.learned else ""
    beside = " Beside the linear probe: the student report's figures." if dataset.genuine else ""
    lines = curves.accuracy_curves(study.evaluations, dataset.slot)
    drawn = line_plots.accuracy_panels(lines, style.styles(study.encoders), len(dataset.classes))
    about = f"Accuracy on the test images of {escape(dataset.name)} after each epoch of the {PROBE} probe."
    return {
        "name": dataset.name,
        "said": [inline(sentence) for sentence in said],
        "table": drawer.table(tables.comparison(dataset, found), f"All probes.{beside}", dataset, header=1),
        "notes": [inline(note) for note in (*summary.not_run(found), *summary.at_chance(study, dataset))],
        "sizes": inline(f"{role} {summary.sizes(dataset)}".strip()),
        "settings": [inline(line) for line in summary.settings(study, dataset)],
        "curves": drawer.figure(drawn, about, dataset, numbers=_numbers(lines, curves.SCORES, about, drawer, dataset)),
        "published": _published(study, dataset, drawer),
    }


def _published(study: Study, dataset: Dataset, drawer: Drawer) -> dict[str, Any] | None:
    """What others printed, with the sources; None where nothing may stand beside our numbers."""
    known = literature.figures(dataset.key) if dataset.genuine else []
    if not known:
        return None
    sources = [literature.SOURCES[key] for key in dict.fromkeys(figure.source for figure in known)]
    return {
        "here": inline(f"Here: {summary.sizes(dataset)} {summary.training(study)}"),
        "table": drawer.table(tables.publications(dataset), "Published results, as printed.", dataset, header=1),
        "sources": [inline(f"**{s.title}** ({s.reference}): {s.protocol}") for s in sources],
    }


def training(study: Study, drawer: Drawer) -> dict[str, Any]:
    """The loss and its terms, the online evaluation, and whether embeddings collapsed."""
    looks, primary = style.styles(study.encoders), study.datasets[0]
    history, online = curves.histories(study.learned), curves.histories(study.learned, "online")
    shown = {encoder: look.line(3) for encoder, look in looks.items() if encoder in history}
    losses = line_plots.loss_panels(history, looks)
    terms = [name for name in curves.terms(history) if name not in INDICATORS]
    about_losses = "Loss and its terms, not weighted, mean over each epoch of pretraining."
    about_online = "Top-1 of a linear probe trained now and then on representations of the time."
    about_collapse = (
        "Indicators of collapse, of the last batch of each epoch: low values would be its signs, high correlation too."
    )
    absent = [line_plots.TERM_LABELS[name] for name in INDICATORS if name not in curves.known(history, INDICATORS)]
    return {
        "learned": bool(history),
        "table": drawer.table(tables.pretraining(study), "The last epoch of pretraining.", primary)
        if history
        else None,
        "losses": drawer.figure(
            losses, about_losses, primary, looks=shown, numbers=_numbers(history, terms, about_losses, drawer, primary)
        ),
        "online": drawer.figure(
            line_plots.online_panels(online, looks),
            about_online,
            primary,
            looks=shown,
            numbers=_numbers(online, curves.SCORES, about_online, drawer, primary),
        ),
        "collapse": drawer.figure(
            line_plots.collapse_panels(history, looks),
            about_collapse,
            primary,
            looks=shown,
            numbers=_numbers(history, curves.known(history, INDICATORS), about_collapse, drawer, primary),
        ),
        "absent": absent if history else [],
    }


def _numbers(lines: Curves, columns: Any, caption: str, drawer: Drawer, dataset: Dataset) -> Table | None:
    """A figure's numbers, a row per encoder and epoch, of long curves only some."""
    rows = []
    for encoder, points in lines.items():
        step = -(-len(points) // MOST_ROWS)
        for point in points[len(points) - 1 :: -step][::-1] if points else ():
            values = [point.get(column) for column in columns]
            rows.append([code(encoder), count(point["epoch"]), *(f"{v:.4g}" if v is not None else "" for v in values)])
    headers = ["encoder", "epoch", *(escape(column.replace("_", " ")) for column in columns)]
    text = table(headers, rows, "lr" + "r" * len(columns))
    return drawer.table(text, f"Numbers of the figure: {caption}", dataset) if rows and columns else None
