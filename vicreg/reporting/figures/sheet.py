"""Sheets of pictures: a row per image, blocks of columns beside each other, pixels as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from vicreg.augment.views import Policy, two_views
from vicreg.reporting.figures import style

SIDE = 32  # pixels of an image
THIN, WIDE = 2, 10  # pixels between images, and between blocks
STEP = SIDE + THIN
VIEWS = ("first view", "second view")


@dataclass(frozen=True)
class Block:
    """Columns of a sheet. images: (M, K, 32, 32, 3) uint8; headings: K texts; below: texts by (row, column)."""

    name: str
    images: np.ndarray
    headings: Sequence[str] = ()
    below: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        return self.images.shape[1] * STEP - THIN


def sample_views(pixels: np.ndarray, policy: Policy, seed: int, draws: int = 2) -> np.ndarray:
    """Return (M, 2 * draws, 32, 32, 3) uint8: first and second view, `draws` times, of M uint8 images."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    pairs = [two_views(images, policy, generator).unflatten(0, (2, -1)) for _ in range(draws)]
    views = torch.cat(pairs).transpose(0, 1).permute(0, 1, 3, 4, 2)  # (M, 2 * draws, 32, 32, 3)
    return (views * 255).round().to(torch.uint8).numpy()


def sheet(originals: np.ndarray, views: dict[str, np.ndarray], title: str) -> Figure:
    """Return a figure with a row per image, and blocks of columns: originals, then the views of each policy.

    originals: (M, 32, 32, 3) uint8; views: (M, K, 32, 32, 3) uint8 by policy, first and second views in turn.
    """
    policies = [Block(name, block, [VIEWS[k % 2] for k in range(block.shape[1])]) for name, block in views.items()]
    return draw([Block("original", originals[:, None]), *policies], title)


def draw(blocks: Sequence[Block], title: str) -> Figure:
    """Return a figure of the blocks, all with as many rows; rows stand further apart where texts lie below images."""
    room = 12 if any(block.below for block in blocks) else 0
    step, rows = STEP + room, blocks[0].images.shape[0]
    starts = [sum(block.width + WIDE for block in blocks[:i]) for i in range(len(blocks))]
    canvas = np.full((rows * step - THIN, starts[-1] + blocks[-1].width, 3), 255, np.uint8)
    texts = []  # (pixels from the left, from the top, text, size)
    for start, block in zip(starts, blocks, strict=True):
        for row, column in np.ndindex(*block.images.shape[:2]):
            top, left = row * step, start + column * STEP
            canvas[top : top + SIDE, left : left + SIDE] = block.images[row, column]
        texts.append((start, -11, block.name, 9.5))
        texts += [(start + k * STEP, -3, text, 7.5) for k, text in enumerate(block.headings)]
        texts += [(start + k * STEP, r * step + SIDE + 8, text, 6.5) for (r, k), text in block.below.items()]
    return _figure(canvas, texts, title)


def _figure(canvas: np.ndarray, texts: list[tuple[int, int, str, float]], title: str) -> Figure:
    """Show the pixels as they are, and the texts over and below them."""
    height, width = canvas.shape[:2]
    inches = 8.8 / max(width, 330)  # per pixel
    total = height * inches + 1.0
    with rc_context(style.RC):
        figure = Figure(figsize=(9, total))
        axes = figure.add_axes((0.1 / 9, 0.1 / total, width * inches / 9, height * inches / total))
        axes.imshow(canvas, interpolation="none", extent=(0, width, height, 0))
        axes.set_axis_off()
        for left, top, text, size in texts:
            axes.text(left, top, text, fontsize=size)
        figure.text(0.1 / 9, 1 - 0.1 / total, title, fontsize=11, va="top")
    return figure
