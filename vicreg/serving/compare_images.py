"""Two images: the representative loss between them, beside that of each and itself, in words for a terminal."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch import nn

from vicreg.evaluation import pair_loss
from vicreg.methods.vicreg import Objective
from vicreg.nn import encoder

READ = """\
How to read it: the encoder's projector turns each image into an embedding. The invariance is the mean squared
difference of the two embeddings: 0 for an image and itself, small for images that the encoder takes for alike, larger
for others. Look at it alone, and compare it between pairs. Variance and covariance are made for large batches: of two
images they see the same difference once more, the variance with the opposite sign, so that two unlike images can have
the lower loss."""

Pair = tuple[str, pair_loss.Terms]


def compare(file: Path, pixels: np.ndarray, names: tuple[str, str], device: torch.device) -> list[Pair]:
    """The terms for images (2, 32, 32, 3) uint8 and each with itself, by the encoder and projector in `file`.

    One image given twice is held against itself, once.

    Raises ValueError for an encoder without a projector: the loss lives behind it.
    """
    frozen = encoder.load(file)
    head = encoder.load_projector(file, frozen.dimension)
    if head is None:
        raise ValueError(f"{file} holds no projector, behind which the loss lives: take an encoder that was pretrained")
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    a, b = pair_loss.embeddings(nn.Sequential(frozen, head), images, device)
    terms = pair_loss.pair_terms(torch.stack([a, a, b]), torch.stack([b, a, b]), objective(file))
    labels = (f"{names[0]} and {names[1]}", f"{names[0]} and itself", f"{names[1]} and itself")
    pairs = list(zip(labels, terms, strict=True))
    return pairs if names[0] != names[1] else pairs[-1:]


def objective(file: Path) -> Objective:
    """The loss that the encoder in `file` was trained with; that of the authors' code where it was another's."""
    about = encoder.describe(file)
    known: dict[str, Any] = about.get("objective", {}) if about.get("method") == "vicreg" else {}
    try:
        return Objective(**{key: value for key, value in known.items() if key != "projector_depth"})
    except TypeError as error:
        raise ValueError(f"{file} describes no loss that is known here ({error}): {encoder.AGAIN}") from error


def told(pairs: list[Pair], loss: Objective) -> str:
    """The table of `compare`, how its columns add up, and how to read it."""
    columns = ("invariance", "variance", "covariance", "loss")
    rows = [[label, *(terms[column] for column in columns)] for label, terms in pairs]
    table = tabulate(rows, headers=["", *columns], floatfmt=".4f", tablefmt="simple")
    weights = " + ".join(f"{getattr(loss, term):g} x {term}" for term in columns[:3])
    return f"{table}\n\nloss = {weights}\n\n{READ}"
