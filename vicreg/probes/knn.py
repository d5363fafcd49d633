"""The k-NN probe: the nearest training images by cosine vote for their class (Wu et al., CVPR 2018, section 3.4)."""

import numpy as np
import torch
from torch.nn.functional import normalize, one_hot

from vicreg.evaluation import ranked


def guess(
    train: np.ndarray,
    labels: np.ndarray,
    test: np.ndarray,
    *,
    classes: int,
    seed: int,
    device: torch.device,
    k: int = 200,
    temperature: float = 0.07,
) -> tuple[list[np.ndarray], dict]:
    """Guesses by the votes exp(similarity / temperature) of the k nearest; of all where there are fewer than k.

    `seed` is not needed: nothing is drawn.
    """
    k = min(k, len(train))
    bank = normalize(torch.from_numpy(train).to(device))  # (N, D)
    voters = one_hot(torch.from_numpy(labels), classes).float().to(device)  # (N, classes)
    guesses = []
    for queries in normalize(torch.from_numpy(test).to(device)).split(1000):
        similarity, nearest = (queries @ bank.T).topk(k)  # (B, k)
        weights = ((similarity - 1) / temperature).exp()  # minus 1 keeps it finite, and changes no order
        votes = torch.einsum("bk,bkc->bc", weights, voters[nearest])
        guesses.append(ranked(votes.cpu().numpy()))
    return [np.concatenate(guesses)], {"k": k}
