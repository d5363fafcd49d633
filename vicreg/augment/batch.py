"""A batch of images as a method sees it: the only source of randomness in a training step."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vicreg.augment.policy import Policy
from vicreg.augment.views import make_views


@dataclass(frozen=True)
class Batch:
    """This process's rows of a batch, and how to draw for them what one process would draw for all.

    Attributes:
        images: (n, 3, H, W) uint8, this process's rows.
        indices: (n,) int64, their positions among the pretraining images.
        rows: which rows of the whole batch these are. size: how many the whole batch has.
        policy: how views are drawn.
        generator: in the same state in every process; on the device of the images.
        compiled: whether the operators of views are translated by torch.compile.
        progress: the share of the training that is done.
    """

    images: Tensor
    indices: Tensor
    rows: slice
    size: int
    policy: Policy
    generator: torch.Generator
    compiled: bool = False
    progress: float = 0.0

    def rand(self, *shape: int) -> Tensor:
        """Uniform numbers (n, *shape) in [0, 1), a row for each image: drawn for the whole batch, then cut."""
        return torch.rand((self.size, *shape), generator=self.generator, device=self.generator.device)[self.rows]

    def permutation(self) -> Tensor:
        """An order (size,) int64 of the rows of the whole batch, the same in every process."""
        return torch.randperm(self.size, generator=self.generator, device=self.generator.device)

    def views(self, count: int, *, size: int | None = None, policy: Policy | None = None) -> Tensor:
        """Draw `count` views of each image, by the batch's policy or another; see `views.make_views`.

        size: pixels of their sides; by default what the policy says now.
        Returns (count * n, 3, H, W) float32 in [0, 1]: the first view of each image, then the second of each, ...
        """
        whole: Any = {"of": self.size, "rows": self.rows, "compiled": self.compiled}
        size = size or self.policy.size_at(self.progress)
        return make_views(self.images, policy or self.policy, self.generator, count=count, size=size, **whole)
