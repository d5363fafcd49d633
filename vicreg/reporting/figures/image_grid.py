"""Image grids: a line per image or row of the study, blocks of columns beside each other, pixels as they are."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from vicreg.reporting.figures import style
from vicreg.reporting.image_samples import Sample, Samples

THIN, WIDE = 2, 10  # between images and between blocks, as everything here in 32nds of an image's side


@dataclass(frozen=True)
class Block:
    """Columns of a grid. images: (M, K, H, W, 3) uint8; below: texts by (line, column)."""

    name: str
    images: np.ndarray
    below: dict[tuple[int, int], str] = field(default_factory=dict)


def views(samples: Samples) -> Figure:
    """Return a line per image: itself, and blocks of first and second views in turn, one for each policy."""
    blocks = [Block("original", np.array([[sample.pixels] for sample in samples.originals]))]
    blocks += [Block(shortened(name, 30), images) for name, images in samples.views.items()]
    return draw(blocks, f"{samples.name}: images, and by policy first and second views of each in turn")


def neighbors(samples: Samples) -> Figure:
    """Return a line per test image, and by row the nearest training images, those of another class named."""
    if not samples.neighbors:
        return style.text_figure(f"{samples.name}: nearest neighbors were not recorded.")
    blocks = [_named("test", [[query] for query, _ in samples.neighbors])]
    blocks += [_named(row, [nearest[row] for _, nearest in samples.neighbors]) for row in samples.neighbors[0][1]]
    return draw(blocks, f"{samples.name}: training images nearest to some test images, by cosine; of another class: ✗")


def pairs(samples: Samples) -> Figure:
    """Return a line per row of the study: pairs of pictures, and below each its pair loss."""
    if not samples.pairs:
        return style.text_figure(f"{samples.name}: pair losses with pictures were not recorded.")
    blocks = []
    for k, column in enumerate(zip(*samples.pairs.values(), strict=False)):
        images = np.array([[pair.first.pixels, pair.second.pixels] for pair in column])
        names = [f"{row} {pair.term} " * (k == 0) for row, pair in zip(samples.pairs, column, strict=True)]
        below = {(n, 0): f"{names[n]}{pair.loss:.3f}" for n, pair in enumerate(column)}
        blocks.append(Block(shortened(column[0].caption, 20), images, below))
    return draw(blocks, f"{samples.probed}: pairs of pictures and their loss, each with the encoder's own method")


def shortened(text: str, most: int = 9) -> str:
    """The text where there is room for it below a picture, its start where not."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _named(name: str, lines: list[list[Sample]]) -> Block:
    """Return a block of images with their classes below."""
    samples = {(r, c): sample for r, line in enumerate(lines) for c, sample in enumerate(line)}
    below = {position: shortened(s.name if s.same_class else f"✗ {s.name}") for position, s in samples.items()}
    return Block(name, np.array([[sample.pixels for sample in line] for line in lines]), below)


def draw(blocks: Sequence[Block], title: str) -> Figure:
    """Return a figure of the blocks, all with as many lines, which stand further apart where texts lie below images."""
    lines, _, height, width = blocks[0].images.shape[:4]
    unit = max(1, height // 32)
    step_x, step_y = width + THIN * unit, height + (THIN + 12 * any(block.below for block in blocks)) * unit
    widths = [block.images.shape[1] * step_x + (WIDE - THIN) * unit for block in blocks]
    canvas = np.full((lines * step_y - THIN * unit, sum(widths) - WIDE * unit, 3), 255, np.uint8)
    inches = 8.8 / max(canvas.shape[1], 330 * unit)  # per pixel
    total = canvas.shape[0] * inches + 1.0
    with rc_context(style.RC):
        figure = Figure(figsize=(9, total))
        axes = figure.add_axes((0.1 / 9, 0.1 / total, canvas.shape[1] * inches / 9, canvas.shape[0] * inches / total))
        axes.set_axis_off()
        figure.text(0.1 / 9, 1 - 0.1 / total, title, fontsize=11, va="top")
        for start, block in zip(np.cumsum([0, *widths[:-1]]), blocks, strict=True):
            axes.text(start, -4 * unit, block.name, fontsize=9.5)
            for (n, k), text in block.below.items():
                axes.text(start + k * step_x, n * step_y + height + 8 * unit, text, fontsize=6.5)
            for n, k in np.ndindex(*block.images.shape[:2]):
                top, left = n * step_y, start + k * step_x
                canvas[top : top + height, left : left + width] = block.images[n, k]
        axes.imshow(canvas, interpolation="none", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    return figure
