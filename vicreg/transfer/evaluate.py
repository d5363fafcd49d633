"""Evaluate a frozen encoder on another dataset: by linear SVMs where an image may show several classes, or a probe.

Features are extracted once, from each whole image squeezed to a square, in evaluation mode.

- VOC07: the SVMs of VISSL (tools/train_svm) on rows of length 1, C by its 3-fold cross-validation of scikit-learn's
  average precision on trainval; mAP on test as `average_precision` has it. Here images that show a class only as a
  difficult one are left out for that class, in training and in testing; in VISSL they train as negatives.
- Places205, iNaturalist 2018: the project's `linear` probe with VISSL's epochs, rate, batch, momentum and weight decay.
  What differs: no random crops and flips of training images and no center crop of test ones; the rate falls by half
  a cosine, not in three steps; no Nesterov momentum; features are standardized once, not by a batch norm.
"""

import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from vicreg.data.image_files import Unreadable, read
from vicreg.evaluation.average_precision import average_precision
from vicreg.evaluation.metrics import accuracies
from vicreg.evaluation.probe import build
from vicreg.nn.encoder import extract_features
from vicreg.transfer.datasets import UNPACK, Dataset

COSTS = (0.01, 0.1, 1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 50.0, 100.0, 1000.0)
FOLDS = 3
SVM: dict[str, Any] = {"loss": "squared_hinge", "penalty": "l2", "dual": True, "tol": 1e-4, "max_iter": 2000}
SVM["class_weight"] = {1: 2, -1: 1}
LINEAR = {"lr": 0.01, "batch_size": 256, "momentum": 0.9, "weight_decay": 5e-4}
EPOCHS = {"Places205": 14, "iNaturalist 2018": 84}
CHUNK, BATCH = 512, 64  # images in memory as pixels, and on the device


def evaluate(dataset: Dataset, encoder: nn.Module, *, size: int, seed: int, device: torch.device) -> dict[str, Any]:
    """Return `metric` (mAP or top1) with its `value`, how it came about, and on what: `name`, `genuine` and `counts`.

    size: pixels of a side of the images that the encoder sees. Raises ValueError for an image that cannot be read.
    """
    start, parts = time.perf_counter(), (dataset.train, dataset.test)
    x, x_test = (file_features(encoder, dataset.folder, part.names, size=size, device=device) for part in parts)
    if dataset.multi_label:
        per_class = fit_svms(x, x_test, dataset, seed)
        result = {"metric": "mAP", "value": float(np.mean([it["ap"] for it in per_class.values()]))}
        result["per_class"] = per_class
    else:
        value, settings = fit_linear(x, x_test, dataset, seed, device)
        result = {"metric": "top1", "value": value, "settings": settings}
    about = {"name": dataset.name, "genuine": dataset.genuine, "counts": dataset.counts}
    return {**about, **result, "size": size, "seconds": round(time.perf_counter() - start, 2)}


def file_features(
    encoder: nn.Module, folder: Path, names: Sequence[str], *, size: int, device: torch.device
) -> np.ndarray:
    """Frozen representations (N, D) float32 of image files, of which a chunk is in memory as pixels at a time."""
    features = []
    for start in tqdm(range(0, len(names), CHUNK), desc="features", unit=f"x {CHUNK} images", disable=None):
        try:
            pixels = np.stack([read(folder / name, size) for name in names[start : start + CHUNK]])
        except Unreadable as error:
            raise ValueError(f"{error}; {UNPACK}") from error
        features.append(extract_features(encoder, pixels, device, batch_size=BATCH))
    return np.concatenate(features)


def fit_svms(train: np.ndarray, test: np.ndarray, dataset: Dataset, seed: int) -> dict[str, dict[str, Any]]:
    """By class the AP on features test (M, D), and the C of the SVM on train (N, D) with whether it converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV
    from sklearn.preprocessing import normalize
    from sklearn.svm import LinearSVC

    train, test, results = normalize(train), normalize(test), dict[str, dict[str, Any]]()
    for column, name in enumerate(tqdm(dataset.classes, desc="SVMs", unit="class", disable=None)):
        flags, test_flags = dataset.train.labels[:, column], dataset.test.labels[:, column]
        if min((flags == 1).sum(), (flags == -1).sum()) < FOLDS or not (test_flags == 1).any():
            needs = f"{FOLDS} training images with it and {FOLDS} without, and a test image with it"
            raise ValueError(f"the class {name} of {dataset.name} needs {needs}: use the whole dataset")
        search = GridSearchCV(LinearSVC(**SVM, random_state=seed), {"C": COSTS}, scoring="average_precision", cv=FOLDS)
        with warnings.catch_warnings():  # of a fit that does not converge, which `converged` says
            warnings.simplefilter("ignore", ConvergenceWarning)
            svm = search.fit(train[flags != 0], flags[flags != 0]).best_estimator_
        ap = average_precision(svm.decision_function(test), test_flags)
        results[name] = {"ap": ap, "C": svm.C, "converged": bool(svm.n_iter_ < svm.max_iter)}
    return results


def fit_linear(
    train: np.ndarray, test: np.ndarray, dataset: Dataset, seed: int, device: torch.device
) -> tuple[float, dict[str, Any]]:
    """Top-1 on features test (M, D) of the linear probe trained on train (N, D), after its last epoch; its settings."""
    probe = build("linear", {**LINEAR, "epochs": EPOCHS[dataset.title]})
    epochs = probe.fit(train, dataset.train.labels, num_classes=len(dataset.classes), seed=seed, device=device)
    for classifier in tqdm(epochs, total=EPOCHS[dataset.title], desc="linear", unit="epoch", disable=None):
        last = classifier
    parts = (test[start : start + CHUNK] for start in range(0, len(test), CHUNK))
    predictions = np.concatenate([last.predict(part, device) for part in parts])
    return accuracies(predictions, dataset.test.labels)["top1"], probe.params.model_dump()
