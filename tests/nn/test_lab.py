"""Lab against values of the CIE for primaries, and against a second implementation that goes back to RGB."""

import numpy as np
import pytest
import torch

from vicreg.nn.lab import rgb_to_lab


@pytest.mark.parametrize(
    ("rgb", "lab"),
    [
        ((1, 1, 1), (100, 0, 0)),
        ((0, 0, 0), (0, 0, 0)),
        ((1, 0, 0), (53.24, 80.09, 67.20)),
        ((0, 1, 0), (87.73, -86.18, 83.18)),
        ((0, 0, 1), (32.30, 79.19, -107.86)),
    ],
)
def test_primaries(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    image = torch.tensor(rgb, dtype=torch.float64).view(1, 3, 1, 1)
    np.testing.assert_allclose(rgb_to_lab(image).flatten(), lab, atol=0.01)


def back(lab: np.ndarray) -> np.ndarray:
    """RGB (N, 3) of Lab (N, 3), by the inverse formulas (CIE 15; IEC 61966-2-1 with its published inverse matrix)."""
    fy = (lab[:, 0] + 16) / 116
    f = np.stack([fy + lab[:, 1] / 500, fy, fy - lab[:, 2] / 200], axis=1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * [0.95047, 1.0, 1.08883]
    matrix = [[3.240479, -1.537150, -0.498535], [-0.969256, 1.875992, 0.041556], [0.055648, -0.204043, 1.057311]]
    linear = xyz @ np.transpose(matrix)
    return np.where(linear > 0.0031308, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055, 12.92 * linear)


def test_the_way_back_gives_the_image() -> None:
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    images[0] *= 0.05  # dark ones, where both curves are straight
    lab = rgb_to_lab(images).permute(0, 2, 3, 1).reshape(-1, 3).numpy()
    np.testing.assert_allclose(back(lab), images.permute(0, 2, 3, 1).reshape(-1, 3), atol=2e-4)


def test_gray_has_no_color() -> None:
    gray = torch.linspace(0, 1, 256).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    lab = rgb_to_lab(gray)
    assert lab[:, 1:].abs().max() < 0.01
    assert (lab[0, 0].flatten().diff() > 0).all()


def test_half_precision_is_widened() -> None:
    image = torch.rand(1, 3, 4, 4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        lab = rgb_to_lab(image)
    torch.testing.assert_close(lab, rgb_to_lab(image.float()))
