"""Batch norm over parts of a batch; that over processes is in test_distributed."""

import torch
from draws import gaussian
from torch.nn.functional import batch_norm

from vicreg.engine.batch_norm import SplitBatchNorm


def test_split_batch_norm_is_that_of_each_part() -> None:
    whole = torch.nn.BatchNorm2d(3).double()
    with torch.no_grad():
        whole.weight.copy_(torch.tensor([1.0, 2, 3]))
    split = SplitBatchNorm(whole, 4)
    x = gaussian(8, 3, 5, 5).contiguous(memory_format=torch.channels_last)
    out = split(x)
    parts = [batch_norm(part, None, None, whole.weight, whole.bias, training=True) for part in x.split(2)]
    torch.testing.assert_close(out, torch.cat(parts))
    assert out.is_contiguous(memory_format=torch.channels_last)
    means = torch.stack([part.mean((0, 2, 3)) for part in x.split(2)]).mean(0)
    variances = torch.stack([part.transpose(0, 1).flatten(1).var(1) for part in x.split(2)]).mean(0)
    torch.testing.assert_close(whole.running_mean, 0.1 * means)
    torch.testing.assert_close(whole.running_var, 0.9 + 0.1 * variances)
    torch.testing.assert_close(split.eval()(x), whole.eval()(x))
