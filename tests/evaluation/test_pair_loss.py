"""Pair losses are the method's own, of two images: 0 for an image and itself, and its pictures are those compared."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from tiny import CPU
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from vicreg.augment.policy import Policy
from vicreg.data.images import Images
from vicreg.evaluation.pair_loss import anchor_and_others, evaluate_pairs
from vicreg.methods.vicreg import VICReg
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method

PIXELS = tiny.pixels(6)
IMAGES = Images(
    PIXELS, np.array([0, 1, 2, 0, 1, 2]), np.full(6, "test", "<U5"), ("cat", "dog", "fox"), "made up", False
)
BATCH = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


class Flat(nn.Module):
    num_features = 3072

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1)


class Plain(Method):
    """A method with the default pair loss."""

    def __init__(self, projector: nn.Module | None):
        super().__init__(Encoder(Flat()), None, num_images=6)
        self.projector = projector


def vicreg(**params: Any) -> VICReg:
    torch.manual_seed(0)
    return VICReg(Encoder(Flat()), VICReg.Params(projector_width=5, projector_depth=1, **params), num_images=6)


def embed(method: Method, images: Tensor) -> Tensor:
    z = method.embed(images)
    assert z is not None
    return z


def compared(method: Method, num_negatives: int = 2) -> dict[str, Any]:
    numbers: dict[str, Any] = {"num_pairs": 6, "num_negatives": num_negatives, "seed": 0, "device": CPU}
    return evaluate_pairs(method, IMAGES, Policy(flip=0.5), **numbers)


def test_vicregs_pair_loss_is_its_objective_on_a_batch_of_two():
    method = vicreg()
    result = compared(method)
    assert result["term"] == "invariance" and "read the invariance" in result["explanation"]
    assert result["same"]["invariance"] == 0
    assert result["same"]["variance"] == pytest.approx(0.99)  # two equal rows: gamma - sqrt(epsilon)
    z = embed(method, BATCH)
    distances = sorted(float((z[i] - z[j]).square().mean()) for i in range(6) for j in range(6) if i != j)
    for entry in result["against"]:
        distance = float((z[entry["image"]] - z[result["image"]]).square().mean())
        assert entry["invariance"] == pytest.approx(distance, rel=1e-4)
    assert distances[0] <= result["different"]["invariance"] <= distances[-1]


def test_any_methods_pair_loss_is_a_distance_on_the_sphere():
    method = Plain(nn.Linear(3072, 5))
    result = compared(method)
    assert result["term"] == "distance" and result["explanation"].startswith(method.pair_explanation)
    assert result["same"]["distance"] == 0
    z = embed(method, BATCH)
    for entry in result["against"]:
        expected = 2 - 2 * cosine_similarity(z[entry["image"]], z[result["image"]], dim=0)
        assert entry["distance"] == pytest.approx(float(expected), abs=1e-5)


def test_the_pictures_are_those_that_were_compared():
    result = compared(vicreg())
    classes = [entry["class"] for entry in result["against"]]
    assert classes[0] == result["anchor"] and len(set(classes)) == 3
    assert IMAGES.classes[IMAGES.labels[result["image"]]] == result["anchor"]
    assert [IMAGES.classes[IMAGES.labels[entry["image"]]] for entry in result["against"]] == classes
    anchor = PIXELS[result["image"]]
    for text in result["anchor_views"]["pixels"]:
        view = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(32, 32, 3)
        assert any(np.array_equal(view, image) for image in (anchor, anchor[:, ::-1]))


@pytest.mark.parametrize(
    ("labels", "negatives", "expected"),
    [
        ([3, 1, 2, 1, 3], 5, (0, [4, 1, 2])),
        ([3, 1, 2, 1], 1, (1, [3, 0])),
        ([3, 1, 2], 5, (0, [1, 2])),
        ([1, 1], 5, (0, [1])),
    ],
)
def test_the_anchor_has_one_of_its_class_and_others(labels, negatives, expected):
    assert anchor_and_others(np.array(labels), negatives) == expected


def test_a_method_without_a_projector_has_no_pair_loss():
    assert compared(Plain(None)) == {"not_run": "it has no projector whose outputs for two images could be compared"}
