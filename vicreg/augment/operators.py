"""Image operators on a batch in which every image has its own parameters.

Images are float32 (N, 3, H, W) in [0, 1]; a parameter is a tensor with one entry per image. Each operator
equals its namesake in `torchvision.transforms.v2.functional` on float tensors to about 1e-6. None waits for
the device.
"""

from collections.abc import Callable

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)  # torchvision's (and ITU-R 601's) weights of red, green and blue


def per_image(values: Tensor) -> Tensor:
    """Reshape (N,) so that it broadcasts against (N, 3, H, W)."""
    return values.view(-1, 1, 1, 1)


def separable(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Map rows and columns of images (N, 3, H, W) by matrices of each image's own, (N, H', H) and (N, W', W).

    Both operators that mix pixels are separable, and a batched matrix product runs at the speed of the hardware where a
    gather would not. Returns (N, 3, H', W').
    """
    n, channels, height, width = images.shape
    across = torch.bmm(images.reshape(n, channels * height, width), columns.transpose(1, 2))
    return torch.matmul(rows.unsqueeze(1), across.view(n, channels, height, columns.shape[1]))


def resize_weights(
    start: Tensor, length: Tensor, size: int, output: int, interpolation: str, mirror: Tensor | None = None
) -> Tensor:
    """Matrices (N, output, size) that make `output` pixels of [start, start + length) of an axis of `size` pixels.

    As torchvision with `antialias=True`: the bicubic kernel is PIL's (a = -0.5), taps beyond the ends of the crop are
    dropped and the others renormalised, and where a crop shrinks the kernel widens by as much.

    start, length: (N,) first pixel of the crop, and its pixels, from 1 to `size`. interpolation: "bilinear" or
    "bicubic"; raises ValueError for others. mirror: (N,) bool, whether to reverse the axis, which costs nothing here.
    """
    if interpolation not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolation is 'bilinear' or 'bicubic', not {interpolation!r}")
    pixel = torch.arange(size, device=start.device, dtype=torch.float32)
    target = torch.arange(output, device=start.device, dtype=torch.float32)
    target = target if mirror is None else torch.where(mirror.view(-1, 1), output - 1 - target, target)
    first, count = start.float().view(-1, 1), length.float().view(-1, 1)
    last = first + count - 1
    centre = (target + 0.5) * (count / output) - 0.5 + first  # (N, output): where each output pixel reads
    if interpolation == "bilinear" and output >= size:  # two taps: renormalising is reading no further than the ends
        return (1 - (centre.clamp(first, last).unsqueeze(2) - pixel).abs_()).clamp_(min=0)
    inside = ((pixel >= first) & (pixel <= last)).float().unsqueeze(1)
    distance = (centre.unsqueeze(2) - pixel).abs_()
    if output < size:  # some crops may shrink
        distance = distance.div_((count / output).clamp_(min=1).unsqueeze(2))
    kernel = _cubic(distance) if interpolation == "bicubic" else (1 - distance).clamp_(min=0)
    weights = kernel.mul_(inside)
    return weights.div_(weights.sum(2, keepdim=True))


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic kernel with a = -0.5, at distances of 0 and more, written without its two cases.

    With u = 2 - distance and v = 1 - distance, each 0 where negative: u^2 (u - 1) / 2 + v^2 (1 - 2 v).
    """
    u = (2 - distance).clamp_(min=0)
    v = (u - 1).clamp_(min=0)
    return (u - 1).mul_(u).mul_(u).mul_(0.5).addcmul_(v * v, 1 - 2 * v)


def blur_weights(sigma: Tensor, kernel: int, size: int) -> Tensor:
    """Matrices (N, size, size) that blur an axis of `size` pixels with a Gaussian, reflected at its ends.

    sigma: (N,) standard deviation in pixels; kernel: odd number of taps, at most 2 * size - 1.
    """
    offset = torch.arange(kernel, device=sigma.device) - kernel // 2
    taps = torch.softmax(-0.5 * (offset / sigma.view(-1, 1)) ** 2, dim=1)  # (N, kernel)
    pixel = torch.arange(size, device=sigma.device)
    source = (pixel + offset.view(-1, 1)).abs()  # (kernel, size), reflected at the start
    source = (size - 1) - ((size - 1) - source).abs()  # and at the end
    reads = (source.unsqueeze(2) == pixel).float()  # (kernel, size, size): which tap reads which pixel
    return (taps @ reads.flatten(1)).view(-1, size, size)


def blur(images: Tensor, sigma: Tensor, kernel: int) -> Tensor:
    """Blur each image with a Gaussian of `sigma` (N,) pixels, cut to `kernel` x `kernel` pixels."""
    rows = blur_weights(sigma, kernel, images.shape[2])
    columns = blur_weights(sigma, kernel, images.shape[3])
    return separable(images, rows, columns).clamp_(0, 1)  # rounding can leave [0, 1]


# --- colors


def luma(images: Tensor) -> Tensor:
    """(N, 1, H, W): the gray value of each pixel."""
    red, green, blue = images.split(1, dim=1)
    return (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])


