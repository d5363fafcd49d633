"""The report stage: any set of encoders, whatever ran, ends in a report; what is missing is named."""

import csv
import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import study_fakes as fakes
from conftest import digest
from markupsafe import Markup

from stages import Paths, write_json
from stages import report as stage
from vicreg.data import images
from vicreg.evaluation.intervals import pack_bits
from vicreg.io.arrays import save_arrays
from vicreg.reporting.figures import style, svg

ROOT = Path(__file__).parents[2]
STUDY = Paths("embedded")
NOT_RUN = "not run: `pretrained.weights` names no file"
PICTURED = ["answer", "collapse", "confusion", "judging", "map", "neighbors", "pairs", "pretext", "views"]
PICTURED += ["superclasses"]
CURVES = ("accuracy-primary", "accuracy-transfer", "losses")
FILES = {"index.html", "comparison.md", "comparison.tex", "metrics.json", "hits.json", "top1.json"}
FILES |= {f"{name}.{kind}" for name in (*PICTURED, *CURVES) for kind in ("svg", "png")}
FILES |= {f"{name}.csv" for name in (*CURVES, "online", "judging")}


def write_data() -> None:
    rng = np.random.default_rng(0)
    split: dict[str, np.ndarray] = {}
    for role, classes in (("primary", 10), ("transfer", 100)):
        pictures = images.Images(
            pixels=rng.integers(0, 256, (200, 32, 32, 3), np.uint8),
            labels=np.arange(200, dtype=np.int64) % classes,
            official=np.array(["train"] * 150 + ["test"] * 50),
            classes=tuple(f"class {n}" for n in range(classes)),
            name=f"Shapes-{classes} (drawn)",
            synthetic=True,
        )
        images.save(pictures, STUDY.data(role))
        split |= {f"{role}/probe_train": np.arange(100, 150), f"{role}/probe_test": np.arange(150, 200)}
        split |= {f"{role}/fingerprint": np.array("ab12")}
    save_arrays(STUDY.split, **{"primary/pretrain": np.arange(100)}, **split)


def evaluation(top1: float) -> dict[str, Any]:
    points = [{"epoch": n, "top1": top1 * n / 3, "top5": 0.9} for n in (1, 2, 3)]
    result = {
        "top1": top1,
        "top1_low": top1 - 0.01,
        "top1_high": top1 + 0.01,
        "top5": 0.9,
        "settings": {"lr": 0.3},
        "hits": pack_bits(np.arange(50) < 50 * top1),
    }
    probes = {"linear": result | {"curve": points}, "knn": result | {"curve": []}}
    return {"datasets": {role: {"test": 50, "probes": probes} for role in ("primary", "transfer")}}


def write_results(row: str, top1: float | None = None, epochs: int = 0) -> None:
    missing = {"encoder": row, "not_run": NOT_RUN}
    ran = top1 is not None
    pretrained = fakes.pretraining(epochs, embedding_std=0.9) if ran else missing
    write_json(STUDY.result(f"pretrain-{row}"), pretrained | {"recipe": fakes.recipe(row)})
    write_json(STUDY.result(f"linear_eval-{row}"), evaluation(top1) if top1 is not None else missing)
    write_json(STUDY.result(f"pair_loss-{row}"), {"encoder": row, "not_run": "it has no projector"})
    write_json(STUDY.result(f"neighbors-{row}"), {"encoder": row, **fakes.neighbors(10)} if ran else missing)
    seconds = {"stage": f"pretrain-{row}", "seconds": 2.5, "device": "cpu: X (2 cores)"}
    write_json(STUDY.result(f"seconds/pretrain-{row}"), seconds)


SETTINGS: dict[str, Any] = {
    "study": "embedded",
    "seed": 0,
    "protocol": "report",
    "datasets": {"primary": "shapes10", "transfer": "shapes100"},
    "sizes": {"source": "synthetic", "width": 8},
    "params": {"aug": {"scale_min": 0.2}},
    "judged": [],
    "evaluated_by": {"features": "c0de"},
}


