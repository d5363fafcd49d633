"""CPC: from the patches so far, row by row, tell the patches further down from all other patches.

van den Oord, Li, Vinyals, Representation Learning with Contrastive Predictive Coding, 2018,
<https://arxiv.org/abs/1807.03748>; Henaff et al., Data-Efficient Image Recognition with Contrastive Predictive Coding,
ICML 2020.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, relu

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count, Positive, Section
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.patches import Representation, evaluated, windows
from vicreg.nn.precision import full_precision
from vicreg.nn.pretext import classify


class CausalConv(nn.Module):
    """A residual 3x3 convolution over a grid (N, C, rows, columns) that sees its own row and the two above it."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(channels, channels, 3), nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(relu(self.conv1(pad(relu(x), (1, 1, 2, 0)))))


def norms_per_sample(module: nn.Module) -> None:
    """Replace every batch norm, whose statistics tell which patches share an image."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, nn.GroupNorm(1, child.num_features))
        else:
            norms_per_sample(child)


@full_precision
def scores(predictions: Tensor, candidates: Tensor, scale: float) -> Tensor:
    """How well each of predictions (M, D) fits each of candidates (K, D): `scale` times their product, (M, K)."""
    return (scale * predictions) @ candidates.T


class CPC(Method):
    """Windows (N, rows * rows, 3, h, w) of a view of each image, by rows -> loss and accuracy.

    A row i predicts, by one linear map for each k, the patches of row i + k in its own column, from the first k on at
    which the two do not overlap; each is to be found among all patches of all images of the batch.
    """

    class Params(Section):
        """patch, stride: pixels of a window's side, and from one to the next. steps: how many rows are predicted.

        embedding_width: of what is predicted. scale: multiplies the scores. context: layers of the network that sees
        the rows so far. representation: what is evaluated: the mean over the `patches`, or the whole `image`.
        """

        patch: Count = 8
        stride: Count = 4
        steps: Count = 3
        embedding_width: Count = 64
        scale: Positive = 0.1
        context: Count = 3
        representation: Representation = "patches"

    kept = ()

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        norms_per_sample(encoder)
        super().__init__(encoder, params, num_images=num_images)
        features = encoder.num_features
        self.targets = nn.Linear(features, params.embedding_width)
        self.context = nn.Sequential(*(CausalConv(features) for _ in range(params.context)))
        self.predictors = nn.ModuleList(nn.Conv2d(features, params.embedding_width, 1) for _ in self.ahead)

    @property
    def ahead(self) -> range:
        """How many rows ahead is predicted."""
        first = math.ceil(self.params.patch / self.params.stride)
        return range(first, first + self.params.steps)

    @property
    def representation(self) -> Encoder:
        encoder = self.encoder
        return evaluated(encoder, self.params.representation, lambda x: encoder.normalize(self.windows(x)))

    def windows(self, images: Tensor) -> Tensor:
        """Cut images (N, 3, H, W) into overlapping patches, see `vicreg.nn.patches.windows`."""
        return windows(images, self.params.patch, self.params.stride)

    def inputs(self, batch: Batch) -> Tensor:
        views = batch.views(1)
        rows = (views.shape[2] - self.params.patch) // self.params.stride + 1
        if rows <= self.ahead[-1] or views.shape[2] != views.shape[3]:
            raise ValueError(
                f"methods.cpc: images of {views.shape[2]} x {views.shape[3]} pixels have {max(0, rows)} rows of "
                f"patches, and row {self.ahead[-1] + 1} is to be predicted: choose smaller `steps`, `patch` or `stride`"
            )
        return self.windows(views)

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        n, rows = len(patches), math.isqrt(patches.shape[1])
        y = self.encoder(patches.flatten(0, 1))  # (N * rows * rows, features)
        candidates = distributed.gather(self.targets(y))
        context = self.context(y.view(n, rows, rows, -1).permute(0, 3, 1, 2))
        place = torch.arange(n * rows * rows, device=y.device).view(n, rows, rows) + distributed.rank() * len(y)
        predictions, labels = [], []
        for k, predict in zip(self.ahead, self.predictors, strict=True):
            predictions.append(predict(context[:, :, : rows - k]).permute(0, 2, 3, 1).flatten(0, 2))
            labels.append(place[:, k:].flatten())
        return classify(scores(torch.cat(predictions), candidates, self.params.scale), torch.cat(labels))
