"""A drawn image: one textured shape before clutter; everything but shape and texture is chance."""

from typing import NamedTuple

import numpy as np

from vicreg.data.synthetic.shapes import SHAPES, TEXTURES, Field, length

# The difficulty, in one place. Distances: the image reaches from -1 to 1, one pixel is 1/16.
SIZE = (0.70, 1.05)  # radius of the shape
WANDER = 0.25  # largest distance of its centre from the middle, along each axis
STRETCH = 0.15  # largest relative change of the shape's width against its height
PERIOD = (0.28, 0.50)  # of the texture; 16 pixels per unit
CONTRAST = (0.25, 0.45)  # steps from dark to middle and from middle to light
TINT = 0.35  # largest distance of two channels in one colour
GRADIENT = 0.15  # largest drift of the background's colour across half the image
CLOUDS = 0.15  # amplitude of its slow noise
CLUTTER = 2  # small discs and bars behind the shape
CLUTTER_SIZE = (0.08, 0.30)
LIGHT = 0.20  # largest change of brightness from the middle to the edge
NOISE = (0.00, 0.05)  # amplitude of the noise in each pixel and channel

CHUNK = 128  # images drawn at once: what fits a processor's cache
AXIS = ((np.arange(32, dtype=np.float32) + 0.5) / 16 - 1).astype(np.float32)


class Scene(NamedTuple):
    """What chance decides about N images: uniform numbers in [0, 1), `(N, width)` float32 each."""

    centre: np.ndarray
    size: np.ndarray
    stretch: np.ndarray
    turn: np.ndarray
    period: np.ndarray
    texture_turn: np.ndarray
    texture_shift: np.ndarray
    grey: np.ndarray
    contrast: np.ndarray
    order: np.ndarray
    tint: np.ndarray
    gradient: np.ndarray
    clouds: np.ndarray
    clutter: np.ndarray
    light: np.ndarray
    noise: np.ndarray


WIDTHS = (2, 1, 1, 2, 1, 2, 2, 1, 2, 3, 9, 6, 48, CLUTTER * 9, 2, 1)  # in the order of Scene's fields


