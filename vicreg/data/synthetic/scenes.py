"""A drawn image: one textured shape before clutter; everything but shape and texture is chance."""

from types import SimpleNamespace

import numpy as np

from vicreg.data.synthetic.shapes import SHAPES, TEXTURES, Field, length

# The difficulty, in one place. Distances: the image reaches from -1 to 1, one pixel is 1/16.
SIZE = (0.70, 1.05)  # radius of the shape
WANDER = 0.25  # largest distance of its center from the middle, along each axis
STRETCH = 0.15  # largest relative change of the shape's width against its height
PERIOD = (0.28, 0.50)  # of the texture; 16 pixels per unit
CONTRAST = (0.25, 0.45)  # steps from dark to middle and from middle to light
TINT = 0.35  # largest distance of two channels in one color
GRADIENT = 0.15  # largest drift of the background's color across half the image
CLOUDS = 0.15  # amplitude of its slow noise
CLUTTER = 2  # small discs and bars behind the shape
CLUTTER_SIZE = (0.08, 0.30)
LIGHT = 0.20  # largest change of brightness from the middle to the edge
NOISE = (0.00, 0.05)  # amplitude of the noise in each pixel and channel

CHUNK = 128  # images drawn at once: what fits a processor's cache
AXIS = ((np.arange(32, dtype=np.float32) + 0.5) / 16 - 1).astype(np.float32)

# What chance decides about an image, by how many uniform numbers in [0, 1). A scene holds those of N images, float32.
WIDTHS = {"center": 2, "size": 1, "stretch": 1, "turn": 2, "period": 1, "texture_turn": 2, "texture_shift": 2} | {
    "gray": 1, "contrast": 2, "order": 3, "tint": 9, "gradient": 6, "clouds": 48, "clutter": CLUTTER * 9
} | {"light": 2, "noise": 1}  # fmt: skip
Scene = SimpleNamespace


def draw(shape: str, texture: str, count: int, seed: np.random.SeedSequence) -> np.ndarray:
    """Return `count` images (N, 32, 32, 3) uint8; fewer images from the same seed are the first of more."""
    chance, grain = (np.random.Generator(np.random.PCG64(s)) for s in seed.spawn(2))
    numbers = chance.random((count, sum(WIDTHS.values()))).astype(np.float32)
    pixels = np.empty((count, 32, 32, 3), np.uint8)
    for start in range(0, count, CHUNK):
        part = slice(start, start + CHUNK)
        columns = np.split(numbers[part], np.cumsum(list(WIDTHS.values()))[:-1], axis=1)
        scene = Scene(**dict(zip(WIDTHS, columns, strict=True)))
        canvas = compose(shape, texture, scene)
        # Independent uniform noise in each pixel and channel, with an amplitude of its own for every image.
        speckles = grain.random((len(canvas), 3, 32, 32), dtype=np.float32) * 2 - 1
        canvas += speckles * spread(scene.noise, *NOISE)[:, :, None, None]
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
    slope = (2 * scene.light - 1) * LIGHT  # brighter on one side than on the other
    canvas *= (1 + x * column(slope[:, :1]) + y * column(slope[:, 1:]))[:, None]
    return canvas


def palette(scene: Scene) -> np.ndarray:
    """Return three colors (3, N, 3): a random order of dark, middle and light, each with a tint of its own."""
    near, far = np.split(spread(scene.contrast, *CONTRAST), 2, axis=1)
    dark = scene.gray * (1 - near - far)
    levels = np.stack([dark, dark + near, dark + near + far], axis=1)  # (N, 3 levels, 1)
    rank = np.argsort(scene.order, axis=1)[:, :, None]
    colors = np.take_along_axis(levels, rank, axis=1) + (scene.tint.reshape(-1, 3, 3) - 0.5) * TINT
    return colors.transpose(1, 0, 2)


