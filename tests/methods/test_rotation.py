"""Rotation: turns are NumPy's; what cannot be told costs log 4, and a flip after the turn makes it so."""

import math

import numpy as np
import pytest
import tiny
import torch

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.methods.rotation import Rotation, turned


def test_turns_are_those_of_numpy_and_four_are_none() -> None:
    views = torch.rand(2, 3, 32, 32)
    for turns, part in enumerate(turned(views).chunk(4)):
        np.testing.assert_array_equal(part, np.rot90(views.numpy(), turns, axes=(-2, -1)))
    again = views
    for _ in range(4):
        again = turned(again)[2:4]
    assert torch.equal(again, views)


def test_a_view_is_flipped_before_it_is_turned() -> None:
    """The first turn of each view is the view: each is an image, flipped or not; and all four are turns of it."""
    images = tiny.batch(64).images.float() / 255
    views, *others = tiny.method("rotation").inputs(tiny.batch(64, policy=Policy(flip=0.5))).chunk(4)
    flipped = (views != images).flatten(1).any(dim=1)
    assert 16 < flipped.sum() < 48
    assert torch.equal(views[flipped], images[flipped].flip(3))
    for turns, part in enumerate(others, start=1):
        assert torch.equal(part, views.rot90(turns, (2, 3)))


def test_labels_are_the_turns_and_a_head_of_zeros_guesses_one_in_four() -> None:
    method = tiny.method("rotation")
    with torch.no_grad():
        method.head.weight.zero_()
        method.head.bias.copy_(torch.tensor([0.0, 0.0, 5.0, 0.0]))
        outputs = method(method.inputs(tiny.batch(8, policy=Policy())))
        method.head.bias.zero_()
        even = method(method.inputs(tiny.batch(8, policy=Policy())))
    assert float(outputs["accuracy"]) == pytest.approx(0.25)
    assert float(outputs["loss"]) == pytest.approx(math.log(3 + math.exp(5)) - 5 / 4, rel=1e-6)
    assert float(even["loss"]) == pytest.approx(math.log(4))


def test_images_without_any_direction_cost_log_4_or_more() -> None:
    method, plain = tiny.method("rotation").eval(), torch.rand(8, 3, 1, 1).expand(8, 3, 32, 32)
    assert method(turned(plain))["loss"].item() >= math.log(4)


class FlipsAfterwards(Rotation):
    """What must not be done."""

    def inputs(self, batch: Batch) -> torch.Tensor:
        views = super().inputs(batch)
        flip = batch.rand(4).T.flatten() < 0.5  # of each view its own
        return torch.where(flip.view(-1, 1, 1, 1), views.flip(3), views)


def upright(n: int = 64) -> np.ndarray:
    """Images with a bright upper edge: alike when mirrored, and told apart by any turn."""
    images = tiny.pixels(n) // 8
    images[:, :8] += 200
    return images


@pytest.mark.parametrize(("kind", "accuracy"), [(Rotation, 1.0), (FlipsAfterwards, 0.75)])
def test_all_turns_can_be_told_and_with_a_flip_afterwards_three_in_four(kind: type[Rotation], accuracy: float) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        method = kind(tiny.encoder(), kind.Params(), num_images=64)
    settings = tiny.config(20, policy=Policy(flip=0.5))
    last = tiny.run(tiny.state(method), tiny.loader(upright()), settings)[-1]
    assert last["accuracy"] == pytest.approx(accuracy, abs=0.12)
    if kind is FlipsAfterwards:
        assert last["loss"] > 0.8 * math.log(2) / 2
    else:
        assert last["loss"] < 0.8 * math.log(2) / 2
