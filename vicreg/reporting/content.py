"""What a report says, as comparison.md and the page share it: sentences in markdown, and tables."""

import re
from collections.abc import Sequence
from typing import Any

from vicreg.reporting import judging, literature, recipes, reproduce, tables
from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.markdown import escape
from vicreg.reporting.metrics import BASELINE, accuracies, best_two
from vicreg.reporting.page import html
from vicreg.reporting.page.html import say
from vicreg.reporting.study import STATES, Dataset, Results, Study


def document(study: Study) -> str:
    """Return comparison.md; the figures lie beside it."""
    text = html.environment().get_template("comparison.md.j2").render(content(study))
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def content(study: Study) -> dict[str, Any]:
    """Return all that both documents show."""
    computed = {row: entry for row, entry in study.pair_losses.items() if "views" in entry}
    overrides, facts = reproduce.overrides(study), html.environment().get_template("facts.md.j2")
    return {
        "study": study,
        "primary": study.datasets[0],
        "about": say("about", study.datasets[0]),
        "warnings": list(filter(None, dict.fromkeys(say("warning", dataset) for dataset in study.datasets))),
        "headline": headline(study, study.labeled),
        "evaluated": say("evaluated", study.forms),
        "results": [result(study, dataset) for dataset in study.labeled],
        "shared": recipes.shared(study.recipes),
        "recipes": recipes.table(study.recipes),
        "pretraining": {name: tables.last_epochs(rows) for name, rows in study.by_method(study.trained).items()},
        "pair_losses": {name: tables.pair_losses(rows) for name, rows in study.by_method(computed).items()},
        "explanations": [escape(text) for text in dict.fromkeys(entry["explanation"] for entry in computed.values())],
        "judging": judging.chapter(study),
        "judging_words": judged_words(study),
        "seconds": tables.seconds(study),
        "commands": reproduce.commands(study, overrides),
        "reproducible": say("reproducible", study.commit, overrides),
        "facts": [line.split("\t", 1) for line in facts.render(study=study).splitlines()],
    }


def judged_words(study: Study) -> str:
    """How the rows in `judged` were judged; "" where there are none."""
    return say("judged", study.params["few_labels"], study.params["fine_tuning"]) if study.judging else ""


def result(study: Study, dataset: Dataset) -> dict[str, Any]:
    """The comparison on one dataset, and what others published."""
    scores = accuracies(study.evaluations, dataset.role)
    pair = best_two(study.evaluations, dataset.role, PROBE)
    settings = {
        row: {
            p: {k: v for k, v in r["settings"].items() if not isinstance(v, dict) and v != []}
            for p, r in results.items()
        }
        for row, results in probe_results(study.evaluations, dataset.role).items()
    }
    return {
        "dataset": dataset,
        "about": say("about", dataset),
        "warning": say("warning", dataset),
        "sentence": headline(study, [dataset]),
        "lead": say("lead", pair) if pair else "",
        "table": tables.comparison(dataset, scores, study.pretext),
        "notes": notes(study, dataset, scores),
        "sizes": say("sizes", dataset, bool(study.trained)),
        "settings": recipes.shared(settings),
        "chosen": recipes.table(settings),
        "published": tables.published(dataset) if dataset.genuine else None,
        "sources": literature.sources(dataset.key),
    }


def headline(study: Study, datasets: Sequence[Dataset]) -> str:
    """Return the answer in one sentence: the best row on each dataset where one ran, and whether its lead is one."""
    return say("headline", [clause for dataset in datasets if (clause := best(study, dataset))])


def best(study: Study, dataset: Dataset) -> str:
    """Return which row is best on a dataset, unless none is better than the baseline; "" where none ran."""
    scores = accuracies(study.evaluations, dataset.role)
    ran = {row: entry[PROBE] for row, entry in scores.items() if PROBE in entry}
    if not ran:
        return ""
    highest = max(ran, key=lambda row: (row != BASELINE, ran[row]["top1"]))
    return say("best", dataset, highest, ran, best_two(study.evaluations, dataset.role, PROBE))


def notes(study: Study, dataset: Dataset, scores: Results) -> list[str]:
    """Return why rows have no numbers, and which ones a probe cannot tell from chance by its own finding."""
    states = [(row, state, entry[state]) for row, entry in scores.items() for state in STATES if state in entry]
    results = probe_results(study.evaluations, dataset.role)
    chance = {row: [p for p, result in probes.items() if result.get("at_chance")] for row, probes in results.items()}
    lines = [say("without_numbers", *state) for state in states]
    return lines + [say("at_chance", row, probes) for row, probes in chance.items() if probes]