def mean_luma(images: Tensor) -> Tensor:
    """(N, 1, 1, 1): the gray value of the mean color, which is the mean gray value."""
    return luma(images.mean(dim=(2, 3), keepdim=True))


def grayscale(images: Tensor) -> Tensor:
    """Gray, in three equal channels."""
    return luma(images).expand_as(images)


def blend(images: Tensor, target: Tensor, factor: Tensor) -> Tensor:
    """`factor` (N,) of each image and the rest of `target`, which broadcasts; clamped to [0, 1]."""
    return torch.lerp(target, images, per_image(factor)).clamp_(0, 1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with black: `factor` (N,) of 0 and more."""
    return (images * per_image(factor)).clamp_(0, 1)


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the mean gray of the image: `factor` (N,) of 0 and more."""
    return blend(images, mean_luma(images), factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Blend with the grayscale image: `factor` (N,) of 0 and more."""
    return blend(images, luma(images), factor)


def hue(images: Tensor, shift: Tensor) -> Tensor:
    """Turn the hue by `shift` (N,) of a full circle, in [-0.5, 0.5]; value and saturation stay.

    A channel has the maximum up to a sixth of the circle from its own angle (red 0, green 1/3, blue 2/3) and
    the minimum beyond two; between them it falls linearly. This is HSV (Smith, "Color gamut transform pairs",
    SIGGRAPH 1978) without saturation, its division, and the table of six cases.
    """
    red, green, blue = images.unbind(1)
    high = torch.maximum(torch.maximum(red, green), blue)
    low = torch.minimum(torch.minimum(red, green), blue)
    span = high - low  # (N, H, W), 0 for gray pixels, whose differences are 0 as well
    if_red, if_green = green - blue, (blue - red).add_(span, alpha=2)
    if_blue = (red - green).add_(span, alpha=4)
    angle = if_blue.lerp_(if_green, _indicator(torch.eq, green, high))
    angle = angle.lerp_(if_red, _indicator(torch.eq, red, high)).div_(span.clamp(min=1e-12))
    turns = angle.add_(6 * shift.view(-1, 1, 1)).div_(6).unsqueeze(1)
    turns = turns - torch.linspace(0, 2 / 3, 3, device=images.device).view(3, 1, 1)  # from a channel's own
    distance = turns.sub_(turns.round()).abs_().clamp_(1 / 6, 2 / 6)  # max at the first, min at the second
    full, slope = (high + span).unsqueeze(1), (-6 * span).unsqueeze(1)
    return torch.addcmul(full, distance, slope).clamp_(0, 1)  # rounding can leave [0, 1]


def _indicator(compare: Callable[..., Tensor], a: Tensor, b: Tensor | float) -> Tensor:
    """1.0 where the comparison holds and 0.0 elsewhere: on a CPU, bool and `where` take 4 times as long."""
    return compare(a, b, out=torch.empty_like(a))


def solarize(images: Tensor, threshold: float) -> Tensor:
    """Invert the pixels at or above `threshold`, in [0, 1]."""
    return torch.lerp(images, 1 - images, _indicator(torch.ge, images, threshold))
