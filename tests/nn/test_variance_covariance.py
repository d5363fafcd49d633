"""Variance and covariance, added to the loss of another method, against NumPy."""

from typing import Any

import numpy as np
import pytest
import torch

from vicreg.nn.variance_covariance import AddedTerms, covariance, variance

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
