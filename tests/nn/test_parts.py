"""What methods share: teacher, queue, variance and covariance in other methods, multi-crop, precision."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from vicreg.augment.batch import Batch
from vicreg.nn.multi_crop import MultiCrop, embed_crops, pairs
from vicreg.nn.precision import full_precision
from vicreg.nn.queue import Queue
from vicreg.nn.teacher import Momentum, Teacher
from vicreg.nn.variance_covariance import AddedTerms, covariance, variance


def test_a_teacher_is_a_copy_that_follows() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    teacher: Any = Teacher(*network)
    assert not any(p.requires_grad for p in teacher.parameters())
    before, statistics = copy.deepcopy(teacher), teacher[1].running_mean.clone()
    with torch.no_grad():
        for p in network.parameters():
            p.mul_(2).add_(1)
    network(torch.randn(8, 3))
    teacher.update(*network, momentum=0.75)
    for old, new, current in zip(before.parameters(), teacher.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(new, 0.75 * old + 0.25 * current)
    assert torch.equal(teacher[1].running_mean, statistics)  # batch norm keeps statistics of its own


def test_momentum_runs_half_a_cosine() -> None:
    momenta = [Momentum(momentum=0.9).momentum_at(progress) for progress in (0, 0.5, 1)]
    assert momenta == pytest.approx([0.9, 0.95, 1.0])
    assert Momentum(momentum=0.9, momentum_end=0.9).momentum_at(0.3) == pytest.approx(0.9)


@pytest.mark.parametrize("sizes", [[2, 2, 2, 2], [3, 4], [9], [1, 7, 3]])
def test_a_queue_keeps_the_latest_rows(sizes: list[int]) -> None:
    queue, rows = Queue(5, 2), torch.arange(2.0 * sum(sizes)).view(-1, 2)
    for part in rows.split(sizes):
        queue.push(part)
    kept = sorted(map(tuple, queue.rows.tolist()))
    assert kept == sorted(map(tuple, rows[-5:].tolist())) and int(queue.pushed) == sum(min(size, 5) for size in sizes)


def test_a_new_queue_holds_unit_vectors_and_is_all_state() -> None:
    queue = Queue(6, 3)
    torch.testing.assert_close(queue.rows.norm(dim=1), torch.ones(6))
    assert set(queue.state_dict()) == {"rows", "pushed"}


OVER: list[Any] = ["mean", "sum"]


def embeddings() -> torch.Tensor:
    return torch.randn(12, 4, generator=torch.Generator().manual_seed(0)) * 0.3


def test_without_weights_the_loss_is_the_very_same() -> None:
    loss = torch.tensor(1.5)
    outputs = AddedTerms().add_to(loss, embeddings(), lambda z: pytest.fail("nothing is gathered"))
    assert outputs["loss"] is loss and set(outputs) == {"loss"}


@pytest.mark.parametrize("regularize", ["embeddings", "directions"])
def test_added_terms_equal_numpy(regularize: Any) -> None:
    z, params = embeddings(), AddedTerms(variance=2.0, covariance=0.5, regularize=regularize)
    outputs = params.add_to(torch.tensor(1.5), z, lambda part: part)
    x = z.double().numpy()
    if regularize == "directions":
        x = x / np.linalg.norm(x, axis=1, keepdims=True) * 2  # sqrt(4)
    halves = x[:6], x[6:]
    hinge = np.mean([np.maximum(0, 1 - np.sqrt(h.var(0, ddof=1) + 1e-4)).mean() for h in halves])
    squares = [np.cov(h.T) ** 2 for h in halves]
    off = sum(s.sum() - np.trace(s) for s in squares) / 4
    assert float(outputs["variance"]) == pytest.approx(hinge, rel=1e-5)
    assert float(outputs["covariance"]) == pytest.approx(off, rel=1e-5)
    assert float(outputs["loss"]) == pytest.approx(1.5 + 2 * hinge + 0.5 * off, rel=1e-5)


def test_the_sum_over_views_is_twice_their_mean() -> None:
    z = embeddings().chunk(2)
    mean, total = (AddedTerms(variance_over_views=over).terms(list(z)) for over in OVER)
    assert float(total["variance"]) == pytest.approx(2 * float(mean["variance"]))
    assert float(total["covariance"]) == pytest.approx(float(mean["covariance"]))
    three = AddedTerms().terms([*z, z[0]])
    expected = [sum(term(part) for part in (*z, z[0])) / 3 for term in (variance, covariance)]
    assert float(three["variance"]) == pytest.approx(float(expected[0]))
    assert float(three["covariance"]) == pytest.approx(2 * float(expected[1]))


def batch(rows: slice = slice(0, 6)) -> Batch:
    images = torch.from_numpy(tiny.pixels(6)).permute(0, 3, 1, 2)
    return Batch(images[rows], torch.arange(6)[rows], rows, 6, tiny.POLICY, tiny.generator())


def test_multi_crop_draws_two_full_views_and_small_ones() -> None:
    alone = MultiCrop().inputs(batch())
    assert isinstance(alone, torch.Tensor)
    both = MultiCrop(small_views=3, small_size=12).inputs(batch())
    assert isinstance(both, dict)
    assert torch.equal(both["views"], alone) and both["small"].shape == (18, 3, 12, 12)
    part: Any = MultiCrop(small_views=3, small_size=12).inputs(batch(slice(2, 4)))
    assert torch.equal(part["small"], both["small"].unflatten(0, (3, 6))[:, 2:4].flatten(0, 1))


def test_crops_of_all_sizes_pass_the_projector_together() -> None:
    encoder, projector = tiny.encoder(), nn.BatchNorm1d(16, affine=False)
    inputs = {"views": torch.rand(8, 3, 32, 32), "small": torch.rand(4, 3, 12, 12)}
    z = embed_crops(encoder, projector, inputs)
    assert [part.shape for part in z] == [(4, 16)] * 3
    torch.testing.assert_close(torch.cat(z).mean(0), torch.zeros(16), atol=1e-5, rtol=0)


def test_each_small_crop_is_paired_with_both_full_views() -> None:
    assert pairs(2) == [(0, 1)]
    assert sorted(pairs(4)) == [(0, 1), (2, 0), (2, 1), (3, 0), (3, 1)]


def test_full_precision_widens_half_precision_alone() -> None:
    def product(x: torch.Tensor, scale: float) -> torch.Tensor:
        return scale * x @ x.T

    with torch.autocast("cpu", torch.bfloat16):
        for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32)):
            assert full_precision(product)(torch.ones(2, 2, dtype=dtype), math.pi).dtype == expected
    assert full_precision(product)(torch.ones(2, 2, dtype=torch.float64), math.pi).dtype == torch.float64
