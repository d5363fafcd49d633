"""MoCo v2: tell an image's key from those of earlier images, which a queue keeps.

He et al., Momentum Contrast for Unsupervised Visual Representation Learning, CVPR 2020; Chen, Fan, Girshick, He,
Improved Baselines with Momentum Contrastive Learning, 2020, <https://arxiv.org/abs/2003.04297>.
"""

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.engine.batch_norm import split_batchnorm
from vicreg.io.section import Count, Fraction, Positive, Probability
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.precision import full_precision, unit
from vicreg.nn.queue import Queue
from vicreg.nn.teacher import Momentum, Teacher


@full_precision
def contrast(q: Tensor, k: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE (equation 1): cross-entropy of each key k (N, D) among it and the queue (K, D), by its query q (N, D).

    All rows are unit vectors; the loss is the mean over queries.
    """
    positive = (q * k).sum(dim=1, keepdim=True)
    scores = torch.cat([positive, q @ queue.T], dim=1) / temperature  # (N, 1 + K)
    return cross_entropy(scores, torch.zeros(len(q), dtype=torch.int64, device=q.device))


class MoCoV2(Method):
    """Views (2N, 3, H, W), the first views before the second ones, and an order -> loss, queries' embeddings, keys.

    Keys are computed of images in a drawn order, so that a query and its key are in different parts of batch norm.
    """

    class Params(Momentum):
        """temperature; momentum of the key encoder, at the start and at the end; the heads.

        queue: how many keys it keeps, as a share of the pretraining images. symmetric: whether both views are queries,
        the mean of both directions counts, and both views' keys are queued. norm_parts: of each view's batch, see
        `SplitBatchNorm`; with 1 batch norm sees the whole batch, and images are not shuffled.
        """

        temperature: Positive = 0.2
        momentum_end: Probability = 0.999
        queue: Fraction = 0.65
        symmetric: bool = True
        norm_parts: Count = 8
        projector_width: Count
        embedding_width: Count = 256

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        if params.norm_parts > 1:
            split_batchnorm(encoder, params.norm_parts * (2 if params.symmetric else 1))
        widths = [params.projector_width, params.embedding_width]
        self.projector = mlp(encoder.num_features, widths, norm=False, output_bias=True)
        self.teacher = Teacher(self.encoder, self.projector)
        self.queue = Queue(max(1, round(params.queue * num_images)), params.embedding_width)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        parts, processes = self.params.norm_parts, distributed.world_size()
        if batch.size % parts or (parts > 1 and parts % processes):
            raise ValueError(
                f"methods.moco_v2.norm_parts = {parts} must divide the batch of {batch.size} images, and, unless it is "
                f"1, be a multiple of the number of processes, {processes}"
            )
        return {"views": batch.views(2), "order": batch.permutation()}

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        first, second = inputs["views"].chunk(2)
        symmetric, order = self.params.symmetric, inputs["order"]
        z = self.projector(self.encoder(inputs["views"] if symmetric else first))
        keys = self.keys([second, first] if symmetric else [second], order)  # (1 or 2, N of all processes, D)
        k = keys[:, distributed.local_rows(len(order))].flatten(0, 1)
        loss = contrast(unit(z), k, self.queue.rows, self.params.temperature)
        return {"loss": loss, "embeddings": z.detach(), "keys": keys.flatten(0, 1)}

    @torch.no_grad()
    def keys(self, views: list[Tensor], order: Tensor) -> Tensor:
        """Unit keys (V, N, D) of views (n, 3, H, W) of this process's rows, for the N rows of all processes."""
        shuffle = self.params.norm_parts > 1
        if shuffle:
            own = order[distributed.local_rows(len(order))]
            views = [distributed.gather(view)[own] for view in views]
        keys = [distributed.gather(k) for k in unit(self.teacher(torch.cat(views))).chunk(len(views))]
        return torch.stack([k[order.argsort()] if shuffle else k for k in keys])

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        self.teacher.update(self.encoder, self.projector, momentum=self.params.momentum_at(progress))
        self.queue.push(outputs["keys"])
