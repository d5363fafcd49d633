"""Tables: encoders in rows, numbers in columns, and words where there is no number."""

from itertools import groupby
from statistics import median
from typing import Any

from vicreg.reporting import literature
from vicreg.reporting.curves import PROBE, histories, terms
from vicreg.reporting.markdown import code, count, escape, interval, percent, points, table
from vicreg.reporting.metrics import BASELINE, Accuracies
from vicreg.reporting.study import Dataset, Study

PAIRS = {
    "views": "two views of one image",
    "same": "an image and itself",
    "different": "two different images",
}
TERMS = ("loss", "invariance", "variance", "covariance")


def comparison(dataset: Dataset, accuracies: Accuracies) -> str:
    """Return the table of one dataset, sorted by probe, then in the order of the encoders.

    Published figures stand beside the linear probe's, and only where the dataset is genuine.
    """
    beside = literature.beside(dataset.key) if dataset.genuine else {}
    gain = f"gain over {code(BASELINE)}, points"
    headers = ["probe", "encoder", "top-1 %", "95 % interval", "top-5 %", gain]
    rows = [row for probe in probes_of(accuracies) for row in _rows(probe, accuracies, beside)]
    rows += [["all", code(name), "not run"] for name, entry in accuracies.items() if "not_run" in entry]
    if beside:
        headers.append("student report: top-1 / top-5 %")
    return table(headers, [row + [""] * (len(headers) - len(row)) for row in rows], "llrrrrr"[: len(headers)])


def probes_of(accuracies: Accuracies) -> list[str]:
    """Return the probes of the encoders that ran, each once, in their order."""
    return list(dict.fromkeys(probe for entry in accuracies.values() for probe in entry if probe != "not_run"))


def _rows(probe: str, accuracies: Accuracies, beside: dict[str, literature.Figure]) -> list[list[str]]:
    rows = []
    for encoder, entry in accuracies.items():
        if probe not in entry:
            continue
        score = entry[probe]
        spread = interval(score["top1_low"], score["top1_high"])
        row = [
            probe,
            code(encoder),
            percent(score["top1"]),
            spread,
            percent(score["top5"]),
            _gain(encoder, score),
        ]
        if probe == PROBE and encoder in beside:
            row.append(f"{_printed(beside[encoder].top1)} / {_printed(beside[encoder].top5)}")
        rows.append(row)
    return rows


def _gain(encoder: str, score: dict[str, float]) -> str:
    if encoder == BASELINE:
        return "baseline"
    if "gain" not in score:
        return "no baseline"
    return f"{points(score['gain'])} ({points(score['gain_low'])} to {points(score['gain_high'])})"


def _printed(value: float | None) -> str:
    """A published figure with the digits it was printed with."""
    return "not given" if value is None else f"{value:g}"


def publications(dataset: Dataset) -> str:
    """Return all that is published about a dataset, as a table."""
    headers = ["source", "model", "top-1 %", "top-5 %"]
    found = literature.figures(dataset.key)
    rows = [[literature.SOURCES[f.source].title, f.model, _printed(f.top1), _printed(f.top5)] for f in found]
    return table(headers, rows, "llrr")


def pretraining(study: Study) -> str:
    """Return the last epoch of every encoder that learned, with all that its method reports."""
    names = terms(histories(study.learned))
    headers = [
        "encoder",
        "images",
        "epochs",
        *(escape(name.replace("_", " ")) for name in names),
        "images per second",
    ]
    rows = []
    for encoder, result in study.learned.items():
        last = result["history"][-1]
        numbers = [f"{last[name]:.3f}" if name in last else "none" for name in names]
        rate = median(epoch["images_per_second"] for epoch in result["history"])
        rows.append([code(encoder), count(result["images"]), count(last["epoch"]), *numbers, count(round(rate))])
    return table(headers, rows, "l" + "r" * (len(headers) - 1))


def representative_loss(result: dict[str, Any], encoders: list[str]) -> str:
    """Return the loss and its terms between two views, equal images and different images, by encoder."""
    rows = [
        [code(encoder), words, *(f"{entry[pair][term]:.3f}" for term in TERMS)]
        for encoder, entry in _computed(result, encoders)
        for pair, words in PAIRS.items()
    ]
    return table(["encoder", "pair", *TERMS], rows, "llrrrr")


def against(result: dict[str, Any], encoders: list[str]) -> str:
    """Return the invariance of one image against others, by encoder; one table per choice of images."""

    def images(item: tuple[str, dict[str, Any]]) -> list[str]:
        return [item[1]["anchor"], *(other["class"] for other in item[1]["against"])]

    parts = []
    for (anchor, *others), entries in groupby(_computed(result, encoders), images):
        rows = [[code(name), *(f"{o['invariance']:.3f}" for o in entry["against"])] for name, entry in entries]
        headers = [f"{escape(anchor)} against", *(escape(other) for other in others)]
        parts.append(table(headers, rows, "l" + "r" * len(others)))
    return "\n\n".join(parts)


def _computed(result: dict[str, Any], encoders: list[str]) -> list[tuple[str, dict[str, Any]]]:
    entries = result["encoders"]
    return [(name, entries[name]) for name in encoders if "views" in entries.get(name, {})]


def seconds(study: Study) -> str:
    """Return how long each stage took, and on which hardware."""
    rows = [[code(e["stage"]), f"{e['seconds']:,.1f}", escape(e["device"])] for e in study.seconds]
    rows.append(["sum of stages", f"{sum(entry['seconds'] for entry in study.seconds):,.1f}", ""])
    columns = 3 if len(study.devices) > 1 else 2  # one device for all is named once, elsewhere
    headers = ["stage", "seconds", "hardware"][:columns]
    return table(headers, [row[:columns] for row in rows], "lrl"[:columns])
