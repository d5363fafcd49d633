"""What a probe has learned is kept, and guesses as the probe did."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from vicreg.evaluation import metrics, probe_files, run_probe, sanity_check
from vicreg.evaluation.classifiers import linear, neighbors
from vicreg.io import plugins, weights

CPU = torch.device("cpu")
SETTINGS: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 3},
    "logistic": {"C": [0.01, 1.0], "max_iter": 50},
    "knn": {"k": 30},
}
ABOUT = {"encoder": "cifar_aug", "weights": "ab" * 32}


def features(classes: int = 7, count: int = 350, noise: float = 3.0) -> dict[str, np.ndarray]:
    """Representations in which classes overlap, as `vicreg.evaluation.run_probe.load` returns them."""
    found, _ = sanity_check.separable(count, 12, classes, seed=1)
    random = np.random.default_rng(2)
    for part in ("probe_train", "probe_test"):
        found[part] = (3 + found[part] + noise * random.normal(size=found[part].shape)).astype(np.float32)
    return found


def learned(probe: str, known: dict[str, np.ndarray], **settings: Any) -> tuple[np.ndarray, Any]:
    """The last guesses of a probe, and its head."""
    epochs, _, head = run_probe.guess(probe, known, SETTINGS[probe] | settings, seed=0, device=CPU)
    return epochs[-1], head


def scored(head: Any, known: dict[str, np.ndarray]) -> np.ndarray:
    return head.scores(torch.from_numpy(known["probe_test"])).numpy()


@pytest.mark.parametrize("probe", sorted(plugins.names("probes")))
@pytest.mark.parametrize("classes", [2, 7])
def test_a_head_guesses_as_its_probe_did_and_gives_probabilities(probe, classes):
    known = features(classes)
    guesses, head = learned(probe, known)
    same = (metrics.ranked(scored(head, known)) == guesses).mean()
    assert same == 1 if probe != "logistic" else same > 0.999  # scikit-learn adds up in another order
    probabilities = head(torch.from_numpy(known["probe_test"])).numpy()
    assert probabilities.dtype == np.float32 and probabilities.shape == (len(guesses), classes)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    assert (probabilities.argmax(axis=1) == guesses[:, 0]).mean() > 0.999


@pytest.mark.parametrize("probe", ["linear", "logistic"])
def test_a_head_knows_whether_representations_were_standardised(probe):
    known = features()
    guesses, head = learned(probe, known, standardise=False)
    assert (head.mean == 0).all() and (head.scale == 1).all()
    assert (metrics.ranked(scored(head, known)) == guesses).mean() > 0.999


def test_the_logistic_heads_probabilities_are_those_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    known = features()
    _, head = learned("logistic", known, C=[0.1], max_iter=300, standardise=False)
    model = LogisticRegression(C=0.1, max_iter=300).fit(known["probe_train"], known["probe_train_labels"])
    ours = head(torch.from_numpy(known["probe_test"])).numpy()
    np.testing.assert_allclose(ours, model.predict_proba(known["probe_test"]), atol=1e-4)


def test_a_class_without_training_images_has_the_probability_zero():
    known = features()
    guess = plugins.member("probes", "logistic").guess
    parts = [known[name] for name in ("probe_train", "probe_train_labels", "probe_test")]
    for present in (np.arange(5), np.array([1, 4])):
        kept = np.isin(parts[1], present)
        _, _, head = guess(parts[0][kept], parts[1][kept], parts[2], classes=7, seed=0, device=CPU, C=[0.1])
        probabilities = head(torch.from_numpy(parts[2])).numpy()
        np.testing.assert_array_equal(np.flatnonzero(probabilities.sum(axis=0)), present)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_far_neighbours_still_give_probabilities_that_sum_to_one():
    bank = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    head = neighbors.Head(bank, torch.tensor([0, 2]), classes=3, k=2, temperature=0.001)
    probabilities = head(torch.tensor([[-1.0, -0.2]]))
    np.testing.assert_allclose(probabilities.numpy(), [[0, 0, 1]], atol=1e-6)


def saved(folder: Path) -> tuple[Path, dict[tuple[str, str], Any]]:
    heads = {("primary", probe): learned(probe, features())[1] for probe in plugins.names("probes")}
    heads["transfer", "linear"] = learned("linear", features(classes=3))[1]
    probe_files.save(folder / "x.safetensors", heads, ABOUT)
    return folder / "x.safetensors", heads


def test_heads_come_back_from_their_file_bit_for_bit(tmp_path):
    path, heads = saved(tmp_path)
    y = torch.from_numpy(features()["probe_test"])
    for (slot, probe), head in heads.items():
        again = probe_files.load(path, slot, probe)
        assert torch.equal(again(y), head(y)), (slot, probe)
        assert again.settings == head.settings
    about = probe_files.describe(path)
    assert ABOUT.items() <= about.items()
    assert about["heads"].keys() == {f"{slot}/{probe}" for slot, probe in heads}


def test_damaged_or_other_files_are_refused_by_their_name(tmp_path):
    path, _ = saved(tmp_path)
    good = path.read_bytes()
    start = 8 + int.from_bytes(good[:8], "little")
    flipped = bytearray(good)
    flipped[start] ^= 1
    for content, message in (
        (bytes(flipped), "cannot be trusted, its weights are not those that were saved"),
        (good[: start - 5], "is not a file of heads of this project"),
        (b"", "is not a file of heads of this project"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"x\.safetensors {message}.*run `dvc repro linear_eval` again"):
            for slot, probe in (("primary", "knn"), ("primary", "linear"), ("primary", "logistic")):
                probe_files.load(path, slot, probe)
    path.write_bytes(good)
    with pytest.raises(ValueError, match=r'x\.safetensors holds no head "transfer/knn" .*run `dvc repro linear_eval`'):
        probe_files.load(path, "transfer", "knn")


@pytest.mark.parametrize(
    "change", [{"kind": "quadratic"}, {"kind": "neighbours"}, {"settings": {"k": 3}}, {"kind": None}]
)
def test_a_description_that_builds_no_head_is_refused(tmp_path, change):

    path, _ = saved(tmp_path)
    about = probe_files.describe(path)
    about["heads"]["primary/linear"] |= change
    save_file(load_file(path), path, {"description": json.dumps(about)})
    with pytest.raises(ValueError, match=r'x\.safetensors holds no head "primary/linear" that can be built'):
        probe_files.load(path, "primary", "linear")


def test_an_encoder_that_did_not_run_has_a_file_that_says_so(tmp_path):
    weights.save_not_run(tmp_path / "x.safetensors", "not run: no weights")
    assert probe_files.describe(tmp_path / "x.safetensors") == {"not_run": "not run: no weights"}
    with pytest.raises(ValueError, match="holds no head"):
        probe_files.load(tmp_path / "x.safetensors", "primary", "linear")


def test_what_is_no_head_is_not_written(tmp_path):
    with pytest.raises(ValueError, match=r"Linear is no head: .* linear, neighbours"):
        probe_files.save(tmp_path / "x.safetensors", {("primary", "linear"): torch.nn.Linear(2, 2)}, ABOUT)
    assert linear.Head.__module__ == "vicreg.evaluation.classifiers.linear"


def test_the_confusion_counts_every_image_once_and_its_diagonal_is_the_top1():
    known = features()
    guesses, _ = learned("linear", known)
    labels = np.arange(len(guesses)) % 7
    counts = metrics.confusion(guesses, labels, 7)
    assert counts.shape == (7, 7) and counts.sum() == len(labels)
    np.testing.assert_array_equal(counts.sum(axis=1), np.bincount(labels, minlength=7))
    np.testing.assert_array_equal(counts.sum(axis=0), np.bincount(guesses[:, 0], minlength=7))
    assert counts.trace() / len(labels) == metrics.accuracies(guesses, labels)["top1"]
