"""Sinkhorn's algorithm: scores become soft assignments that use all prototypes alike."""

import torch
from torch import Tensor


@torch.no_grad()
def sinkhorn(scores: Tensor, epsilon: float, iterations: int) -> Tensor:
    """Assignments (B, K) of B images to K prototypes, whose rows sum to 1 (Caron et al., SwAV, NeurIPS 2020, eq. 3-5).

    scores: (B, K). In each iteration each prototype's total becomes B / K, then each image's becomes 1. Computed in
    float32 at least, with one maximum subtracted for all, which changes nothing: exp(20) overflows in half precision.
    """
    scores = scores if scores.dtype == torch.float64 else scores.float()
    codes, tiny = ((scores - scores.max()) / epsilon).exp(), torch.finfo(scores.dtype).tiny
    for _ in range(iterations):
        codes = codes / codes.sum(dim=0, keepdim=True).clamp_min(tiny)
        codes = codes / codes.sum(dim=1, keepdim=True).clamp_min(tiny)
    return codes