def draw(shape: str, texture: str, count: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Return `count` images (N, 32, 32, 3) uint8; fewer images from the same seed are the first of more."""
    chance, grain = (np.random.Generator(np.random.PCG64(s)) for s in seed.spawn(2))
    numbers = chance.random((count, sum(WIDTHS))).astype(np.float32)
    pixels = np.empty((count, 32, 32, 3), np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        scene = Scene(*np.split(numbers[part], np.cumsum(WIDTHS)[:-1], axis=1))
        canvas = compose(shape, texture, scene)
        canvas += noise(scene, grain)
        pixels[part] = (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(0, 2, 3, 1)
    return pixels


def compose(shape: str, texture: str, scene: Scene) -> np.ndarray:
    """Return the images without noise, (N, 3, 32, 32) float32: background, clutter, shape, then light."""
    n = len(scene.size)
    x, y = (np.broadcast_to(axis, (n, 32, 32)) for axis in (AXIS, AXIS[:, None]))
    first, second, behind = palette(scene)
    canvas = background(behind, scene, x, y)
    for numbers in np.split(scene.clutter, CLUTTER, axis=1):
        clutter(canvas, numbers, x, y)
    inside, pattern = subject(shape, texture, scene, x, y)
    paint(canvas, second, inside)
    paint(canvas, first, inside * pattern)
    canvas *= lighting(scene, x, y)[:, None]
    return canvas


def palette(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return three colours (N, 3): a random order of dark, middle and light, each with a tint of its own."""
    near, far = np.split(spread(scene.contrast, *CONTRAST), 2, axis=1)
    dark = scene.grey * (1 - near - far)
    levels = np.stack([dark, dark + near, dark + near + far], axis=1)  # (N, 3 levels, 1)
    rank = np.argsort(scene.order, axis=1)[:, :, None]
    colours = np.take_along_axis(levels, rank, axis=1) + (scene.tint.reshape(-1, 3, 3) - 0.5) * TINT
    first, second, behind = colours.transpose(1, 0, 2)
    return first, second, behind


def background(colour: np.ndarray, scene: Scene, x: Field, y: Field) -> np.ndarray:
    """Return (N, 3, 32, 32): a colour that drifts in one direction, with slow noise over it."""
    along_x, along_y = np.split((2 * scene.gradient - 1) * GRADIENT, 2, axis=1)
    canvas = x[:, None] * along_x[:, :, None, None] + y[:, None] * along_y[:, :, None, None]
    canvas += colour[:, :, None, None]
    canvas += (smooth(scene.clouds.reshape(-1, 3, 4, 4)) - 0.5) * CLOUDS
    return canvas


def clutter(canvas: np.ndarray, numbers: np.ndarray, x: Field, y: Field) -> None:
    """Paint one small bar with round ends (a disc when it is short) per image onto the canvas."""
    where, along, size, colour = np.split(numbers, [2, 4, 6], axis=1)
    u, v = frame(x, y, 2 * where - 1, unit(along))
    long, thick = (column(spread(s, *CLUTTER_SIZE)) for s in (size[:, :1], size[:, 1:]))
    distance = length(np.maximum(np.abs(u) - long, 0), v) - thick * 0.5
    paint(canvas, colour, coverage(distance * 16))


def subject(shape: str, texture: str, scene: Scene, x: Field, y: Field) -> tuple[Field, Field]:
    """Return how far each pixel lies inside the shape, and in the texture's first colour; in [0, 1]."""
    size = column(spread(scene.size, *SIZE))
    u, v = frame(x, y, (2 * scene.centre - 1) * WANDER, unit(scene.turn))
    stretch = 1 + (2 * column(scene.stretch) - 1) * STRETCH
    inside = coverage(SHAPES[shape](u / (size * stretch), v / size * stretch) * size * 16)
    period = column(spread(scene.period, *PERIOD))
    p, q = frame(u, v, (scene.texture_shift - 0.5) * 0.5, unit(scene.texture_turn))
    pattern = coverage(-TEXTURES[texture](p / period, q / period) * period * 4)  # a wave rises by 4 a period
    return inside, pattern


def lighting(scene: Scene, x: Field, y: Field) -> Field:
    """Return the factor by which light falls on each pixel: brighter on one side than on the other."""
    slope = (2 * scene.light - 1) * LIGHT
    return 1 + x * column(slope[:, :1]) + y * column(slope[:, 1:])


def noise(scene: Scene, grain: np.random.Generator) -> np.ndarray:
    """Return (N, 3, 32, 32): independent uniform noise, with an amplitude of its own for every image."""
    amplitude = spread(scene.noise, *NOISE)[:, :, None, None]
    return (grain.random((len(amplitude), 3, 32, 32), dtype=np.float32) * 2 - 1) * amplitude


def paint(canvas: np.ndarray, colour: np.ndarray, opacity: Field) -> None:
    """Lay `colour` (N, 3) over the canvas (N, 3, 32, 32) where `opacity` (N, 32, 32) is above 0."""
    canvas += opacity[:, None] * (colour[:, :, None, None] - canvas)


def coverage(pixels_outside: Field) -> Field:
    """Return the covered part of each pixel, given the distance to the edge in pixels: no jagged edges."""
    return np.clip(0.5 - pixels_outside, 0, 1)


def frame(x: Field, y: Field, origin: np.ndarray, turn: np.ndarray) -> tuple[Field, Field]:
    """Return the coordinates as seen from `origin` (N, 2) along `turn` (N, 2), a unit vector."""
    dx, dy = x - column(origin[:, :1]), y - column(origin[:, 1:])
    cosine, sine = column(turn[:, :1]), column(turn[:, 1:])
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def unit(numbers: np.ndarray) -> np.ndarray:
    """Return unit vectors (N, 2) in any direction, from two uniform numbers each."""
    arrow = numbers - np.float32(0.5) + np.float32(1e-6)
    return arrow / np.sqrt((arrow * arrow)[:, :1] + (arrow * arrow)[:, 1:])


def spread(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [0, 1) to [low, high)."""
    return np.float32(low) + numbers * np.float32(high - low)


def column(numbers: np.ndarray) -> np.ndarray:
    """(N, 1) -> (N, 1, 1), to go with a field."""
    return numbers[:, :, None]


def smooth(coarse: np.ndarray) -> np.ndarray:
    """(N, 3, 4, 4) -> (N, 3, 32, 32), linearly between the given values."""
    place = np.linspace(0, 3, 32, dtype=np.float32)
    left = np.minimum(place.astype(int), 2)
    weight = place - left.astype(np.float32)
    rows = coarse[:, :, left] * (1 - weight)[:, None] + coarse[:, :, left + 1] * weight[:, None]
    return rows[..., left] * (1 - weight) + rows[..., left + 1] * weight
