"""Sweeps: experiments that were tracked come back as a figure and a table."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import HERE, digest
from matplotlib.figure import Figure
from typer.testing import CliRunner

from vicreg.cli import main
from vicreg.compare import experiments, sweeps
from vicreg.reporting.figures import style
from vicreg.tracking import query, runs

SCALES = {"workspace": 0.2, "larger": 0.4, "quick idea": 0.08}
DATASETS = ("Shapes-10 (drawn)", "Shapes-100 (drawn)")


def tracked(stage: str, dataset: str, params: dict[str, Any], encoder: str = "cifar_aug") -> Any:
    probe = "linear" if stage == "linear_eval" else None
    tags = runs.RunTags(stage=stage, study="embedded", dataset=dataset, encoder=encoder, probe=probe)
    return runs.run(stage, tags=tags, fingerprint="ab" * 32, params=params)


def track(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    *,
    scale: float,
    top1: float,
    rate: float = 0.1,
    seed: int = 0,
    datasets: tuple[str, ...] = DATASETS,
) -> None:
    """What the stages track of one experiment: a pretraining, and the linear probe on both datasets."""
    monkeypatch.setenv("DVC_EXP_NAME", "" if name == "workspace" else name)
    params = {
        "seed": seed,
        "policy": {"name": "aug", "scale_min": scale},
        "optimizer": {"base_lr": rate},
        "digest": {"encoder": name},
    }
    with tracked("pretrain", DATASETS[0], params) as run:
        for epoch in (4, 8):
            run.metrics({"online/top1": top1 * epoch / 8, "online/top5": 0.9}, epoch)
    for dataset in datasets:
        with tracked("linear_eval", dataset, params) as run:
            run.metrics({"top1": top1, "top1_low": top1 - 0.01, "top1_high": top1 + 0.02, "top5": 0.9})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three experiments in one store, of which one ran twice, and one that failed."""
    folder = tmp_path_factory.mktemp("sweeps")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        track("larger", patch, scale=0.4, top1=0.1)
        for number, (name, scale) in enumerate(SCALES.items()):
            track(name, patch, scale=scale, top1=0.5 + number / 10)
        track("other rate", patch, scale=0.6, top1=0.7, rate=0.2)
        track("seed-1", patch, scale=0.2, top1=0.6, seed=1)
        track("larger-1", patch, scale=0.4, top1=0.7, seed=1)
        track("twin", patch, scale=0.2, top1=0.5)
        track("half", patch, scale=0.7, top1=0.5)
        track("half", patch, scale=0.8, top1=0.5, datasets=DATASETS[:1])
        patch.setenv("DVC_EXP_NAME", "broken")
        with pytest.raises(RuntimeError), tracked("pretrain", DATASETS[0], {"seed": 0}):
            raise RuntimeError
    return folder


@pytest.fixture(autouse=True)
def here(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(store))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_bytes((HERE / "params.yaml").read_bytes())


def sweep(*arguments: str, status: int = 0) -> str:
    found = CliRunner().invoke(main.app, ["sweep", *arguments])
    assert found.exit_code == status, found.output
    return found.output


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cells(path: str, first: str) -> list[str]:
    """The cells of the line of a markdown table that begins so."""
    lines = [line.split("|")[1:-1] for line in Path(path).read_text(encoding="utf-8").splitlines() if "|" in line]
    (found,) = [[cell.strip() for cell in line] for line in lines if line[0].strip() == first]
    return found


def test_curves_come_from_the_newest_runs() -> None:
    sweep("workspace", "larger", "--out", "curves")
    found = [(row["label"], int(row["epoch"]), float(row["top1"])) for row in rows("curves.csv")]
    assert found == [("workspace", 4, 0.25), ("workspace", 8, 0.5), ("larger", 4, 0.3), ("larger", 8, 0.6)]
    drawn = Path("curves.svg").read_text(encoding="utf-8")
    for words in ("workspace", "larger", "Shapes-10 (drawn)", "cifar_aug"):
        assert words in drawn
    assert Path("curves.png").stat().st_size > 5000


def test_accuracy_against_a_parameter_in_order() -> None:
    sweep("workspace", "larger", "quick idea", "--by", "aug.scale_min", "--out", "scale")
    found = rows("scale.csv")
    assert [row["dataset"] for row in found] == [dataset for dataset in DATASETS for _ in SCALES]
    for dataset in DATASETS:
        of_one = [row for row in found if row["dataset"] == dataset]
        assert [(row["value"], float(row["top1"])) for row in of_one] == [("0.08", 0.7), ("0.2", 0.5), ("0.4", 0.6)]
        assert [float(row["top1_low"]) for row in of_one] == pytest.approx([0.69, 0.49, 0.59])
    assert cells("scale.md", "0.08") == ["0.08", "0", "70.0 (69.0 – 72.0)", "70.0 (69.0 – 72.0)"]


