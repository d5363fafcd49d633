"""Multi-crop: two full views and small ones, through one encoder and one projector."""

from typing import Any

import tiny
import torch
from torch import nn

from vicreg.augment.batch import Batch
from vicreg.nn.multi_crop import MultiCrop, embed_crops, pairs


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
