"""Wrong science stops a study: labels that are seen, features and probes that are empty."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Repository

from vicreg.data import images
from vicreg.evaluation import intervals, run_probe, sanity_check
from vicreg.io import plugins

CPU = torch.device("cpu")
PROBES: dict[str, dict[str, Any]] = {
    "linear": {"epochs": 20, "lr": 0.3, "batch_size": 256},
    "logistic": {"C": [0.001, 0.01, 0.1, 1.0], "max_iter": 300},
    "knn": {"k": 200, "temperature": 0.07},
}

# --- What a probe sees -------------------------------------------------------------------------------------------


def features(count: int = 400, classes: int = 4, noise: float = 1.0) -> dict[str, np.ndarray]:
    """A file of features: clusters of 12 dimensions."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(classes, 12))
    found: dict[str, np.ndarray] = {}
    for part in ("probe_train", "probe_test"):
        labels = np.arange(count, dtype=np.int64) % classes
        found[part] = (centres[labels] + noise * random.normal(size=(count, 12))).astype(np.float32)
        found[f"{part}_labels"] = labels
    texts = {name: np.array("{}") for name in ("name", "genuine", "fingerprint", "description")}
    return {**texts, "classes": np.array(list("abcdefgh")[:classes]), **found}


def write(folder: Path, **changes: Any) -> Path:
    arrays = {name: array for name, array in (features() | changes).items() if array is not None}
    images.save_arrays(arrays, folder / "features.npz")
    return folder / "features.npz"


def test_a_probe_guesses_before_the_test_labels_are_read(tmp_path):
    """Labels that cannot be read stop nothing before the guesses are there."""
    path = write(tmp_path)
    labels = features()["probe_test_labels"].tobytes()
    content = path.read_bytes()
    start = content.rindex(labels)
    assert content.count(labels) == 2, "those of training and test are alike here"
    path.write_bytes(content[:start] + bytes([content[start] ^ 1]) + content[start + 1 :])
    seen = run_probe.load(path)
    assert "probe_test_labels" not in seen
    guesses, _, _ = run_probe.guess("knn", seen, PROBES["knn"], seed=0, device=CPU)
    with pytest.raises(ValueError, match=r"features\.npz is damaged .*Bad CRC.*make it again"):
        run_probe.revealed(path, seen, guesses)


def test_test_labels_come_in_exchange_for_final_guesses(tmp_path):
    path = write(tmp_path)
    seen = run_probe.load(path)
    guesses, _, _ = run_probe.guess("linear", seen, {"epochs": 2}, seed=0, device=CPU)
    assert len(guesses) == 2
    with pytest.raises(ValueError, match="read-only"):
        guesses[-1][0, 0] = 3
    for early in ([], [guesses[0].copy()]):
        with pytest.raises(ValueError, match="test labels are read only when the guesses are final"):
            run_probe.revealed(path, seen, early)
    np.testing.assert_array_equal(run_probe.revealed(path, seen, guesses), features()["probe_test_labels"])
    with pytest.raises(ValueError, match="linear must not see `probe_test_labels`"):
        run_probe.guess("linear", features(), {}, seed=0, device=CPU)


