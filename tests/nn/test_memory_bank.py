"""The memory bank and its losses against closed forms and NumPy."""

import math

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes
from torch.nn.functional import normalize

from vicreg.augment.batch import Batch
from vicreg.nn.memory_bank import BankParams, MemoryBank, noise_contrast, softmax_contrast

INDICES = torch.tensor([3, 0, 7])


def bank(size: int = 10, dimensions: int = 4) -> MemoryBank:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MemoryBank(size, dimensions)


def test_only_the_batchs_rows_move_and_stay_unit_vectors() -> None:
    made, z = bank(), normalize(gaussian(3, 4)).float()
    before = made.rows.clone()
    made.update(INDICES, z, 0.5)
    others = [i for i in range(10) if i not in INDICES]
    assert torch.equal(made.rows[others], before[others])
    mean = (before[INDICES] + z).numpy() / 2
    np.testing.assert_allclose(made.rows[INDICES], mean / np.linalg.norm(mean, axis=1, keepdims=True), atol=1e-6)


def test_momentum_of_one_keeps_and_of_zero_replaces() -> None:
    made, z = bank(), normalize(gaussian(3, 4)).float()
    before = made.rows.clone()
    made.update(INDICES, z, 1.0)
    torch.testing.assert_close(made.rows, before)
    made.update(INDICES, z, 0.0)
    torch.testing.assert_close(made.rows[INDICES], z)


def test_equal_scores_give_closed_forms() -> None:
    z, rows = torch.zeros(3, 4), torch.zeros(4000, 4)
    assert softmax_contrast(z, rows, INDICES, 0.07)["loss"].item() == pytest.approx(math.log(4000))
    for k in (1, 1024, 4096):
        negatives = torch.full((3, k), 9)
        expected = math.log(1 + k) + k * math.log(1 + 1 / k)
        assert noise_contrast(z, rows, INDICES, negatives, 0.07)["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_values_and_gradients_equal_numpy() -> None:
    z, rows = gaussian(3, 4).requires_grad_(), normalize(gaussian(10, 4, seed=1))
    negatives = torch.tensor([[0, 1, 9], [5, 5, 2], [8, 3, 1]])

    def softmax(x: np.ndarray) -> float:
        scores = x @ rows.numpy().T / 0.3
        return float(np.mean([np.log(np.exp(s).sum()) - s[i] for s, i in zip(scores, INDICES, strict=True)]))

    def noise(x: np.ndarray) -> float:
        total = 0.0
        for n in range(3):
            own = np.exp(x[n] @ rows[INDICES[n]].numpy() / 0.3)
            drawn = np.exp(x[n] @ rows[negatives[n]].numpy().T / 0.3)
            h = own / (own + drawn.sum())
            total -= np.log(h) + np.log(1 - drawn / (own + drawn.sum())).sum()
        return float(total / 3)

    for loss, reference in (
        (softmax_contrast(z, rows, INDICES, 0.3)["loss"], softmax),
        (noise_contrast(z, rows, INDICES, negatives, 0.3)["loss"], noise),
    ):
        z.grad = None
        loss.backward()
        assert loss.item() == pytest.approx(reference(z.detach().numpy()), rel=1e-10)
        np.testing.assert_allclose(grad(z), slopes(reference, z.detach().numpy()), atol=1e-7)


def test_own_rows_are_found() -> None:
    rows = torch.eye(10)
    negatives = torch.tensor([[1, 2], [1, 2], [1, 2]])
    for found in (
        softmax_contrast(rows[INDICES], rows, INDICES, 0.1),
        noise_contrast(rows[INDICES], rows, INDICES, negatives, 0.1),
    ):
        assert found["accuracy"] == 1 and found["loss"] < 1e-2
    assert noise_contrast(rows[INDICES], rows, INDICES, negatives, 1e-3)["loss"].isfinite()  # h of the own row is 1


def batch(n: int, rows: slice) -> Batch:
    images = torch.zeros(n, 3, 4, 4, dtype=torch.uint8)
    order = torch.arange(n).flip(0)
    return Batch(images[rows], order[rows], rows, n, tiny.POLICY, tiny.generator())


def test_negatives_are_all_others_alike_and_never_the_own_row() -> None:
    drawn = BankParams(negatives=400).draw(batch(8, slice(0, 8)), 8)
    counts = torch.stack([torch.bincount(row, minlength=8) for row in drawn["negatives"]]).float()
    assert torch.equal(counts[torch.arange(8), drawn["indices"]], torch.zeros(8))
    expected = 400 / 7
    spread = ((counts - expected) ** 2 / expected)[counts > 0].sum()
    assert spread < 90  # chi squared with 48 degrees of freedom: above 90 in one of 4,000 draws
    part = BankParams(negatives=400).draw(batch(8, slice(4, 8)), 8)
    assert torch.equal(part["negatives"], drawn["negatives"][4:])
    assert "negatives" not in BankParams().draw(batch(8, slice(0, 8)), 8)
