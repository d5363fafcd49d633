"""What a report says, as comparison.md and the page share it: sentences in markdown, and tables."""

import re
from collections.abc import Sequence
from typing import Any

from vicreg.engine import collapse
from vicreg.reporting import judging, literature, metrics, recipes, reproduce, tables
from vicreg.reporting.curves import INDICATORS, PROBE, probe_results
from vicreg.reporting.markdown import escape, interval, percent, points
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
    genuine = [dataset.key for dataset in study.labeled if dataset.genuine]
    return {
        "study": study,
        "primary": study.datasets[0],
        "sources": list({source["title"]: source for key in genuine for source in literature.sources(key)}.values()),
        "warnings": list(filter(None, dict.fromkeys(say("warning", dataset) for dataset in study.datasets))),
        "headline": headline(study, study.labeled),
        "tiles": tiles(study),
        "encoders": recipes.summary(study.recipes),
        "hardware": sorted(
            {e["device"] for e in study.seconds if e["stage"] in {f"pretrain-{r}" for r in study.trained}}
        ),
        "collapse": collapse_verdicts(study.trained),
        "evaluated": say("evaluated", study.forms),
        "results": [result(study, dataset) for dataset in study.labeled],
        "shared": recipes.shared(study.recipes),
        "recipes": recipes.table(study.recipes),
        "pretraining": tables.last_epochs(study.trained) if study.trained else None,
        "methods": list(methods := study.by_method(study.trained)),
        "papers": [paper for method in methods if (paper := recipes.paper(method))],
        "pair_losses": {name: tables.pair_losses(rows) for name, rows in study.by_method(computed).items()},
        "explanations": [escape(text) for text in dict.fromkeys(entry["explanation"] for entry in computed.values())],
        "judging": judging.chapter(study),
        "judging_words": judged_words(study),
        "seconds": tables.seconds(study),
        "commands": reproduce.commands(study, overrides),
        "reproducible": say("reproducible", study.commit, overrides),
        "date": reproduce.commit_date(study.commit),
        "readme": reproduce.readme(),
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
        "lead": say("lead", pair) if pair else "",
        "table": tables.comparison(dataset, scores, study.pretext),
        "notes": [say("without_numbers", r, s, e[s]) for r, e in scores.items() for s in STATES if s in e],
        "chance": chance(study, dataset),
        "sizes": say("sizes", dataset),
        "probes": [recipes.explained("probes", p) for p in dict.fromkeys(p for row in settings.values() for p in row)],
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
    return say("best", dataset, *answer) if (answer := highest(study, dataset)) else ""


def highest(study: Study, dataset: Dataset) -> tuple[str, Results, dict[str, Any] | None] | None:
    """Return the row with the highest top-1 beside the baseline, the scores of all, and of `best_two`."""
    scores = accuracies(study.evaluations, dataset.role)
    ran = {row: entry[PROBE] for row, entry in scores.items() if PROBE in entry}
    row = metrics.best(study.evaluations, dataset.role)
    return (row, ran, best_two(study.evaluations, dataset.role, PROBE)) if row else None


def tiles(study: Study) -> list[tuple[str, list[tuple[str, str, str, str]]]]:
    """Return the answer in figures: (title, [(number, unit, interval, note), ...]), the gains of all datasets last."""
    shown, gains = [], []
    for dataset, answer in ((dataset, highest(study, dataset)) for dataset in study.labeled):
        if answer:
            row, ran, pair = answer
            score, bounds = ran[row], interval(ran[row]["top1_low"], ran[row]["top1_high"])
            shown.append(
                (f"Top-1 on {dataset.name}", [(percent(score["top1"]), "%", bounds, say("tile", row, ran, pair))])
            )
            if "gain" in score and row != BASELINE:
                bounds = f"{points(score['gain_low'])} to {points(score['gain_high'])}"
                gains.append((points(score["gain"]), "points", bounds, escape(dataset.name)))
    return shown + ([("Gain over no pretraining", gains)] if gains else [])


def collapse_verdicts(trained: Results) -> list[str]:
    """Return a sentence for each row that shows signs of collapse in its last epoch, and one for all others."""
    last = {row: result["history"][-1] for row, result in trained.items()}
    told = {row: epoch for row, epoch in last.items() if epoch.keys() >= {*INDICATORS}}
    signs = {row: lines for row, epoch in told.items() if (lines := collapse.warnings(epoch))}
    sound = {row: epoch for row, epoch in told.items() if row not in signs}
    return [say("collapsing", *sign) for sign in signs.items()] + ([say("sound", sound)] if sound else [])


def chance(study: Study, dataset: Dataset) -> list[str]:
    """Return which rows a probe cannot tell from chance by its own finding."""
    results = probe_results(study.evaluations, dataset.role)
    rows = {row: [p for p, result in probes.items() if result.get("at_chance")] for row, probes in results.items()}
    return [say("at_chance", row, probes) for row, probes in rows.items() if probes]
