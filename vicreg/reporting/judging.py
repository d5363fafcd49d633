"""More ways to judge than probes on all labels: by depth, with few labels, by fine-tuning, on other datasets."""

from collections.abc import Iterator
from statistics import fmean, stdev
from typing import Any

import pandas as pd

from vicreg.reporting.markdown import Table, code, count, escape, percent, points
from vicreg.reporting.metrics import BASELINE
from vicreg.reporting.study import Dataset, Study

COLUMNS = ("encoder", "dataset", "way", "stage", "numbers", "images", "draws", "top1", "top1_std", "top5", "seconds")
DEPTH, FEW, TUNED = "depth", "few labels", "fine-tuning"


def results(study: Study, dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield a record of COLUMNS, where they apply, for each row, way, and stage or fraction of the labels.

    Of several draws `top1` and `top5` are means, and `top1_std` the standard deviation (n - 1).
    """
    for row, entry in study.judging.items():
        judged = entry["judge"].get("datasets", {}).get(dataset.role, {})
        for each in judged.get("depth", ()):
            yield {"encoder": row, "dataset": dataset.name, "way": DEPTH, **each}
        ways = {FEW: judged.get("few_labels", ())}
        if dataset.role == "primary":
            ways[TUNED] = entry["fine_tune"].get("fractions", ())
        for way, fractions in ways.items():
            for each in (it for it in fractions if "left_out" not in it):
                draws, record = each["top1"], {"encoder": row, "dataset": dataset.name, "way": way, **each}
                record |= {"draws": len(draws), "top1": fmean(draws), "top5": fmean(each["top5"])}
                yield record | ({"top1_std": stdev(draws)} if len(draws) > 1 else {})


def of_way(study: Study, dataset: Dataset, way: str) -> dict[str, list[dict[str, Any]]]:
    """The records of one way by row; of rows that have some."""
    records: dict[str, list[dict[str, Any]]] = {}
    for record in results(study, dataset):
        if record["way"] == way:
            records.setdefault(record["encoder"], []).append(record)
    return records


def as_csv(study: Study) -> str:
    """Return COLUMNS of all datasets; a cell is empty where there is no value."""
    lines = [record for dataset in study.labeled for record in results(study, dataset)]
    return pd.DataFrame(lines, columns=list(COLUMNS), dtype=object).to_csv(index=False, lineterminator="\n")


def depth_table(study: Study, dataset: Dataset) -> Table | None:
    """Top-1 after each stage; in bold the stage that was best on training images held out."""
    records = of_way(study, dataset, DEPTH)
    stages = list(dict.fromkeys(each["stage"] for row in records.values() for each in row))
    rows = []
    for row, each in records.items():
        best = max(each, key=lambda record: record["val_top1"])
        scores = {r["stage"]: f"**{percent(r['top1'])}**" if r is best else percent(r["top1"]) for r in each}
        rows.append([code(row), *(scores.get(stage, "") for stage in stages)])
    return Table(["encoder"], {f"{stage}, top-1 %": percent for stage in stages}, rows) if rows else None


def labels_table(study: Study, dataset: Dataset, way: str) -> Table | None:
    """Top-1 by number of labels, mean and standard deviation over draws, and the gain over the baseline."""
    records, rows = of_way(study, dataset, way), []
    baseline = {each["images"]: each["top1"] for each in records.get(BASELINE, ())}
    for row, each in records.items():
        for r in each:
            spread = f"{percent(r['top1'])} ± {percent(r['top1_std'])}" if "top1_std" in r else percent(r["top1"])
            gain = "baseline" if row == BASELINE else "no baseline"
            if row != BASELINE and r["images"] in baseline:
                gain = points(r["top1"] - baseline[r["images"]])
            rows.append([code(row), r["images"], r["draws"], spread, r["top5"], gain, r["seconds"]])
    numbers: dict[str, Any] = {"labels": count, "draws": count, "top-1 %": str, "top-5 %": percent}
    numbers |= {"gain, points": str, "seconds": "{:,.0f}".format}
    return Table(["encoder"], numbers, rows) if rows else None


def transfer_table(study: Study) -> Table | None:
    """What rows reached on datasets other than the study's, or why they did not run."""
    results = {row: entry["transfer"].get("datasets", {}) for row, entry in study.judging.items()}
    names = list(dict.fromkeys(name for row in results.values() for name in row))
    rows = [[code(row), *map(transferred, map(result.get, names))] for row, result in results.items()]
    return Table(["encoder", *map(escape, names)], {}, rows) if names else None


def transferred(result: dict[str, Any] | None) -> str:
    """A cell on one dataset; the name stands there where the data are not the genuine ones."""
    if not result or "not_run" in result:
        return escape(result["not_run"]) if result else ""
    return f"{result['metric']} {percent(result['value'])}" + (
        "" if result["genuine"] else f" ({escape(result['name'])})"
    )


def chapter(study: Study) -> dict[str, Any]:
    """The tables of both documents: by dataset, and those of other datasets."""
    datasets = []
    for dataset in study.labeled:
        tables = {
            DEPTH: depth_table(study, dataset),
            **{way: labels_table(study, dataset, way) for way in (FEW, TUNED)},
        }
        datasets.append((dataset, {way: table for way, table in tables.items() if table}))
    return {"datasets": datasets if study.judging else [], "transfer": transfer_table(study)}
