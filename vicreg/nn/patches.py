"""Patches: nine of an image, in cells of a grid with gaps between them, or windows that overlap.

Doersch, Gupta, Efros, ICCV 2015, and Noroozi, Favaro, ECCV 2016, for their tasks; cells of 10 pixels with patches of 8
are to 32 x 32 pixels what cells of 85 with patches of 64 are to 255 x 255 (Kolesnikov, Zhai, Beyer, CVPR 2019).
"""

import math
from collections.abc import Callable
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn

from vicreg.augment import operators
from vicreg.augment.batch import Batch
from vicreg.io.section import Count, Probability, Section
from vicreg.nn.encoder import Encoder

Representation = Literal["patches", "image"]
SIDE = 3  # cells of a grid's side
PATCHES = SIDE * SIDE
CENTER = PATCHES // 2  # the middle one, row by row


def windows(images: Tensor, size: int, step: int) -> Tensor:
    """All windows of `size` x `size` pixels, `step` apart, of images (N, C, H, W): (N, P, C, size, size), by rows."""
    x = images.unfold(2, size, step).unfold(3, size, step)  # (N, C, rows, columns, size, size)
    return x.permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def cut(images: Tensor, top: Tensor, left: Tensor, *, size: int) -> Tensor:
    """Patches (N, P, C, size, size) of images (N, C, H, W), with first rows and columns top, left (N, P) int64."""
    pixel = torch.arange(size, device=images.device)
    rows, columns = (top.unsqueeze(2) + pixel).unsqueeze(3), (left.unsqueeze(2) + pixel).unsqueeze(2)
    n = torch.arange(len(images), device=images.device).view(-1, 1, 1, 1)
    return images.permute(0, 2, 3, 1)[n, rows, columns].permute(0, 1, 4, 2, 3)


def standardize(patches: Tensor) -> Tensor:
    """Each patch (..., C, H, W) in [0, 1] with mean 0 and standard deviation 1 over all its numbers.

    Deviations below one of 255 levels over the root of their number count as that, as in TensorFlow's
    per_image_standardization, so that a plain patch becomes 0.
    """
    axes = (-3, -2, -1)
    min_std = 1 / (255 * math.sqrt(math.prod(patches.shape[-3:])))
    deviation = patches.std(dim=axes, correction=0, keepdim=True).clamp_min(min_std)
    return (patches - patches.mean(dim=axes, keepdim=True)) / deviation


def represent(backbone: nn.Module, patches: Tensor) -> Tensor:
    """The representations (N, P, D) of patches (N, P, C, h, w), as the backbone is to see them."""
    y = backbone(patches.flatten(0, 1).contiguous(memory_format=torch.channels_last))
    return y.unflatten(0, patches.shape[:2])


class Grid(Section):
    """cell: pixels of a cell's side, of 3 x 3; patch: of the patch's inside it."""

    cell: Count = 10
    patch: Count = 8

    @model_validator(mode="after")
    def patches_fit(self) -> Self:
        """Raise ValueError for a patch larger than its cell."""
        if self.patch > self.cell:
            raise ValueError(f"a patch of {self.patch} pixels does not fit into a cell of {self.cell}")
        return self

    def max_offsets(self, images: Tensor) -> tuple[int, int]:
        """How many pixels the grid may move down and to the right; raises ValueError for images that are too small."""
        down, right = (side - SIDE * self.cell for side in images.shape[2:])
        if min(down, right) < 0:
            raise ValueError(
                f"{SIDE} x {SIDE} cells of {self.cell} pixels do not fit into images of "
                f"{images.shape[2]} x {images.shape[3]}: choose a smaller `cell`"
            )
        return down, right

    def random_patches(self, images: Tensor, batch: Batch) -> Tensor:
        """Patches (N, 9, C, patch, patch), by rows: the grid at a random place, and each patch within its cell."""
        grid, jitter = batch.rand(1, 2), batch.rand(PATCHES, 2)
        cell = torch.arange(PATCHES, device=images.device)
        starts = []
        for axis, offset in enumerate(self.max_offsets(images)):
            number = cell % SIDE if axis else cell // SIDE  # of the cell along this axis
            within = (jitter[..., axis] * (self.cell - self.patch + 1)).long()
            starts.append((grid[..., axis] * (offset + 1)).long() + number * self.cell + within)
        return cut(images, *starts, size=self.patch)

    def central_patches(self, images: Tensor) -> Tensor:
        """Patches (N, 9, C, patch, patch) in the middle of their cells, in the middle of the images."""
        top, left = (offset // 2 + (self.cell - self.patch) // 2 for offset in self.max_offsets(images))
        span = (SIDE - 1) * self.cell + self.patch
        return windows(images[:, :, top : top + span, left : left + span], self.patch, self.cell)


class Puzzle(Grid):
    """gray: the probability that a patch is gray, each by itself, so that colors do not give its place away.

    representation: what is evaluated: the mean over the `patches` in the middle of their cells, in color, or the whole
    `image`.
    """

    gray: Probability = 2 / 3
    representation: Representation = "patches"

    def inputs(self, batch: Batch) -> Tensor:
        """Nine patches (N, 9, 3, patch, patch) of a view of each image, each standardized by itself."""
        patches = self.random_patches(batch.views(1), batch)
        gray = operators.grayscale(patches.flatten(0, 1)).view_as(patches)
        mask = batch.rand(PATCHES) < self.gray
        return standardize(torch.where(mask.view(*mask.shape, 1, 1, 1), gray, patches))

    def evaluated(self, encoder: Encoder) -> Encoder:
        """The encoder in the form that is evaluated."""
        return evaluated(encoder, self.representation, lambda images: standardize(self.central_patches(images)))


class PatchMean(Encoder):
    """Images (N, 3, H, W), uint8 or float in [0, 1] -> the mean (N, num_features) over their patches.

    It shares the weights of `encoder`. patches: from images in [0, 1] to what the backbone sees, (N, P, 3, h, w).
    """

    def __init__(self, encoder: Encoder, patches: Callable[[Tensor], Tensor]):
        super().__init__(encoder.backbone)
        self._buffers, self.patches = encoder._buffers, patches  # shared, so that both move to a device together

    def forward(self, images: Tensor) -> Tensor:
        x = self.patches(images.float() / 255 if images.dtype == torch.uint8 else images)
        return represent(self.backbone, x).mean(dim=1)


def evaluated(encoder: Encoder, representation: Representation, patches: Callable[[Tensor], Tensor]) -> Encoder:
    """The encoder of whole images, or its mean over `patches`, see `PatchMean`."""
    return encoder if representation == "image" else PatchMean(encoder, patches)
