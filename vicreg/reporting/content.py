"""What a report says, as comparison.md and the page share it: sentences in markdown, and tables."""

import re
from typing import Any

from vicreg.reporting import literature, recipes, reproduce, summary, tables
from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.markdown import escape
from vicreg.reporting.metrics import accuracies, best_two
from vicreg.reporting.page import html
from vicreg.reporting.study import Dataset, Study
from vicreg.reporting.summary import say


def document(study: Study) -> str:
    """Return comparison.md; the figures lie beside it."""
    text = html.environment().get_template("comparison.md.j2").render(content(study))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def content(study: Study) -> dict[str, Any]:
    """Return all that both documents show."""
    explanations = dict.fromkeys(entry.get("explanation", "") for entry in study.pair_losses.values())
    overrides, facts = reproduce.overrides(study), html.environment().get_template("facts.md.j2")
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
        "facts": [line.split("\t", 1) for line in facts.render(study=study).splitlines()],
    }


def result(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The comparison on one dataset, and what others published."""
    scores = accuracies(study.evaluations, dataset.role)
    pair = best_two(study.evaluations, dataset.role, PROBE)
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
        "published": tables.published(dataset) if dataset.genuine else None,
        "sources": literature.sources(dataset.key),
    }