def test_seeds_are_joined_by_their_mean() -> None:
    sweep("0.2=workspace,seed-1", "0.4=larger,larger-1", "quick idea", "--out", "curves")
    found = [(row["label"], row["experiment"], row["seed"], row["epoch"], row["top1"]) for row in rows("curves.csv")]
    assert found[2:4] == [("0.2", "seed-1", "1", "4", "0.3"), ("0.2", "seed-1", "1", "8", "0.6")]
    means = sweeps.mean_curves(pd.read_csv("curves.csv", dtype={"label": str}))
    joined = means[means["label"] == "0.2"][["epoch", "mean", "min", "max"]]
    np.testing.assert_allclose(joined, [[4, 0.275, 0.25, 0.3], [8, 0.55, 0.5, 0.6]])
    assert "band: lowest to highest" in Path("curves.svg").read_text(encoding="utf-8")
    assert cells("curves.md", "0.4") == ["0.4", "0.4", "0, 1", "32.5", "65.0"]  # label, scale_min, seeds, epochs

    sweep("workspace", "seed-1", "larger", "larger-1", "--by", "aug.scale_min", "--out", "scale")
    of_one = [row for row in rows("scale.csv") if row["dataset"] == DATASETS[0]]
    assert [(row["value"], row["seed"], row["top1"]) for row in of_one] == [
        ("0.2", "0", "0.5"),
        ("0.2", "1", "0.6"),
        ("0.4", "0", "0.6"),
        ("0.4", "1", "0.7"),
    ]
    drawn = Path("scale.svg").read_text(encoding="utf-8")
    assert "each seed (circle) and the mean" in drawn
    assert cells("scale.md", "0.4") == ["0.4", "0, 1", "65.0 ± 7.1", "65.0 ± 7.1"]
    assert {"55.0", "65.0"} <= set(re.findall(r"<!-- (.+?) -->", drawn))


def test_a_name_with_an_equals_sign_is_a_name() -> None:
    known = ("lr=0.1", "b", "c")
    assert experiments.labels(["lr=0.1"], known) == {"lr=0.1": "lr=0.1"}
    assert experiments.labels(["x=lr=0.1", "y=b,c,b"], known) == {"lr=0.1": "x", "b": "y", "c": "y"}
    assert experiments.labels(["y=b", "y=c"], known) == {"b": "y", "c": "y"}


def test_labels_that_differ_in_seeds_have_no_settings() -> None:
    _, settings = experiments.online(["workspace", "seed-1"], "embedded", "cifar_aug")
    assert list(settings.index) == ["workspace", "seed-1"] and list(settings.columns) == []


def test_datasets_of_different_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match=r"run 'half' again, .*; they differ in policy\.scale_min \(0\.7 and 0\.8\)"):
        experiments.probed(["half", "workspace"], "embedded", "cifar_aug", "aug.scale_min")


def test_values_that_lie_far_apart_stand_on_a_logarithmic_axis() -> None:
    for values, scale in ((("1e-4", "1e-2"), "log"), (("0.2", "0.4"), "linear")):
        axes = Figure().subplots()
        scores = [{"value": v, "seed": 0, "top1": 0.5, "top1_low": 0.4, "top1_high": 0.7} for v in values]
        sweeps.draw_against(axes, pd.DataFrame(scores), "optimizer.base_lr")
        assert axes.get_xscale() == scale
        assert [text.get_text() for text in axes.get_xticklabels()] == [f"{value}\n50.0" for value in values]
        assert not axes.texts  # none lies on a line


def test_no_color_comes_twice() -> None:
    for number in (3, 30):
        looks = style.styles([f"idea {n}" for n in range(number)], baseline="", repeat=False)
        assert len({look.color for look in looks.values()}) == number


def test_an_epoch_that_one_seed_lacks_has_no_mean() -> None:
    of_two = [{"label": "a", "seed": seed, "epoch": epoch, "top1": 0.5} for seed, epoch in ((0, 4), (0, 8), (1, 4))]
    assert list(sweeps.mean_curves(pd.DataFrame(of_two))["epoch"]) == [4]


