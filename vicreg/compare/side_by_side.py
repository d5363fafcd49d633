"""Side by side: two studies in one page, their accuracies, the differences, and what else differs between them."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, PackageLoader

from vicreg.compare.metrics_file import Metrics
from vicreg.compare.report_source import Side
from vicreg.reporting.markdown import interval, percent, points
from vicreg.reporting.page import html

MISSING = "–"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True)
class Row:
    """An encoder under a probe: the numbers of both sides as in metrics.json, None where one has none."""

    probe: str
    encoder: str
    a: dict[str, Any] | None
    b: dict[str, Any] | None

    @property
    def difference(self) -> tuple[float, float, float] | None:
        """Top-1 of B minus that of A, with its interval; None where one side has none."""
        return difference(self.a, self.b) if self.a and self.b else None

    @property
    def verdict(self) -> str:
        found = self.difference
        if found is None:
            return ""
        return "B is ahead" if found[1] > 0 else "A is ahead" if found[2] < 0 else "may be chance"


def difference(a: dict[str, float], b: dict[str, float]) -> tuple[float, float, float]:
    """b - a of top-1, and its 95 % interval from those of both, as of independent samples.

    The distances to the bounds add up by their squares (Newcombe, Statistics in Medicine 17, 1998, method 10). On the
    same test images the true interval is narrower, which two summaries cannot tell.
    """
    middle = b["top1"] - a["top1"]
    down = math.hypot(b["top1"] - b["top1_low"], a["top1_high"] - a["top1"])
    up = math.hypot(b["top1_high"] - b["top1"], a["top1"] - a["top1_low"])
    return middle, middle - down, middle + up


def document(a: Side, b: Side) -> str:
    """Return the page; it loads nothing from anywhere."""
    environment = html.environment()
    environment.loader = ChoiceLoader([environment.loader, PackageLoader("vicreg.compare", "templates")])
    environment.filters |= {"percent": percent, "points": points}
    environment.globals |= {"interval": interval, "MISSING": MISSING}
    keys = dict.fromkeys([*a.metrics.datasets, *b.metrics.datasets])
    return environment.get_template("side_by_side.html.j2").render(
        a=a,
        b=b,
        policy=POLICY,
        datasets=[dataset(key, a.metrics, b.metrics) for key in keys],
        warnings=list(warnings(a, b)),
        changes=changes(a, b),
        known=a.params is not None and b.params is not None,
    )


def dataset(key: str, a: Metrics, b: Metrics) -> dict[str, Any]:
    found: dict[tuple[str, str], list[Any]] = {}
    for place, side in enumerate((a, b)):
        for dataset_key, probe, encoder, numbers in side.rows() if key in side.datasets else ():
            if dataset_key == key:
                found.setdefault((probe, encoder), [None, None])[place] = numbers
    probes = list(dict.fromkeys(probe for probe, _ in found))
    rows = [Row(probe, encoder, *both) for (probe, encoder), both in found.items()]
    rows.sort(key=lambda row: probes.index(row.probe))
    names = dict.fromkeys(side.datasets[key]["name"] for side in (a, b) if key in side.datasets)
    sides = [letter for letter, side in (("a", a), ("b", b)) if key in side.datasets]
    return {"name": " / ".join(names), "rows": rows, "sides": sides, "both": len(sides) == 2}


def warnings(a: Side, b: Side) -> Iterator[str]:
    """What a reader must know before comparing the numbers."""
    if a.metrics == b.metrics:
        yield "A and B are the same report: `dvc repro` makes another one where something changed."
    drawn = [letter for letter, side in (("A", a), ("B", b)) if side.metrics.drawn]
    if drawn:
        verb = "are" if len(drawn) == 2 else "is"
        told = "the numbers say whether the pipeline works, not how good the method is"
        yield f"{' and '.join(drawn)} {verb} on drawn pictures, not on CIFAR: {told}."
    shared = [key for key in a.metrics.datasets if key in b.metrics.datasets]
    if not shared:
        yield "The two have no dataset in common: accuracies on different images are no comparison of the encoders."
    for key in shared:
        one, other = (side.metrics.datasets[key] for side in (a, b))
        if one["fingerprints"] != other["fingerprints"]:
            yield f"{one['name']}: the images of A and B are not the same ones, so differences may come from them."
        elif any(a.metrics.facts.get(fact) != b.metrics.facts.get(fact) for fact in ("seed", "protocol")):
            yield f"{one['name']}: another seed or protocol drew the test images, so they are not the same ones."


def changes(a: Side, b: Side) -> list[tuple[str, str, str]]:
    """(name, value of A, value of B) of everything known of both that differs."""
    if a.params is not None and b.params is not None:
        one, other = flat({**a.params, **origin(a)}), flat({**b.params, **origin(b)})
    else:
        one, other = flat({**settings(a), **origin(a)}), flat({**settings(b), **origin(b)})
    keys = dict.fromkeys([*one, *other])
    return [(key, one.get(key, MISSING), other.get(key, MISSING)) for key in keys if one.get(key) != other.get(key)]


def settings(side: Side) -> dict[str, Any]:
    """What a report records of its settings, where no params.yaml is known."""
    facts = side.metrics.facts
    return {
        "study": facts.get("name"),
        **{key: facts.get(key) for key in ("protocol", "seed")},
        **facts.get("sizes", {}),
    }


def origin(side: Side) -> dict[str, Any]:
    """Where and with what a report was made."""
    facts = side.metrics.facts
    return {
        "hardware": facts.get("device"),
        "seconds in all": facts.get("seconds", {}).get("total"),
        "commit of the report": (facts.get("commit") or MISSING)[:10],
        "versions": facts.get("versions", {}),
    }


def flat(values: Any, prefix: str = "") -> dict[str, str]:
    """Nested settings as texts under dotted keys."""
    if not isinstance(values, dict):
        return {prefix: str(values)}
    found: dict[str, str] = {}
    for key, value in values.items():
        found |= flat(value, f"{prefix}.{key}" if prefix else str(key))
    return found
