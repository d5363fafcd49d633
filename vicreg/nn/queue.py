"""A queue of the latest embeddings: first in, first out, as part of a method's state."""

import torch
from torch import Tensor, nn


class Queue(nn.Module):
    """The latest `size` of all rows (N, D) that were pushed; unit vectors drawn at random until it is full.

    Attributes:
        rows: (size, D), in no order that matters. pushed: () int64, how many rows were written so far.
    """

    rows: Tensor
    pushed: Tensor

    def __init__(self, size: int, dimensions: int):
        super().__init__()
        self.register_buffer("rows", nn.functional.normalize(torch.randn(size, dimensions)))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.int64))

    def __len__(self) -> int:
        return len(self.rows)

    @torch.no_grad()
    def push(self, rows: Tensor) -> None:
        """Overwrite the oldest rows by `rows` (N, D), in their order; of more than `size` the last ones stay."""
        rows = rows[max(0, len(rows) - len(self)) :].to(self.rows.dtype)
        positions = (self.pushed + torch.arange(len(rows), device=rows.device)) % len(self)
        self.rows.index_copy_(0, positions, rows)
        self.pushed += len(rows)