def test_the_same_runs_give_the_same_bytes() -> None:
    for name in ("one", "two"):
        sweep("larger", "workspace", "--by", "aug.scale_min", "--out", name)
    for ending in ("svg", "png", "csv"):
        assert digest(Path(f"one.{ending}")) == digest(Path(f"two.{ending}"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "x"], "'nowhere' has no finished run of 'cifar_aug' in the study 'embedded'"),
        (["broken", "--out", "x"], "those that have: half, larger, larger-1, other rate, quick idea"),
        (["workspace", "--out", "x", "-e", "random"], "no experiment has a finished run of 'random'"),
        (
            ["workspace", "larger", "--by", "aug.size", "--out", "x"],
            "records no parameter 'aug.size'; it has digest.encoder, optimizer.base_lr, policy.name, policy.scale_min",
        ),
        (["workspace", "other rate", "--by", "aug.scale_min", "--out", "x"], "they differ in optimizer.base_lr"),
        (["workspace", "--by", "aug.scale_min", "--out", "x"], "do not differ in aug.scale_min"),
        (
            ["workspace", "twin", "larger", "--by", "aug.scale_min", "--out", "x"],
            "have the same dataset and value and seed",
        ),
        (["one=workspace,twin", "--out", "x"], "'workspace' and 'twin' have the same label and seed: name one of them"),
        (
            ["one=workspace,larger", "--out", "x"],
            "those of 'one' should differ in their seeds alone; they differ in policy.scale_min (0.2 and 0.4)",
        ),
        (["=workspace", "--out", "x"], "'=workspace' should be the name of an experiment, or LABEL=A,B"),
        (["one=workspace,", "--out", "x"], "'one=workspace,' should be the name of an experiment, or LABEL=A,B"),
        (["a=workspace", "a=larger", "--out", "x"], "those of 'a' should differ in their seeds alone"),
        (["a=workspace", "b=seed-1,workspace", "--out", "x"], "'workspace' is given twice, for 'a' and 'b'"),
        (["workspace", "--out", "."], ". is a folder: name the files in it, without an ending"),
    ],
)
def test_what_cannot_be_compared_is_a_clear_error(arguments: list[str], message: str) -> None:
    assert message in " ".join(sweep(*arguments, status=1).split())
    assert not list(Path().glob("x*"))


def test_where_nothing_was_tracked_no_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert "mlflow.db does not exist" in " ".join(sweep("workspace", "--out", "x", status=1).split())
    assert not (tmp_path / "mlflow.db").exists()


def test_values_that_are_no_numbers_stand_side_by_side(tmp_path: Path) -> None:
    points = [
        {"dataset": "CIFAR-10", "value": name, "seed": 0, "top1": 0.5, "top1_low": 0.4, "top1_high": 0.6, "top5": 0.9}
        for name in ("lars", "adam", "0.1")
    ]
    sweeps.write_probed(pd.DataFrame(points), "optimizer.name", "By optimizer", tmp_path / "names")
    assert [row["value"] for row in rows(str(tmp_path / "names.csv"))] == ["0.1", "adam", "lars"]


def test_a_pretraining_that_nobody_looked_at_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "blind")
    with tracked("pretrain", DATASETS[0], {}):
        pass
    with pytest.raises(ValueError, match=r"'blind' has no online evaluation: set `online_eval_every`"):
        experiments.online(["blind"], "embedded", "cifar_aug")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("aug.scale_min", "policy.scale_min"),
        ("policies.imagenet_code.scale_min", "policy.scale_min"),
        ("methods.vicreg.variance", "method.variance"),
        ("backbones.resnet.stem", "backbone.stem"),
        ("probes.linear.lr", "linear.lr"),
        ("optimizer.base_lr", "optimizer.base_lr"),
        ("encoders.cifar_aug.optimizer.base_lr", "optimizer.base_lr"),
        ("encoders.cifar_aug.policy", "policy.name"),
        ("studies.embedded.epochs", "epochs"),
        ("studies.embedded.fractions.pretrain", "data.fractions.pretrain"),
        ("studies.embedded.width", "backbone.width"),
        ("seed", "seed"),
        ("precision", "precision"),
        ("aug.size", None),
        ("name", None),
    ],
)
def test_an_address_in_params_yaml_leads_to_a_recorded_key(address: str, key: str | None) -> None:
    recorded = ["policy.name", "policy.scale_min", "method.name", "method.variance", "method.projector_width"]
    recorded += ["backbone.name", "backbone.stem", "backbone.width", "data.fractions.pretrain", "data.fractions.probe"]
    recorded += ["optimizer.base_lr", "linear.lr", "linear.epochs", "epochs", "seed", "precision"]
    assert query.recorded_key(address, recorded) == key


def test_a_sweep_goes_by_any_address_of_its_parameter() -> None:
    for address in ("policies.any.scale_min", "encoders.cifar_aug.policy.scale_min"):
        scores = experiments.probed(["workspace", "larger"], "embedded", "cifar_aug", address)
        assert list(scores["value"].unique()) == ["0.2", "0.4"]


def test_runs_of_other_machines_or_code_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, device in (("cpu", "cpu"), ("gpu", "cuda")):
        monkeypatch.setenv("DVC_EXP_NAME", name)
        params = {"seed": 0, "code": name, "device": device, "epochs": 5 + (name == "gpu")}
        with tracked("linear_eval", DATASETS[0], params, "other") as run:
            run.metrics({"top1": 0.5, "top1_low": 0.4, "top1_high": 0.6, "top5": 0.9})
    scores = experiments.probed(["cpu", "gpu"], "embedded", "other", "studies.embedded.epochs")
    assert list(scores["value"]) == ["5", "6"]
