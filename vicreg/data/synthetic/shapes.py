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


# Shapes: signed distance (negative inside), in units of the shape's radius; Inigo Quilez,
# https://iquilezles.org/articles/distfunctions2d/. Corners are bounds, not exact: enough to draw with.


def disc(x: Field, y: Field) -> Field:
    return length(x, y) - 0.85


def ring(x: Field, y: Field) -> Field:
    return np.abs(length(x, y) - 0.68) - 0.27


def square(x: Field, y: Field) -> Field:
    return np.maximum(np.abs(x), np.abs(y)) - 0.78


def triangle(x: Field, y: Field) -> Field:
    return np.maximum.reduce([x * a + y * b for a, b in THIRDS]) - 0.55


def star(x: Field, y: Field) -> Field:
    """Five points: the points inside at least four of the five half-planes of a pentagram's lines."""
    sides = np.sort(np.stack([x * a + y * b for a, b in FIFTHS]), axis=0)
    return sides[3] - 0.40


def cross(x: Field, y: Field) -> Field:
    wide, narrow = np.maximum(np.abs(x), np.abs(y)), np.minimum(np.abs(x), np.abs(y))
    return np.maximum(wide - 0.95, narrow - 0.30)


def heart(x: Field, y: Field) -> Field:
    u, v = (x + y) * SQRT_HALF + 0.15, (y - x) * SQRT_HALF + 0.15
    box = np.maximum(np.abs(u), np.abs(v)) - 0.55
    return np.minimum.reduce([box, length(u, v - 0.55) - 0.55, length(u - 0.55, v) - 0.55])


def crescent(x: Field, y: Field) -> Field:
    return np.maximum(length(x, y) - 0.98, 0.74 - length(x - 0.45, y))


def flower(x: Field, y: Field) -> Field:
    return np.minimum.reduce([length(x - 0.6 * a, y - 0.6 * b) for a, b in FIFTHS]) - 0.36


def hourglass(x: Field, y: Field) -> Field:
    return np.maximum((np.abs(x) - np.abs(y)) * SQRT_HALF - 0.08, np.abs(y) - 0.88)


# Textures: positive where the first of two colours lies, negative where the second; one unit per period.


def wave(t: Field) -> Field:
    """Return a triangle wave of period 1 between -1 and 1."""
    return np.abs(t - np.floor(t) - 0.5) * 4 - 1


def plain(x: Field, y: Field) -> Field:
    return np.ones_like(x)


def striped(x: Field, y: Field) -> Field:
    return wave(x)


def checked(x: Field, y: Field) -> Field:
    return wave(x * 0.6) * wave(y * 0.6) * 2


def dotted(x: Field, y: Field) -> Field:
    return 1 - length(wave(x), wave(y)) * 1.25


def zigzag(x: Field, y: Field) -> Field:
    return wave(x + 0.25 * wave(y * 0.6))


def latticed(x: Field, y: Field) -> Field:
    return np.maximum(wave(x * 0.8), wave(y * 0.8)) * 2 - 1


def ringed(x: Field, y: Field) -> Field:
    return wave(length(x, y))


def rayed(x: Field, y: Field) -> Field:
    sides = [x * a + y * b for a, b in EIGHTHS]
    return sides[0] * sides[1] * sides[2] * sides[3] / (0.01 + (x * x + y * y) ** 2) * 6


def bricked(x: Field, y: Field) -> Field:
    row = np.floor(y)
    shift = (row - 2 * np.floor(row / 2)) * 0.5
    return np.maximum(wave(y), wave(x * 0.6 + shift)) * 2 - 1.1


def scaled(x: Field, y: Field) -> Field:
    """Rows of overlapping half-discs, like a fish's scales or roof tiles."""
    row = np.floor(y)
    shift = (row - 2 * np.floor(row / 2)) * 0.5
    u = (x + shift - np.floor(x + shift) - 0.5) * 2
    return wave(length(u, (y - row) * 1.4))


SHAPES: dict[str, Callable[[Field, Field], Field]] = {
    f.__name__: f for f in (disc, ring, square, triangle, star, cross, heart, crescent, flower, hourglass)
}
TEXTURES: dict[str, Callable[[Field, Field], Field]] = {
    f.__name__: f for f in (plain, striped, checked, dotted, zigzag, latticed, ringed, rayed, bricked, scaled)
}
