"""Shapes and textures as functions of the plane, evaluated for a batch of images at once.

Only arithmetic that IEEE 754 defines to the last bit is used here (add, multiply, divide, square root, floor,
compare; no sine, no matrix product), so every machine draws the same bytes.

`x`, `y`: (N, 32, 32) float32, the pixels' coordinates in the shape's (or texture's) own frame.
"""

from collections.abc import Callable

import numpy as np

Field = np.ndarray  # (N, 32, 32) float32
SQRT_HALF = np.float32(0.70710678)


def length(x: Field, y: Field) -> Field:
    """Return the distance of each point from the origin."""
    return np.sqrt(x * x + y * y)


def directions(count: int, step: complex) -> list[tuple[np.float32, np.float32]]:
    """Return `count` unit vectors, each turned by `step` (a unit complex number) from the one before."""
    turns = [1j * step**k for k in range(count)]
    return [(np.float32(t.real), np.float32(t.imag)) for t in turns]


FIFTHS = directions(5, 0.30901699437494745 + 0.9510565162951535j)
THIRDS = directions(3, -0.5 + 0.8660254037844386j)
EIGHTHS = directions(4, 0.7071067811865476 + 0.7071067811865476j)


def heart(x: Field, y: Field) -> Field:
    """Return the signed distance to a heart's outline at points (x, y), negative inside."""
    u, v = (x + y) * SQRT_HALF + 0.15, (y - x) * SQRT_HALF + 0.15
    box = np.maximum(np.abs(u), np.abs(v)) - 0.55
    return np.minimum.reduce([box, length(u, v - 0.55) - 0.55, length(u - 0.55, v) - 0.55])


# Signed distance (negative inside), in units of the shape's radius; Inigo Quilez,
# https://iquilezles.org/articles/distfunctions2d/. Corners are bounds, not exact: enough to draw with.
# A star's points lie inside at least four of the five half-planes of a pentagram's lines.
SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    "disc": lambda x, y: length(x, y) - 0.85,
    "ring": lambda x, y: np.abs(length(x, y) - 0.68) - 0.27,
    "square": lambda x, y: np.maximum(np.abs(x), np.abs(y)) - 0.78,
    "triangle": lambda x, y: np.maximum.reduce([x * a + y * b for a, b in THIRDS]) - 0.55,
    "star": lambda x, y: np.sort(np.stack([x * a + y * b for a, b in FIFTHS]), axis=0)[3] - 0.40,
    "cross": lambda x, y: np.maximum(np.maximum(np.abs(x), np.abs(y)) - 0.95, np.minimum(np.abs(x), np.abs(y)) - 0.30),
    "heart": heart,
    "crescent": lambda x, y: np.maximum(length(x, y) - 0.98, 0.74 - length(x - 0.45, y)),
    "flower": lambda x, y: np.minimum.reduce([length(x - 0.6 * a, y - 0.6 * b) for a, b in FIFTHS]) - 0.36,
    "hourglass": lambda x, y: np.maximum((np.abs(x) - np.abs(y)) * SQRT_HALF - 0.08, np.abs(y) - 0.88),
}


def wave(t: Field) -> Field:
    """Return a triangle wave of period 1 between -1 and 1."""
    return np.abs(t - np.floor(t) - 0.5) * 4 - 1


def rayed(x: Field, y: Field) -> Field:
    """Return a texture of eight rays from the center, with values between -0.75 and 0.75."""
    a, b, c, d = (x * a + y * b for a, b in EIGHTHS)
    return a * b * c * d / (0.01 + (x * x + y * y) ** 2) * 6


def shift(row: Field) -> Field:
    """Return half a period for every other row."""
    return (row - 2 * np.floor(row / 2)) * 0.5


def scaled(x: Field, y: Field) -> Field:
    """Rows of overlapping half-discs, like a fish's scales or roof tiles."""
    row = np.floor(y)
    x = x + shift(row)
    return wave(length((x - np.floor(x) - 0.5) * 2, (y - row) * 1.4))


# Positive where the first of two colors lies, negative where the second; one unit per period.
TEXTURES: dict[str, Callable[[Field, Field], Field]] = {
    "plain": lambda x, y: np.ones_like(x),
    "striped": lambda x, y: wave(x),
    "checked": lambda x, y: wave(x * 0.6) * wave(y * 0.6) * 2,
    "dotted": lambda x, y: 1 - length(wave(x), wave(y)) * 1.25,
    "zigzag": lambda x, y: wave(x + 0.25 * wave(y * 0.6)),
    "latticed": lambda x, y: np.maximum(wave(x * 0.8), wave(y * 0.8)) * 2 - 1,
    "ringed": lambda x, y: wave(length(x, y)),
    "rayed": rayed,
    "bricked": lambda x, y: np.maximum(wave(y), wave(x * 0.6 + shift(np.floor(y)))) * 2 - 1.1,
    "scaled": scaled,
}
