"""The pair loss."""

import numpy as np
import pytest
import torch
from torch import nn

from vicreg.augment.policy import Policy
from vicreg.data.images import Images
from vicreg.evaluation import pair_loss
from vicreg.methods.vicreg import Objective

CPU = torch.device("cpu")


def pictures(n=48):
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def test_the_representative_loss_is_the_objective_on_a_batch_of_two():
    known = Images(
        pixels=pictures(6),
        labels=np.array([0, 1, 2, 0, 1, 2]),
        official=np.array(["test"] * 6, dtype="<U5"),
        classes=("cat", "dog", "fox"),
        name="made up",
        genuine=False,
    )

    class Scaled(nn.Module):
        def forward(self, x):
            return x / 255 if x.dtype == torch.uint8 else x

    model = nn.Sequential(Scaled(), nn.Flatten(), nn.Linear(3072, 5)).eval()
    found = pair_loss.evaluate(model, known, Objective(), Policy(flip=0.5), draws=6, others=3, seed=0, device=CPU)
    assert found["same"]["invariance"] == 0
    assert found["same"]["variance"] == pytest.approx(0.99)  # two equal rows: gamma - sqrt(epsilon)
    z = model(torch.from_numpy(known.pixels).permute(0, 3, 1, 2)).detach()
    distances = sorted(float((z[i] - z[j]).square().mean()) for i in range(6) for j in range(6) if i != j)
    for entry in found["against"]:
        assert any(entry["invariance"] == pytest.approx(distance, rel=1e-4) for distance in distances)
    assert found["against"][0]["class"] == found["anchor"]
    assert found["anchor"] not in [entry["class"] for entry in found["against"][1:]]
    assert known.classes[known.labels[found["image"]]] == found["anchor"]
    assert [known.classes[known.labels[entry["image"]]] for entry in found["against"]] == [
        entry["class"] for entry in found["against"]
    ]
    views = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in found["anchor_views"]["pixels"]]
    anchor = known.pixels[found["image"]]
    for view in views:
        assert any(np.array_equal(view.reshape(32, 32, 3), image) for image in (anchor, anchor[:, ::-1]))
    assert distances[0] <= found["different"]["invariance"] <= distances[-1]
