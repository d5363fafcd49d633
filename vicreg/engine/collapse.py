"""Collapse, visible while it happens: how far embeddings spread, how alike their dimensions are, how many they fill."""

import math

import torch
from torch import Tensor
from torch.nn.functional import normalize

INDICATORS = ("embedding_std", "embedding_correlation", "effective_rank")
MAX_EMBEDDINGS = 512  # of a batch, the first ones; the eigenvalues of more take longer than a GPU's epoch of CIFAR
MIN_STD = 0.01  # of `embedding_std`, below which a training stops
WARN_STD, WARN_CORRELATION, WARN_RANK = 0.1, 0.5, 0.02  # std, correlation, share of the largest possible rank


def indicators(z: Tensor, scale: float | None = None) -> dict[str, float]:
    """Three numbers of the embeddings z (N, D) of a batch, of the first 512 of them, computed in float64.

    `embedding_std`: standard deviation over the batch, mean over dimensions, as a share of the `scale` that the
    objective asks for; without one, of z / |z| and times sqrt(D), which no scale of z changes (Chen, He, SimSiam, CVPR
    2021, figure 2). Either way 1 is even and 0 collapsed.
    `embedding_correlation`: mean absolute correlation of two dimensions; those that are constant count as 0.
    `effective_rank`: RankMe, exp of the entropy of the singular values as shares of their sum (Garrido, Balestriero,
    Najman, LeCun, ICML 2023, equation 1); from 1 to `max_rank`, min(N, D).
    """
    z = z.detach()[:MAX_EMBEDDINGS]
    z = (z.cpu() if z.device.type == "mps" else z).double()
    deviation, centered = z.std(dim=0), z - z.mean(dim=0)
    scaled = torch.where(deviation > 0, centered / deviation.clamp_min(1e-30), 0.0)
    correlation = (scaled.T @ scaled / (len(z) - 1)).abs()  # (D, D)
    pairs = max(1, len(correlation) * (len(correlation) - 1))
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z  # its eigenvalues are the squared singular values
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    shares = singular / singular.sum().clamp_min(1e-30) + 1e-7
    spread = deviation.mean() / scale if scale else normalize(z).std(dim=0).mean() * math.sqrt(z.shape[1])
    return {
        "embedding_std": float(spread),
        "embedding_correlation": float((correlation.sum() - correlation.trace()) / pairs),
        "effective_rank": float(torch.special.entr(shares).sum().exp()),
        "max_rank": min(z.shape),
    }


def warnings(metrics: dict[str, float]) -> list[str]:
    """What a person should know of `indicators`, in sentences; nothing where there are none."""
    if "effective_rank" not in metrics:
        return []
    std, correlation, rank, max_rank = (metrics[name] for name in (*INDICATORS, "max_rank"))
    lines = []
    if std < WARN_STD:
        lines.append(f"embeddings hardly differ (standard deviation {std:.3f}; 1 is even)")
    if correlation > WARN_CORRELATION:
        lines.append(f"dimensions repeat each other (mean absolute correlation {correlation:.2f})")
    if rank < WARN_RANK * max_rank:
        lines.append(f"embeddings fill {rank:.1f} of {max_rank:.0f} possible dimensions (RankMe)")
    return lines
