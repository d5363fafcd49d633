"""Seeds: one study run with several of them, in one table: what another draw of everything random would have given."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from scipy import stats

from vicreg.compare.frames import MACHINE, MISSING, check_alike, check_distinct, flatten, groups, in_order, write
from vicreg.compare.reports import CELL, Report
from vicreg.reporting.curves import PROBE
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.reporting.markdown import code, latex, percent, points, spread, table
from vicreg.reporting.metrics import BASELINE
from vicreg.reporting.page import html

FREE = rf"(seed|study|studies|{MACHINE})(\..*)?"  # parameters that may differ: reports tell their study and sizes
FREE_OF_RECIPE = rf".*\.(seed|code|{MACHINE})"


def write_seeds(reports: Sequence[Report], stem: Path) -> None:
    """Write `stem`.md, .tex, .svg, .png and .csv: each seed, mean and standard deviation; raises as `check` does."""
    check(reports)
    reports = sorted(reports, key=seed_of)
    every = pd.concat([report.scores.assign(seed=seed_of(report)) for report in reports])
    scores = in_order(every, CELL)[[*CELL, "seed", "top1", "top5", "gain"]]
    probe = PROBE if (scores["probe"] == PROBE).any() else scores["probe"].iloc[0]
    styles = style.styles(scores["encoder"].unique())
    panels = [
        Panel(reports[0].datasets[key]["name"], partial(draw_seeds, scores=rows, styles=styles))
        for key, rows in groups(scores[scores["probe"] == probe], "dataset")
    ]
    title = f"The study {reports[0].facts['name']}: top-1 of the {probe} probe, a circle for each seed"
    figure = together(panels, title, columns=len(panels), height=0.9 + 0.36 * len(styles))
    tex = paper_table(scores[scores["probe"] == probe], [panel.title for panel in panels])
    write(stem, scores, document(reports, scores, probe), figure, tex)


def check(reports: Sequence[Report]) -> None:
    """Raise ValueError unless these are reports of one study, on the same images, that differ in their seeds alone."""
    if len(reports) < 2:
        raise ValueError("one seed has no spread: name the reports of several, as `dvc exp run -S seed=1` makes them")
    pairs = [(report.name, seed_of(report)) for report in reports]
    check_distinct(pd.DataFrame(pairs, columns=["name", "seed"]), ["seed"], "name")
    params = [flatten(report.params) for report in reports if report.params]
    recipes = [flatten(report.facts["recipes"]) for report in reports if report.facts["recipes"]]
    settings = [report.settings | flatten({"images": report.fingerprints}) for report in reports]
    for values, free in ((settings, "seed|source"), (params, FREE), (recipes, FREE_OF_RECIPE)):
        check_alike(values, free, "these reports should differ in their seeds alone")
    cells = groups(pd.concat([report.scores[CELL] for report in reports]), CELL)
    if unshared := [" ".join(cell) for cell, rows in cells if len(rows) < len(reports)]:
        lacking = f"not all have {', '.join(unshared)} (a row that collapsed has none)"
        raise ValueError(f"these reports have not the same encoders and probes: {lacking}")
    if reports[0].scores.empty:
        raise ValueError(f"{reports[0].origin} holds no accuracies: no encoder ran, or no probe")


def seed_of(report: Report) -> int:
    """Return the seed that a study was run with; raises ValueError for a report that does not tell it."""
    if type(seed := report.facts.get("seed")) is not int:
        raise ValueError(f"{report.origin} does not tell its seed: run `dvc repro report`")
    return seed


def document(reports: Sequence[Report], scores: pd.DataFrame, probe: str) -> str:
    """Return the table of each dataset as markdown, with what the spread does and does not contain."""
    environment = html.environment("vicreg.compare")
    seeds = ", ".join(str(seed_of(report)) for report in reports)
    tables = {key: (accuracies(rows, seeds), lead(rows, probe)) for key, rows in groups(scores, "dataset")}
    context = {"reports": reports, "seeds": seeds, "tables": tables, "MISSING": MISSING}
    return environment.get_template("seeds.md.j2").render(context)


def accuracies(scores: pd.DataFrame, seeds: str) -> str:
    """The table of one dataset: a line for each probe and encoder. seeds: in words, in their order."""
    headers = ["probe", "encoder", f"top-1 % with seeds {seeds}", "top-1 %, mean ± standard deviation"]
    lines = []
    for (probe, encoder), rows in groups(scores, ["probe", "encoder"]):
        gain = "no baseline" if rows["gain"].isna().any() else spread(list(rows["gain"]), points)
        accuracy = [spread(list(rows[score]), percent) for score in ("top1", "top5")]
        each = ", ".join(map(percent, rows["top1"]))
        lines.append([probe, code(encoder), each, *accuracy, "baseline" if encoder == BASELINE else gain])
    return table([*headers, "top-5 %", "gain, points"], lines, "llrrrr")


def paper_table(scores: pd.DataFrame, names: Sequence[str]) -> str:
    """Top-1 of one probe in LaTeX, mean and standard deviation: a line for each encoder, a column for each dataset."""
    lines = [
        [encoder, *(spread(list(cell["top1"]), percent) for _, cell in groups(rows, "dataset"))]
        for encoder, rows in groups(scores, "encoder")
    ]
    return latex(["encoder", *(f"{name}, top-1 %" for name in names)], lines, "l" + "r" * len(names)) + "\n"


def lead(scores: pd.DataFrame, probe: str) -> str:
    """Say of the two best encoders on a dataset by how much one leads, and whether the seeds can tell."""
    top1 = scores[scores["probe"] == probe].pivot(index="seed", columns="encoder", values="top1")
    best = top1.drop(columns=BASELINE, errors="ignore").mean().nlargest(2).index
    if len(best) < 2:
        return ""
    differences = top1[best[0]] - top1[best[1]]
    low, high = mean_interval(differences)
    chance = "" if low > 0 else "; it holds 0, so this may be chance"
    return (
        f"{probe.capitalize()} probe: on average {code(best[0])} is {points(differences.mean())} points ahead of "
        f"{code(best[1])} (95 % interval over seeds {points(low)} to {points(high)}, Student's t{chance}), and with "
        f"{(differences > 0).sum()} of {len(differences)} seeds."
    )


def mean_interval(values: pd.Series) -> tuple[float, float]:
    """95 % interval of the mean of a few independent values, as Student (1908): the fewer, the wider."""
    half = stats.t.ppf(0.975, len(values) - 1) * values.sem()
    return values.mean() - half, values.mean() + half


def draw_seeds(axes: Axes, scores: pd.DataFrame, styles: dict[str, style.Style]) -> None:
    """Draw a row for each encoder: a circle for each seed, a bar and the number for their mean."""
    for y, (encoder, rows) in enumerate(groups(scores, "encoder")):
        top1, mean, color = 100 * rows["top1"], 100 * rows["top1"].mean(), styles[encoder].color
        axes.plot(top1, [y] * len(top1), "o", mfc="none", ms=5, color=color)
        axes.plot([mean], [y], "|", markersize=14, color=color)
        words = spread(list(rows["top1"]), percent)
        axes.annotate(words, (mean, y), (0, 10), textcoords="offset points", ha="center", color=color)
    style.categorical_y(axes, list(scores["encoder"].unique()))
    axes.set_xlim(auto=True)
    axes.margins(x=0.15)
    axes.autoscale_view(scaley=False)
    axes.set_xlabel("top-1 (%), not from 0; mean ± s.d.")
