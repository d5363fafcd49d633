"""Side by side: two reports in one page, their accuracies, the differences, and what else differs between them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from jinja2 import ChoiceLoader, PackageLoader

from vicreg.compare.frames import MISSING, differing, flat, groups, in_order
from vicreg.compare.reports import Report
from vicreg.reporting.markdown import interval, percent, points
from vicreg.reporting.page import html

CSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def difference(a: Mapping[str, float], b: Mapping[str, float]) -> tuple[float, float, float]:
    """b - a of top-1, and its 95 % interval from top1, top1_low and top1_high of both, as of independent samples.

    The distances to the bounds add up by their squares (Newcombe, Statistics in Medicine 17, 1998, method 10). On the
    same test images the true interval is narrower, which two summaries cannot tell.
    """
    middle = b["top1"] - a["top1"]
    down = math.hypot(b["top1"] - b["top1_low"], a["top1_high"] - a["top1"])
    up = math.hypot(b["top1_high"] - b["top1"], a["top1"] - a["top1_low"])
    return middle, middle - down, middle + up


def document(a: Report, b: Report) -> str:
    """Return the page; it loads nothing from anywhere."""
    environment = html.environment()
    environment.loader = ChoiceLoader(
        [PackageLoader(p, "templates") for p in ("vicreg.compare", "vicreg.reporting.page")]
    )
    environment.filters |= {"percent": percent, "points": points}
    environment.globals |= {"interval": interval, "MISSING": MISSING}
    datasets = [dataset(key, {"a": a, "b": b}) for key in a.datasets | b.datasets]
    return environment.get_template("side_by_side.html.j2").render(
        a=a, b=b, csp=CSP, datasets=datasets, warnings=list(warnings(a, b)), changes=changes(a, b)
    )


def dataset(key: str, reports: dict[str, Report]) -> dict[str, Any]:
    """The table of a dataset from the reports, by letter, that have it: scores and their difference by encoder."""
    reports = {letter: report for letter, report in reports.items() if key in report.datasets}
    every = pd.concat([report.scores.assign(letter=letter) for letter, report in reports.items()])
    every = in_order(every[every["dataset"] == key], ["probe", "encoder"])
    rows = []
    for (probe, encoder), scores in groups(every, ["probe", "encoder"]):
        both: dict[Any, Any] = {"a": None, "b": None, **scores.set_index("letter").to_dict("index")}
        change = difference(both["a"], both["b"]) if both["a"] and both["b"] else None
        rows.append({"probe": probe, "encoder": encoder, "difference": change, **both})
    names = dict.fromkeys(report.datasets[key]["name"] for report in reports.values())
    return {"name": " / ".join(names), "rows": rows, "letters": list(reports), "both": len(reports) == 2}


def warnings(a: Report, b: Report) -> Iterator[str]:
    """What a reader must know before comparing the numbers."""
    if a.facts == b.facts and a.scores.equals(b.scores):
        yield "A and B are the same report: `dvc repro` makes another one where something changed."
    if synthetic := [letter for letter, report in (("A", a), ("B", b)) if report.synthetic]:
        yield (
            f"{' and '.join(synthetic)} {'are' if len(synthetic) == 2 else 'is'} on drawn pictures, not on CIFAR: the "
            "numbers say whether the pipeline works, not how good the method is."
        )
    shared = [key for key in a.datasets if key in b.datasets]
    if not shared:
        yield "The two have no dataset in common: accuracies on different images are no comparison of the encoders."
    for key in shared:
        name = a.datasets[key]["name"]
        if a.datasets[key]["fingerprints"] != b.datasets[key]["fingerprints"]:
            yield f"{name}: the images of A and B are not the same ones, so differences may come from them."
        elif any(a.settings[setting] != b.settings[setting] for setting in ("seed", "protocol")):
            yield f"{name}: another seed or protocol drew the test images, so they are not the same ones."


def changes(a: Report, b: Report) -> list[tuple[str, ...]]:
    """(name, value of A, value of B) of what differs: of all parameters, or of what the reports tell."""
    rows = a.facts["recipes"].keys() & b.facts["recipes"].keys()
    settings = []
    for report in (a, b):
        recipes = {row: recipe for row, recipe in report.facts["recipes"].items() if row in rows}
        values = flat(report.params or {}) if a.params and b.params else report.settings | flat(recipes)
        facts, seconds = report.facts, report.facts.get("seconds", {}).get("total")
        about = {"hardware": facts.get("device"), "seconds in all": seconds, "versions": facts.get("versions", {})}
        settings.append(values | flat(about | {"commit of the report": (facts.get("commit") or MISSING)[:10]}))
    return [(key, *values) for key, values in differing(settings, r".*\.(code|row|study)").items()]
