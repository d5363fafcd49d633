"""Batch norm over parts of a batch, so that the images of one part share no statistics with those of another.

MoCo needs it: a query and its key that were normalized together, unlike the keys of the queue, can be told by their
statistics (He et al., MoCo, CVPR 2020, section 3.3, where each GPU has a part and keys are shuffled). Here the parts
are those of the whole batch, so that k processes compute what one does.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from vicreg.engine.distributed import all_reduce_mean, world_size


class SplitBatchNorm(nn.BatchNorm2d):
    """Batch norm of each of `parts` equal, consecutive parts of the whole input; in evaluation mode as BatchNorm2d.

    Processes must share the parts evenly.
    """

    def __init__(self, other: nn.BatchNorm2d, parts: int):
        """It shares the parameters and statistics of `other`."""
        super().__init__(other.num_features, other.eps, other.momentum, other.affine, other.track_running_stats)
        self._parameters, self._buffers, self.training = other._parameters, other._buffers, other.training
        self.parts = parts

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        parts = self.parts // world_size()  # of this process's rows
        means = [torch.zeros_like(self.running_mean) for _ in range(parts)]  # type: ignore[arg-type]
        variances = [torch.ones_like(self.running_var) for _ in range(parts)]  # type: ignore[arg-type]
        outputs = [
            batch_norm(x, mean, variance, self.weight, self.bias, training=True, momentum=1.0, eps=self.eps)
            for x, mean, variance in zip(input.chunk(parts), means, variances, strict=True)
        ]
        with torch.no_grad():
            running: Any = self
            running.running_mean.lerp_(all_reduce_mean(torch.stack(means).mean(dim=0)), self.momentum)
            running.running_var.lerp_(all_reduce_mean(torch.stack(variances).mean(dim=0)), self.momentum)
            running.num_batches_tracked.add_(1)
        return torch.cat(outputs)


def split_batchnorm(module: nn.Module, parts: int) -> None:
    """Replace every BatchNorm2d inside `module` by one over `parts` parts of the batch."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, SplitBatchNorm(child, parts))
        else:
            split_batchnorm(child, parts)
