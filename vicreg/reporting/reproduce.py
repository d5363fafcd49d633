"""Chapters of the page on where it comes from: time and cost of each stage, and how to make the page again."""

from typing import Any

from vicreg.reporting import summary, tables
from vicreg.reporting.markdown import code, escape, table
from vicreg.reporting.page.figure_html import Drawer
from vicreg.reporting.page.html import inline
from vicreg.reporting.study import Study


def cost(study: Study, drawer: Drawer) -> dict[str, Any]:
    """Seconds by kind of stage, by hardware, and of each stage."""
    kinds = _sums(study, lambda entry: entry["stage"].partition("-")[0])
    total = sum(kinds.values())
    ranked = sorted(kinds.items(), key=lambda item: -item[1])
    rows = [[code(kind), f"{seconds:,.1f}", f"{100 * seconds / max(total, 1e-9):.1f}"] for kind, seconds in ranked]
    hours = [
        f"{seconds / 3600:.2f} hours on {escape(device)}"
        for device, seconds in _sums(study, lambda e: e["device"]).items()
    ]
    return {
        "said": inline(f"{total:,.0f} seconds of work: {'; '.join(hours)}." if hours else "No times were recorded."),
        "kinds": drawer.table(
            table(["kind of stage", "seconds", "% of all"], rows, "lrr"),
            "Seconds of work by kind of stage, all encoders and datasets together, without the start of Python.",
            bars=[seconds / max(max(kinds.values()), 1e-9) for _, seconds in ranked],
        )
        if rows
        else None,
        "stages": drawer.table(tables.seconds(study), "Seconds of work in each stage."),
    }


def _sums(study: Study, key: Any) -> dict[str, float]:
    sums: dict[str, float] = {}
    for entry in study.seconds:
        sums[key(entry)] = sums.get(key(entry), 0) + entry["seconds"]
    return sums


def again(study: Study) -> dict[str, Any]:
    """Everything that one needs to make the very page again."""
    settings = [f"study={study.name}", f"seed={study.seed}", f"protocol={study.protocol}"]
    if study.sizes.get("source") == "local":
        settings += [f"studies.{study.name}.source=local", f"studies.{study.name}.folder=FOLDER"]
    options = " ".join(f"-S {setting}" for setting in settings)
    return {
        "commands": [f"git checkout {study.commit}", f"uv run dvc exp run {options}"] if study.commit else [],
        "facts": [
            (
                "Code",
                inline(
                    f"git commit {code(study.commit)}, or changes on top of it"
                    if study.commit
                    else "no git commit known"
                ),
            ),
            ("Seed", inline(str(study.seed))),
            ("Sizes", inline(", ".join(summary.setting(key, value) for key, value in study.sizes.items()))),
            *((f"Fingerprint of {d.name}", inline(_marks(d.fingerprints))) for d in study.datasets),
            ("Hardware", inline(escape("; ".join(study.devices)) or "not recorded")),
            ("Versions", inline(escape(", ".join(f"{name} {version}" for name, version in study.versions.items())))),
        ],
    }


def _marks(fingerprints: dict[str, str]) -> str:
    return ", ".join(f"{split} {code(digest)}" for split, digest in fingerprints.items()) + " (SHA-256, free of order)"
