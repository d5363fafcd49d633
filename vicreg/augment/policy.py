"""A policy is the numbers that draw views; sampling gives every image parameters of its own.

The distributions are those of torchvision's transforms, drawn for a whole batch at once, on the device of the
generator, and without waiting for it.
"""

import math
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor

from vicreg.io.section import MAX_INT, Fraction, NonNegative, Positive, Probability, Section

BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)  # as torchvision's ColorJitter numbers them


class Policy(Section):
    """The numbers that draw views; by default every operator is off and a view is the image.

    Attributes:
        scale_min, scale_max: part of the image's area that a crop covers; no crop where both are 1.
        ratio_min, ratio_max: width / height of a crop.
        interpolation: "bilinear" or "bicubic", from the crop to the size of the view.
        flip: probability of a mirror image, left to right.
        jitter: probability of color jitter: the four operators below in an order drawn per image.
        brightness, contrast, saturation: a factor is drawn from 1 - x (at least 0) to 1 + x.
        hue: a shift is drawn from -x to x of a full circle, x at most 0.5.
        grayscale: probability of gray.
        blur: probability of a Gaussian blur, for the first and the second view.
        blur_kernel: its size in pixels, odd and less than twice the image's.
        blur_sigma: its standard deviation in pixels is drawn from the first to the second number.
        solarize: probability of inverted bright pixels, for the first and the second view.
        solarize_threshold: pixels at or above it are inverted, in [0, 1].
        sizes: pixels of a view's sides, each from a share of the training on, as in ((0, 16), (0.6, 24)); those of the
            image before the first share, and where there is none. Small views cost less, and come first (progressive
            resizing: Howard, Training Imagenet in 3 hours, fast.ai, 2018).
    """

    scale_min: Fraction = 1.0
    scale_max: Fraction = 1.0
    ratio_min: Positive = 3 / 4
    ratio_max: Positive = 4 / 3
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    flip: Probability = 0.0
    jitter: Probability = 0.0
    brightness: NonNegative = 0.0
    contrast: NonNegative = 0.0
    saturation: NonNegative = 0.0
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    grayscale: Probability = 0.0
    blur: tuple[Probability, Probability] = (0.0, 0.0)
    blur_kernel: Annotated[int, Field(ge=1, le=63)] = 3
    blur_sigma: tuple[Positive, Positive] = (0.1, 2.0)
    solarize: tuple[Probability, Probability] = (0.0, 0.0)
    solarize_threshold: Probability = 0.5
    sizes: tuple[tuple[Probability, Annotated[int, Field(ge=4, le=MAX_INT)]], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def lists_are_pairs(cls, values: Any) -> Any:
        """YAML has lists where Python has pairs."""
        if not isinstance(values, dict):
            return values

        def as_tuple(value: Any) -> Any:
            return tuple(map(as_tuple, value)) if isinstance(value, list) else value

        return {key: as_tuple(value) for key, value in values.items()}

    @model_validator(mode="after")
    def ranges_are_ordered(self) -> Self:
        """Raise ValueError for a range whose least is above its most, an even kernel, and sizes out of order."""
        for low, high in (("scale_min", "scale_max"), ("ratio_min", "ratio_max")):
            if getattr(self, low) > getattr(self, high):
                raise ValueError(f"{low} = {getattr(self, low)} must not exceed {high} = {getattr(self, high)}")
        if self.blur_sigma[0] > self.blur_sigma[1]:
            raise ValueError(f"blur_sigma = {list(self.blur_sigma)} must be [least, most]")
        if self.blur_kernel % 2 == 0:
            raise ValueError(f"blur_kernel = {self.blur_kernel} must be odd")
        shares = [share for share, _ in self.sizes]
        if shares != sorted(set(shares)):
            raise ValueError(f"sizes = {[list(pair) for pair in self.sizes]} must be [share, pixels], shares ascending")
        return self

    def size_at(self, progress: float) -> int | None:
        """Pixels of a view's sides when this share of the training is done; None for those of the image."""
        return next((size for share, size in reversed(self.sizes) if progress >= share), None)


@dataclass(frozen=True)
class ViewParams:
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

    def select(self, rows: slice) -> "ViewParams":
        """Return the parameters of these images alone."""
        return ViewParams(**{name: value[rows] for name, value in self.drawn().items()})

    def concat(self, *others: "ViewParams") -> "ViewParams":
        """Return these parameters and after them those of `others`, drawn from the same policy."""
        parts = [self.drawn(), *(other.drawn() for other in others)]
        return ViewParams(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})

    def drawn(self) -> dict[str, Tensor]:
        """Return by name what was drawn: tensors with a row for each image."""
        return {f.name: value for f in fields(self) if (value := getattr(self, f.name)) is not None}


