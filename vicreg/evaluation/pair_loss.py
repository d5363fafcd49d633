"""Representative loss: what a full model makes of two views of an image, of an image and itself, of two images.

After the student report's figures 3 to 5 and its appendix C, which show the loss of single pairs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vicreg.augment.policy import Policy
from vicreg.augment.views import two_views
from vicreg.data.images import Images
from vicreg.nn.encoder import finite, frozen

COMPUTED = (
    "The VICReg loss of a pair of pictures with embeddings a and b, from backbone and projector in evaluation mode: "
    "the two views are the batches of two (a, b) and (b, a). The invariance is the mean squared difference of a and b, "
    "zero for an image and itself. On a batch of two the variance and covariance terms say little: they see the "
    "distance of a and b once more, the variance term with the opposite sign, so read the invariance. Views are drawn "
    "by each encoder's own policy; each number is a mean over pairs of images from the test part."
)

Terms = dict[str, float]
Objective = Callable[[Tensor, Tensor], dict[str, Tensor]]


def pair_terms(a: Tensor, b: Tensor, objective: Objective) -> list[Terms]:
    """The loss and its terms for each pair of rows of embeddings a, b (N, D)."""
    pairs = torch.stack([a, b], dim=1)  # (N, 2, D)
    return [{key: float(term) for key, term in objective(pair, pair.flip(0)).items()} for pair in pairs]


def mean(terms: list[Terms]) -> Terms:
    return {key: float(np.mean([entry[key] for entry in terms])) for key in terms[0]}


def evaluate(
    model: nn.Module,
    images: Images,
    objective: Objective,
    policy: Policy,
    *,
    draws: int,
    others: int,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Compare pairs of `images`, by `model` (images (N, 3, H, W) in [0, 1] or uint8 -> embeddings (N, D)) in eval mode.

    Returns the mean terms of `draws` pairs of each kind: `views` of one image, the `same` image twice, two `different`
    images; and the terms of an `anchor` `against` an image of its class and `others` - 1 of other classes. To show the
    pictures: `image` is a position in `images`, `anchor_views` has the pixels of the anchor's two views, as hexadecimal
    text, with their terms.
    """
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(images))[: min(draws, len(images))]
    pixels = torch.from_numpy(images.pixels[chosen]).permute(0, 3, 1, 2).contiguous()
    views = two_views(pixels, policy, torch.Generator().manual_seed(seed))
    first, second = embeddings(model, views, device).chunk(2)
    z = embeddings(model, pixels, device)  # (N, D)
    anchor, rivals = anchor_and_rivals(images.labels[chosen], others)
    against = pair_terms(z[anchor].expand(len(rivals), -1), z[rivals], objective)
    names = [images.classes[images.labels[chosen[rival]]] for rival in rivals]
    seen = views.unflatten(0, (2, -1))[:, anchor]  # the anchor's two views (2, 3, H, W)
    return {
        "views": mean(pair_terms(first, second, objective)),
        "same": mean(pair_terms(z, z, objective)),
        "different": mean(pair_terms(z, z.roll(1, dims=0), objective)),
        "anchor": images.classes[images.labels[chosen[anchor]]],
        "image": int(chosen[anchor]),
        "anchor_views": {
            "pixels": [pixels_as_text(view) for view in seen],
            **pair_terms(first[[anchor]], second[[anchor]], objective)[0],
        },
        "against": [
            {"class": name, "image": int(chosen[rival]), **terms}
            for name, rival, terms in zip(names, rivals, against, strict=True)
        ],
    }


def pixels_as_text(image: Tensor) -> str:
    """An image (3, H, W) in [0, 1] as hexadecimal text of its uint8 bytes, in height, width, channel order."""
    return (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy().tobytes().hex()


@torch.inference_mode()
def embeddings(model: nn.Module, images: Tensor, device: torch.device, batch_size: int = 100) -> Tensor:
    """Embeddings (N, D) float32 by the frozen `model`; raises as `vicreg.nn.encoder.represent` does."""
    with frozen(model):
        model = model.to(device).eval()
        found = torch.cat([model(batch.to(device)).float().cpu() for batch in images.split(batch_size)])
    finite(found.numpy())
    return found


def anchor_and_rivals(labels: np.ndarray, others: int) -> tuple[int, list[int]]:
    """The first position whose class comes again, and then one of its class and `others` - 1 of further classes."""
    for anchor, label in enumerate(labels):
        same = [i for i in range(len(labels)) if labels[i] == label and i != anchor][:1]
        if same:
            further = {int(labels[i]): i for i in range(len(labels) - 1, -1, -1) if labels[i] != label}
            return anchor, same + sorted(further.values())[: others - 1]
    return 0, list(range(1, min(others, len(labels) - 1) + 1))
