"""Evaluation on made trees: features of files, the SVMs of VOC07 as by hand, the linear probe, and the stage."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import trees
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold
from sklearn.svm import LinearSVC

from stages import transfer
from vicreg.data import image_files
from vicreg.evaluation.average_precision import average_precision
from vicreg.io import weights, yaml
from vicreg.nn.encoder import extract_features
from vicreg.study import builders, params, recipe
from vicreg.study.paths import Paths
from vicreg.transfer import evaluate
from vicreg.transfer.datasets import Dataset, Part, inat18, places205, voc07

CPU = torch.device("cpu")
ROOT = Path(__file__).parents[2]
ABSENT = {"not_run": "not run: data absent"}
COMMON = {"name", "genuine", "counts", "metric", "value", "size", "seconds"}


def evaluated(dataset: Dataset) -> dict[str, Any]:
    return evaluate.evaluate(dataset, tiny.encoder(), size=8, seed=0, device=CPU)


def blobs(n: int, m: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Dataset]:
    """Noisy features (n, 5) to train and (m, 5) to test, with flags of so many classes, some of them 0."""
    random = np.random.default_rng(seed)
    x, flags = random.normal(size=(n + m, 5)).astype(np.float32), random.choice([1, -1, -1, 0], (n + m, classes))
    x[:, :classes] += 0.7 * flags
    dataset = object.__new__(Dataset)  # without the check that its files are there
    parts = {"train": Part(Path("a"), ["x"] * n, flags[:n]), "test": Part(Path("b"), ["y"] * m, flags[n:])}
    for key, value in {"title": "X", "classes": tuple("abcde")[:classes], "published": {}, **parts}.items():
        object.__setattr__(dataset, key, value)
    return x[:n], x[n:], dataset


def test_features_of_files_are_those_of_their_pixels_in_any_chunks(tmp_path, monkeypatch):
    dataset = voc07(trees.voc07(tmp_path))
    encoder, names = tiny.encoder(), dataset.train.names
    whole = np.stack([image_files.read(dataset.folder / name, 8) for name in names])
    with Image.open(dataset.folder / names[3]) as image:  # squeezed whole to the square, nothing cropped
        assert np.array_equal(whole[3], np.asarray(image.resize((8, 8), Image.Resampling.BICUBIC)))
    monkeypatch.setattr(evaluate, "CHUNK", 5)
    features = evaluate.file_features(encoder, dataset.folder, names, size=8, device=CPU)
    np.testing.assert_allclose(features, extract_features(encoder, whole, CPU), rtol=1e-5, atol=1e-6)


def test_only_a_chunk_of_images_is_read_before_features_are_made(tmp_path, monkeypatch):
    dataset, read, seen = voc07(trees.voc07(tmp_path)), list[int](), list[int]()

    def read_one(path: Path, size: int) -> np.ndarray:
        read.append(1)
        return image_files.read(path, size)

    def extract(encoder: Any, pixels: np.ndarray, device: torch.device, **numbers: Any) -> np.ndarray:
        seen.append(len(read))
        return extract_features(encoder, pixels, device, **numbers)

    monkeypatch.setattr(evaluate, "CHUNK", 6)
    monkeypatch.setattr(evaluate, "read", read_one)
    monkeypatch.setattr(evaluate, "extract_features", extract)
    evaluate.file_features(tiny.encoder(), dataset.folder, dataset.train.names, size=8, device=CPU)
    assert seen == [6, 12, 16]


@pytest.mark.parametrize("content", [b"", b"no image at all", b"\xff\xd8\xff\xe0 a JPEG that ends"])
def test_an_image_that_cannot_be_decoded_is_one_clear_error(tmp_path, content):
    dataset = voc07(trees.voc07(tmp_path))
    (dataset.folder / "000003.jpg").write_bytes(content)
    with pytest.raises(ValueError, match=r"/000003\.jpg cannot be used as an image: .*; unpack the archives of"):
        evaluated(dataset)


def test_the_svms_are_those_made_by_hand():
    x, x_test, dataset = blobs(60, 40, 2)
    results = evaluate.fit_svms(x, x_test, dataset, seed=0)
    train, test = (it / np.linalg.norm(it, axis=1, keepdims=True) for it in (x, x_test))
    for column, name in enumerate(dataset.classes):
        flags, test_flags = dataset.train.labels[:, column], dataset.test.labels[:, column]
        kept, y = train[flags != 0], flags[flags != 0]

        def svm(C):
            fixed = {"loss": "squared_hinge", "penalty": "l2", "dual": True, "tol": 1e-4, "max_iter": 2000}
            return LinearSVC(C=C, class_weight={1: 2, -1: 1}, random_state=0, **fixed)

        means = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            for C in (0.01, 0.1, 1, 2, 5, 10, 15, 20, 50, 100, 1000):
                scores = []
                for fit, held_out in StratifiedKFold(3).split(kept, y):
                    model = svm(C).fit(kept[fit], y[fit])
                    scores.append(average_precision_score(y[held_out] == 1, model.decision_function(kept[held_out])))
                means.append((np.mean(scores), -C))
            C = -max(means)[1]  # of equal ones the smallest
            expected = average_precision(svm(C).fit(kept, y).decision_function(test), test_flags)
        assert results[name]["C"] == C and results[name]["ap"] == pytest.approx(expected, rel=1e-9)


def test_what_is_chosen_and_learned_depends_on_trainval_alone():
    x, x_test, dataset = blobs(60, 40, 2)
    one, other = (evaluate.fit_svms(x, it, dataset, seed=0) for it in (x_test, -x_test[::-1]))
    assert [it["C"] for it in one.values()] == [it["C"] for it in other.values()]
    assert [it["ap"] for it in one.values()] != [it["ap"] for it in other.values()]


def test_difficult_images_neither_train_nor_test():
    x, x_test, dataset = blobs(60, 40, 1)
    before = evaluate.fit_svms(x, x_test, dataset, seed=0)
    for rows, part in ((x, dataset.train), (x_test, dataset.test)):
        rows[part.labels[:, 0] == 0] = 100.0
    assert evaluate.fit_svms(x, x_test, dataset, seed=0) == before


@pytest.mark.parametrize(("part", "value", "count"), [("train", 1, 2), ("train", -1, 2), ("test", 1, 0)])
def test_a_class_with_too_few_images_is_one_clear_error(part, value, count):
    x, x_test, dataset = blobs(60, 40, 1)
    flags = getattr(dataset, part).labels
    flags[np.flatnonzero(flags == value)[count:]] = -value
    with pytest.raises(ValueError, match=r"the class a of X .*needs 3 training images with it and 3 without"):
        evaluate.fit_svms(x, x_test, dataset, seed=0)


def test_voc07_has_a_mean_of_average_precisions(tmp_path):
    result = evaluated(voc07(trees.voc07(tmp_path)))
    assert result.keys() == COMMON | {"per_class"} and result["metric"] == "mAP" and len(result["per_class"]) == 20
    assert result["value"] == pytest.approx(np.mean([it["ap"] for it in result["per_class"].values()]))
    assert result["value"] == pytest.approx(1.0)  # even and odd images have two colors
    assert (result["name"], result["genuine"]) == ("VOC07 (subset or altered)", False)
    assert json.loads(json.dumps(result, allow_nan=False)) == result


@pytest.mark.parametrize(("reader", "epochs"), [(places205, 14), (inat18, 84)])
def test_others_have_top1_of_the_linear_probe_with_published_settings(tmp_path, reader, epochs):
    result = evaluated(reader(getattr(trees, reader.__name__)(tmp_path)))
    assert result.keys() == COMMON | {"settings"} and (result["metric"], result["value"]) == ("top1", 1.0)
    published = {"epochs": epochs, "lr": 0.01, "batch_size": 256, "momentum": 0.9, "weight_decay": 5e-4}
    assert result["settings"].items() >= published.items() and "(subset or altered)" in result["name"]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    """A study with an encoder, whose settings are those that params.yaml gives the stage, at 8 pixels."""
    monkeypatch.chdir(tmp_path)
    files, p = Paths("s"), params.load(ROOT / "params.yaml")
    Path("params.yaml").write_text("study: s\n")
    row = recipe.resolve(p, "random")
    method = builders.build_method(row, tiny.pixels(), np.arange(50))
    builders.save_method(files.model("random"), method, row)
    weights.save_not_run(files.model("left_out"), "no weights")
    configure(files)
    return files


def configure(files: Paths, **folders: Path) -> None:
    values = yaml.load(ROOT / "params.yaml") | {"device": "cpu"}
    values["external_datasets"] |= {key: str(folder) for key, folder in folders.items()} | {"size": 8}
    recipe.write(recipe.stage_settings(params.validate(values))["transfer"], files.settings("transfer"))


def result(files: Paths, row: str = "random") -> Any:
    transfer.main(row)
    return json.loads(files.result(f"transfer-{row}").read_text())


def test_by_default_nothing_is_run(study):
    content = result(study)
    assert content["datasets"] == {"voc07": ABSENT, "places205": ABSENT, "inat18": ABSENT}
    assert content["encoder"] == "random" and study.result("seconds/transfer-random").is_file()


def test_what_has_a_folder_is_evaluated(study, tmp_path, capsys):
    configure(study, voc07=trees.voc07(tmp_path / "voc"), inat18=trees.inat18(tmp_path / "inat"))
    content = result(study)
    assert content["weights"] == builders.describe(study.model("random"))["digest"]["encoder"]
    found = content["datasets"]
    assert (found["voc07"]["metric"], found["places205"], found["inat18"]["metric"]) == ("mAP", ABSENT, "top1")
    assert not found["voc07"]["genuine"] and found["voc07"]["counts"]["train"] == 16
    assert "VOC07 (subset or altered): mAP " in capsys.readouterr().out
    again = result(study)["datasets"]
    assert all(again[key]["value"] == found[key]["value"] for key in ("voc07", "inat18"))


def test_a_folder_that_lacks_something_fails_before_anything_is_evaluated(study, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "evaluate", lambda *args, **kwargs: pytest.fail("evaluated"))
    configure(study, voc07=trees.voc07(tmp_path / "voc"), inat18=tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"iNaturalist 2018: is missing: .*/nowhere; this dataset is laid out as"):
        transfer.main("random")
    with pytest.raises(ValueError, match="nowhere"):  # of a row that does not run, too
        transfer.main("left_out")
    assert not study.result("transfer-random").exists()


def test_a_row_that_did_not_run_says_so(study):
    assert result(study, "left_out") == {"encoder": "left_out", "not_run": "no weights"}


@pytest.mark.parametrize("change", [{"voc07": 7}, {"size": 0}, {"coco": "x"}, {"voc07": ""}])
def test_params_hold_folders_and_a_size(change):
    values = yaml.load(ROOT / "params.yaml")
    values["external_datasets"] |= change
    with pytest.raises(params.ParamsError, match=rf"external_datasets\.{next(iter(change))}"):
        params.validate(values)


def test_a_folder_concerns_its_stage_alone():
    values = yaml.load(ROOT / "params.yaml")
    before = recipe.stage_settings(params.validate(values))
    values["external_datasets"] |= {"voc07": "x", "size": 32}
    after = recipe.stage_settings(params.validate(values))
    assert {name for name in before if before[name] != after[name]} == {"transfer"}
    expected = {"seed": 0, "device": "auto", "voc07": "x", "places205": None, "inat18": None, "size": 32}
    assert {key: value for key, value in after["transfer"].items() if key != "code"} == expected
