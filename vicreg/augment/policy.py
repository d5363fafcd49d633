"""A policy is the numbers that draw views; drawing gives every image parameters of its own.

The distributions are those of torchvision's transforms, drawn for a whole batch at once, on the device of the
generator, and without waiting for it.
"""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as torchvision's ColorJitter numbers them


@dataclass(frozen=True)
class Policy:
    """The numbers that draw views; by default every operator is off and a view is the image.

    Attributes:
        scale_min, scale_max: part of the image's area that a crop covers; no crop where both are 1.
        ratio_min, ratio_max: width / height of a crop.
        interpolation: "bilinear" or "bicubic", from the crop back to the size of the image.
        flip: probability of a mirror image, left to right.
        jitter: probability of colour jitter: the four operators below in an order drawn per image.
        brightness, contrast, saturation: a factor is drawn from 1 - x (at least 0) to 1 + x.
        hue: a shift is drawn from -x to x of a full circle, x at most 0.5.
        grayscale: probability of gray.
        blur: probability of a Gaussian blur, for the first and the second view.
        blur_kernel: its size in pixels, odd and less than twice the image's.
        blur_sigma: its standard deviation in pixels is drawn from the first to the second number.
        solarize: probability of inverted bright pixels, for the first and the second view.
        solarize_threshold: pixels at or above it are inverted, in [0, 1].
    """

    scale_min: float = 1.0
    scale_max: float = 1.0
    ratio_min: float = 3 / 4
    ratio_max: float = 4 / 3
    interpolation: str = "bilinear"
    flip: float = 0.0
    jitter: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grayscale: float = 0.0
    blur: tuple[float, float] = (0.0, 0.0)
    blur_kernel: int = 3
    blur_sigma: tuple[float, float] = (0.1, 2.0)
    solarize: tuple[float, float] = (0.0, 0.0)
    solarize_threshold: float = 0.5


@dataclass(frozen=True)
class Drawn:
    """What was drawn for each of N images; None where the policy switches the operator off in both views.

    Attributes:
        box: (N, 4) int64, top, left, height and width of the crop in pixels.
        flip, jitter, grayscale, blur, solarize: (N,) bool, whether the operator applies.
        order: (N, K) int64, the K jitter operators in use, first to last (`BRIGHTNESS` to `HUE`).
        factors: (N, 4) float32, for brightness, contrast, saturation and hue.
        sigma: (N,) float32, of the blur, in pixels.
    """

    box: Tensor | None = None
    flip: Tensor | None = None
    jitter: Tensor | None = None
    order: Tensor | None = None
    factors: Tensor | None = None
    grayscale: Tensor | None = None
    blur: Tensor | None = None
    sigma: Tensor | None = None
    solarize: Tensor | None = None

    def part(self, share: slice) -> "Drawn":
        """Return the parameters of these images alone."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return Drawn(**{name: value[share] for name, value in found.items() if value is not None})

    def then(self, other: "Drawn") -> "Drawn":
        """Return these parameters and after them the `other`, drawn from the same policy."""
        pairs = {f.name: (getattr(self, f.name), getattr(other, f.name)) for f in fields(self)}
        return Drawn(**{name: torch.cat(pair) for name, pair in pairs.items() if pair[0] is not None})


def draw(n: int, size: tuple[int, int], policy: Policy, view: int, generator: torch.Generator) -> Drawn:
    """Draw the parameters of one view of `n` images.

    Args:
        n: number of images.
        size: their height and width in pixels.
        policy: the numbers to draw with.
        view: 0 for the first view, 1 for the second.
        generator: the only source of randomness; the parameters lie on its device.
    """
    p = policy
    strengths = (p.brightness, p.contrast, p.saturation, p.hue)
    jitter = p.jitter and any(strengths)
    return Drawn(
        box=draw_boxes(n, size, p, generator) if (p.scale_min, p.scale_max) != (1, 1) else None,
        flip=_chance(n, p.flip, generator) if p.flip else None,
        jitter=_chance(n, p.jitter, generator) if jitter else None,
        order=_draw_order(n, strengths, generator) if jitter else None,
        factors=_draw_factors(n, strengths, generator) if jitter else None,
        grayscale=_chance(n, p.grayscale, generator) if p.grayscale else None,
        blur=_chance(n, p.blur[view], generator) if any(p.blur) else None,
        sigma=_uniform((n,), *p.blur_sigma, generator) if any(p.blur) else None,
        solarize=_chance(n, p.solarize[view], generator) if any(p.solarize) else None,
    )


def draw_boxes(n: int, size: tuple[int, int], policy: Policy, generator: torch.Generator) -> Tensor:
    """Draw crops (n, 4): top, left, height, width, as `torchvision.transforms.RandomResizedCrop.get_params`.

    Area and logarithm of the ratio are uniform; of ten candidates the first that fits counts, and if none
    does, the largest central crop with an allowed ratio. Here the ten are drawn at once.
    """
    area = _uniform((n, 10), policy.scale_min, policy.scale_max, generator) * (size[0] * size[1])
    ratio = _uniform((n, 10), math.log(policy.ratio_min), math.log(policy.ratio_max), generator).exp_()
    sides = ((area / ratio).sqrt_().round_().long(), (area * ratio).sqrt_().round_().long())
    fits = _between(sides[0], size[0]) & _between(sides[1], size[1])  # (n, 10)
    first, none = fits.byte().argmax(1, keepdim=True), ~fits.any(1)
    corners, lengths = [], []
    for side, full, central in zip(sides, size, _central_crop(size, policy), strict=True):
        length = torch.where(none, central, side.gather(1, first).squeeze(1))
        room = full - length
        # In float32 a number just below 1 times the room can round up to it, hence the minimum.
        corner = torch.minimum((_uniform((n,), 0, 1, generator) * (room + 1)).long(), room)
        corners.append(torch.where(none, room // 2, corner))
        lengths.append(length)
    return torch.stack(corners + lengths, dim=1)


def _between(side: Tensor, full: int) -> Tensor:
    return (side > 0) & (side <= full)


def _central_crop(size: tuple[int, int], policy: Policy) -> tuple[int, int]:
    height, width = size
    if width / height < policy.ratio_min:
        return round(width / policy.ratio_min), width
    if width / height > policy.ratio_max:
        return height, round(height * policy.ratio_max)
    return height, width


def _draw_order(n: int, strengths: tuple[float, ...], generator: torch.Generator) -> Tensor:
    rank = _uniform((n, len(strengths)), 0, 1, generator)
    for operator, strength in enumerate(strengths):
        if not strength:
            rank[:, operator] = 2  # after all those in use
    return rank.argsort(dim=1)[:, : sum(map(bool, strengths))]


def _draw_factors(n: int, strengths: tuple[float, ...], generator: torch.Generator) -> Tensor:
    *scales, turn = strengths
    ranges = [(max(0.0, 1 - scale), 1 + scale) for scale in scales] + [(-turn, turn)]
    return torch.stack([_uniform((n,), low, high, generator) for low, high in ranges], dim=1)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def _chance(n: int, probability: float, generator: torch.Generator) -> Tensor:
    return _uniform((n,), 0, 1, generator) < probability
