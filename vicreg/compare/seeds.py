"""Seeds: one study run with several of them, in one table: what another draw of everything random would have given."""

import math
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.axes import Axes
from scipy.stats import t as student

from vicreg.compare.report_source import Side
from vicreg.compare.rows import Row, by, write
from vicreg.compare.side_by_side import MISSING, flat, settings
from vicreg.io import atomic
from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import code, count, escape, percent, points, spread, table
from vicreg.reporting.metrics import BASELINE

FREE = ("seed", "study", "studies", "device", "memory", "compile", "processes", "checkpoint_every")  # parameters that
# may differ, or that a report tells of itself
SPREAD = "mean ± standard deviation"


def write_seeds(sides: Sequence[Side], stem: Path) -> None:
    """Write `stem`.md, .svg, .png and .csv: what each seed gave, and the mean of all with their standard deviation.

    Raises ValueError where the reports are not of one study with different seeds.
    """
    check(sides)
    sides = sorted(sides, key=seed_of)
    found = scores(sides)
    probe = PROBE if any(row["probe"] == PROBE for row in found) else found[0]["probe"]
    looks = style.styles(by(found, "encoder"))
    panels = [
        Panel(names(sides)[key], partial(dots, rows=same, looks=looks))
        for key, same in by([row for row in found if row["probe"] == probe], "dataset").items()
    ]
    title = f"{title_of(sides)}: top-1 of the {probe} probe, a circle for each seed"
    figure = together(panels, title, columns=len(panels), height=0.9 + 0.36 * len(looks))
    text = document(sides, found, probe)
    with atomic.writing(stem.with_suffix(".md")) as file:
        file.write(text.encode())
    style.save(figure, stem)
    write(found, stem.with_suffix(".csv"))


def check(sides: Sequence[Side]) -> None:
    """Raise ValueError unless these are reports of one study, on the same images, that differ in their seeds alone."""
    if len(sides) < 2:
        raise ValueError("one seed has no spread: name the reports of several, as `dvc exp run -S seed=1` makes them")
    by_seed: dict[int, Side] = {}
    for side in sides:
        seed = seed_of(side)
        if seed in by_seed:
            raise ValueError(f"{by_seed[seed].name!r} and {side.name!r} both have the seed {seed}: name one of them")
        by_seed[seed] = side
    for one, other, told in (
        *pairs([(side, told_of(side)) for side in sides]),
        *pairs([(side, parameters(side)) for side in sides if side.params is not None]),
    ):
        raise ValueError(
            f"{one.name!r} and {other.name!r} should differ in their seeds alone, and they differ in {told} too"
        )
    for side in sides[1:]:
        if unshared := cells(sides[0]) ^ cells(side):
            raise ValueError(
                f"{sides[0].name!r} and {side.name!r} have not the same encoders and probes: only one has "
                f"{', '.join(' '.join(cell) for cell in sorted(unshared))}"
            )
    if not cells(sides[0]):
        raise ValueError(f"{sides[0].origin} holds no accuracies: no encoder ran, or no probe")


def pairs(values: list[tuple[Side, dict[str, str]]]) -> Iterator[tuple[Side, Side, str]]:
    """Yield the sides that differ from the first one, and in what, in words."""
    for side, held in values[1:]:
        first, expected = values[0]
        keys = [key for key in expected | held if expected.get(key) != held.get(key)]
        if keys:
            told = (f"{key} ({expected.get(key, MISSING)} and {held.get(key, MISSING)})" for key in keys)
            yield first, side, ", ".join(told)


def seed_of(side: Side) -> int:
    seed = side.metrics.facts.get("seed")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ValueError(f"{side.origin} does not tell its seed: run `dvc repro report`")
    return seed


def told_of(side: Side) -> dict[str, str]:
    """What a report tells of itself and must be the same, under dotted keys: the study, its sizes and its images."""
    images = {
        key: {"genuine": entry["genuine"], **(entry["fingerprints"] if entry["genuine"] else {})}
        for key, entry in side.metrics.datasets.items()
    }
    kept = {key: value for key, value in settings(side).items() if key not in ("seed", "source")}
    return flat({**kept, "images": images})


def parameters(side: Side) -> dict[str, str]:
    return flat({key: value for key, value in (side.params or {}).items() if key not in FREE})


def cells(side: Side) -> set[tuple[str, str, str]]:
    return {(dataset, probe, encoder) for dataset, probe, encoder, _ in side.metrics.rows()}


def scores(sides: Sequence[Side]) -> list[Row]:
    """Return dataset, probe, encoder, seed, top1, top5 and gain: a row for each number of the tables of all reports."""
    found = [
        {
            "dataset": dataset,
            "probe": probe,
            "encoder": encoder,
            "seed": seed_of(side),
            "top1": numbers["top1"],
            "top5": numbers["top5"],
            "gain": numbers.get("gain"),
        }
        for side in sides
        for dataset, probe, encoder, numbers in side.metrics.rows()
    ]
    for key in ("encoder", "probe", "dataset"):  # sorting is stable
        found = [row for same in by(found, key).values() for row in same]
    return found


