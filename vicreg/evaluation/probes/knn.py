"""The k-NN probe: the nearest training images by cosine vote for their class (Wu et al., CVPR 2018, section 3.4)."""

import numpy as np
import torch
from torch.nn.functional import normalize

from vicreg.evaluation.classifiers.neighbors import Head
from vicreg.evaluation.metrics import ranked


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
) -> tuple[list[np.ndarray], dict, Head]:
    """Guesses by the votes exp(similarity / temperature) of the k nearest; of all where there are fewer than k.

    `seed` is not needed: nothing is drawn.
    """
    k = min(k, len(train))
    bank = normalize(torch.from_numpy(train).to(device))
    head = Head(bank, torch.from_numpy(labels).to(device), classes=classes, k=k, temperature=temperature)
    return [ranked(head.scores(torch.from_numpy(test).to(device)).cpu().numpy())], {"k": k}, head