TRAIN, TEST = features()["probe_train"], features()["probe_test"]
LABELS = features()["probe_train_labels"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"probe_test": np.concatenate([TEST[:-2], TRAIN[:2]])}, "2 of 400 test images have the very representation"),
        ({"probe_test": TRAIN}, "400 of 400 test images have the very representation of a training image"),
        ({"probe_train": TRAIN * 0, "probe_test": TEST * 0}, "the encoder has collapsed: 400 .* only 1 different"),
        ({"probe_train": TRAIN[LABELS]}, "the encoder has collapsed: 400 training images have only 4 different"),
        ({"probe_test": TEST[:, :5]}, r"`probe_test` must be \(N, D\) float32, it is \(400, 5\)"),
        ({"probe_train": TRAIN.astype(float)}, r"`probe_train` must be .* float64"),
        ({"probe_test": TEST[:0]}, r"\(0, 12\)"),
        ({"probe_test": np.where(TEST > 2, np.nan, TEST)}, "`probe_test` holds numbers that are not finite"),
        ({"probe_train_labels": LABELS[:-1]}, r"`probe_train_labels` must be \(400,\) int64, they are \(399,\)"),
        ({"probe_train_labels": LABELS.astype(np.int32)}, "int32"),
        ({"probe_train_labels": LABELS + 1}, r"must lie in 0\.\.3, they go over 1\.\.4"),
        ({"probe_train_labels": LABELS // 2}, "lack 2 of 4 classes"),
        ({"description": None, "name": None}, "it lacks name, description"),
    ],
)
def test_features_on_which_no_probe_can_be_judged_are_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"features\.npz.*{message}"):
        run_probe.load(write(tmp_path, **changes))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "lacks `probe_test_labels`"),
        (LABELS[1:], r"\(399,\)"),
        (LABELS - 1, r"-1\.\.2"),
        (LABELS % 2, "lack 2 of 4 classes"),
    ],
)
def test_test_labels_that_do_not_fit_are_refused(tmp_path, labels, message):
    path = write(tmp_path, probe_test_labels=labels)
    seen = run_probe.load(path)
    guesses, _, _ = run_probe.guess("knn", seen, {}, seed=0, device=CPU)
    with pytest.raises(ValueError, match=message):
        run_probe.revealed(path, seen, guesses)


