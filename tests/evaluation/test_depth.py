"""By depth: maps pooled by the stated rule, and features of every stage."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch

from vicreg.evaluation import depth


@pytest.mark.parametrize(
    ("channels", "side", "cells"), [(4, 32, (8, 8)), (8, 16, (4, 8)), (16, 8, (4, 4)), (32, 4, (2, 4))]
)
def test_the_stages_of_a_resnet18_have_equally_many_numbers(channels, side, cells):
    maps = torch.randn(2, channels, side, side, generator=tiny.generator())
    pooled = depth.pool(maps, 256)
    high, wide = side // cells[0], side // cells[1]
    by_hand = maps.view(2, channels, cells[0], high, cells[1], wide).mean(dim=(3, 5)).flatten(1)
    assert pooled.shape == (2, 256)
    torch.testing.assert_close(pooled, by_hand)


def test_few_numbers_stay_as_they_are_and_many_channels_end_in_one_cell():
    maps = torch.randn(2, 6, 3, 5, generator=tiny.generator())
    assert torch.equal(depth.pool(maps, 90), maps.flatten(1))
    torch.testing.assert_close(depth.pool(maps, 3), maps.mean(dim=(2, 3)))


def test_the_last_stage_averaged_is_the_representation():
    from vicreg.nn.encoder import extract_features

    encoder, pixels = tiny.encoder().eval(), tiny.pixels(20)
    subsets = [np.arange(5, 20), np.array([3, 1])]
    stages = depth.stage_features(encoder, pixels, tiny.CPU, subsets)
    assert len(stages) == 4 and [len(part) for part in stages[0]] == [15, 2]
    sizes = [stage[0].shape[1] for stage in stages]
    assert sizes == [depth.TIMES * encoder.num_features] * 4
    for rows, positions in zip(stages[-1], subsets, strict=True):
        whole = extract_features(encoder, pixels, tiny.CPU, positions=positions)
        np.testing.assert_allclose(rows.reshape(len(rows), encoder.num_features, -1).mean(axis=2), whole, atol=1e-5)


def test_a_backbone_without_stages_has_none():
    encoder: Any = tiny.encoder()
    encoder.backbone.stages = lambda x: []
    assert depth.stage_features(encoder, tiny.pixels(2), tiny.CPU, [np.arange(2)]) == []
