"""A sheet of views: the same images through every policy, originals at left."""

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure

from vicreg.reporting import style
from vicreg.views import Policy, two_views

SIDE = 32  # pixels of an image
THIN, WIDE = 2, 10  # pixels between images, and between policies
STEP = SIDE + THIN
VIEWS = ("first view", "second view")


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
    blocks = {"original": originals[:, None]} | views
    widths = [block.shape[1] * STEP - THIN for block in blocks.values()]
    starts = [sum(widths[:i]) + WIDE * i for i in range(len(widths))]
    canvas = np.full((len(originals) * STEP - THIN, starts[-1] + widths[-1], 3), 255, np.uint8)
    for start, block in zip(starts, blocks.values(), strict=True):
        for row, column in np.ndindex(*block.shape[:2]):
            top, left = row * STEP, start + column * STEP
            canvas[top : top + SIDE, left : left + SIDE] = block[row, column]
    headings = [(start, 11, name) for name, start in zip(blocks, starts, strict=True)]
    for start, block in zip(starts[1:], views.values(), strict=True):
        headings += [(start + k * STEP, 3, VIEWS[k % 2]) for k in range(block.shape[1])]
    return _draw(canvas, headings, title)


def _draw(canvas: np.ndarray, headings: list[tuple[int, int, str]], title: str) -> Figure:
    """Show the pixels as they are, with headings (pixels from the left, pixels above, text)."""
    height, width = canvas.shape[:2]
    inches = 8.8 / max(width, 330)  # per pixel
    total = height * inches + 1.0
    with rc_context(style.RC):
        figure = Figure(figsize=(9, total))
        axes = figure.add_axes((0.1 / 9, 0.1 / total, width * inches / 9, height * inches / total))
        axes.imshow(canvas, interpolation="none", extent=(0, width, height, 0))
        axes.set_axis_off()
        for left, above, text in headings:
            axes.text(left, -above, text, fontsize=7.5 if text in VIEWS else 9.5)
        figure.text(0.1 / 9, 1 - 0.1 / total, title, fontsize=11, va="top")
    return figure
