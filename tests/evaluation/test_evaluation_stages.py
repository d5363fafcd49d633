"""The stages after pretraining, on a study whose first dataset has labels, and on one where it has none."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stages import features, fine_tune, judge, linear_eval, neighbors, pair_loss
from vicreg.data import images, split_checks
from vicreg.data.images import Images
from vicreg.evaluation import probe_files
from vicreg.io import weights, yaml
from vicreg.io.arrays import load_arrays, save_arrays
from vicreg.study import builders
from vicreg.study.paths import Paths
from vicreg.study.recipe import Recipe

STAGES = (features, neighbors, pair_loss, linear_eval)
SETTINGS: dict[str, dict[str, Any]] = {
    "download-primary": {"dataset": "photos"},
    "download-transfer": {"dataset": "shapes"},
    "split": {"protocol": "report"},
    "features": {"device": "cpu"},
    "linear_eval": {"device": "cpu", "seed": 0, "probes": {"knn": {"k": 5}, "linear": {"epochs": 2}}},
    "pair_loss": {"device": "cpu", "seed": 0, "num_pairs": 6, "num_negatives": 2},
    "neighbors": {"seed": 0, "images": 2, "points": 20},
    "judge": {"device": "cpu", "seed": 0, "linear": {"epochs": 1}}
    | {"few_labels": {"fractions": [1.0, 0.5], "draws": 2, "probe": "knn", "params": {"k": 3}}},
    "fine_tune": {"device": "cpu", "seed": 0, "precision": "float32", "fractions": [1.0, 0.5], "draws": 2, "steps": 2}
    | {"batch_size": 8, "rates": [[0.01, 0.1]], "scale_min": 0.5, "flip": 0.5},
}
RECIPE = {
    "study": "s",
    "row": "x",
    "seed": 0,
    "method": {"name": "vicreg", "projector_width": 6, "projector_depth": 2},
    "backbone": {"name": "resnet", "width": 2},
    "data": {"primary": "photos", "protocol": "report", "fractions": {"probe": 1.0}, "image_size": 16},
    "policy": {"name": "aug", "flip": 0.5},
    "code": "c0de",
}
LOGGED: list[tuple[str, Any, dict[str, float]]] = []


class Run:
    def __init__(self, name: str, tags: Any):
        self.name, self.tags = name, tags

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        LOGGED.append((self.name, self.tags, values))

    def text(self, content: str, name: str) -> None:
        json.loads(content)

    def confusion(self, counts: list[list[int]], classes: tuple[str, ...], title: str) -> None:
        assert np.shape(counts) == (len(classes), len(classes)) and self.name in title


@contextmanager
def run(name: str, *, tags: Any, fingerprint: str, params: dict[str, Any]) -> Iterator[Run]:
    assert params["digest"]["encoder"] == tags.weights and tags.probe in params and len(fingerprint) >= 32
    yield Run(name, tags)


BOTH = pytest.mark.parametrize("study", [True, False], ids=["labeled", "unlabeled"], indirect=True)


@pytest.fixture
def study(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A study with a pretrained row, up to its features; without labels in the first dataset where `param` is false."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(linear_eval.runs, "run", run)
    LOGGED.clear()
    Path("params.yaml").write_text("study: s\nrows: [x, left_out]\n")
    paths = Paths("s")
    for name, values in SETTINGS.items():
        paths.settings(name).parent.mkdir(parents=True, exist_ok=True)
        paths.settings(name).write_text(yaml.dumps(values))
    for row in ("x", "left_out"):
        paths.recipe(row).write_text(yaml.dumps(RECIPE | {"row": row}))
    data: dict[str, Images] = {}
    split = {"primary/pretrain": np.arange(90)}
    for role, labeled in (("primary", getattr(request, "param", True)), ("transfer", True)):
        random = np.random.default_rng(len(data))
        labels = np.arange(150) % 3 if labeled else np.full(150, -1)
        pixels = random.integers(0, 256, (150, 16, 16, 3), dtype=np.uint8)
        pixels[..., 0] //= 1 + np.maximum(labels, 0)[:, None, None].astype(np.uint8)  # the redder, the lower the class
        classes = tuple("abc") if labeled else ()
        data[role] = Images(pixels, labels.astype(np.int64), np.full(150, "train", "<U5"), classes, f"{role} pictures")
        images.save(data[role], paths.data(role))
        if labeled:
            split |= {f"{role}/probe_train": np.arange(90, 120), f"{role}/probe_test": np.arange(120, 150)}
    save_arrays(paths.split, **split_checks.with_fingerprints(split, data, "report"))
    recipe = Recipe.model_validate(RECIPE)
    method = builders.build_method(recipe, data["primary"].pixels, np.arange(90))
    with torch.no_grad():
        method.embed(torch.from_numpy(data["primary"].pixels).permute(0, 3, 1, 2))  # batch norm sees images
    builders.save_method(paths.model("x"), method, recipe)
    weights.save_not_run(paths.model("left_out"), "no weights")
    return paths


def results(study: Paths, row: str = "x") -> dict[str, dict[str, Any]]:
    for stage in STAGES:
        stage.main(row)
    return {
        name: json.loads(study.result(f"{name}-{row}").read_text())
        for name in ("linear_eval", "pair_loss", "neighbors")
    }


@BOTH
def test_what_has_labels_is_evaluated(study, request):
    labeled = request.node.callspec.params["study"]
    found = results(study)
    roles = ["primary", "transfer"] if labeled else ["transfer"]
    datasets = found["linear_eval"]["datasets"]
    assert list(datasets) == roles and datasets["transfer"]["key"] == "shapes"
    assert datasets["transfer"].items() >= {"train": 30, "test": 30, "classes": 3, "name": "transfer pictures"}.items()
    assert list(datasets["transfer"]["probes"]) == ["knn", "linear"]
    assert found["pair_loss"]["role"] == roles[0] and found["pair_loss"]["term"] == "invariance"
    assert found["pair_loss"]["same"]["invariance"] == 0 < found["pair_loss"]["views"]["invariance"]
    about = probe_files.describe(study.probes("x"))
    assert about["weights"] == builders.describe(study.model("x"))["digest"]["encoder"]
    for role in roles:
        for probe, result in datasets[role]["probes"].items():
            assert (about["top1"][role][probe], about["val_top1"][role][probe]) == (result["top1"], result["val_top1"])
            probe_files.load(study.probes("x"), role, probe)
    if labeled:
        assert 0 <= found["neighbors"]["agreement"] <= 1 and len(found["neighbors"]["neighbors"]) == 2
    else:
        reason = "its images have no labels, so no probe can learn from them"
        assert found["neighbors"] == {"encoder": "x", "not_run": reason}
        assert list(load_arrays(study.features("x", "primary"))) == ["not_run"]


def test_each_probe_is_a_run_with_its_curve(study):
    datasets = results(study)["linear_eval"]["datasets"]
    names = {name for name, _, _ in LOGGED}
    assert "x linear shapes" in names and len(names) == 2 * len(datasets)
    curve = [values["top1"] for name, _, values in LOGGED if name == "x linear shapes" and "top1" in values]
    assert curve == [point["top1"] for point in datasets["transfer"]["probes"]["linear"]["curve"]]
    knn = {k: v for name, _, values in LOGGED if name == "x knn shapes" for k, v in values.items()}
    assert knn.keys() == {"top1", "top5", "top1_low", "top1_high", "val_top1"}
    tags = next(tags for name, tags, _ in LOGGED if name == "x knn shapes")
    assert (tags.stage, tags.study, tags.dataset, tags.encoder) == ("linear_eval", "s", "transfer pictures", "x")


def test_a_row_that_did_not_run_says_so_everywhere(study):
    found = results(study, "left_out")
    assert all(result == {"encoder": "left_out", "not_run": "no weights"} for result in found.values())
    assert probe_files.describe(study.probes("left_out")) == {"not_run": "no weights"}


def test_a_leak_stops_the_probes_and_loses_nothing(study):
    results(study)
    before = study.result("linear_eval-x").read_bytes()
    path = study.features("x", "transfer")
    arrays = load_arrays(path)
    arrays["probe_test"][0] = arrays["probe_train"][0]
    save_arrays(path, **arrays)
    with pytest.raises(ValueError, match=r"x-transfer\.npz: 1 of 30 test images have the very representation"):
        linear_eval.main("x")
    assert study.result("linear_eval-x").read_bytes() == before


def test_a_tampered_split_stops_the_features(study):
    split = load_arrays(study.split)
    split["transfer/probe_test"][0] = split["transfer/probe_train"][0]
    save_arrays(study.split, **split)
    with pytest.raises(ValueError, match="`transfer/probe_train` and `transfer/probe_test` share 1 images"):
        features.main("x")
    assert not study.features("x", "transfer").exists()


def test_a_flipped_bit_in_the_weights_stops_the_features(study):
    content = bytearray(study.model("x").read_bytes())
    content[8 + int.from_bytes(content[:8], "little")] ^= 1  # behind the header: the first byte of the first tensor
    study.model("x").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be trusted, its weights are not those that were saved"):
        features.main("x")


@BOTH
def test_a_row_is_judged_by_depth_with_few_labels_and_by_fine_tuning(study, request):
    labeled = request.node.callspec.params["study"]
    results(study)
    before = study.model("x").read_bytes()
    judge.main("x")
    fine_tune.main("x")
    assert study.model("x").read_bytes() == before
    judged, tuned = (json.loads(study.result(f"{stage}-x").read_text()) for stage in ("judge", "fine_tune"))
    assert list(judged["datasets"]) == (["primary", "transfer"] if labeled else ["transfer"])
    for ways in judged["datasets"].values():
        stages = [each["stage"] for each in ways["depth"]]
        assert stages == ["stage 1", "stage 2", "stage 3", "stage 4", "representation"]
        assert [len(each["top1"]) for each in ways["few_labels"]] == [1, 2]
    if labeled:
        assert [each["images"] for each in tuned["fractions"]] == [30, 15] and tuned["dataset"] == "primary pictures"
    else:
        assert tuned == {"encoder": "x", "not_run": "its images have no labels"}


def test_two_networks_have_no_stages_to_judge(study):
    form = {"temperature": 0.07, "bank_momentum": 0.5, "negatives": 8, "embedding_width": 6, "representation": "both"}
    recipe = Recipe.model_validate(RECIPE | {"method": {"name": "cmc", **form}})
    pixels = images.load(study.data("primary")).pixels
    builders.save_method(study.model("x"), builders.build_method(recipe, pixels, np.arange(90)), recipe)
    features.main("x")
    judge.main("x")
    judged = json.loads(study.result("judge-x").read_text())["datasets"]
    assert all(ways["depth"] == [] and len(ways["few_labels"]) == 2 for ways in judged.values())


def test_a_row_that_did_not_run_is_not_judged(study):
    results(study, "left_out")
    for stage in (judge, fine_tune):
        stage.main("left_out")
        name = stage.__name__.rpartition(".")[2]
        assert json.loads(study.result(f"{name}-left_out").read_text()) == {
            "encoder": "left_out",
            "not_run": "no weights",
        }
