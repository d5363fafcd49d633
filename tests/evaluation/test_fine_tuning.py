"""Fine-tuning: with a frozen encoder it is a linear probe, and otherwise it moves a copy of the encoder."""

from dataclasses import replace
from typing import Any

import numpy as np
import tiny
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from vicreg.data.images import Images
from vicreg.evaluation import fine_tuning
from vicreg.evaluation.few_labels import draw, held_out
from vicreg.evaluation.fine_tuning import FineTuning, batches, fine_tune
from vicreg.io import weights

PLAIN: dict[str, Any] = {"scale_min": 1.0, "flip": 0.0}  # views are the images


def section(**changes: Any) -> FineTuning:
    sizes = {"fractions": [1.0], "draws": 2, "steps": 12, "batch_size": 8, "rates": [[0.05, 0.1]]}
    return FineTuning(**{**sizes, "scale_min": 0.5, "flip": 0.5, **changes})


def learnable(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Pictures that are the brighter, the higher their class."""
    labels = np.arange(count, dtype=np.int64) % 3
    noise = np.random.default_rng(0).integers(0, 60, (count, 32, 32, 3))
    return (noise + 90 * labels[:, None, None, None]).astype(np.uint8), labels


def tensors(pixels: np.ndarray, labels: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2), torch.from_numpy(labels)


def test_with_rate_zero_it_is_a_linear_layer_on_frozen_representations():
    encoder, (images, labels) = tiny.encoder().eval(), tensors(*learnable())
    tuned = fine_tune(encoder, images, labels, section(**PLAIN), (0.0, 0.1), num_classes=3, seed=5)
    with torch.no_grad():
        y = encoder(images)
    generator = torch.Generator().manual_seed(5)
    weight = nn.Parameter(torch.randn(3, encoder.num_features, generator=generator) * 0.01)
    bias, order = nn.Parameter(torch.zeros(3)), torch.Generator().manual_seed(5)
    optimizer = torch.optim.SGD([weight, bias], lr=0.1, momentum=0.9)
    for step, rows in enumerate(batches(60, 8, 12, order)):
        optimizer.param_groups[0]["lr"] = 0.1 * (1 + np.cos(np.pi * step / 12)) / 2
        optimizer.zero_grad()
        cross_entropy(y[rows] @ weight.T + bias, labels[rows]).backward()
        optimizer.step()
    torch.testing.assert_close(tuned.layer.weight, weight)
    torch.testing.assert_close(tuned.layer.bias, bias)
    assert weights.digest(tuned.encoder) == weights.digest(encoder)


def test_a_copy_learns_and_the_encoder_stays():
    encoder, (pixels, labels) = tiny.method(width=4).encoder.eval(), learnable()
    before, images = weights.digest(encoder), tensors(pixels, labels)
    tuned = fine_tune(encoder, *images, section(steps=120), (0.05, 0.1), num_classes=3, seed=0)
    assert weights.digest(encoder) == before and not encoder.training
    assert all(not torch.equal(*pair) for pair in zip(encoder.parameters(), tuned.encoder.parameters(), strict=True))
    statistics = (dict(it.named_buffers())["backbone.bn1.running_mean"] for it in (encoder, tuned.encoder))
    assert not torch.equal(*statistics)
    assert (tuned.predict(pixels, np.arange(60), tiny.CPU)[:, 0] == labels).mean() > 0.8


def test_views_are_drawn_by_the_seed():
    encoder, images = tiny.encoder(), tensors(*learnable())
    one, same, other = (
        fine_tune(encoder, *images, section(steps=3), (0.05, 0.1), num_classes=3, seed=seed) for seed in (1, 1, 2)
    )
    assert weights.digest(one) == weights.digest(same) != weights.digest(other)


def test_batches_are_whole_passes_in_new_orders():
    rows = [part.tolist() for part in batches(10, 4, 5, tiny.generator())]
    assert [len(part) for part in rows] == [4] * 5
    for first, second in ((0, 1), (2, 3)):
        assert len({*rows[first], *rows[second]}) == 8
    assert rows[0] != rows[2]


def test_a_fifth_of_each_class_is_held_out():
    labels = np.repeat([0, 1], [15, 10])
    assert np.bincount(labels[held_out(labels, seed=0)]).tolist() == [3, 2]
    assert not np.array_equal(held_out(labels, seed=0), held_out(labels, seed=1))
    assert not held_out(np.array([0, 1]), seed=0).any()  # a single image trains


def test_results_are_those_of_each_draw_and_no_test_image_chooses():
    encoder, (pixels, labels) = tiny.encoder().eval(), learnable(90)
    train, test = np.arange(60), np.arange(60, 90)
    p = section(fractions=[0.5, 0.05], rates=[[0.0, 0.1], [0.05, 0.1]], steps=6)
    options: Any = {"seed": 2, "device": tiny.CPU}
    images = Images(pixels, labels, np.full(90, "train", "<U5"), ("dark", "gray", "bright"), "pictures")
    result, small = fine_tuning.evaluate(encoder, images, (train, test), p, **options)
    assert "leaves 3 of 3 classes fewer than two" in small["left_out"]
    assert result["images"] == 30 and len(result["top1"]) == 2
    assert result["held_out_top1"][str(result["rates"])] == max(result["held_out_top1"].values())
    rows = draw(labels[train], 0.5, 2)
    judges = held_out(labels[train[rows]], 2)
    fit, judge = train[rows[~judges]], train[rows[judges]]
    for rates in p.rates:
        tuned = fine_tune(encoder, *tensors(pixels[fit], labels[fit]), p, (rates[0], rates[1]), num_classes=3, seed=2)
        right = tuned.predict(pixels, judge, tiny.CPU)[:, 0] == labels[judge]
        assert result["held_out_top1"][str(rates)] == right.mean()
    for n, score in enumerate(result["top1"]):
        rows = train[draw(labels[train], 0.5, 2 + n)]
        tuned = fine_tune(encoder, *tensors(pixels[rows], labels[rows]), p, result["rates"], num_classes=3, seed=2)
        assert score == (tuned.predict(pixels, test, tiny.CPU)[:, 0] == labels[test]).mean()
    shuffled = labels.copy()
    shuffled[test] = (labels[test] + 1) % 3
    other, _ = fine_tuning.evaluate(encoder, replace(images, labels=shuffled), (train, test), p, **options)
    assert other["rates"] == result["rates"] and other["held_out_top1"] == result["held_out_top1"]
