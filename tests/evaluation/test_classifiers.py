"""What a probe has learned gives probabilities, and comes back from its file bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from blobs import blobs
from safetensors.torch import load_file, save_file
from tiny import CPU

from vicreg.evaluation import probe_files
from vicreg.evaluation.classifier import Classifier
from vicreg.evaluation.classifiers.neighbors import NeighborsClassifier
from vicreg.evaluation.features import FeatureSet
from vicreg.evaluation.metrics import topk
from vicreg.evaluation.probe import build
from vicreg.io import plugins

PROBES = plugins.names("probes")
FEATURES = blobs(count=350, classes=7, noise=2.0)
Y = torch.from_numpy(FEATURES.test)
ABOUT = {"encoder": "cifar_aug", "weights": "ab" * 32}


def learned(probe: str, features: FeatureSet = FEATURES, num_classes: int | None = None, **params: Any) -> Classifier:
    numbers: dict[str, Any] = {"num_classes": num_classes or len(features.classes), "seed": 0, "device": CPU}
    return list(build(probe, params).fit(features.train, features.train_labels, **numbers))[-1]


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("classes", [2, 7])
def test_every_probes_classifier_gives_probabilities(probe, classes):
    features = blobs(classes=classes)
    classifier = learned(probe, features)
    y = torch.from_numpy(features.test)
    probabilities = classifier(y).numpy()
    assert probabilities.dtype == np.float32 and probabilities.shape == (len(y), classes)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == classifier.predict(features.test, CPU)[:, 0]).mean() > 0.999


@pytest.mark.parametrize("probe", ["linear", "logistic"])
def test_a_classifier_knows_whether_features_were_scaled(probe):
    classifier = learned(probe, standardize=False)
    mean, scale = (classifier.get_buffer(name) for name in ("mean", "scale"))
    assert not mean.any() and torch.equal(scale, torch.ones(12))
    assert not torch.equal(learned(probe).get_buffer("scale"), scale)


def test_logistic_probabilities_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    classifier = learned("logistic", C=[0.1], standardize=False)
    model = LogisticRegression(C=0.1, max_iter=300).fit(FEATURES.train, FEATURES.train_labels)
    np.testing.assert_allclose(classifier(Y).numpy(), model.predict_proba(FEATURES.test), atol=1e-4)
    assert (
        topk(model.predict_proba(FEATURES.test))[:, 0] == classifier.predict(FEATURES.test, CPU)[:, 0]
    ).mean() > 0.99


@pytest.mark.parametrize("present", [(0, 1, 2, 3, 4), (1, 4)])
def test_a_class_without_images_has_the_probability_zero(present):
    mask = np.isin(FEATURES.train_labels, present)
    numbers: dict[str, Any] = {"num_classes": 7, "seed": 0, "device": CPU}
    (classifier,) = build("logistic", {"C": [0.1]}).fit(FEATURES.train[mask], FEATURES.train_labels[mask], **numbers)
    probabilities = classifier(Y).numpy()
    np.testing.assert_array_equal(np.flatnonzero(probabilities.sum(axis=0)), present)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_far_neighbors_still_give_probabilities():
    bank = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    classifier = NeighborsClassifier(bank, torch.tensor([0, 2]), num_classes=3, k=2, temperature=0.001)
    np.testing.assert_allclose(classifier(torch.tensor([[-1.0, -0.2]])).numpy(), [[0, 0, 1]], atol=1e-6)


# --- Files -----------------------------------------------------------------------------------------------------


def saved(folder: Path) -> tuple[Path, dict[tuple[str, str], Classifier]]:
    classifiers = {("primary", probe): learned(probe) for probe in PROBES}
    classifiers["transfer", "linear"] = learned("linear", blobs(classes=3))
    probe_files.save(folder / "x.safetensors", classifiers, ABOUT)
    return folder / "x.safetensors", classifiers


def test_every_classifier_comes_back_bit_for_bit(tmp_path):
    path, classifiers = saved(tmp_path)
    for (role, probe), classifier in classifiers.items():
        again = probe_files.load(path, role, probe)
        assert torch.equal(again.scores(Y), classifier.scores(Y)) and torch.equal(again(Y), classifier(Y)), (
            role,
            probe,
        )
        assert again.settings == classifier.settings and type(again) is type(classifier)
    about = probe_files.describe(path)
    assert ABOUT.items() <= about.items()
    assert about["classifiers"].keys() == {f"{role}/{probe}" for role, probe in classifiers}
    used = {type(classifier).__module__.rpartition(".")[2] for classifier in classifiers.values()}
    assert used == set(plugins.names("classifiers")), "no probe yields this classifier"


def test_damaged_or_other_files_are_refused_by_name(tmp_path):
    path, _ = saved(tmp_path)
    good = path.read_bytes()
    start = 8 + int.from_bytes(good[:8], "little")
    flipped = bytearray(good)
    flipped[start] ^= 1
    for content, message in (
        (bytes(flipped), "cannot be trusted, its weights are not those that were saved"),
        (good[: start - 5], "is not a file of classifiers of this project"),
        (b"", "is not a file of classifiers of this project"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"x\.safetensors {message}.*run `dvc repro linear_eval` again"):
            for role, probe in (("primary", "knn"), ("primary", "linear"), ("primary", "logistic")):
                probe_files.load(path, role, probe)
    path.write_bytes(good)
    with pytest.raises(
        ValueError, match=r"x\.safetensors holds no classifier 'transfer/knn' .*run `dvc repro linear_ev"
    ):
        probe_files.load(path, "transfer", "knn")


@pytest.mark.parametrize("member", [("quadratic", {}), ("neighbors", {}), ("linear", {"k": 3}), (None, {}), "linear"])
def test_a_description_that_builds_nothing_is_refused(tmp_path, member):
    path, _ = saved(tmp_path)
    about = probe_files.describe(path)
    about["classifiers"]["primary/linear"] = member
    save_file(load_file(path), path, {"description": json.dumps(about)})
    with pytest.raises(ValueError, match=r"x\.safetensors holds no classifier 'primary/linear' to be built"):
        probe_files.load(path, "primary", "linear")


def test_a_file_says_which_accuracies_its_classifiers_have(tmp_path):
    scores = {"linear": {"top1": 0.5, "val_top1": 0.6, "hits": ""}}
    datasets = {"primary": {"weights": "ab" * 32, "probes": scores}}
    classifiers = {("primary", "linear"): learned("linear")}
    probe_files.save_results(tmp_path / "x", classifiers, {"encoder": "a", "datasets": datasets})
    about = probe_files.describe(tmp_path / "x")
    assert (about["top1"], about["val_top1"]) == ({"primary": {"linear": 0.5}}, {"primary": {"linear": 0.6}})
    assert (about["encoder"], about["weights"]) == ("a", "ab" * 32)


def test_an_encoder_that_did_not_run_has_a_file(tmp_path):
    probe_files.save_results(tmp_path / "x.safetensors", {}, {"encoder": "a", "not_run": "no weights"})
    assert probe_files.describe(tmp_path / "x.safetensors") == {"not_run": "no weights"}
    with pytest.raises(ValueError, match="holds no classifier"):
        probe_files.load(tmp_path / "x.safetensors", "primary", "linear")