def document(sides: Sequence[Side], found: list[Row], probe: str) -> str:
    """Return the table of each dataset as markdown, with what the spread does and does not contain."""
    seeds = ", ".join(str(seed_of(side)) for side in sides)
    parts = [f"# {escape(title_of(sides))}: {count(len(sides), 'seed')}"]
    if sides[0].metrics.drawn:
        parts.append("> Drawn pictures, not CIFAR: the numbers say whether the pipeline works, not how good it is.")
    drawn = "the pictures, " if sides[0].metrics.drawn else ""
    parts.append(
        f"Each report ran with a seed of its own: {seeds}. The seed draws {drawn}the split, the initial weights, the "
        "order of the images, the views and the probes. Standard deviations (n - 1) are of single runs, in points."
    )
    parts += [f"> {warning}" for warning in warnings(sides)]
    for key, rows in by(found, "dataset").items():
        parts += [f"## {escape(names(sides)[key])}", accuracies(rows, seeds), *ahead(rows, probe)]
    parts += ["## Where the numbers come from", "\n".join(f"- {line}" for line in origins(sides))]
    return "\n\n".join(parts) + "\n"


def warnings(sides: Sequence[Side]) -> Iterator[str]:
    """What else than the seed may have made the reports differ."""
    unknown = [side.name for side in sides if side.params is None]
    if unknown:
        told = ", ".join(escape(name) for name in unknown)
        yield f"The parameters of {told} are not known beyond the sizes below, so that they may differ in others."
    for what, key in (("commits", "commit"), ("versions of libraries", "versions")):
        if len({str(side.metrics.facts.get(key)) for side in sides}) > 1:
            yield f"The reports were made with different {what}, which may have changed results too."


def accuracies(rows: list[Row], seeds: str) -> str:
    headers = ["probe", "encoder", f"top-1 % with seeds {seeds}", f"top-1 %, {SPREAD}", "top-5 %", "gain, points"]
    lines = []
    for probe, of_probe in by(rows, "probe").items():
        for encoder, same in by(of_probe, "encoder").items():
            each = ", ".join(percent(row["top1"]) for row in same)
            gains = [row["gain"] for row in same if row["gain"] is not None]
            gain = "baseline" if encoder == BASELINE else "no baseline"
            if encoder != BASELINE and len(gains) == len(same):
                gain = spread(gains, points)
            top1, top5 = ([row[key] for row in same] for key in ("top1", "top5"))
            lines.append([probe, code(encoder), each, spread(top1, percent), spread(top5, percent), gain])
    return table(headers, lines, "llrrrr")


def ahead(rows: list[Row], probe: str) -> Iterator[str]:
    """Say of the two best encoders by how much one leads, and whether the seeds can tell."""
    ran = by([row for row in rows if row["probe"] == probe], "encoder")
    ranked = sorted((name for name in ran if name != BASELINE), key=lambda name: -fmean(r["top1"] for r in ran[name]))
    if len(ranked) < 2:
        return
    best, second = ranked[:2]
    differences = [a["top1"] - b["top1"] for a, b in zip(ran[best], ran[second], strict=True)]
    low, high = mean_interval(differences)
    verdict = "" if low > 0 else "; it holds 0, so this may be chance"
    yield (
        f"{probe.capitalize()} probe: on average {code(best)} is {points(fmean(differences))} points ahead of "
        f"{code(second)} (95 % interval over seeds {points(low)} to {points(high)}, Student's t{verdict}), and with "
        f"{sum(difference > 0 for difference in differences)} of {len(differences)} seeds."
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of the mean of a few independent values, as Student (1908): the fewer, the wider."""
    half = student.ppf(0.975, len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return fmean(values) - half, fmean(values) + half


def origins(sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        facts = side.metrics.facts
        seconds = (facts.get("seconds") or {}).get("total")
        worked = MISSING if seconds is None else f"{count(round(seconds), 'second')} of work"
        yield (
            f"seed {seed_of(side)}: {escape(side.name)}, commit {escape(str(facts.get('commit') or MISSING)[:10])}, "
            f"{escape(str(facts.get('device') or MISSING))}, {worked}"
        )
    sizes = flat({key: value for key, value in settings(sides[0]).items() if key not in ("seed", "study", "source")})
    yield ", ".join(f"{escape(key)} {escape(value)}" for key, value in sizes.items())


def dots(axes: Axes, rows: list[Row], looks: dict[str, style.Style]) -> None:
    """Draw a row for each encoder: a circle for each seed, a bar and the number for their mean."""
    found = by(rows, "encoder")
    for place, (encoder, same) in enumerate(found.items()):
        values, color = [row["top1"] for row in same], looks[encoder].color
        mean = fmean(values)
        axes.plot([100 * value for value in values], [place] * len(values), "o", mfc="none", ms=5, color=color)
        axes.plot([100 * mean], [place], "|", markersize=14, color=color)
        told = spread(values, percent)
        axes.annotate(told, (100 * mean, place), (0, 8), textcoords="offset points", ha="center", color=color)
    style.in_rows(axes, list(found))
    axes.set_xlim(auto=True)
    axes.margins(x=0.15)
    axes.autoscale_view(scaley=False)
    axes.set_xlabel("top-1 (%), not from 0; mean ± s.d.")


def names(sides: Sequence[Side]) -> dict[str, str]:
    return {key: entry["name"] for key, entry in sides[0].metrics.datasets.items()}


def title_of(sides: Sequence[Side]) -> str:
    facts = sides[0].metrics.facts
    return f"The study {facts.get('name', MISSING)}, protocol {facts.get('protocol', MISSING)}"
