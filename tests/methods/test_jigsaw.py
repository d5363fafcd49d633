"""Jigsaw's orders, their distances, and that a puzzle put back is the image; patch location's labels and symmetry."""

import math
from itertools import combinations

import numpy as np
import pytest
import tiny
import torch

from vicreg.methods import _permutations

SORTED = list(range(9))
NEIGHBORS = [0, 1, 2, 3, 5, 6, 7, 8]  # of the middle one


def distances(table: np.ndarray) -> list[int]:
    return [int((a != b).sum()) for a, b in combinations(table, 2)]


@pytest.mark.parametrize(("count", "least"), [(2, 9), (9, 9), (10, 8), (72, 8), (73, 7), (504, 7)])
def test_orders_differ_in_as_many_places_as_can_be(count: int, least: int) -> None:
    table = _permutations.largest_minimum(count)
    assert table.shape == (count, 9) and all(sorted(row) == SORTED for row in table.tolist())
    assert min(distances(table)) == least


@pytest.mark.parametrize("count", [72, 100, 200])
def test_no_patch_has_a_favorite_place(count: int) -> None:
    table = _permutations.largest_minimum(count)
    shares = np.stack([(table == patch).mean(axis=0) for patch in range(9)])
    assert shares.max() < 0.25  # 1 in 9 on average
    assert np.mean(distances(table)) > 7.9


def test_there_are_no_more_than_504() -> None:
    with pytest.raises(ValueError, match="only 504"):
        _permutations.largest_minimum(505)


def test_the_published_choice_is_good_on_average_alone() -> None:
    """A random pair differs in 8 of 9 places on average; that choice hardly more, and some share most places."""
    table = _permutations.greedy_mean(40, seed=0)
    assert all(sorted(row) == SORTED for row in table.tolist())
    assert np.mean(distances(table)) > 8.05
    assert min(distances(table)) < 7
    assert np.array_equal(table[:12], _permutations.greedy_mean(12, seed=0))
    assert not np.array_equal(table[0], _permutations.greedy_mean(1, seed=1)[0])


def test_each_next_order_has_the_largest_mean_distance() -> None:
    table = _permutations.greedy_mean(6, seed=3)
    rng = np.random.default_rng(0)
    for k in range(1, 6):
        mean = (table[:k] != table[k]).mean()
        others = np.stack([rng.permutation(9) for _ in range(300)])
        assert all((table[:k] != other).mean() <= mean for other in others)


def test_a_head_of_zeros_costs_the_log_of_the_number_of_orders() -> None:
    for count in (12, 72, 100):
        method = tiny.method("jigsaw", permutations=count)
        with torch.no_grad():
            method.head[-1].weight.zero_()
            method.head[-1].bias.zero_()
        assert method(method.inputs(tiny.batch(6)))["loss"].item() == pytest.approx(math.log(count), rel=1e-6)


def test_orders_are_put_before_or_after_the_encoder_alike_and_back() -> None:
    method = tiny.method("jigsaw", permutations=30).eval()
    inputs = method.inputs(tiny.batch(2))
    seen: list[torch.Tensor] = []
    method.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        method(inputs)
        inputs["orders"][:] = torch.arange(8)
        method(inputs)
        patches, order = inputs["patches"], method.orders[5]
        shuffled = method.embed_patch(method.encoder.backbone(patches[0, order])).flatten()
        plain = method.embed_patch(method.encoder.backbone(patches[0]))
    torch.testing.assert_close(seen[1][5], shuffled, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(seen[1][5].view(9, -1)[order.argsort()], plain, atol=1e-5, rtol=1e-5)


def test_labels_are_the_orders_of_the_puzzles(monkeypatch: pytest.MonkeyPatch) -> None:
    method = tiny.method("jigsaw", puzzles=3).eval()
    monkeypatch.setattr("vicreg.methods.jigsaw.classify", lambda logits, labels: {"logits": logits, "labels": labels})
    inputs = method.inputs(tiny.batch(4))
    with torch.no_grad():
        logits, labels = method(inputs).values()
        y = method.embed_patch(method.encoder.backbone(inputs["patches"].flatten(0, 1))).view(4, 9, -1)
        for n in range(4):
            for puzzle in range(3):
                order = int(inputs["orders"][n, puzzle])
                assert labels[3 * n + puzzle] == order
                expected = method.head(y[n, method.orders[order]].flatten().unsqueeze(0))[0]
                torch.testing.assert_close(logits[3 * n + puzzle], expected, atol=1e-5, rtol=1e-5)


def test_orders_are_drawn_alike_for_each_image() -> None:
    drawn = tiny.method("jigsaw", puzzles=64).inputs(tiny.batch(60))["orders"]
    counts = np.bincount(drawn.flatten(), minlength=12)
    assert counts.min() > 0.8 * counts.mean() and counts.max() < 1.2 * counts.mean()
    assert len({tuple(row.tolist()) for row in drawn}) == 60


def test_orders_of_the_run_are_in_its_checkpoint() -> None:
    saved = tiny.method("jigsaw", distance="mean", seed=1).state_dict()
    other = tiny.method("jigsaw", distance="mean", seed=2)
    assert not torch.equal(other.orders, saved["orders"])
    other.load_state_dict(saved)
    assert torch.equal(other.orders, saved["orders"])


def test_location_has_each_label_once_an_image_and_the_middle_second() -> None:
    method = tiny.method("patch_location", projector_width=8)
    seen: list[torch.Tensor] = []
    method.head.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    patches = method.inputs(tiny.batch(2))
    method(patches)
    with torch.no_grad():
        z = method.embed_patch(method.encoder.backbone(patches.flatten(0, 1))).unflatten(0, (2, 9))
    width = z.shape[2]
    for label, place in enumerate(NEIGHBORS):
        pair = seen[0].view(2, 8, 2 * width)[:, label]
        torch.testing.assert_close(pair, torch.cat([z[:, place], z[:, 4]], dim=1), atol=1e-5, rtol=1e-5)
    with torch.no_grad():
        method.head[-1].weight.zero_()
        method.head[-1].bias.copy_(torch.eye(8)[3] * 9)
        outputs = method(patches)
    assert float(outputs["accuracy"]) == pytest.approx(1 / 8)
    assert float(outputs["loss"]) == pytest.approx(math.log(7 + math.exp(9)) - 9 / 8, rel=1e-5)


def test_labels_of_locations_are_those_of_the_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every image has pairs 0 to 7 in this order, as the test above has them; turned by half a circle, 7 to 0."""
    method = tiny.method("patch_location").eval()
    monkeypatch.setattr("vicreg.methods.patch_location.classify", lambda logits, labels: {"labels": labels})
    pairs: list[torch.Tensor] = []
    method.head.register_forward_pre_hook(lambda module, args: pairs.append(args[0]))
    images = torch.rand(3, 3, 32, 32)
    with torch.no_grad():
        assert method(method.params.central_patches(images))["labels"].tolist() == list(range(8)) * 3
        method.encoder.backbone.forward = lambda x: x.mean(dim=(2, 3)).repeat(1, 6)[:, :16]  # no turn changes it
        pairs.clear()
        for turned in (images, images.rot90(2, (2, 3))):
            method(method.params.central_patches(turned))
    one, other = (pair.view(3, 8, -1) for pair in pairs)
    torch.testing.assert_close(other, one.flip(1))
