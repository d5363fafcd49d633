"""The committed seeds, crops and optimizers: each table is made from the numbers that lie beside it."""

from pathlib import Path

import pandas as pd

from vicreg.compare import seeds, sweeps
from vicreg.reporting.curves import PROBE
from vicreg.reporting.markdown import percent

FOLDER = Path(__file__).parents[2] / "reports" / "cifar_short"


def scores(name: str) -> pd.DataFrame:
    return pd.read_csv(FOLDER / name, dtype={"value": str})


def document(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def test_the_tables_of_seeds_are_those_of_their_numbers() -> None:
    numbers, text = scores("seeds.csv"), document("seeds.md")
    assert numbers["seed"].nunique() == 3
    for _, of_one in numbers.groupby("dataset"):
        assert seeds.accuracies(of_one, ", ".join(map(str, of_one["seed"].unique()))) in text
        assert seeds.lead(of_one, PROBE) in text


def test_the_table_of_crops_is_that_of_its_numbers() -> None:
    numbers = scores("scale_min.csv")
    assert list(numbers["value"].unique()) == ["0.08", "0.2", "0.4", "0.6"]
    assert sweeps.probed_table(numbers, "aug.scale_min") in document("scale_min.md")


def test_the_table_of_optimizers_is_that_of_its_numbers() -> None:
    lines = document("optimizers.md").splitlines()
    for label, points in sweeps.mean_curves(scores("optimizers.csv")).groupby("label"):
        (line,) = [line for line in lines if line.split("|")[1:2] and line.split("|")[1].strip() == label]
        assert [cell.strip() for cell in line.split("|")[-6:-1]] == [percent(top1) for top1 in points["mean"]]
        assert list(points["epoch"]) == [4, 8, 12, 16, 20]
