"""Side by side: two reports in one page, their accuracies, the differences, and what else differs between them."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from vicreg.compare.frames import MISSING, differing, flatten, groups, in_order
from vicreg.compare.reports import Report
from vicreg.evaluation.intervals import paired_interval, unpack_bits
from vicreg.reporting.markdown import interval
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


def paired(a: Report, b: Report, cell: tuple[str, str, str]) -> tuple[float, float, float] | None:
    """b - a of top-1, and its 95 % interval image by image; None unless both tell which of the same images were right.

    cell: dataset, encoder and probe. Equal images, seed, protocol and numbers of images make an equal split.
    """
    key, encoder, probe = cell
    drawn = [
        (r.datasets[key]["fingerprints"], r.datasets[key]["images"], r.settings["seed"], r.settings["protocol"])
        for r in (a, b)
    ]
    entries = [r.hits.get(key, {}) for r in (a, b)]
    packed = [entry.get("hits", {}).get(encoder, {}).get(probe) for entry in entries]
    if drawn[0] != drawn[1] or not all(packed):
        return None
    one, other = (unpack_bits(text, entry["images"]) for text, entry in zip(packed, entries, strict=True))
    return float(other.mean() - one.mean()), *paired_interval(other, one, seed=0)


def verdict(change: tuple[float, float, float] | None) -> str:
    """What a difference and its interval say; "" where there is none."""
    if change is None:
        return ""
    _, low, high = change
    return "B is ahead" if low > 0 else "A is ahead" if high < 0 else "may be chance" if any(change) else "the same"


def document(a: Report, b: Report) -> str:
    """Return the page; it loads nothing from anywhere."""
    environment = html.environment("vicreg.compare")
    environment.globals |= {"interval": interval, "MISSING": MISSING}
    datasets = [dataset(key, {"a": a, "b": b}) for key in a.datasets | b.datasets]
    same = a.facts == b.facts and a.scores.equals(b.scores)
    context = {"a": a, "b": b, "csp": CSP, "datasets": datasets, "same": same, "changes": changes(a, b)}
    return environment.get_template("side_by_side.html.j2").render(context)


def dataset(key: str, reports: dict[str, Report]) -> dict[str, Any]:
    """The table of a dataset from the reports, by letter, that have it: scores and their difference by encoder."""
    reports = {letter: report for letter, report in reports.items() if key in report.datasets}
    every = pd.concat([report.scores.assign(letter=letter) for letter, report in reports.items()])
    every = in_order(every[every["dataset"] == key], ["probe", "encoder"])
    rows = []
    for (probe, encoder), scores in groups(every, ["probe", "encoder"]):
        both: dict[Any, Any] = {"a": None, "b": None, **scores.set_index("letter").to_dict("index")}
        change, image_by_image = None, None
        if both["a"] and both["b"]:
            image_by_image = paired(reports["a"], reports["b"], (key, encoder, probe))
            change = image_by_image or difference(both["a"], both["b"])
        about = {"difference": change, "verdict": verdict(change), "paired": bool(image_by_image)}
        rows.append({"probe": probe, "encoder": encoder, **about, **both})
    names = dict.fromkeys(report.datasets[key]["name"] for report in reports.values())
    return {"name": " / ".join(names), "rows": rows, "letters": list(reports), "both": len(reports) == 2}


def changes(a: Report, b: Report) -> list[tuple[str, ...]]:
    """(name, value of A, value of B) of what differs: of all parameters, or of what the reports tell."""
    rows = a.facts["recipes"].keys() & b.facts["recipes"].keys()
    settings = []
    for report in (a, b):
        facts, recipes = report.facts, {row: report.facts["recipes"][row] for row in sorted(rows)}
        about = {"hardware": facts.get("device"), "versions": facts.get("versions", {})}
        about |= {"seconds in all": facts.get("seconds", {}).get("total")}
        about |= {"commit of the report": (facts.get("commit") or MISSING)[:10]}
        values = flatten(report.params or {}) if a.params and b.params else report.settings | flatten(recipes)
        settings.append(values | flatten(about))
    return [(key, *values) for key, values in differing(settings, r".*\.(code|row|study)").items()]
