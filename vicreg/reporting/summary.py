"""Sentences: what the numbers answer and what they do not say; their words are in `sentences.md.j2`."""

from typing import Any

from vicreg.reporting.curves import PROBE, probe_results
from vicreg.reporting.metrics import BASELINE, Accuracies, accuracies, best_two
from vicreg.reporting.page import html
from vicreg.reporting.study import STATES, Dataset, Study

SENTENCES = html.environment().get_template("sentences.md.j2").module


def say(sentence: str, *values: Any) -> str:
    """Return one of the sentences, on one line; "" where there is nothing to say."""
    return " ".join(str(getattr(SENTENCES, sentence)(*values)).split())


def headline(study: Study) -> str:
    """Return the study's answer in one sentence: the best row on each dataset, and whether its lead is one."""
    return say("headline", [clause for dataset in study.labeled if (clause := best(study, dataset))])


def best(study: Study, dataset: Dataset) -> str:
    """Return which row is best on a dataset, unless none is better than the baseline; "" where none ran."""
    scores = accuracies(study.evaluations, dataset.role)
    ran = {row: entry[PROBE] for row, entry in scores.items() if PROBE in entry}
    if not ran:
        return ""
    highest = max(ran, key=lambda row: (row != BASELINE, ran[row]["top1"]))
    return say("best", dataset, highest, ran, best_two(study.evaluations, dataset.role, PROBE))


def notes(study: Study, dataset: Dataset, scores: Accuracies) -> list[str]:
    """Return why rows have no numbers, and which ones a probe cannot tell from chance by its own finding."""
    reasons = [(row, state, entry[state]) for row, entry in scores.items() for state in STATES if state in entry]
    lines = [say("without_numbers", *reason) for reason in reasons]
    for row, results in probe_results(study.evaluations, dataset.role).items():
        if probes := [probe for probe, result in results.items() if result.get("at_chance")]:
            lines.append(say("at_chance", row, probes))
    return lines
