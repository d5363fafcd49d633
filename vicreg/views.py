"""A policy draws two views of every image of a batch, on the device that holds the batch.

Drawing and applying are apart: `draw` turns numbers and a generator into parameters, one per image, and
`apply` is a pure function of images and parameters. The operators and their order are those of BYOL and
VICReg: crop, flip, colour jitter, grayscale, blur, solarize.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from vicreg import image_ops

CHUNK = 64  # images at a time and thread on a CPU: 64 x 12 KiB of 32 x 32 pixels stay in its cache
JITTER = (image_ops.brightness, image_ops.contrast, image_ops.saturation, image_ops.hue)
HUE = 3


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
        blur_kernel: its size in pixels, odd.
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
    """What was drawn for each of N images; None where the policy switches the operator off.

    Attributes:
        box: (N, 4) int64, top, left, height and width of the crop in pixels.
        flip, jitter, grayscale, blur, solarize: (N,) bool, whether the operator applies.
        order: (N, K) int64, the K jitter operators in use, first to last (indices into `JITTER`).
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

    def __getitem__(self, index: slice) -> "Drawn":
        """The parameters of some of the images."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return Drawn(**{name: value if value is None else value[index] for name, value in values.items()})


def two_views(images: Tensor, policy: Policy, generator: torch.Generator) -> Tensor:
    """Draw two views of each image.

    Args:
        images: (N, 3, H, W) uint8.
        policy: the numbers to draw with.
        generator: the only source of randomness, on the device of the images.

    Returns:
        (2N, 3, H, W) float32 in [0, 1]: the first view of each image, then the second of each.
    """
    n, _, height, width = images.shape
    views = [apply(images, draw(n, (height, width), policy, v, generator), policy) for v in (0, 1)]
    return torch.cat(views)


def draw(n: int, size: tuple[int, int], policy: Policy, view: int, generator: torch.Generator) -> Drawn:
    """Draw the parameters of one view of `n` images, as torchvision's transforms draw them one by one.

    Args:
        n: number of images.
        size: their height and width in pixels.
        policy: the numbers to draw with.
        view: 0 for the first view, 1 for the second.
        generator: the only source of randomness; the parameters lie on its device.
    """
    p = policy
    order, factors = _draw_jitter(n, p, generator) if p.jitter else (None, None)
    return Drawn(
        box=draw_boxes(n, size, p, generator) if (p.scale_min, p.scale_max) != (1, 1) else None,
        flip=_chance(n, p.flip, generator),
        jitter=_chance(n, p.jitter, generator),
        order=order,
        factors=factors,
        grayscale=_chance(n, p.grayscale, generator),
        blur=_chance(n, p.blur[view], generator),
        sigma=_uniform((n,), *p.blur_sigma, generator) if p.blur[view] else None,
        solarize=_chance(n, p.solarize[view], generator),
    )


def _uniform(shape: tuple[int, ...], low: float, high: float, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=generator.device).mul_(high - low).add_(low)


def _chance(n: int, probability: float, generator: torch.Generator) -> Tensor | None:
    return _uniform((n,), 0, 1, generator) < probability if probability else None


def _draw_jitter(n: int, policy: Policy, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    strengths = (policy.brightness, policy.contrast, policy.saturation, policy.hue)
    used = torch.tensor([i for i, strength in enumerate(strengths) if strength], device=generator.device)
    order = used[_uniform((n, len(used)), 0, 1, generator).argsort(dim=1)]
    ranges = [(max(0.0, 1 - s), 1 + s) for s in strengths[:HUE]] + [(-policy.hue, policy.hue)]
    factors = torch.stack([_uniform((n,), low, high, generator) for low, high in ranges], dim=1)
    return order, factors


def draw_boxes(n: int, size: tuple[int, int], policy: Policy, generator: torch.Generator) -> Tensor:
    """Draw crops (N, 4): top, left, height, width, as `RandomResizedCrop.get_params`.

    Area and logarithm of the ratio are uniform; of ten candidates the first that fits counts, and if none
    does, the largest central crop with an allowed ratio. Here the ten are drawn at once.
    """
    full = torch.tensor(size, device=generator.device)
    area = _uniform((n, 10), policy.scale_min, policy.scale_max, generator) * (size[0] * size[1])
    ratio = _uniform((n, 10), math.log(policy.ratio_min), math.log(policy.ratio_max), generator).exp_()
    sides = torch.stack([area / ratio, area * ratio], dim=2).sqrt_().round_().long()  # (N, 10, 2)
    fits = ((sides > 0) & (sides <= full)).all(2)
    first = fits.byte().argmax(1)  # 0 also where none fits
    drawn = sides.gather(1, first.view(-1, 1, 1).expand(-1, 1, 2)).squeeze(1)  # (N, 2)
    central = torch.tensor(_central_crop(size, policy), device=generator.device)
    none_fits = ~fits.any(1, keepdim=True)
    sides = torch.where(none_fits, central, drawn)
    room = full - sides
    # In float32 a number just below 1 times the room can round up to it.
    corner = torch.minimum((_uniform((n, 2), 0, 1, generator) * (room + 1)).long(), room)
    return torch.cat([torch.where(none_fits, room // 2, corner), sides], dim=1)


def _central_crop(size: tuple[int, int], policy: Policy) -> tuple[int, int]:
    height, width = size
    if width / height < policy.ratio_min:
        return round(width / policy.ratio_min), width
    if width / height > policy.ratio_max:
        return height, round(height * policy.ratio_max)
    return height, width


def apply(images: Tensor, drawn: Drawn, policy: Policy) -> Tensor:
    """Make one view of each image from drawn parameters.

    Args:
        images: (N, 3, H, W) uint8.
        drawn: parameters of N images, on their device.
        policy: for what is not drawn: interpolation, size of the blur, threshold.

    Returns:
        (N, 3, H, W) float32 in [0, 1].
    """
    if not _on_cpu(images):
        return _apply_chunk(images, drawn, policy)
    views = torch.empty(images.shape)
    step = CHUNK * torch.get_num_threads()
    for start in range(0, len(images), step):
        part = slice(start, start + step)
        views[part] = _apply_chunk(images[part], drawn[part], policy)
    return views


def _apply_chunk(images: Tensor, drawn: Drawn, policy: Policy) -> Tensor:
    x = _crop_and_flip(images, drawn, policy.interpolation)
    if drawn.jitter is not None and drawn.order is not None and drawn.factors is not None:
        x = _jitter(x, drawn.jitter, drawn.order, drawn.factors)
    if drawn.grayscale is not None:
        x = _where(drawn.grayscale, image_ops.grayscale, x)
    if drawn.blur is not None and drawn.sigma is not None:
        x = _where(drawn.blur, lambda y, sigma: image_ops.blur(y, sigma, policy.blur_kernel), x, drawn.sigma)
    if drawn.solarize is not None:
        x = _where(drawn.solarize, lambda y: image_ops.solarize(y, policy.solarize_threshold), x)
    return x


def _crop_and_flip(images: Tensor, drawn: Drawn, interpolation: str) -> Tensor:
    x = images.float().div_(255)
    if drawn.box is None:
        return x if drawn.flip is None else _where(drawn.flip, lambda y: y.flip(3), x)
    top, left, height, width = drawn.box.unbind(1)
    rows = image_ops.resize_weights(top, height, images.shape[2], interpolation)
    columns = image_ops.resize_weights(left, width, images.shape[3], interpolation)
    if drawn.flip is not None:  # the mirror image has the columns in reverse: no pass over the pixels
        columns = torch.where(drawn.flip.view(-1, 1, 1), columns.flip(1), columns)
    # Bicubic overshoots; torchvision leaves that on float tensors, but every operator after it needs [0, 1].
    return image_ops.separable(x, rows, columns).clamp_(0, 1)


def _jitter(x: Tensor, chosen: Tensor, order: Tensor, factors: Tensor) -> Tensor:
    for turn in order.unbind(1):
        for i, operator in enumerate(JITTER):
            x = _where(chosen & (turn == i), operator, x, factors[:, i])
    return x


def _where(chosen: Tensor, operator: Callable[..., Tensor], x: Tensor, *parameters: Tensor) -> Tensor:
    """Apply an operator to the chosen images: to them alone on a CPU, to all and select elsewhere.

    Only a CPU knows at once how many are chosen; a GPU would have to be waited for.
    """
    if not _on_cpu(x):
        return torch.where(image_ops.per_image(chosen), operator(x, *parameters), x)
    index = chosen.nonzero().squeeze(1)
    if len(index):
        x[index] = operator(x[index], *(parameter[index] for parameter in parameters))
    return x


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
