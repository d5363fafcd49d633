"""Portrait: what a frozen encoder holds to be alike, as neighbours of a few test images and as a map of many.

After it, a person can look at an encoder: which training images lie nearest, and whether classes lie apart.
"""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from vicreg.evaluation.metrics import standardised

NEAREST = 5  # training images shown beside each test image
DIMENSIONS = 50  # kept by PCA before t-SNE, as its authors do (van der Maaten, Hinton, JMLR 2008)
PERPLEXITY = 30.0


def portrait(features: dict[str, np.ndarray], labels: np.ndarray, *, images: int, points: int, seed: int) -> dict:
    """Return `neighbours` of so many test images, `agreement` over all test images, and a `map` of so many points.

    features: what `run_probe.load` returns; labels: those of the test images, (M,) int64. Positions of images are
    those in `probe_test` and `probe_train`. Which images are chosen depends on labels and seed, never on the encoder.
    """
    train, known, test = features["probe_train"], features["probe_train_labels"], features["probe_test"]
    chosen = queries(labels, images, seed)
    return {
        "neighbours": neighbours(train, known, test, labels, chosen),
        "agreement": agreement(train, known, test, labels),
        "nearest": min(NEAREST, len(train)),
        "chance": float((np.bincount(known)[labels] / len(known)).mean()),
        "map": layout(train, test, labels, points, seed),
    }


def queries(labels: np.ndarray, count: int, seed: int) -> list[int]:
    """Positions of test images of up to `count` different classes, drawn by the seed and not picked by a person."""
    order = np.random.default_rng(seed).permutation(len(labels))
    first = dict(reversed([(int(labels[i]), int(i)) for i in order]))  # the first of each class
    ranks = {int(position): rank for rank, position in enumerate(order)}
    return sorted(first.values(), key=ranks.__getitem__)[:count]


def directions(rows: np.ndarray) -> np.ndarray:
    """Rows (N, D) as float64 of length 1; a row of zeros stays as it is."""
    rows = rows.astype(np.float64)
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


def nearest(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (M, k) of the training rows nearest by cosine, nearest first, and their cosines (M, k)."""
    bank, k = directions(train), min(NEAREST, len(train))
    found, cosines = [], []
    for start in range(0, len(test), 500):
        similarity = directions(test[start : start + 500]) @ bank.T
        some = np.argpartition(-similarity, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(similarity, some, axis=1)
        order = np.lexsort((some, -values), axis=1)  # equal cosines in the order of images
        found.append(np.take_along_axis(some, order, axis=1))
        cosines.append(np.take_along_axis(values, order, axis=1))
    return np.concatenate(found), np.concatenate(cosines)


def neighbours(
    train: np.ndarray, known: np.ndarray, test: np.ndarray, labels: np.ndarray, chosen: list[int]
) -> list[dict[str, Any]]:
    """For each chosen test image its class, and the `nearest` training images with class, cosine and agreement."""
    positions, cosines = nearest(train, test[chosen])
    return [
        {
            "image": image,
            "class": int(labels[image]),
            "nearest": [
                {"image": int(i), "class": int(known[i]), "cosine": round(float(c), 4)}
                for i, c in zip(row, values, strict=True)
            ],
        }
        for image, row, values in zip(chosen, positions, cosines, strict=True)
    ]


def agreement(train: np.ndarray, known: np.ndarray, test: np.ndarray, labels: np.ndarray) -> float:
    """Share, over all test images, of their nearest training images that have their class."""
    positions, _ = nearest(train, test)
    return float((known[positions] == labels[:, None]).mean())


def layout(train: np.ndarray, test: np.ndarray, labels: np.ndarray, points: int, seed: int) -> dict[str, list]:
    """t-SNE of up to `points` test images drawn by the seed: their `image`, `class` and `x`, `y` in [0, 1].

    Distances on such a map are rough: near is alike, far apart and size mean little. One thread computes it, so that
    the same features give the same map.
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(test))[:points])
    _, rows = standardised(train.astype(np.float64), test[chosen].astype(np.float64))
    with threadpool_limits(1):
        place = flattened(rows, seed)
    place -= place.min(axis=0)
    if place[:, 1].max() > place[:, 0].max():
        place = place[:, ::-1]  # directions mean nothing, and screens are wide
    place /= max(float(place.max()), 1e-12)  # one scale for both, so that shapes stay
    return {
        "image": chosen.tolist(),
        "class": labels[chosen].tolist(),
        "x": place[:, 0].round(3).tolist(),
        "y": place[:, 1].round(3).tolist(),
    }


def flattened(rows: np.ndarray, seed: int) -> np.ndarray:
    """Rows (N, D) as (N, 2): by t-SNE on the first principal components, by those alone where there is too little."""
    rows = rows - rows.mean(axis=0)
    if not np.abs(rows).max() > 1e-12:
        return np.zeros((len(rows), 2))
    size = min(DIMENSIONS, *rows.shape)
    kept = PCA(size, svd_solver="full").fit_transform(rows)
    if len(rows) < 5 or size < 2:
        return np.column_stack([kept, np.zeros(len(kept))])[:, :2].copy()
    perplexity = min(PERPLEXITY, (len(rows) - 1) / 3)
    tsne = TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
    return np.asarray(tsne.fit_transform(kept), dtype=np.float64)
