"""Collapse, visible while it happens: how far embeddings spread, how alike their dimensions are, how many they fill."""

import torch
from torch import Tensor

GONE = 0.01  # mean standard deviation of the embeddings' dimensions below which a training stops; VICReg asks for 1
SMALL, ALIKE, FLAT = 0.1, 0.5, 0.02  # where warnings begin: standard deviation, correlation, share of the possible rank


def indicators(z: Tensor) -> dict[str, float]:
    """Three numbers of the embeddings z (N, D) of a batch, computed in float64.

    `embedding_std`: standard deviation over the batch, mean over dimensions.
    `embedding_correlation`: mean absolute correlation of two dimensions; those that are constant count as 0.
    `effective_rank`: RankMe, exp of the entropy of the singular values as shares of their sum (Garrido, Balestriero,
    Najman, LeCun, ICML 2023, equation 1); from 1 to min(N, D).
    """
    z = (z.detach().cpu() if z.device.type == "mps" else z.detach()).double()
    deviation, centred = z.std(dim=0), z - z.mean(dim=0)
    scaled = torch.where(deviation > 0, centred / deviation.clamp_min(1e-30), 0.0)
    correlation = (scaled.T @ scaled / (len(z) - 1)).abs()  # (D, D)
    pairs = max(1, len(correlation) * (len(correlation) - 1))
    gram = z @ z.T if len(z) < z.shape[1] else z.T @ z  # its eigenvalues are the squared singular values
    singular = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt()
    shares = singular / singular.sum().clamp_min(1e-30) + 1e-7
    return {
        "embedding_std": float(deviation.mean()),
        "embedding_correlation": float((correlation.sum() - correlation.trace()) / pairs),
        "effective_rank": float(torch.special.entr(shares).sum().exp()),
    }


def warnings(found: dict[str, float], possible: int) -> list[str]:
    """What a person should know of `indicators`, in sentences; nothing where there are none.

    possible: min(N, D) of the embeddings.
    """
    told: list[str] = []
    if "effective_rank" not in found:
        return told
    if found["embedding_std"] < SMALL:
        told.append(f"embeddings hardly differ (standard deviation {found['embedding_std']:.3f}; VICReg asks for 1)")
    if found["embedding_correlation"] > ALIKE:
        told.append(f"dimensions repeat each other (mean absolute correlation {found['embedding_correlation']:.2f})")
    if found["effective_rank"] < FLAT * possible:
        told.append(f"embeddings fill {found['effective_rank']:.1f} of {possible} possible dimensions (RankMe)")
    return told
