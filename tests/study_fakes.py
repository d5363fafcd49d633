"""A made-up study with all that a report can show, for tests of the page."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np

from vicreg.data.images import Images
from vicreg.evaluation.intervals import pack_bits
from vicreg.reporting import image_samples
from vicreg.reporting.study import Dataset, Study

NOT_RUN = "not run: `pretrained.weights` names no file"
TEST, TRAIN = 40, 60  # images
CLASSES = ("class 0", "class 1", "class 2", "class 3")


def images(classes: tuple[str, ...], name: str, side: int = 32) -> Images:
    rng = np.random.default_rng(0)
    labels = np.arange(200, dtype=np.int64) % len(classes) if classes else np.full(200, -1)
    official = np.array(["train"] * 150 + ["test"] * 50)
    pixels = rng.integers(0, 256, (200, side, side, 3), np.uint8)
    return Images(pixels, labels, official, classes, name, synthetic=True)


SPLIT = {
    "primary/pretrain": np.arange(100),
    "primary/probe_train": np.arange(100, 100 + TRAIN),
    "primary/probe_test": np.arange(160, 160 + TEST),
}
METHODS = {"random": "random_init", "resnet50_paper": "pretrained"}  # of other rows: vicreg
TRAINING = {
    "policy": {"name": "aug", "scale_min": 0.2, "flip": 0.5},
    "optimizer": {"name": "lars", "base_lr": 0.3},
    "epochs": 3,
    "batch_size": 64,
}


def recipe(row: str, **changes: Any) -> dict[str, Any]:
    method = METHODS.get(row, "vicreg")
    numbers = {"invariance": 25.0, "projector_width": 128} if method == "vicreg" else {}
    fixed = {"study": "made_up", "row": row, "seed": 7, "code": "0f1e", "method": {"name": method, **numbers}}
    trains = TRAINING if method == "vicreg" else {}
    return {**fixed, "backbone": {"name": "resnet", "width": 8}, **trains, **changes}


def evaluation(top1: float, classes: int) -> dict[str, Any]:
    """Of TEST images the first ones are right, so that a better encoder is right wherever a worse one is."""
    curve = [{"epoch": n, "top1": top1 * n / 3, "top5": 0.9} for n in (1, 2, 3)]
    spread = {"top1": top1, "top1_low": top1 - 0.05, "top1_high": top1 + 0.05, "top5": 0.9}
    score = spread | {"settings": {"lr": 0.3}, "hits": pack_bits(np.arange(TEST) < round(TEST * top1))}
    confusion = np.random.default_rng(0).multinomial(TEST // classes, [1 / classes] * classes, classes).tolist()
    probes = {"linear": score | {"curve": curve, "confusion": confusion}, "knn": score | {"curve": []}}
    return {"datasets": {role: {"test": TEST, "probes": deepcopy(probes)} for role in ("primary", "transfer")}}


def pretraining(epochs: int, **indicators: float) -> dict[str, Any]:
    terms = {"loss": 3.0, "invariance": 0.1, "variance": 0.2, "covariance": 0.3, **indicators}
    history = [{"epoch": n + 1, **terms, "lr": 0.1, "images_per_second": 50.0, "seconds": 1.0} for n in range(epochs)]
    return {
        "images": 100,
        "train_seconds": 9.0,
        "history": history,
        "online": [{"epoch": 2, "top1": 0.3, "top5": 0.8}] if epochs else [],
    }


def neighbors(classes: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    nearest = [{"image": k, "class": k % classes, "cosine": 0.9} for k in range(5)]
    place = {"x": rng.random(TEST).round(3).tolist(), "y": (rng.random(TEST) / 2).round(3).tolist()}
    return {
        "neighbors": [{"image": k, "class": k % classes, "nearest": nearest} for k in range(3)],
        "agreement": 0.4,
        "nearest": 5,
        "chance": 1 / classes,
        "map": {"image": list(range(TEST)), "class": [k % classes for k in range(TEST)], **place},
    }


def pair_loss(term: str = "invariance", side: int = 32) -> dict[str, Any]:
    terms = {"invariance": 0.1, "variance": 0.8} if term == "invariance" else {term: 0.1}
    views = {"pixels": [bytes(side * side * 3).hex()] * 2, **terms}
    against = [{"class": "class 0", "image": 1, **terms}, {"class": "class 1", "image": 2, **terms}]
    pairs = {"views": terms, "same": terms | {term: 0.0}, "different": terms}
    about = {"term": term, "explanation": f"The {term} is a mean over pairs.", "role": "primary"}
    return {**about, **pairs, "anchor": "class 0", "image": 0, "anchor_views": views, "against": against}


def study(
    scores: Mapping[str, float | None] | None = None,
    *,
    classes: tuple[str, ...] = CLASSES,
    name: str = "Shapes-10 (drawn)",
    genuine: bool = False,
    unlabeled: bool = False,
    **changes: Any,
) -> Study:
    """A study of rows with these top-1 accuracies; None did not run, and `random` does not train.

    unlabeled: the primary dataset is a folder of pictures without classes.
    """
    scores = (
        {"random": 0.3, "imagenet_aug": 0.5, "cifar_aug": 0.8, "resnet50_paper": None} if scores is None else scores
    )
    ran = {row: top1 for row, top1 in scores.items() if top1 is not None}
    subsets = {"pretrain": 100, "probe_train": TRAIN, "probe_test": TEST}
    about: dict[str, Any] = {"genuine": genuine, "synthetic": not genuine, "classes": classes, "subsets": subsets}
    primary: dict[str, Any] = {"classes": (), "synthetic": False, "subsets": {"pretrain": 100}} if unlabeled else {}
    datasets = (
        Dataset(role="primary", key="cifar10", name=name, fingerprints={"train": "ab12"}, **about | primary),
        Dataset(role="transfer", key="cifar100", name=f"{name} 2", fingerprints={"train": "cd34"}, **about),
    )
    indicators = {"embedding_std": 0.9, "embedding_correlation": 0.1, "effective_rank": 9.0, "max_rank": 12}
    missing = {"not_run": NOT_RUN}

    def pretrained(row: str) -> dict[str, Any]:
        result = pretraining(0 if row == "random" else 3, **indicators) if row in ran else missing
        return result | {"recipe": recipe(row)}

    values: dict[str, Any] = {
        "name": "made_up",
        "sizes": {"source": "synthetic", "width": 8, "epochs": 3},
        "protocol": "report",
        "seed": 7,
        "datasets": datasets,
        "pretraining": {row: pretrained(row) for row in scores},
        "evaluations": {row: evaluation(ran[row], max(1, len(classes))) if row in ran else missing for row in scores},
        "pair_losses": {row: pair_loss() for row in ran if row != "random"},
        "neighbors": {row: neighbors(len(classes)) if row in ran else missing for row in scores},
        "seconds": [{"stage": "pretrain-x", "seconds": 2.5, "device": "cpu: X"}],
        "versions": {"python": "3.11.0"},
        "evaluated_by": {"features": "c0de"},
        "commit": "abc1234",
    }
    if unlabeled:
        values |= {"pair_losses": {}, "neighbors": {}}
        for result in values["evaluations"].values():
            result.get("datasets", {}).pop("primary", None)
    return Study(**values | changes)


def shown(of: Study, classes: tuple[str, ...] = CLASSES) -> image_samples.Samples:
    side = 32 if classes else 48
    return image_samples.gather(of, {"primary": images(classes, of.datasets[0].name, side)}, SPLIT)
