"""Exemplar's triplets against a brute-force search, closed forms, and what leaves distances as they are."""

import numpy as np
import pytest
import tiny
import torch
from draws import gaussian, grad, slopes
from torch.nn.functional import normalize

from vicreg.augment.policy import Policy
from vicreg.methods.exemplar import normalized, triplet_loss


def brute_force(z: np.ndarray, margin: float) -> float:
    n, k, _ = z.shape
    total, count = 0.0, 0
    for i in range(n):
        for a in range(k):
            negatives = [float(np.sum((z[i, a] - z[j, b]) ** 2)) for j in range(n) if j != i for b in range(k)]
            for p in range(k):
                if p == a:
                    continue
                positive = float(np.sum((z[i, a] - z[i, p]) ** 2))
                farther = [d for d in negatives if d > positive]
                total += max(0.0, margin + positive - (min(farther) if farther else max(negatives)))
                count += 1
    return total / count


def rows(n: int = 4, k: int = 3, d: int = 5, seed: int = 0) -> torch.Tensor:
    return normalize(gaussian(n, k, d, seed=seed), dim=2)


@pytest.mark.parametrize("spread", [1.0, 0.1])
def test_value_and_gradient_equal_brute_force(spread: float) -> None:
    z = normalize(rows(4, 1) + spread * gaussian(4, 3, 5, seed=1), dim=2).requires_grad_()
    loss = triplet_loss(z, 0.5)["loss"]
    loss.backward()
    assert loss.item() == pytest.approx(brute_force(z.detach().numpy(), 0.5), abs=1e-12)
    np.testing.assert_allclose(grad(z), slopes(lambda x: brute_force(x, 0.5), z.detach().numpy()), atol=1e-7)


def test_equal_embeddings_cost_the_margin() -> None:
    assert float(triplet_loss(torch.ones(4, 3, 5), 0.5)["loss"]) == pytest.approx(0.5)


def test_images_at_right_angles_cost_nothing_and_pull_nothing() -> None:
    z = torch.eye(4).unsqueeze(1).repeat(1, 3, 1).requires_grad_()
    found = triplet_loss(z, 0.5)
    found["loss"].backward()
    assert found["loss"] == 0 and found["accuracy"] == 1 and np.abs(grad(z)).max() == 0


def test_random_rows_in_many_dimensions_cost_a_little_less_than_the_margin() -> None:
    loss = float(triplet_loss(rows(32, 4, 4096), 0.5)["loss"])
    assert 0.48 < loss < 0.5


def test_rotation_and_order_change_nothing() -> None:
    z = rows(6)
    expected = triplet_loss(z, 0.5)
    rotation = torch.linalg.qr(gaussian(5, 5))[0]
    for other in (z @ rotation, z[torch.randperm(6)], z[:, torch.randperm(3)]):
        assert float(triplet_loss(other, 0.5)["loss"]) == pytest.approx(float(expected["loss"]))


def test_accuracy_is_that_of_the_nearest_neighbor() -> None:
    z = normalize(rows(6, 1, 8) + 0.3 * gaussian(6, 3, 8, seed=2), dim=2)
    flat = z.flatten(0, 1).numpy()
    distances = ((flat[:, None] - flat) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    hits = distances.argmin(axis=1) // 3 == np.arange(18) // 3
    assert float(triplet_loss(z, 0.5)["accuracy"]) == pytest.approx(hits.mean())


@pytest.mark.parametrize("how", ["rows", "columns"])
def test_views_of_one_image_are_compared_with_those_of_others(how: str) -> None:
    method = tiny.method("exemplar", views=3, normalize=how).eval()
    views = method.inputs(tiny.batch(4, policy=Policy(scale_min=0.2)))
    with torch.no_grad():
        z = method.projector(method.encoder(views))
        z = z / z.norm(dim=1 if how == "rows" else 0, keepdim=True)
        grouped = torch.stack([z[[i, i + 4, i + 8]] for i in range(4)])
        assert float(method(views)["loss"]) == pytest.approx(brute_force(grouped.numpy(), 0.5), abs=1e-5)


def test_an_image_is_gray_in_all_its_views_or_in_none() -> None:
    batch = tiny.batch(60, policy=Policy(scale_min=0.2))
    views = tiny.method("exemplar", views=4, gray=0.66).inputs(batch).unflatten(0, (4, 60))
    gray = (views.amax(dim=2) - views.amin(dim=2)).amax(dim=(2, 3)) < 1e-5  # (4, 60)
    assert torch.equal(gray.all(dim=0), gray.any(dim=0))
    assert 0.45 < gray.float().mean() < 0.85


def test_rows_or_columns_have_length_one() -> None:
    z = gaussian(12, 5)
    np.testing.assert_allclose(normalized(z, "rows").norm(dim=1), 1)
    np.testing.assert_allclose(normalized(z, "columns").norm(dim=0), 1)
