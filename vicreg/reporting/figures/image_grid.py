"""Albums: figures made of images, for who opens the files rather than the page."""

import numpy as np
from matplotlib.figure import Figure

from vicreg.reporting.figures import sheet, style
from vicreg.reporting.figures.sheet import Block
from vicreg.reporting.image_samples import Pair, Picture, Pictures


def views(pictures: Pictures) -> Figure:
    """Return a row per image: itself, and what each policy makes of it."""
    return sheet.sheet(
        _stacked(pictures.originals), pictures.views, f"{pictures.name}: images and their views by policy"
    )


def neighbours(pictures: Pictures) -> Figure:
    """Return a row per test image, and for each encoder the nearest training images, those of another class named."""
    if not pictures.neighbours:
        return style.note(f"{pictures.name}: nearest neighbours were not recorded.")
    asked = [image for image, _ in pictures.neighbours]
    blocks = [Block("test", _stacked(asked)[:, None], below=_below([[image] for image in asked]))]
    for encoder in pictures.neighbours[0][1]:
        rows = [found[encoder] for _, found in pictures.neighbours]
        images = np.stack([_stacked(row) for row in rows])
        blocks.append(Block(encoder, images, [str(k + 1) for k in range(images.shape[1])], _below(rows)))
    title = f"{pictures.name}: the training images nearest to some test images, by cosine; of another class: ✗"
    return sheet.draw(blocks, title)


def _below(rows: list[list[Picture]]) -> dict[tuple[int, int], str]:
    shown = {(r, c): picture for r, row in enumerate(rows) for c, picture in enumerate(row)}
    return {at: shortened(p.name if p.good else f"✗ {p.name}") for at, p in shown.items()}


def shortened(text: str, most: int = 9) -> str:
    """The text where there is room for it below a picture, its start where not."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def pairs(pictures: Pictures) -> Figure:
    """Return a row per encoder: pairs of pictures, and below each their invariance."""
    title = f"{pictures.name}: pairs of pictures and their invariance, the mean squared difference of embeddings"
    if not pictures.pairs:
        return style.note(f"{pictures.name}: representative losses with pictures were not recorded.")
    count = min(len(row) for row in pictures.pairs.values())
    columns = [_column([row[k] for row in pictures.pairs.values()], list(pictures.pairs)) for k in range(count)]
    return sheet.draw(columns, title)


def _column(pairs: list[Pair], encoders: list[str]) -> Block:
    images = np.stack([_stacked([pair.first, pair.second]) for pair in pairs])
    below = {(row, 0): f"{pair.invariance:.3f}" for row, pair in enumerate(pairs)}
    if pairs[0].words.startswith("two views"):
        below |= {(row, 0): f"{encoder} {pairs[row].invariance:.3f}" for row, encoder in enumerate(encoders)}
    return Block(shortened(pairs[0].words, 20), images, below=below)


def _stacked(pictures: list[Picture]) -> np.ndarray:
    return np.stack([picture.pixels for picture in pictures])