def test_an_encoder_that_did_not_run_has_no_features(tmp_path):
    images.save_arrays({"not_run": np.array("no weights")}, tmp_path / "features.npz")
    assert str(run_probe.load(tmp_path / "features.npz")["not_run"]) == "no weights"
    for content in (b"", b"hello"):
        (tmp_path / "features.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"features\.npz is damaged"):
            run_probe.load(tmp_path / "features.npz")


# --- Chance ------------------------------------------------------------------------------------------------------


def fake(monkeypatch: pytest.MonkeyPatch, guess: Any) -> None:
    """Let every probe guess by this function."""
    monkeypatch.setattr(plugins, "member", lambda family, name: SimpleNamespace(guess=guess))


def shuffled(train, labels, test, *, classes, seed, device, **settings):
    """A broken probe: it learns the labels of other images."""
    from vicreg.evaluation.probes import linear

    labels = np.random.default_rng(1).permutation(labels)
    return linear.guess(train, labels, test, classes=classes, seed=seed, device=device, **settings)


def forgetful(*args: Any, **settings: Any) -> Any:
    """A probe whose head is not what it guessed by."""
    from vicreg.evaluation.classifiers.linear import Head
    from vicreg.evaluation.probes import linear

    guesses, chosen, head = linear.guess(*args, **settings)
    return guesses, chosen, Head(head.mean, head.scale, -head.weight, head.bias)


def judged(probe: str, settings: dict[str, Any], known: dict[str, np.ndarray]) -> dict[str, Any]:
    seen = {name: array for name, array in known.items() if name != run_probe.HIDDEN}
    guesses, _, _ = run_probe.guess(probe, seen, settings, seed=0, device=CPU)
    score = intervals.score(guesses, known[run_probe.HIDDEN], seed=0)
    return sanity_check.cleared(score, probe, settings, seen, seed=0, device=CPU)


@pytest.mark.parametrize("wrong", [np.full((400, 4), 7), TEST])
def test_guesses_that_are_no_classes_are_refused(monkeypatch, wrong):
    fake(monkeypatch, lambda *args, **settings: ([wrong], {}, None))
    with pytest.raises(ValueError, match=r"the probe linear must guess \(400, 4 or more\) classes in 0\.\.3"):
        judged("linear", {}, features())


def test_a_head_that_does_not_guess_as_the_probe_did_is_refused(monkeypatch):
    fake(monkeypatch, forgetful)
    with pytest.raises(
        ValueError, match=r"the head of the probe linear would guess other classes .* of 400 test images"
    ):
        judged("linear", {}, features())


@pytest.mark.parametrize("probe", sorted(plugins.names("probes")))
@pytest.mark.parametrize(("count", "dimensions", "classes"), [(300, 16, 10), (900, 16, 100), (5000, 64, 100)])
def test_every_probe_separates_what_can_be_separated(probe, count, dimensions, classes):
    easy, labels = sanity_check.separable(count, dimensions, classes, seed=0)
    guesses, _, _ = run_probe.guess(probe, easy, PROBES[probe], seed=0, device=CPU)
    assert (guesses[-1][:, 0] == labels).mean() > 0.9


@pytest.mark.parametrize("probe", sorted(plugins.names("probes")))
def test_a_sound_probe_on_empty_features_is_recorded_as_at_chance_and_goes_on(probe):
    random = np.random.default_rng(5)
    noise = {part: random.normal(size=(400, 12)).astype(np.float32) for part in ("probe_train", "probe_test")}
    empty = features() | noise
    score = judged(probe, PROBES[probe], empty)
    assert score["at_chance"] is True
    assert "cannot be told from chance, 25.0%. The probe separates synthetic" in sanity_check.warning(probe, score, 4)
    assert judged(probe, PROBES[probe], features())["at_chance"] is False


@pytest.mark.parametrize("settings", [{"lr": 1e-30, "epochs": 2}, {"lr": 0.3, "batch_size": 10}])
def test_a_broken_probe_stops_the_study_and_is_named_with_its_settings(monkeypatch, settings):
    if settings["lr"] > 0.1:
        fake(monkeypatch, shuffled)
    expected = ", ".join(f"{key} {value}" for key, value in settings.items())
    message = rf"the probe linear is at chance.*or its settings are broken.*`probes\.linear`.*: {expected}"
    with pytest.raises(ValueError, match=message):
        judged("linear", settings, features())


# --- The stages --------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    kept = (folder / name for name in ("data", "models", "features", "results"))
    return {str(path): path.read_bytes() for part in kept for path in part.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def study(finished_study: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return finished_study.copy(tmp_path_factory.mktemp("science") / "repository")


def fails(study: Repository, stage: str, path: Path, content: bytes) -> str:
    """What a stage says when one of its inputs is changed; everything else must stay as it is."""
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    before = contents(study.folder)
    said = study.run(sys.executable, "-m", f"stages.{stage}", "cifar_aug", fails=True)
    assert contents(study.folder) == before
    path.write_bytes(good)
    assert "Traceback" not in said
    return said


def test_a_tampered_split_stops_the_features_and_nothing_is_lost(study, tmp_path):
    path = study.folder / "data" / "embedded" / "split.npz"
    split = images.load_arrays(path)
    split["transfer/probe_test"][0] = split["transfer/probe_train"][0]
    images.save_arrays(split, tmp_path / "split.npz")
    said = fails(study, "features", path, (tmp_path / "split.npz").read_bytes())
    assert "error: the split: `transfer/probe_train` and `transfer/probe_test` share 1 images" in said


def test_a_flipped_bit_in_the_weights_stops_the_features_and_nothing_is_lost(study):
    path = study.folder / "models" / "embedded" / "cifar_aug.safetensors"
    content = bytearray(path.read_bytes())
    content[8 + int.from_bytes(content[:8], "little")] ^= 1  # behind the header: the first byte of the first tensor
    said = fails(study, "features", path, bytes(content))
    assert "cifar_aug.safetensors cannot be trusted, its weights are not those that were saved" in said


def test_features_of_a_training_image_among_the_test_images_stop_the_probes_and_nothing_is_lost(study, tmp_path):
    path = study.folder / "features" / "embedded" / "cifar_aug-transfer.npz"
    found = images.load_arrays(path)
    assert '"digest": {"encoder": "' in str(found["description"])
    found["probe_test"][0] = found["probe_train"][0]
    images.save_arrays(found, tmp_path / "x.npz")
    said = fails(study, "linear_eval", path, (tmp_path / "x.npz").read_bytes())
    assert "error: features/embedded/cifar_aug-transfer.npz: 1 of 300 test images have the very" in said


def test_the_runs_of_the_probes_name_the_encoder_by_its_digest(study):
    runs = [run for run in study.tracked_runs() if run.data.tags.get("stage") == "linear_eval"]
    digests = {(run.data.tags["encoder"], run.data.params.get("digest.encoder")) for run in runs}
    assert len(digests) == len({encoder for encoder, _ in digests}) > 1
    assert all(len(digest or "") == 64 for _, digest in digests)
