"""The contract of a pretraining method: what the training loop, the checkpoints and the evaluation ask of it."""

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from vicreg.io.section import Section
from vicreg.nn.encoder import Encoder

if TYPE_CHECKING:
    from vicreg.augment.batch import Batch


class Method(nn.Module):
    """A pretraining method around `encoder`, the only part that is kept.

    A member of `vicreg/methods/` is one subclass in one file, and five rules hold for it:

    1. All state is in `state_dict()`: parameters, and buffers for teachers, queues, counters. So a killed run goes on.
    2. All randomness comes from the `Batch`, whose generator is in the same state in every process.
    3. `forward` changes nothing; state moves in `after_step`.
    4. The loss is a mean over the rows of this process, or is computed of rows gathered from all of them
       (`vicreg.engine.distributed.gather`): both give k processes the step of one.
    5. Heads are built from `params` alone, so that a file of weights can be loaded again.

    Attributes:
        Params: its section below `methods:` in params.yaml.
        trains: False for a method that only provides an encoder.
        kept: submodules whose weights are saved beside the encoder's.
        remembers_images: whether its own task can be asked of pretraining images alone, because it knows each of them.
        fixed_lr: submodules whose rate stays at the peak, whatever the schedule.
        embedding_scale: the standard deviation that the objective asks of each dimension of `embeddings`, by which a
            collapse is told; None where only their directions count.
        pair_term: the one of `pair_terms` that says how alike two images are, 0 for an image and itself.
        pair_explanation: how `pair_terms` come about and are to be read.
    """

    Params: ClassVar[type[Section]] = Section
    trains: ClassVar[bool] = True
    kept: ClassVar[tuple[str, ...]] = ("projector",)
    remembers_images: ClassVar[bool] = False
    fixed_lr: tuple[str, ...] = ()
    embedding_scale: float | None = None
    pair_term: ClassVar[str] = "distance"
    pair_explanation: ClassVar[str] = (
        "The squared distance of the embeddings of two images on the unit sphere, 2 - 2 cos: 0 for an image and itself."
    )

    encoder: Encoder

    def __init__(self, encoder: Encoder, params: Any, *, num_images: int):
        """num_images: how many images pretrain, for methods that remember each of them."""
        super().__init__()
        self.encoder, self.params = encoder, params

    @property
    def representation(self) -> Encoder:
        """What is evaluated and served: the encoder, or a form of it that shares its weights, or a part of them."""
        return self.encoder

    @classmethod
    def not_run(cls, params: Any) -> str | None:
        """Why a row with these parameters cannot take part, in words; None where it can."""
        return None

    def initialize(self) -> None:
        """Called once on a new method, and not when saved weights are loaded into it."""

    def inputs(self, batch: "Batch") -> Any:
        """What `forward` takes of a batch, without gradients, outside DDP and torch.compile: by default, two views.

        Returns a tensor or a nested tuple or dictionary of tensors; two views are (2N, 3, H, W) float32 in [0, 1], the
        first view of each image before the second ones. A method that passes them through a network as one batch lets
        batch norm see both together, where most papers' code passes one view after the other.
        """
        return batch.views(2)

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        """Scalars, of which `loss` is minimised and all are logged; other tensors, detached, go on to `after_step`.

        `accuracy` is how often a method solved its own, pretext task. Of `embeddings` (M, D), if there are any, the
        loop computes indicators of collapse after each epoch.
        """
        raise TypeError(f"{type(self).__name__} does not train")

    def before_step(self, progress: float) -> None:
        """Called with gradients in place, before the optimizer's step. progress: share of the training done, [0, 1)."""

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        """Called after the optimizer's step with what `forward` returned: move teachers, queues, memory banks."""

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor | None:
        """Embeddings (N, D) of images (N, 3, H, W), by encoder and projector; None where there is no projector."""
        projector = getattr(self, "projector", None)
        return None if projector is None else projector(self.encoder(images))

    def pair_terms(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        """The loss between two images, and its terms, of their embeddings a, b (D,); see `pair_term`.

        By default the squared distance of both on the unit sphere, 2 - 2 cos(a, b), from 0 to 4.
        """
        return {"distance": (normalize(a, dim=0) - normalize(b, dim=0)).square().sum()}
