"""SwAV against closed forms and NumPy; its prototypes, queue and small crops."""

import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes
from torch import Tensor
from torch.nn.functional import normalize

from vicreg.methods.swav import swapped_prediction
from vicreg.nn.sinkhorn import sinkhorn


def cosines(n: int, k: int, seed: int = 0) -> Tensor:
    return normalize(gaussian(n, 6, seed=seed)) @ normalize(gaussian(k, 6, seed=seed + 9)).T


def test_value_and_gradient_equal_numpy() -> None:
    codes = [sinkhorn(cosines(6, 5, seed), 0.05, 3) for seed in (0, 1)]
    scores = [cosines(6, 5, seed).requires_grad_() for seed in (0, 1, 2)]
    loss = swapped_prediction(codes, scores, 0.1)
    loss.backward()

    def numpy_loss(third: np.ndarray) -> float:
        values = [scores[0].detach().numpy(), scores[1].detach().numpy(), third]
        logs = [v / 0.1 - np.log(np.exp(v / 0.1).sum(1, keepdims=True)) for v in values]
        pairs = [(0, 1), (0, 2), (1, 0), (1, 2)]  # a code and another view
        return float(np.mean([-(codes[i].numpy() * logs[j]).sum(1).mean() for i, j in pairs]))

    third = scores[2].detach().numpy()
    assert loss.item() == pytest.approx(numpy_loss(third), rel=1e-12)
    np.testing.assert_allclose(grad(scores[2]), slopes(numpy_loss, third), atol=1e-7)


def test_equal_scores_give_the_log_of_the_prototypes() -> None:
    scores = torch.zeros(4, 7)
    codes = sinkhorn(scores, 0.05, 3)
    torch.testing.assert_close(codes, torch.full((4, 7), 1 / 7))
    assert float(swapped_prediction([codes, codes], [scores, scores], 0.1)) == pytest.approx(math.log(7))


def test_one_prototype_an_image_gives_the_closed_form() -> None:
    scores = torch.eye(8, dtype=torch.float64)
    codes = sinkhorn(scores, 0.05, 3)
    expected = math.log(1 + 7 * math.exp(-10))
    assert float(swapped_prediction([codes, codes], [scores, scores], 0.1)) == pytest.approx(expected, abs=1e-6)


def run(method: Any, epochs: int = 2, optimizer: str = "adamw") -> None:
    tiny.run(tiny.state(method, optimizer), settings=tiny.config(epochs))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "lars", "muon"])
def test_prototypes_are_unit_vectors_and_rest_at_first(optimizer: str) -> None:
    method = tiny.method("swav", freeze=1.0)
    before = method.prototypes.weight.detach().clone()
    run(method, optimizer=optimizer)
    torch.testing.assert_close(method.prototypes.weight.detach(), before)
    method = tiny.method("swav", freeze=0.5)
    run(method, epochs=4, optimizer=optimizer)
    assert (method.prototypes.weight - before).abs().max() > 1e-5
    torch.testing.assert_close(method.prototypes.weight.norm(dim=1), torch.ones(5))


def test_the_queue_takes_part_when_it_is_due_and_full() -> None:
    for start, expected in ((0.0, True), (1.0, False)):
        method = tiny.method("swav", queue=0.5, queue_start=start)
        run(method, epochs=1)
        assert bool(method.queue_in_use) == expected
    method = tiny.method("swav", num_images=1000, queue=0.5, queue_start=0.0)
    run(method, epochs=1)
    assert not method.queue_in_use  # 48 of 500 rows came


def test_a_queue_that_holds_the_batch_gives_the_codes_of_both() -> None:
    method = tiny.method("swav", num_images=6, queue=1.0).eval()
    z, order = torch.randn(6, 6), torch.randperm(6)
    queue = method.queues[0]
    queue.push(normalize(z)[order])
    scores = normalize(z) @ method.prototypes.weight.T
    method.queue_in_use.fill_(True)
    union = torch.cat([scores, scores[order]])
    torch.testing.assert_close(method.codes(scores, queue), sinkhorn(union, 0.05, 3)[:6])
    method.queue_in_use.fill_(False)
    torch.testing.assert_close(method.codes(scores, queue), sinkhorn(scores, 0.05, 3))


def test_small_crops_predict_and_are_never_assigned() -> None:
    method = tiny.method("swav", small_views=2, small_size=12).eval()
    views, small = torch.rand(12, 3, 32, 32), torch.rand(12, 3, 12, 12)
    crops = [*views.chunk(2), *small.chunk(2)]
    scores = [normalize(method.embed(crop)) @ method.prototypes.weight.T for crop in crops]
    expected = swapped_prediction([sinkhorn(score, 0.05, 3) for score in scores[:2]], scores, 0.1)
    torch.testing.assert_close(method({"views": views, "small": small})["loss"], expected)


def test_no_queue_is_a_queue_of_nothing() -> None:
    method = tiny.method("swav", queue=0.0, queue_start=0.0)
    run(method, epochs=1)
    assert len(method.queues[0]) == 0
