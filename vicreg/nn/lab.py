"""CIE Lab: lightness apart from color, in steps that look alike."""

import torch
from torch import Tensor

from vicreg.nn.precision import full_precision

TO_XYZ = (  # linear sRGB to XYZ, by IEC 61966-2-1
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
WHITE = (0.95047, 1.0, 1.08883)  # D65


@full_precision
def rgb_to_lab(images: Tensor) -> Tensor:
    """Lightness in [0, 100], and a and b, of images (N, 3, H, W) in sRGB, in [0, 1]; half precision is too coarse."""
    linear = torch.where(images <= 0.04045, images / 12.92, ((images + 0.055) / 1.055).clamp_min(0) ** 2.4)
    red, green, blue = linear.unbind(1)
    x, y, z = (_root((r * red + g * green + b * blue) / white) for (r, g, b), white in zip(TO_XYZ, WHITE, strict=True))
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def _root(t: Tensor) -> Tensor:
    """The cube root, straight near 0."""
    return torch.where(t > 0.008856, t.clamp_min(1e-12) ** (1 / 3), 7.787 * t + 16 / 116)
