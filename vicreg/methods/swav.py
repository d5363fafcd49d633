"""SwAV: predict from one view which prototypes another view is assigned to, all prototypes being used alike.

Caron et al., Unsupervised Learning of Visual Features by Contrasting Cluster Assignments, NeurIPS 2020,
<https://arxiv.org/abs/2006.09882>.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize

from vicreg.augment.batch import Batch
from vicreg.engine import distributed
from vicreg.io.section import Count, Positive, Probability
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp
from vicreg.nn.multi_crop import MultiCrop, embed_crops
from vicreg.nn.precision import full_precision, unit
from vicreg.nn.queue import Queue
from vicreg.nn.sinkhorn import sinkhorn


@full_precision
def prototype_scores(z: Tensor, prototypes: Tensor) -> Tensor:
    """Cosines (N, K) of unit vectors z (N, D) with unit prototypes (K, D)."""
    return z @ prototypes.T


def swapped_prediction(codes: list[Tensor], scores: list[Tensor], temperature: float) -> Tensor:
    """The cross-entropy of each code (N, K) with the scores (N, K) of every other view, mean over pairs (equation 2).

    The codes are of the first views; all views have scores.
    """
    predictions = [log_softmax(score / temperature, dim=1) for score in scores]
    losses = [-(c * p).sum(dim=1).mean() for i, c in enumerate(codes) for j, p in enumerate(predictions) if i != j]
    return torch.stack(losses).mean()


class SwAV(Method):
    """Views (2N, 3, H, W), the first views before the second ones -> the loss and the embeddings.

    With small crops, which predict and are never assigned, a dictionary of views and crops.
    """

    class Params(MultiCrop):
        """temperature of the predictions; epsilon and iterations of Sinkhorn's algorithm; prototypes: their number.

        queue: how many embeddings of each view take part in the assignment, as a share of the pretraining images; 0 for
        none. queue_start: the share of the training after which they do. freeze: the share in which prototypes rest.
        """

        temperature: Positive = 0.1
        epsilon: Positive = 0.05
        iterations: Count = 3
        prototypes: Count = 512
        queue: Probability = 0.08
        queue_start: Probability = 0.05
        freeze: Probability = 0.002
        projector_width: Count
        embedding_width: Count = 128

    queues: Any  # nn.ModuleList[Queue]
    queue_in_use: Tensor
    resting: Tensor | None = None  # the prototypes, from before a step until after it

    def __init__(self, encoder: Encoder, params: Params, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        dimensions = params.embedding_width
        self.projector = mlp(encoder.num_features, [params.projector_width, dimensions], output_bias=True)
        self.prototypes = nn.Linear(dimensions, params.prototypes, bias=False)
        self.queues = nn.ModuleList(Queue(round(params.queue * num_images), dimensions) for _ in range(2))
        self.register_buffer("queue_in_use", torch.tensor(False))
        self.normalize_prototypes()

    @torch.no_grad()
    def normalize_prototypes(self) -> None:
        """Scale every prototype to length 1."""
        self.prototypes.weight.copy_(normalize(self.prototypes.weight))

    def inputs(self, batch: Batch) -> Any:
        return self.params.inputs(batch)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        views = [unit(z) for z in embed_crops(self.encoder, self.projector, inputs)]  # (N, D) each
        scores = [prototype_scores(view, self.prototypes.weight) for view in views]
        with torch.no_grad():
            whole = torch.stack([distributed.gather(view.detach()) for view in views[:2]])  # (2, N of all processes, D)
            codes = [self.codes(score.detach(), queue) for score, queue in zip(scores, self.queues, strict=False)]
        loss = swapped_prediction(codes, scores, self.params.temperature)
        return {"loss": loss, "embeddings": torch.cat(views[:2]).detach(), "queued": whole}

    def codes(self, scores: Tensor, queue: Queue) -> Tensor:
        """Assignments (N, K) of this process's rows, for which those of all processes and the queue are assigned."""
        whole = distributed.gather(scores)
        queued = prototype_scores(queue.rows, self.prototypes.weight)
        queued = queued.masked_fill(~self.queue_in_use, -torch.inf)  # which counts as nothing
        codes = sinkhorn(torch.cat([whole, queued]), self.params.epsilon, self.params.iterations)
        return codes[distributed.local_rows(len(whole))]

    def before_step(self, progress: float) -> None:
        self.resting = self.prototypes.weight.detach().clone() if progress < self.params.freeze else None
        if self.resting is not None and self.prototypes.weight.grad is not None:
            self.prototypes.weight.grad.zero_()  # momentum gathers nothing

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        if self.resting is not None:
            self.prototypes.weight.copy_(self.resting)
        self.normalize_prototypes()
        for queue, z in zip(self.queues, outputs["queued"], strict=True):
            queue.push(z)
        full = self.queues[0].pushed >= len(self.queues[0])
        self.queue_in_use.copy_(full & (progress >= self.params.queue_start))