def background(color: np.ndarray, scene: Scene, x: Field, y: Field) -> np.ndarray:
    """Return (N, 3, 32, 32): a color that drifts in one direction, with slow noise over it."""
    along_x, along_y = np.split((2 * scene.gradient - 1) * GRADIENT, 2, axis=1)
    canvas = x[:, None] * along_x[:, :, None, None] + y[:, None] * along_y[:, :, None, None]
    canvas += color[:, :, None, None]
    canvas += (smooth(scene.clouds.reshape(-1, 3, 4, 4)) - 0.5) * CLOUDS
    return canvas


def clutter(canvas: np.ndarray, numbers: np.ndarray, x: Field, y: Field) -> None:
    """Paint one small bar with round ends (a disc when it is short) per image onto the canvas."""
    where, along, size, color = np.split(numbers, [2, 4, 6], axis=1)
    u, v = frame(x, y, 2 * where - 1, along)
    long, thick = (column(spread(s, *CLUTTER_SIZE)) for s in (size[:, :1], size[:, 1:]))
    distance = length(np.maximum(np.abs(u) - long, 0), v) - thick * 0.5
    paint(canvas, color, coverage(distance * 16))


def subject(shape: str, texture: str, scene: Scene, x: Field, y: Field) -> tuple[Field, Field]:
    """Return how far each pixel lies inside the shape, and in the texture's first color; in [0, 1]."""
    size = column(spread(scene.size, *SIZE))
    u, v = frame(x, y, (2 * scene.center - 1) * WANDER, scene.turn)
    stretch = 1 + (2 * column(scene.stretch) - 1) * STRETCH
    inside = coverage(SHAPES[shape](u / (size * stretch), v / size * stretch) * size * 16)
    period = column(spread(scene.period, *PERIOD))
    p, q = frame(u, v, (scene.texture_shift - 0.5) * 0.5, scene.texture_turn)
    pattern = coverage(-TEXTURES[texture](p / period, q / period) * period * 4)  # a wave rises by 4 a period
    return inside, pattern


def paint(canvas: np.ndarray, color: np.ndarray, opacity: Field) -> None:
    """Lay `color` (N, 3) over the canvas (N, 3, 32, 32) where `opacity` (N, 32, 32) is above 0."""
    canvas += opacity[:, None] * (color[:, :, None, None] - canvas)


def coverage(pixels_outside: Field) -> Field:
    """Return the covered part of each pixel, given the distance to the edge in pixels: no jagged edges."""
    return np.clip(0.5 - pixels_outside, 0, 1)


def frame(x: Field, y: Field, origin: np.ndarray, turn: np.ndarray) -> tuple[Field, Field]:
    """Return the coordinates as seen from `origin` (N, 2), in the direction that uniform numbers `turn` (N, 2) draw."""
    arrow = turn - np.float32(0.5) + np.float32(1e-6)
    unit = arrow / np.sqrt((arrow * arrow)[:, :1] + (arrow * arrow)[:, 1:])
    dx, dy = x - column(origin[:, :1]), y - column(origin[:, 1:])
    cosine, sine = column(unit[:, :1]), column(unit[:, 1:])
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def spread(numbers: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map [0, 1) to [low, high)."""
    return np.float32(low) + numbers * np.float32(high - low)


def column(numbers: np.ndarray) -> np.ndarray:
    """(N, 1) -> (N, 1, 1), to go with a field."""
    return numbers[:, :, None]


def smooth(coarse: np.ndarray) -> np.ndarray:
    """(N, 3, 4, 4) -> (N, 3, 32, 32), linearly between the given values."""
    position = np.linspace(0, 3, 32, dtype=np.float32)
    left = np.minimum(position.astype(int), 2)
    weight = position - left.astype(np.float32)
    rows = coarse[:, :, left] * (1 - weight)[:, None] + coarse[:, :, left + 1] * weight[:, None]
    return rows[..., left] * (1 - weight) + rows[..., left + 1] * weight