def choose_rows(monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    """What the first stage resolved for the report."""
    monkeypatch.setattr(stage, "settings", lambda name: SETTINGS | {"rows": list(rows)})


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A study with results of four rows, as the stages before leave them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    Path("params.yaml").write_text("study: embedded\n", encoding="utf-8")
    write_data()
    write_results("random", 0.3)
    write_results("imagenet_aug", 0.5, epochs=3)
    write_results("cifar_aug", 0.6, epochs=3)
    write_results("resnet50_paper")
    choose_rows(monkeypatch, "random", "imagenet_aug", "cifar_aug", "resnet50_paper")
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes most of the time, and tracking most of the rest."""
    monkeypatch.setattr(stage.runs, "run", lambda *args, **kwargs: nullcontext(Mock()))
    monkeypatch.setattr(style, "save", lambda figure, stem: None)
    monkeypatch.setattr(svg, "inline", lambda figure, name, alt_text: Markup("<svg></svg>"))


def metrics() -> dict[str, Any]:
    return json.loads(STUDY.report("metrics.json").read_text(encoding="utf-8"))


def test_the_report_holds_every_file_that_dvc_expects(repository):
    stage.main()
    written = {path.name for path in STUDY.report("").iterdir()}
    declared = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert written == FILES
    assert all(f"reports/${{study}}/{name}" in declared for name in FILES)
    assert STUDY.report("views.svg").stat().st_size < 300_000


def test_the_metrics_are_those_of_the_results(repository, no_pictures):
    stage.main()
    values = metrics()
    assert values["shapes10"]["cifar_aug"]["linear"]["top1"] == 0.6
    assert values["shapes10"]["cifar_aug"]["linear"]["gain"] == pytest.approx(0.3)
    assert values["shapes100"]["resnet50_paper"] == {"not_run": NOT_RUN}
    about = values["study"]
    assert about["datasets"]["shapes10"]["images"] == {"pretrain": 100, "probe_train": 50, "probe_test": 50}
    assert about["seconds"]["total"] == 10.0 and about["device"] == "cpu: X (2 cores)"
    assert about["source"] == "synthetic" and {"python", "torch", "dvc", "mlflow"} <= about["versions"].keys()


def test_dvc_compares_the_linear_probe_of_rows_that_ran(repository, no_pictures):
    stage.main()
    values = json.loads(STUDY.report("top1.json").read_text(encoding="utf-8"))
    assert values["shapes10"] == {"random": 0.3, "imagenet_aug": 0.5, "cifar_aug": 0.6}
    assert values.keys() == {"shapes10", "shapes100"}


def test_the_report_is_the_same_when_made_again(repository, no_pictures):
    stage.main()
    first = {path.name: digest(path) for path in STUDY.report("").iterdir()}
    stage.main()
    assert first == {path.name: digest(path) for path in STUDY.report("").iterdir()}


def test_results_of_removed_rows_are_passed_over(repository, no_pictures, monkeypatch):
    choose_rows(monkeypatch, "random", "cifar_aug")
    stage.main()
    text = "".join(
        STUDY.report(name).read_text(encoding="utf-8") for name in ("index.html", "comparison.md", "metrics.json")
    )
    assert "imagenet_aug" not in text and "resnet50_paper" not in text
    with STUDY.report("losses.csv").open(encoding="utf-8") as file:
        assert {row["encoder"] for row in csv.DictReader(file)} == {"cifar_aug"}


def test_an_added_row_is_in_every_file(repository, no_pictures, monkeypatch):
    choose_rows(monkeypatch, "random", "cifar_aug", "idea")
    write_results("idea", 0.7, epochs=2)
    stage.main()
    assert metrics()["shapes100"]["idea"]["knn"]["gain"] == pytest.approx(0.4)
    for name in ("index.html", "comparison.md", "losses.csv", "accuracy-primary.csv"):
        assert "idea" in STUDY.report(name).read_text(encoding="utf-8")


def test_a_study_in_which_nothing_trains_has_a_report(repository, monkeypatch):
    choose_rows(monkeypatch, "random")
    stage.main()
    assert "No encoder of this study trains." in STUDY.report("comparison.md").read_text(encoding="utf-8")
    assert {path.name for path in STUDY.report("").iterdir()} == FILES


def test_a_study_without_the_baseline_has_no_gain(repository, no_pictures, monkeypatch):
    choose_rows(monkeypatch, "cifar_aug")
    stage.main()
    assert "gain" not in metrics()["shapes10"]["cifar_aug"]["linear"]


@pytest.mark.parametrize("name", ["pretrain-cifar_aug", "linear_eval-random", "pair_loss-random", "neighbors-random"])
def test_a_missing_result_names_the_stage_to_run(repository, name):
    STUDY.result(name).unlink()
    with pytest.raises(ValueError, match=f"run `dvc repro {name.replace('-', '@')}` first"):
        stage.main()
    assert not STUDY.report("metrics.json").exists()


def test_a_collapsed_row_has_words_instead_of_numbers(repository, no_pictures):
    result = fakes.pretraining(2, embedding_std=0.0) | {"recipe": fakes.recipe("imagenet_aug")}
    write_json(STUDY.result("pretrain-imagenet_aug"), result | {"collapsed": "epoch 2: embeddings are alike"})
    stage.main()
    assert metrics()["shapes10"]["imagenet_aug"] == {"collapsed": "epoch 2: embeddings are alike"}
    text = STUDY.report("comparison.md").read_text(encoding="utf-8")
    assert "`imagenet_aug` collapsed: epoch 2: embeddings are alike." in text
    assert "| all     | `imagenet_aug`" in text
