"""The report stage: any set of encoders, whatever ran, ends in a report; what is missing is named."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import digest
from markupsafe import Markup
from study_fakes import portrait

from stages import Paths, write_json
from stages import report as stage
from vicreg.data import images, splits
from vicreg.evaluation.intervals import packed
from vicreg.reporting.figures import style, svg
from vicreg.study import params

ROOT = Path(__file__).parents[1]
STUDY = Paths("embedded")
NOT_RUN = "not run: `pretrained.weights` names no file"
PICTURED = ("answer", "collapse", "confusion", "map", "neighbours", "pairs", "views")
CURVES = ("accuracy-primary", "accuracy-transfer", "losses")
FILES = {"index.html", "comparison.md", "metrics.json", "top1.json", "online.csv"}
FILES |= {f"{name}.{kind}" for name in (*PICTURED, *CURVES) for kind in ("svg", "png")}
FILES |= {f"{name}.csv" for name in CURVES}


def write_data() -> None:
    rng = np.random.default_rng(0)
    positions: dict[str, np.ndarray] = {}
    for slot, classes in (("primary", 10), ("transfer", 100)):
        pictures = images.Images(
            pixels=rng.integers(0, 256, (200, 32, 32, 3), np.uint8),
            labels=np.arange(200, dtype=np.int64) % classes,
            official=np.array(["train"] * 150 + ["test"] * 50),
            classes=tuple(f"class {n}" for n in range(classes)),
            name=f"Shapes-{classes} (drawn)",
            genuine=False,
        )
        images.save(pictures, STUDY.data(slot))
        positions |= {f"{slot}/probe_train": np.arange(100, 150), f"{slot}/probe_test": np.arange(150, 200)}
    splits.save_split({"primary/pretrain": np.arange(100), **positions}, STUDY.data("split"))


def evaluation(top1: float) -> dict[str, Any]:
    points = [{"epoch": n, "top1": top1 * n / 3, "top5": 0.9} for n in (1, 2, 3)]
    result = {
        "top1": top1,
        "top1_low": top1 - 0.01,
        "top1_high": top1 + 0.01,
        "top5": 0.9,
        "settings": {"lr": 0.3},
        "hits": packed(np.arange(50) < 50 * top1),
    }
    probes = {"linear": result | {"curve": points}, "knn": result | {"curve": []}}
    return {"datasets": {slot: {"test": 50, "probes": probes} for slot in ("primary", "transfer")}}


def pretraining(epochs: int) -> dict[str, Any]:
    terms = {"loss": 3.0, "invariance": 0.1, "variance": 0.2, "covariance": 0.3, "embedding_std": 0.9}
    history = [{"epoch": n + 1, **terms, "lr": 0.1, "images_per_second": 50.0, "seconds": 1.0} for n in range(epochs)]
    return {
        "images": 100,
        "history": history,
        "online": [{"epoch": 2, "top1": 0.3, "top5": 0.8}] if epochs else [],
    }


def write_results(encoder: str, top1: float | None = None, epochs: int = 0) -> None:
    words = {"encoder": encoder, "not_run": NOT_RUN}
    write_json(STUDY.result(f"pretrain-{encoder}"), words if top1 is None else pretraining(epochs))
    write_json(STUDY.result(f"linear_eval-{encoder}"), words if top1 is None else evaluation(top1))
    write_json(STUDY.result(f"representative_loss-{encoder}"), {"encoder": encoder, "computed": "Mean over 10 pairs."})
    write_json(STUDY.result(f"portrait-{encoder}"), words if top1 is None else {"encoder": encoder, **portrait(10)})
    seconds = {"stage": f"pretrain-{encoder}", "seconds": 2.5, "device": "cpu: X (2 cores)"}
    write_json(STUDY.result(f"seconds/pretrain-{encoder}"), seconds)


def choose_encoders(**encoders: str) -> None:
    """Replace the block `encoders` of params.yaml: name -> method and policy."""
    text = Path("params.yaml").read_text(encoding="utf-8")
    start, end = text.index("\nencoders:\n"), text.index("\n# --- Policies")
    lines = [f"  {name}: {{{words}, backbone: resnet18}}\n" for name, words in encoders.items()]
    Path("params.yaml").write_text(text[:start] + "\nencoders:\n" + "".join(lines) + text[end:], encoding="utf-8")


UNTRAINED, LEARNED = "method: untrained, policy: aug_none", "method: vicreg, policy: aug"


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A study with results of the encoders of params.yaml, as the stages before leave them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    write_data()
    write_results("random", 0.3)
    write_results("imagenet_aug", 0.5, epochs=3)
    write_results("cifar_aug", 0.6, epochs=3)
    write_results("resnet50_paper")
    return tmp_path


@pytest.fixture
def no_pictures(monkeypatch):
    """Drawing takes most of the time."""
    monkeypatch.setattr(style, "save", lambda figure, stem: None)
    monkeypatch.setattr(svg, "inline", lambda figure, name, words: Markup("<svg></svg>"))


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
    found = metrics()
    assert found["shapes10"]["cifar_aug"]["linear"]["top1"] == 0.6
    assert found["shapes10"]["cifar_aug"]["linear"]["gain"] == pytest.approx(0.3)
    assert found["shapes100"]["resnet50_paper"] == {"not_run": NOT_RUN}
    about = found["study"]
    assert about["datasets"]["shapes10"]["images"] == {"pretrain": 100, "probe_train": 50, "probe_test": 50}
    assert about["seconds"]["total"] == 10.0 and about["device"] == "cpu: X (2 cores)"
    assert about["source"] == "embedded" and {"python", "torch", "dvc", "mlflow"} <= about["versions"].keys()


def test_what_dvc_compares_is_the_linear_probe_of_the_encoders_that_ran(repository, no_pictures):
    stage.main()
    found = json.loads(STUDY.report("top1.json").read_text(encoding="utf-8"))
    assert found["shapes10"] == {"random": 0.3, "imagenet_aug": 0.5, "cifar_aug": 0.6}
    assert found.keys() == {"shapes10", "shapes100"}


def test_the_report_is_the_same_when_made_again(repository, no_pictures):
    stage.main()
    first = {path.name: digest(path) for path in STUDY.report("").iterdir()}
    stage.main()
    assert first == {path.name: digest(path) for path in STUDY.report("").iterdir()}


def test_results_of_removed_encoders_are_passed_over(repository, no_pictures):
    choose_encoders(random=UNTRAINED, cifar_aug=LEARNED)
    stage.main()
    text = "".join(
        STUDY.report(name).read_text(encoding="utf-8") for name in ("index.html", "comparison.md", "metrics.json")
    )
    assert "imagenet_aug" not in text and "resnet50_paper" not in text
    with STUDY.report("losses.csv").open(encoding="utf-8") as file:
        assert {row["encoder"] for row in csv.DictReader(file)} == {"cifar_aug"}


def test_an_added_encoder_is_in_every_file(repository, no_pictures):
    choose_encoders(random=UNTRAINED, cifar_aug=LEARNED, idea=LEARNED)
    write_results("idea", 0.7, epochs=2)
    stage.main()
    assert metrics()["shapes100"]["idea"]["knn"]["gain"] == pytest.approx(0.4)
    for name in ("index.html", "comparison.md", "losses.csv", "accuracy-primary.csv"):
        assert "idea" in STUDY.report(name).read_text(encoding="utf-8")


def test_a_study_in_which_nothing_learns_has_a_report(repository):
    choose_encoders(random=UNTRAINED)
    stage.main()
    assert "No encoder of this study learns." in STUDY.report("comparison.md").read_text(encoding="utf-8")
    assert {path.name for path in STUDY.report("").iterdir()} == FILES


def test_a_study_without_the_baseline_has_no_gain(repository, no_pictures):
    choose_encoders(cifar_aug=LEARNED)
    stage.main()
    assert "gain" not in metrics()["shapes10"]["cifar_aug"]["linear"]


@pytest.mark.parametrize(
    "name", ["pretrain-cifar_aug", "linear_eval-random", "representative_loss-random", "portrait-random"]
)
def test_a_missing_result_names_the_stage_to_run(repository, name):
    STUDY.result(name).unlink()
    with pytest.raises(ValueError, match=f"run `dvc repro {name.replace('-', '@')}` first"):
        stage.main()
    assert not STUDY.report("metrics.json").exists()


def test_the_fixture_uses_the_encoders_of_params(repository):
    assert list(params.load().encoders) == ["random", "imagenet_aug", "cifar_aug", "resnet50_paper"]
