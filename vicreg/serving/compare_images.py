"""The pair loss of two images, beside that of each and itself, in words for a terminal."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tabulate import tabulate

from vicreg.evaluation import pair_loss
from vicreg.study.builders import load_method


def compare(file: Path, pixels: np.ndarray, names: Sequence[str], device: torch.device) -> str:
    """A table of the terms for images (2, H, W, 3) uint8 and each with itself, by the method in `file`; how to read it.

    One image given twice is held against itself, once. Raises ValueError for an encoder without a projector.
    """
    method = load_method(file)
    z = pair_loss.embeddings(method, torch.from_numpy(pixels).permute(0, 3, 1, 2), device)
    if z is None:
        raise ValueError(f"{file} cannot compare images, {pair_loss.NO_PROJECTOR}: take another encoder")
    a, b = z
    labels = [f"{names[0]} and {names[1]}", f"{names[0]} and itself", f"{names[1]} and itself"]
    terms = pair_loss.pair_terms(method, torch.stack([a, a, b]), torch.stack([b, a, b]))
    rows = [[label, *row.values()] for label, row in zip(labels, terms, strict=True)]
    rows = rows if names[0] != names[1] else rows[-1:]
    table = tabulate(rows, headers=["", *terms[0]], floatfmt=".4f", tablefmt="simple")
    read = f"{method.pair_explanation} Read the {method.pair_term}, and compare it between pairs."
    return f"The loss between two images, by {file}\n\n{table}\n\n{read}"
