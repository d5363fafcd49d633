"""What a frozen encoder holds to be alike: the nearest training images of some test images, and a map of many."""

from typing import Any

import numpy as np
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from vicreg.evaluation.features import FeatureSet
from vicreg.evaluation.metrics import fit_scaler

NEAREST = 5  # training images shown beside each test image
NUM_COMPONENTS = 50  # kept by PCA before t-SNE, as its authors do (van der Maaten, Hinton, JMLR 2008)
PERPLEXITY = 30.0


def compare_neighbors(features: FeatureSet, *, images: int, points: int, seed: int) -> dict[str, Any]:
    """Return `neighbors` of so many test images, `agreement` over all test images, and a `map` of so many points.

    Positions of images are those in `probe_test` and `probe_train`. Which images are shown depends on labels and seed,
    never on the encoder. `agreement` is the share of the nearest training images that have the test image's class,
    `chance` what it would be for images drawn at random.
    """
    train_labels, labels = features.train_labels, features.test_labels
    positions, cosines = nearest(features.train, features.test)
    neighbors = []
    for i in sample_queries(labels, images, seed):
        columns = (positions[i].tolist(), train_labels[positions[i]].tolist(), cosines[i].round(4).tolist())
        near = [dict(zip(("image", "class", "cosine"), row, strict=True)) for row in zip(*columns, strict=True)]
        neighbors.append({"image": i, "class": int(labels[i]), "nearest": near})
    return {
        "neighbors": neighbors,
        "agreement": float((train_labels[positions] == labels[:, None]).mean()),
        "nearest": positions.shape[1],
        "chance": float((np.bincount(train_labels)[labels] / len(train_labels)).mean()),
        "map": tsne_map(features, points, seed),
    }


def sample_queries(labels: np.ndarray, count: int, seed: int) -> list[int]:
    """Positions of test images of up to `count` different classes, drawn by the seed and not picked by a person."""
    order = np.random.default_rng(seed).permutation(len(labels))
    _, first = np.unique(labels[order], return_index=True)  # the first of each class
    return order[np.sort(first)[:count]].tolist()


def nearest(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (M, k) of the training features nearest by cosine, nearest first, and their cosines (M, k)."""
    model = NearestNeighbors(n_neighbors=min(NEAREST, len(train)), metric="cosine").fit(train.astype(np.float64))
    distances, positions = model.kneighbors(test.astype(np.float64))
    return positions, 1 - distances


def tsne_map(features: FeatureSet, points: int, seed: int) -> dict[str, list]:
    """t-SNE of up to `points` test images drawn by the seed: their `image`, `class` and `x`, `y` in [0, 1].

    Distances on such a map are rough: near is alike, far apart and size mean little. One thread computes it, so that
    the same features give the same map.
    """
    images = np.sort(np.random.default_rng(seed).permutation(len(features.test))[:points])
    mean, scale = fit_scaler(features.train.astype(np.float64))
    with threadpool_limits(1):
        xy = tsne((features.test[images] - mean) * scale, seed)
    xy = xy[:, np.argsort(-np.ptp(xy, axis=0), kind="stable")]  # directions mean nothing, and screens are wide
    xy = (xy - xy.min(axis=0)) / max(np.ptp(xy, axis=0).max(), 1e-12)  # one scale, so that shapes stay
    x, y = xy.round(3).T.tolist()
    return {"image": images.tolist(), "class": features.test_labels[images].tolist(), "x": x, "y": y}


def tsne(features: np.ndarray, seed: int) -> np.ndarray:
    """Features (N, D) as (N, 2): by t-SNE on the principal components, by those alone where there is too little."""
    components = PCA(min(NUM_COMPONENTS, *features.shape), svd_solver="full").fit_transform(features)
    if len(features) < 5 or components.shape[1] < 2 or np.ptp(components) < 1e-12:
        return np.pad(components, ((0, 0), (0, 1)))[:, :2]
    perplexity = min(PERPLEXITY, (len(features) - 1) / 3)
    return (
        TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(components).astype(float)
    )
