"""What a report says, as comparison.md and the page share it: sentences in markdown, and tables."""

from collections import Counter
from typing import Any

from vicreg.reporting import literature, recipes, reproduce, summary, tables
from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.markdown import code, escape, setting
from vicreg.reporting.metrics import accuracies, best_two
from vicreg.reporting.page import html
from vicreg.reporting.study import Dataset, Study
from vicreg.reporting.summary import say


def document(study: Study) -> str:
    """Return comparison.md; the figures lie beside it."""
    return html.markdown_document("comparison.md.j2", **content(study))


def content(study: Study) -> dict[str, Any]:
    """Return all that both documents show."""
    explanations = dict.fromkeys(entry.get("explanation", "") for entry in study.pair_losses.values())
    overrides = reproduce.overrides(study)
    return {
        "study": study,
        "primary": study.datasets[0],
        "about": say("about", study.datasets[0]),
        "warnings": list(filter(None, dict.fromkeys(say("warning", dataset) for dataset in study.datasets))),
        "headline": summary.headline(study),
        "results": [result(study, dataset) for dataset in study.labeled],
        "shared": recipes.shared(study.recipes),
        "recipes": recipes.table(study.recipes),
        "pretraining": tables.pretraining(study),
        "pair_losses": tables.pair_losses(study),
        "explanations": [escape(text) for text in explanations if text],
        "seconds": tables.seconds(study),
        "commands": reproduce.commands(study, overrides),
        "reproducible": say("reproducible", study.commit, overrides),
        "facts": facts(study),
    }


def result(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The comparison on one dataset, and what others published."""
    scores = accuracies(study.evaluations, dataset.role)
    pair = best_two(study.evaluations, dataset.role, PROBE)
    published = literature.published(dataset.key) if dataset.genuine else []
    settings = {
        row: {p: {k: v for k, v in r["settings"].items() if not isinstance(v, dict)} for p, r in results.items()}
        for row, results in probe_results(study.evaluations, dataset.role).items()
    }
    return {
        "dataset": dataset,
        "about": say("about", dataset),
        "warning": say("warning", dataset),
        "sentence": say("headline", [clause] if (clause := summary.best(study, dataset)) else []),
        "lead": say("lead", pair) if pair else "",
        "table": tables.comparison(dataset, scores),
        "notes": summary.notes(study, dataset, scores),
        "sizes": say("sizes", dataset, bool(study.trained)),
        "settings": recipes.shared(settings),
        "chosen": recipes.table(settings),
        "published": tables.published(dataset) if published else None,
        "sources": literature.sources(published),
    }


def facts(study: Study) -> list[tuple[str, str]]:
    """Where the numbers come from."""
    hours: Counter[str] = Counter()
    for entry in study.seconds:
        hours[entry["device"]] += entry["seconds"] / 3600
    prints = {dataset.name: [f"{k} {code(v)}" for k, v in dataset.fingerprints.items()] for dataset in study.datasets}
    return [
        (
            "Code",
            f"git commit {code(study.commit)}, or changes on top of it" if study.commit else "no git commit known",
        ),
        ("Seed", str(study.seed)),
        ("Sizes", ", ".join(setting(key, value) for key, value in study.sizes.items())),
        *((f"Fingerprint of {escape(name)}", f"{', '.join(p)} (SHA-256 of its images)") for name, p in prints.items()),
        ("Hardware", "; ".join(f"{escape(device)} ({t:.2f} hours)" for device, t in hours.items()) or "not recorded"),
        ("Versions", escape(", ".join(f"{name} {version}" for name, version in study.versions.items()))),
    ]
