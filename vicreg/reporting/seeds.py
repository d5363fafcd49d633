"""Seeds: one study run with several of them, in one table: what another draw of everything random would have given."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.axes import Axes

from vicreg import atomic
from vicreg.reporting import style
from vicreg.reporting.curves import PROBE
from vicreg.reporting.markdown import code, count, escape, percent, points, spread, table
from vicreg.reporting.metrics import BASELINE
from vicreg.reporting.panels import Panel, together
from vicreg.reporting.rows import Row, by, write
from vicreg.reporting.side_by_side import MISSING, flat, settings
from vicreg.reporting.sides import Side

FREE = ("seed", "study", "studies", "device", "memory", "compile", "processes", "checkpoint_every")  # may differ, or
# are known from the report
SPREAD = "mean ± standard deviation"


def write_seeds(sides: Sequence[Side], stem: Path) -> None:
    """Write `stem`.md, .svg, .png and .csv: what each seed gave, and the mean of all with their standard deviation.

    Raises ValueError where the reports are not of one study with different seeds.
    """
    check(sides)
    sides = sorted(sides, key=seed_of)
    found = scores(sides)
    with atomic.writing(stem.with_suffix(".md")) as file:
        file.write(document(sides, found).encode())
    panels = [
        Panel(names(sides)[key], partial(dots, rows=same, looks=style.styles(encoders(found))))
        for key, same in by([row for row in found if row["probe"] == PROBE], "dataset").items()
    ]
    title = f"{title_of(sides)}: top-1 of the {PROBE} probe, each seed and the mean"
    style.save(together(panels, title, columns=len(panels), height=0.9 + 0.36 * len(encoders(found))), stem)
    write(found, stem.with_suffix(".csv"))


def check(sides: Sequence[Side]) -> None:
    """Raise ValueError unless these are reports of one study, on the same images, that differ in their seeds alone."""
    if len(sides) < 2:
        raise ValueError("one seed has no spread: name the reports of several, as `dvc exp run -S seed=1` makes them")
    first, *others = sides
    seen = {seed_of(first): first}
    for side in others:
        seed = seed_of(side)
        if seed in seen:
            raise ValueError(f"{seen[seed].name!r} and {side.name!r} both have the seed {seed}: name one of them")
        seen[seed] = side
        one, other = about(first), about(side)
        shared = [key for key in one if key in other]
        unlike = [f"{key} ({one[key]} and {other[key]})" for key in shared if one[key] != other[key]]
        if unlike:
            raise ValueError(
                f"{first.name!r} and {side.name!r} should differ in their seeds alone, and they differ in "
                f"{', '.join(unlike)} too"
            )
        if unshared := table_of(first) ^ table_of(side):
            raise ValueError(
                f"{first.name!r} and {side.name!r} have not the same encoders and probes: only one has "
                f"{', '.join(' '.join(entry) for entry in sorted(unshared))}"
            )


def seed_of(side: Side) -> int:
    seed = side.metrics.facts.get("seed")
    if not isinstance(seed, int):
        raise ValueError(f"{side.origin} does not tell its seed: run `dvc repro report`")
    return seed


def about(side: Side) -> dict[str, str]:
    """What must be the same, under dotted keys: the study and its sizes, its images, its parameters where known."""
    facts = side.metrics.facts
    images = {key: entry["fingerprints"] for key, entry in facts["datasets"].items() if entry["genuine"]}
    kept = {key: value for key, value in settings(side).items() if key not in ("seed", "source")}
    params = {key: value for key, value in (side.params or {}).items() if key not in FREE}
    return flat({**kept, "images": images, "datasets": sorted(facts["datasets"]), **params})


def table_of(side: Side) -> set[tuple[str, str, str]]:
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
    return [
        row
        for dataset in by(found, "dataset").values()
        for probe in by(dataset, "probe").values()
        for same in by(probe, "encoder").values()
        for row in same
    ]


def document(sides: Sequence[Side], found: list[Row]) -> str:
    """Return the table of each dataset as markdown, with what the spread does and does not contain."""
    seeds = ", ".join(str(seed_of(side)) for side in sides)
    parts = [f"# {title_of(sides)}: {count(len(sides), 'seed')}"]
    if sides[0].metrics.drawn:
        parts.append("> Drawn pictures, not CIFAR: the numbers say whether the pipeline works, not how good it is.")
    parts.append(
        f"Each report ran with a seed of its own, {seeds}; everything else was the same. The seed draws the split, so "
        "other images test, and the initial weights, the order of the images, the views and the probes. Standard "
        f"deviations are those of {len(sides)} runs (n - 1), in points."
    )
    for key, rows in by(found, "dataset").items():
        parts += [f"## {escape(names(sides)[key])}", accuracies(rows, seeds), *ahead(rows)]
    parts += ["## Where the numbers come from", "\n".join(f"- {line}" for line in origins(sides))]
    return "\n\n".join(parts) + "\n"


def accuracies(rows: list[Row], seeds: str) -> str:
    headers = ["probe", "encoder", f"top-1 % with seeds {seeds}", f"top-1 %, {SPREAD}", "top-5 %", "gain, points"]
    lines = []
    for probe, of_probe in by(rows, "probe").items():
        for encoder, same in by(of_probe, "encoder").items():
            each = ", ".join(percent(row["top1"]) for row in same)
            gains = [row["gain"] for row in same if row["gain"] is not None]
            gain = "baseline" if encoder == BASELINE else spread(gains, points) if gains else "no baseline"
            top1, top5 = ([row[key] for row in same] for key in ("top1", "top5"))
            lines.append([probe, code(encoder), each, spread(top1, percent), spread(top5, percent), gain])
    return table(headers, lines, "llrrrr")


def ahead(rows: list[Row]) -> Iterator[str]:
    """Say of the two best encoders under the linear probe which one leads, by how much and how often."""
    ran = by([row for row in rows if row["probe"] == PROBE], "encoder")
    ranked = sorted((name for name in ran if name != BASELINE), key=lambda name: -fmean(r["top1"] for r in ran[name]))
    if len(ranked) < 2:
        return
    best, second = ranked[:2]
    differences = [a["top1"] - b["top1"] for a, b in zip(ran[best], ran[second], strict=True)]
    won = sum(difference > 0 for difference in differences)
    yield (
        f"{PROBE.capitalize()} probe: {code(best)} is ahead of {code(second)} by {spread(differences, points)} points "
        f"({SPREAD}), with {won} of {len(differences)} seeds."
    )


def origins(sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        facts = side.metrics.facts
        yield (
            f"seed {seed_of(side)}: {escape(side.name)}, commit {escape((facts.get('commit') or MISSING)[:10])}, "
            f"{escape(facts.get('device', MISSING))}, {count(round(facts['seconds']['total']), 'second')} of work"
        )
    sizes = flat(settings(sides[0]))
    yield ", ".join(f"{escape(key)} {escape(value)}" for key, value in sizes.items() if key not in ("seed", "study"))


def dots(axes: Axes, rows: list[Row], looks: dict[str, style.Style]) -> None:
    """Draw a row for each encoder: a circle for each seed, a bar and the number for their mean."""
    found = by(rows, "encoder")
    for place, (encoder, same) in enumerate(found.items()):
        values, color = [100 * row["top1"] for row in same], looks[encoder].color
        mean = fmean(values)
        axes.plot(values, [place] * len(values), "o", markersize=5, markerfacecolor="none", color=color)
        axes.plot([mean], [place], "|", markersize=14, color=color)
        told = f"{mean:.1f} ± {stdev(values):.1f}"
        axes.annotate(told, (mean, place), (0, 8), textcoords="offset points", ha="center", color=color)
    style.in_rows(axes, list(found))
    axes.set_xlabel("top-1 (%), mean ± standard deviation")


def encoders(found: list[Row]) -> list[str]:
    return list(by(found, "encoder"))


def names(sides: Sequence[Side]) -> dict[str, str]:
    return {key: entry["name"] for key, entry in sides[0].metrics.datasets.items()}


def title_of(sides: Sequence[Side]) -> str:
    facts = sides[0].metrics.facts
    return f"The study {facts['name']}, protocol {facts['protocol']}"
