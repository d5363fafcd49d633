"""Pair loss: a method's loss between two views of an image, an image and itself, and two images.

After the student report's figures 3 to 5 and its appendix C, which show the loss of single pairs.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from vicreg.augment.policy import Policy
from vicreg.augment.views import make_views
from vicreg.data.images import Images
from vicreg.nn.encoder import assert_frozen, check_finite
from vicreg.nn.method import Method

MEANS = "Views are drawn by each row's own policy; each number is a mean over pairs of images from the test part."
NO_PROJECTOR = "it has no projector whose outputs for two images could be compared"


def pair_terms(method: Method, a: Tensor, b: Tensor) -> list[dict[str, float]]:
    """The terms of the method's loss for each pair of rows of embeddings a, b (N, D)."""
    pairs = zip(a, b, strict=True)
    return [{name: float(term) for name, term in method.pair_terms(*pair).items()} for pair in pairs]


def mean_terms(method: Method, a: Tensor, b: Tensor) -> dict[str, float]:
    """The terms' means over all pairs of rows."""
    terms = pair_terms(method, a, b)
    return {name: float(np.mean([pair[name] for pair in terms])) for name in terms[0]}


@torch.inference_mode()
def embeddings(method: Method, images: Tensor, device: torch.device, batch_size: int = 100) -> Tensor | None:
    """Frozen embeddings (N, D) float32 of images (N, 3, H, W); None without a projector; raises as extract_features."""
    with assert_frozen(method):
        method = method.to(device).eval()
        batches = [method.embed(batch.to(device)) for batch in images.split(batch_size)]
    z = [batch.float().cpu() for batch in batches if batch is not None]
    return torch.from_numpy(check_finite(torch.cat(z).numpy())) if z else None


def evaluate_pairs(
    method: Method,
    images: Images,
    policy: Policy,
    *,
    num_pairs: int,
    num_negatives: int,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """Compare pairs of `images` by the method's pair loss; only `not_run`, the reason, where it has no projector.

    Returns the mean terms of `num_pairs` pairs of each kind: `views` of one image, the `same` image twice, two
    `different` images; and the terms of an `anchor` `against` an image of its class and `num_negatives` of other
    classes. To show the pictures: `image` is a position in `images`, `anchor_views` has the pixels of the anchor's two
    views, uint8 in height, width, channel order as hexadecimal text. `term` is the one to read, `explanation` says how.
    """
    order = np.random.default_rng(seed).permutation(len(images))[:num_pairs]
    sample = images.subset(order)
    pixels = torch.from_numpy(sample.pixels).permute(0, 3, 1, 2).contiguous()
    views = make_views(pixels, policy, torch.Generator().manual_seed(seed))
    z, z_views = (embeddings(method, batch, device) for batch in (pixels, views))  # (N, D), (2N, D)
    if z is None or z_views is None:
        return {"not_run": NO_PROJECTOR}
    first, second = z_views.chunk(2)
    anchor, others = anchor_and_others(sample.labels, num_negatives)
    anchor_views = (views.unflatten(0, (2, -1))[:, anchor] * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    facts = [{"class": images.classes[images.labels[i]], "image": i} for i in order.tolist()]
    (terms,) = pair_terms(method, first[[anchor]], second[[anchor]])
    against = pair_terms(method, z[anchor].expand(len(others), -1), z[others])
    return {
        "term": method.pair_term,
        "explanation": f"{method.pair_explanation} {MEANS}",
        "views": mean_terms(method, first, second),
        "same": mean_terms(method, z, z),
        "different": mean_terms(method, z, z.roll(1, dims=0)),
        "anchor": facts[anchor]["class"],
        "image": facts[anchor]["image"],
        "anchor_views": {"pixels": [view.numpy().tobytes().hex() for view in anchor_views], **terms},
        "against": [{**facts[other], **pair} for other, pair in zip(others, against, strict=True)],
    }


def anchor_and_others(labels: np.ndarray, num_negatives: int) -> tuple[int, list[int]]:
    """The first position whose class comes again; the next of its class, and the first of so many other classes."""
    _, first, counts = np.unique(labels, return_index=True, return_counts=True)
    anchor = int(min(first[counts > 1], default=0))
    positive = np.flatnonzero(labels == labels[anchor])[1:2].tolist()
    return anchor, positive + sorted(set(first.tolist()) - {anchor})[:num_negatives]
