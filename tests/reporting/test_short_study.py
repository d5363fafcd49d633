"""The committed seeds, crops and optimizers: each table is made from the numbers that lie beside it."""

import csv
from pathlib import Path
from typing import Any

from vicreg.compare import seeds, sweeps
from vicreg.compare.rows import by
from vicreg.reporting.curves import PROBE
from vicreg.reporting.markdown import percent

FOLDER = Path(__file__).parents[2] / "reports" / "cifar_short"
NUMBERS = ("top1", "top1_low", "top1_high", "top5", "gain")


def rows(name: str) -> list[dict[str, Any]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return [
            {k: float(v) if k in NUMBERS and v else v or None for k, v in row.items()} for row in csv.DictReader(file)
        ]


def document(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_tables_of_seeds_are_those_of_their_numbers() -> None:
    found, text = rows("seeds.csv"), document("seeds.md")
    assert len(by(found, "seed")) == 3
    for of_one in by(found, "dataset").values():
        assert seeds.accuracies(of_one, ", ".join(by(found, "seed"))) in text
        (sentence,) = seeds.ahead(of_one, PROBE)
        assert sentence in text


def test_the_table_of_crops_is_that_of_its_numbers() -> None:
    found = rows("scale_min.csv")
    assert list(by(found, "value")) == ["0.08", "0.2", "0.4", "0.6"]
    assert sweeps.probed_table(by(found, "dataset"), "aug.scale_min") in document("scale_min.md")


def test_the_table_of_optimizers_is_that_of_its_numbers() -> None:
    found = [row | {"epoch": int(row["epoch"])} for row in rows("optimizers.csv")]
    lines = document("optimizers.md").splitlines()
    for label, points in sweeps.mean_curves(found).items():
        (line,) = [line for line in lines if line.split("|")[1:2] and line.split("|")[1].strip() == label]
        assert [cell.strip() for cell in line.split("|")[-6:-1]] == [percent(point["top1"]) for point in points]
        assert [point["epoch"] for point in points] == [4, 8, 12, 16, 20]