def sample(n: int, size: tuple[int, int], policy: Policy, view: int, generator: torch.Generator) -> ViewParams:
    """Draw the parameters of one view of `n` images, on the device of the generator, the only source of randomness.

    size: their height and width in pixels; view: 0 for the first view, 1 for the second.
    """
    p = policy
    strengths = (p.brightness, p.contrast, p.saturation, p.hue)
    jitter = p.jitter and any(strengths)
    return ViewParams(
        box=sample_boxes(n, size, p, generator) if (p.scale_min, p.scale_max) != (1, 1) else None,
        flip=_bernoulli(n, p.flip, generator) if p.flip else None,
        jitter=_bernoulli(n, p.jitter, generator) if jitter else None,
        order=_sample_order(n, strengths, generator) if jitter else None,
        factors=_sample_factors(n, strengths, generator) if jitter else None,
        grayscale=_bernoulli(n, p.grayscale, generator) if p.grayscale else None,
        blur=_bernoulli(n, p.blur[view], generator) if any(p.blur) else None,
        sigma=_uniform((n,), *p.blur_sigma, generator) if any(p.blur) else None,
        solarize=_bernoulli(n, p.solarize[view], generator) if any(p.solarize) else None,
    )


def sample_boxes(n: int, size: tuple[int, int], policy: Policy, generator: torch.Generator) -> Tensor:
    """Draw crops (n, 4): top, left, height, width, as `torchvision.transforms.RandomResizedCrop.get_params`.

    Area and logarithm of the ratio are uniform; of ten candidates the first that fits counts, and if none
    does, the largest central crop with an allowed ratio. Here the ten are drawn at once.
    """
    area = _uniform((n, 10), policy.scale_min, policy.scale_max, generator) * (size[0] * size[1])
    ratio = _uniform((n, 10), math.log(policy.ratio_min), math.log(policy.ratio_max), generator).exp_()
    sides = ((area / ratio).sqrt_().round_().long(), (area * ratio).sqrt_().round_().long())
    fits = (sides[0] > 0) & (sides[0] <= size[0]) & (sides[1] > 0) & (sides[1] <= size[1])  # (n, 10)
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


def _central_crop(size: tuple[int, int], policy: Policy) -> tuple[int, int]:
    height, width = size
    if width / height < policy.ratio_min:
        return round(width / policy.ratio_min), width
    if width / height > policy.ratio_max:
        return height, round(height * policy.ratio_max)
    return height, width


def _sample_order(n: int, strengths: tuple[float, ...], generator: torch.Generator) -> Tensor:
    rank = _uniform((n, len(strengths)), 0, 1, generator)
    for operator, strength in enumerate(strengths):
        if not strength:
            rank[:, operator] = 2  # after all those in use
    return rank.argsort(dim=1)[:, : sum(map(bool, strengths))]


def _sample_factors(n: int, strengths: tuple[float, ...], generator: torch.Generator) -> Tensor:
    *scales, turn = strengths
    ranges = [(max(0.0, 1 - scale), 1 + scale) for scale in scales] + [(-turn, turn)]
    return torch.stack([_uniform((n,), low, high, generator) for low, high in ranges], dim=1)


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def _bernoulli(n: int, probability: float, generator: torch.Generator) -> Tensor:
    return _uniform((n,), 0, 1, generator) < probability
