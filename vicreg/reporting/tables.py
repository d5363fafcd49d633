"""Tables of a study: its rows in lines, numbers in columns, and words where there is no number."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from vicreg.reporting import literature
from vicreg.reporting.curves import PROBE, Curves, terms
from vicreg.reporting.figures import confusion
from vicreg.reporting.markdown import Table, code, count, escape, interval, percent, points, table, words
from vicreg.reporting.metrics import BASELINE, best, probes_of
from vicreg.reporting.study import STATES, Dataset, Results, Study

PAIRS = {"views": "two views", "same": "an image twice", "different": "two images"}
MISTAKES = 8  # shown of each dataset
MOST_EPOCHS = 25  # of a curve's numbers, for each row
decimals, digits = "{:.3f}".format, "{:.4g}".format


def comparison(dataset: Dataset, scores: Results, pretext: Mapping[str, float] | None = None) -> Table:
    """Return the table of one dataset, sorted by probe, then in the order of the rows.

    pretext: by row, accuracies of pretext tasks. Published figures stand beside the linear probe's, and only where the
    dataset is genuine.
    """
    references = literature.references(dataset.key) if dataset.genuine else {}
    numbers = {
        "top-1 %, 95 % interval": lambda top1: f"{percent(top1[0])} ({interval(*top1[1:])})",
        "top-5 %": percent,
        "gain, points": lambda gain: "{} ({} to {})".format(*map(points, gain)),
    }
    if pretext:
        numbers["pretext task %"] = percent
    if references:
        numbers["student report, top-1 (top-5) %"] = lambda figures: "{} ({})".format(*map(printed, figures))
    rows = []
    for probe in dict.fromkeys(probe for entry in scores.values() for probe in probes_of(entry)):
        for row, score in ((row, entry[probe]) for row, entry in scores.items() if probe in entry):
            cells = [probe, code(row), (score["top1"], score["top1_low"], score["top1_high"]), score["top5"]]
            gain = (score["gain"], score["gain_low"], score["gain_high"]) if "gain" in score else "no baseline"
            cells.append("baseline" if row == BASELINE else gain)
            if pretext:
                cells.append(pretext.get(row, ""))
            if probe == PROBE and row in references:
                cells.append((references[row]["top1"], references[row]["top5"]))
            rows.append(cells)
    states = [(row, state) for row, entry in scores.items() for state in STATES if state in entry]
    rows += [["all", code(row), state.replace("_", " ")] for row, state in states]
    return Table(["probe", "encoder"], numbers, rows, header=1)


def overview(metrics: dict[str, Any], form: Callable[..., str] = table) -> str:
    """Top-1 of the linear probe, its interval, and the gain over `random`, from metrics.json; form: or `latex`."""
    datasets = {key: entry for key, entry in metrics["study"]["datasets"].items() if metrics[key]}  # that have labels
    encoders = metrics[next(iter(datasets))] if datasets else {}
    rows = [[code(encoder), *(_top1(encoder, metrics[key][encoder]) for key in datasets)] for encoder in encoders]
    titles = [f"{entry['name']}, top-1 %" for entry in datasets.values()]
    return form(["encoder", *titles], rows, "l" + "r" * len(datasets))


def _top1(encoder: str, entry: dict[str, Any]) -> str:
    """One encoder on one dataset, or in words why there is no number."""
    score = entry.get(PROBE)
    if score is None:
        return "not run"
    gain = f", {points(score['gain'])}" if "gain" in score and encoder != BASELINE else ""
    return f"{percent(score['top1'])} ({interval(score['top1_low'], score['top1_high'])}){gain}"


def printed(value: float | None) -> str:
    """A published figure with the digits it was printed with."""
    return "not given" if value is None else f"{value:g}"


def published(dataset: Dataset) -> Table:
    """Return all that is published about a dataset."""
    figures, sources = literature.published(dataset.key), literature.CONTENT["sources"]
    rows = [[sources[f["source"]]["title"], f["model"], f["top1"], f["top5"] or "not given"] for f in figures]
    return Table(["source", "model"], {"top-1 %": printed, "top-5 %": printed}, rows, header=1)


def last_epochs(results: Results) -> Table:
    """Return for each row all that it logged in its last epoch, in words as methods differ in it, and its seconds."""
    rows, on_gpu = [], any("peak_memory" in result for result in results.values())
    for row, result in results.items():
        last = result["history"][-1]
        logged = ", ".join(f"{words(name)} {decimals(last[name])}" for name in terms({row: [last]}) if name in last)
        speed = median(epoch["images_per_second"] for epoch in result["history"])
        cells = [(result["images"], last["epoch"]), round(speed), round(result["train_seconds"])]
        rows.append([code(row), logged, *cells, *([result.get("peak_memory", "")] if on_gpu else [])])
    numbers = {"images × epochs": lambda pair: " × ".join(map(count, pair)), "images / s": count, "seconds": count}
    if on_gpu:
        numbers["GPU memory, GiB"] = lambda size: f"{size / 2**30:.1f}"
    return Table(["encoder", "loss and its terms in the last epoch"], numbers, rows)


def pair_losses(entries: Results) -> Table:
    """Return one method's pair loss and its terms between two views, equal images and different images."""
    names = list(dict.fromkeys(name for entry in entries.values() for name in entry["views"]))
    pairs = [(row, entry[pair], kind) for row, entry in entries.items() for pair, kind in PAIRS.items()]
    rows = [[code(row), kind, *map(losses.get, names)] for row, losses, kind in pairs]
    return Table(["encoder", "pair"], {words(name): decimals for name in names}, rows)


def mistakes(study: Study, dataset: Dataset) -> tuple[str, Table] | None:
    """Return the best row on a dataset, and its most frequent mistakes; None where not recorded."""
    matrices, row = confusion.matrices(study, dataset), best(study.evaluations, dataset.role)
    if row not in matrices:
        return None
    worst = confusion.mistakes(matrices[row], dataset.classes, MISTAKES)
    lines = [[escape(true), escape(guess), share] for true, guess, share in worst]
    return (row, Table(["class", "taken for"], {"% of its images": percent}, lines)) if lines else None


def seconds(study: Study) -> Table:
    """Return the seconds by kind of stage, all rows and datasets together, the longest first."""
    sums: Counter[str] = Counter()
    for entry in study.seconds:
        sums[entry["stage"].partition("-")[0]] += entry["seconds"]
    total, ranked = max(sum(sums.values()), 1e-9), sums.most_common()
    rows = [[code(stage), seconds, seconds / total] for stage, seconds in ranked]
    bars = [seconds / max(ranked[0][1], 1e-9) for _, seconds in ranked]
    return Table(["kind of stage"], {"seconds": "{:,.1f}".format, "% of all": percent}, rows, bars=bars)


def curve_numbers(curves: Curves, columns: Sequence[str]) -> Table:
    """Return a figure's numbers, a line per row and epoch, of long curves only some."""
    rows = []
    for row, curve in curves.items():
        step = -(-len(curve) // MOST_EPOCHS) or 1
        last = curve[(len(curve) - 1) % step :: step]
        rows += [[code(row), point["epoch"], *(point.get(column, "") for column in columns)] for point in last]
    return Table(["encoder"], {"epoch": count, **{words(column): digits for column in columns}}, rows)
