"""Accuracy: how often the true class is the first prediction, or among the first five."""

import numpy as np


def topk(scores: np.ndarray, k: int = 5) -> np.ndarray:
    """The classes (N, min(k, C)) of the highest scores (N, C), best first, equal ones in order; ValueError for NaN."""
    if np.isnan(scores).any():
        raise ValueError("a probe's scores are not finite: lower `probes.linear.lr`, or look at the features")
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


def topk_correct(predictions: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Whether each true label (N,) is among the first `k` of predictions (N, min(k, C) or more)."""
    return (predictions[:, :k] == labels[:, None]).any(axis=1)


def accuracies(predictions: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """`top1` and `top5`, in [0, 1], of predictions (N, 5) with labels (N,)."""
    return {f"top{k}": float(topk_correct(predictions, labels, k).mean()) for k in (1, 5)}


def confusion_matrix(predictions: np.ndarray, labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Counts (C, C) of images: rows the true class, columns the first prediction."""
    cells = labels * num_classes + predictions[:, 0]
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def fit_scaler(features: np.ndarray, standardize: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) and scale (D,) by which `(features - mean) * scale` are standard; a constant dimension becomes 0.

    Without `standardize` they change nothing. Not scikit-learn's StandardScaler, which takes seconds to import.
    """
    if not standardize:
        return np.zeros_like(features[0]), np.ones_like(features[0])
    mean, std = features.mean(axis=0), features.std(axis=0)
    return mean, np.where(std > 1e-6, 1 / np.maximum(std, 1e-6), 0).astype(features.dtype)
