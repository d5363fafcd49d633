"""Losses are computed in float32 at least, inside autocast too."""

import math

import torch

from vicreg.nn.precision import full_precision


def test_full_precision_widens_half_precision_alone() -> None:
    def product(x: torch.Tensor, scale: float) -> torch.Tensor:
        return scale * x @ x.T

    with torch.autocast("cpu", torch.bfloat16):
        for dtype, expected in ((torch.bfloat16, torch.float32), (torch.float32, torch.float32)):
            assert full_precision(product)(torch.ones(2, 2, dtype=dtype), math.pi).dtype == expected
    assert full_precision(product)(torch.ones(2, 2, dtype=torch.float64), math.pi).dtype == torch.float64
