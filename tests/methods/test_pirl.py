"""PIRL: what changes with the order of patches and what does not, its weights, and its bank."""

import math

import pytest
import tiny
import torch
from torch.nn.functional import normalize

from vicreg.augment.batch import Batch


def test_equal_scores_cost_the_log_of_the_number_of_images() -> None:
    method = tiny.method("pirl", num_images=50)
    with torch.no_grad():
        method.bank.rows.copy_(method.bank.rows[:1].expand_as(method.bank.rows))
        outputs = method(method.inputs(tiny.batch(6, first=20)))
    for term in ("loss", "image_loss", "patches_loss"):
        assert float(outputs[term]) == pytest.approx(math.log(50), rel=1e-5)


def test_the_loss_lies_between_the_bounds_of_cosines() -> None:
    method = tiny.method("pirl", num_images=50)
    outputs = method(method.inputs(tiny.batch(6, first=20)))
    low, high = (math.log(1 + 49 * math.exp(sign * 2 / 0.07)) for sign in (-1, 1))
    assert low < outputs["loss"].item() < high


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_loss_is_the_weighted_mean_of_both_terms(weight: float) -> None:
    method = tiny.method("pirl", invariance=weight)
    outputs = method(method.inputs(tiny.batch(6, first=20)))
    expected = weight * outputs["patches_loss"] + (1 - weight) * outputs["image_loss"]
    assert outputs["loss"].item() == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("negatives", ["all", 20])
def test_each_image_and_its_patches_find_the_image_itself(negatives: int | str) -> None:
    method = tiny.method("pirl", temperature=0.01, negatives=negatives)
    inputs = method.inputs(tiny.batch(6, first=20))
    with torch.no_grad():
        z = normalize(method(inputs)["embeddings"])
        method.bank.rows.copy_(-z.mean(dim=0, keepdim=True).expand_as(method.bank.rows))
        method.bank.rows[inputs["indices"]] = z
        by_image = method.params.contrast(z, method.bank.rows, inputs)
        assert by_image["accuracy"] == 1
        assert float(method(inputs)["image_loss"]) == pytest.approx(float(by_image["loss"]), rel=1e-4)
        method.embed_patch.weight.zero_()
        method.head.weight.zero_()
        method.head.bias.copy_(z[2])  # as if all patches were those of the third image
        found = float(method(inputs)["accuracy"])
    assert found == pytest.approx(1 / 6) if negatives == "all" else found < 1  # of few others, not all have the third


def test_patches_are_cut_from_large_crops() -> None:
    """Of images whose brightness is the column: the more of the image a crop has, the more of it patches span."""
    columns = (torch.arange(32) * 8).expand(40, 3, 32, 32).to(torch.uint8)
    one = Batch(columns, torch.arange(40), slice(0, 40), 40, tiny.Policy(scale_min=0.08), tiny.generator())
    spans = []
    for scale in (0.08, 1.0):
        patches = tiny.method("pirl", patches_scale_min=scale).inputs(one)["patches"]
        spans.append((patches.amax(dim=(1, 2, 3, 4)) - patches.amin(dim=(1, 2, 3, 4))).mean())
    assert spans[1] > 0.75 > spans[0] + 0.1


def test_the_order_of_patches_matters_to_them_alone() -> None:
    method = tiny.method("pirl").eval()
    inputs = method.inputs(tiny.batch(6, first=20))
    with torch.no_grad():
        one = method(inputs)
        other = method(inputs | {"patches": inputs["patches"][:, [1, 0, *range(2, 9)]]})
    assert one["image_loss"] == other["image_loss"]
    assert abs(float(one["patches_loss"] - other["patches_loss"])) > 1e-6


def test_orders_are_drawn_for_each_image() -> None:
    """Patches of an image whose brightness says the row and column, crops and colors left as they are."""
    images = (torch.arange(32).view(32, 1) * 4 + torch.arange(32) // 8).expand(40, 3, 32, 32).to(torch.uint8)
    one = Batch(images, torch.arange(40), slice(0, 40), 40, tiny.Policy(), tiny.generator())
    patches = tiny.method("pirl", patches_scale_min=1.0).inputs(one)["patches"]
    orders = {tuple(row.argsort().tolist()) for row in patches.mean(dim=(2, 3, 4))}
    assert len(orders) > 35


def test_the_image_embedding_moves_its_own_row_after_the_step() -> None:
    method = tiny.method("pirl", bank_momentum=0.0)
    before = method.bank.rows.clone()
    outputs = method(method.inputs(tiny.batch(6, first=20)))
    assert torch.equal(method.bank.rows, before)
    method.after_step(outputs, 0.0)
    changed = (method.bank.rows != before).any(dim=1).nonzero().flatten()
    assert changed.tolist() == list(range(20, 26))
    torch.testing.assert_close(method.bank.rows[20:26], normalize(outputs["embeddings"]))
