"""Patches are slices of their image, at the places that were drawn; windows are those of torch's unfold."""

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from torch.nn.functional import unfold

from vicreg.nn.patches import Grid, PatchMean, Puzzle, cut, standardize, windows

N = 400


def numbered(n: int, side: int = 32) -> torch.Tensor:
    """Images whose three channels are the number of the image, the row and the column."""
    rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return torch.stack([torch.stack([torch.full_like(rows, i), rows, columns]) for i in range(n)]).float()


def test_windows_are_those_of_unfold() -> None:
    images = torch.rand(2, 3, 32, 32)
    expected = unfold(images, 8, stride=4).transpose(1, 2).view(2, 49, 3, 8, 8)
    torch.testing.assert_close(windows(images, 8, 4), expected, atol=0, rtol=0)


def test_a_patch_is_a_slice_of_its_own_image() -> None:
    images, top, left = torch.rand(3, 2, 9, 9), torch.tensor([[0, 5]] * 3), torch.tensor([[4, 1], [0, 2], [3, 3]])
    patches = cut(images, top, left, size=4)
    for n in range(3):
        for p in range(2):
            y, x = int(top[n, p]), int(left[n, p])
            assert torch.equal(patches[n, p], images[n, :, y : y + 4, x : x + 4])


def test_random_patches_lie_in_their_cells_and_go_everywhere_in_them() -> None:
    patches = Grid().random_patches(numbered(N), tiny.batch(N))
    assert torch.equal(patches[:, :, 0, 0, 0], torch.arange(N).float().unsqueeze(1).expand(N, 9))
    corner = patches[:, :, 1:, 0, 0].long()  # (N, 9, 2): first row and column
    assert torch.equal(patches[:, :, 1:, 7, 7].long(), corner + 7)
    cells = torch.tensor([[10 * row, 10 * column] for row in range(3) for column in range(3)])
    offset = corner - cells  # of the grid, 0 to 2, and of the patch in its cell, 0 to 2
    assert offset.min() == 0 and offset.max() == 4
    within = offset - offset.float().mean(dim=1, keepdim=True)  # the grid's own place cancels, but for the mean
    assert torch.corrcoef(within[:, :2, 0].T)[0, 1].abs() < 0.3  # patches are drawn one by one
    counts = np.bincount(offset.flatten().numpy(), minlength=5) / offset.numel()
    np.testing.assert_allclose(counts, np.array([1, 2, 3, 2, 1]) / 9, atol=0.04)  # a sum of two uniform draws of three


def test_central_patches_lie_in_the_middle() -> None:
    corner = Grid().central_patches(numbered(2))[1, :, 1:, 0, 0].long()
    assert corner.tolist() == [[row, column] for row in (2, 12, 22) for column in (2, 12, 22)]
    assert Grid(cell=20, patch=15).central_patches(numbered(1, 64))[0, 8, 1:, 0, 0].tolist() == [44, 44]


@pytest.mark.parametrize("values", [{"patch": 11}, {"cell": 7}])
def test_a_patch_fits_into_its_cell(values: dict[str, int]) -> None:
    with pytest.raises(ValidationError, match="does not fit into a cell"):
        Grid(**values)


def test_a_grid_fits_into_its_image() -> None:
    with pytest.raises(ValueError, match="do not fit into images of 16 x 32"):
        Grid().central_patches(torch.zeros(1, 3, 16, 32))


def test_patches_are_standardized_as_tensorflow_does() -> None:
    patches = torch.rand(5, 9, 3, 8, 8, dtype=torch.float64)
    expected = np.stack([(x - x.mean()) / x.std() for x in patches.flatten(0, 1).numpy()])
    np.testing.assert_allclose(standardize(patches).flatten(0, 1), expected, atol=1e-12)
    assert standardize(torch.full((1, 3, 8, 8), 0.3)).abs().max() < 1e-4
    faint = 0.5 + torch.eye(8).expand(3, 8, 8) * 1e-5
    assert float(standardize(faint).std(correction=0)) == pytest.approx(
        255 * 192**0.5 * float(faint.std(correction=0)), rel=1e-3
    )


@pytest.mark.parametrize("probability", [0.0, 2 / 3, 1.0])
def test_patches_are_gray_one_by_one(probability: float) -> None:
    patches = Puzzle(gray=probability).inputs(tiny.batch(N))
    np.testing.assert_allclose(patches.mean(dim=(2, 3, 4)), 0, atol=1e-5)  # standardized once they are gray
    np.testing.assert_allclose(patches.std(dim=(2, 3, 4), correction=0), 1, atol=1e-4)
    gray = (patches.amax(dim=2) - patches.amin(dim=2)).amax(dim=(2, 3)) < 1e-3  # (N, 9)
    assert float(gray.float().mean()) == pytest.approx(probability, abs=0.03)
    if 0 < probability < 1:
        assert float(gray.float().mean(dim=1).std()) == pytest.approx((probability / 3 / 9) ** 0.5, abs=0.03)


def test_the_mean_over_patches_is_that_of_each_alone() -> None:
    encoder, images = tiny.encoder().eval(), torch.from_numpy(tiny.pixels(4)).permute(0, 3, 1, 2)
    mean = Puzzle().evaluated(encoder)
    assert isinstance(mean, PatchMean) and Puzzle(representation="image").evaluated(encoder) is encoder
    expected = []
    for image in images.float() / 255:
        places = [(y, x) for y in (2, 12, 22) for x in (2, 12, 22)]
        patches = torch.stack([image[:, y : y + 8, x : x + 8] for y, x in places])
        patches = torch.stack([(p - p.mean()) / p.std(correction=0) for p in patches])
        expected.append(encoder.backbone(patches).mean(dim=0))
    torch.testing.assert_close(mean(images), torch.stack(expected), atol=1e-5, rtol=1e-5)
    assert mean.state_dict().keys() == encoder.state_dict().keys()
    assert all(
        value is encoder.state_dict(keep_vars=True)[key] for key, value in mean.state_dict(keep_vars=True).items()
    )
