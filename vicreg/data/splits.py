"""Which image serves which purpose: decided by the images' content and a seed, never by source or order.

The images are sorted by SHA-256 of the seed and their digest. Within an official split and class the first purpose
takes from the front of that order, the second from its back, each its share: so classes keep their proportions, and
the images of a smaller fraction are among those of a larger one.

Images with copies (the same pixels, whatever the label, in this dataset or in what another one pretrains on)
stand at the very back, where only `probe_train` takes them: so copies stay on one side, and no test image was
seen before, as `vicreg.data.split_checks` makes sure.
"""

from collections.abc import Mapping

import numpy as np

from vicreg.data.images import Images, digests, seeded
from vicreg.data.protocols import Pool, pools, purposes


def split_study(
    data: Mapping[str, Images], protocol: str, *, fractions: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Return positions (int64) by "role/purpose" ("primary/pretrain", ...), in a seeded order.

    data: images by role, "primary" and "transfer". CIFAR-10 and CIFAR-100 share three: in "report" those that the
    primary dataset pretrains on never test the other's probes; in "standard" the published test set stays whole, and
    the pretraining goes on without its images.
    """
    split: dict[str, np.ndarray] = {}
    seen = None
    for role, images in data.items():
        drawn = split_images(images, protocol, role, fractions=fractions, seed=seed, seen=seen)
        split |= {f"{role}/{purpose}": positions for purpose, positions in drawn.items()}
        if role == "primary":
            seen = images.keys[drawn["pretrain"]]
    pretrain = split["primary/pretrain"]
    tested = data["transfer"].keys[split["transfer/probe_test"]]
    return split | {"primary/pretrain": pretrain[~np.isin(data["primary"].keys[pretrain], tested)]}


def split_images(
    images: Images,
    protocol: str,
    role: str,
    *,
    fractions: Mapping[str, float],
    seed: int,
    seen: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return for each purpose the positions (int64) of its images, in a seeded order.

    protocol: "report" or "standard", with the shares of `vicreg.data.protocols`. With "standard", train images that
        are copies of test images are left out, so that the test set stays the published one.
    role: "primary" (pretrained on and probed) or "transfer" (only probed). Unlabeled images only pretrain.
    fractions: of these shares of `images.totals`, in (0, 1]: "pretrain" for `pretrain`, "probe" for the other two.
    seen: (M,) keys of images that another dataset pretrains on.

    Raises ValueError for unknown names, impossible fractions, and too few images (with what to lower).
    """
    for key in ("pretrain", "probe"):
        if not 0 < fractions.get(key, 0) <= 1:
            raise ValueError(f"the fraction `{key}` is {fractions.get(key)}; it must be above 0, at most 1")
    copied = has_copies(images) | np.isin(images.keys, images.keys[:0] if seen is None else seen)
    order = np.argsort(seeded(digests(images.pixels, images.labels), seed), kind="stable")
    order = order[np.argsort(copied[order], kind="stable")]
    if protocol == "standard":
        order = order[~train_copies_of_test(images)[order]]
    chosen = {purpose: np.zeros(len(images), bool) for purpose in purposes(role, images.labeled)}
    for pool in pools(protocol, role, images.labeled):
        members = order[np.isin(images.official[order], pool.official)]
        for (purpose, _), sizes, back in zip(
            pool.shares, class_sizes(images, pool, members, copied, fractions), (False, pool.exclusive), strict=False
        ):
            for label, size in enumerate(sizes.tolist()):
                row = members[np.maximum(images.labels[members], 0) == label]
                chosen[purpose][row[len(row) - size :] if back else row[:size]] = True
    return {purpose: order[mask[order]] for purpose, mask in chosen.items()}


def class_sizes(
    images: Images, pool: Pool, members: np.ndarray, copied: np.ndarray, fractions: Mapping[str, float]
) -> list[np.ndarray]:
    """How many images of each class (C,) each purpose of the pool takes of its `members`, without the copies in front.

    What remains of a front goes to the first classes, of a back to the last ones: together they fit for any fraction.
    """

    def per_class(positions: np.ndarray) -> np.ndarray:
        return np.bincount(np.maximum(images.labels[positions], 0), minlength=max(1, len(images.classes)))

    everything = np.flatnonzero(np.isin(images.official, pool.official))
    room, left_out = per_class(members), len(everything) - len(members)
    sizes: list[np.ndarray] = []
    for purpose, share in pool.shares:
        key = "pretrain" if purpose == "pretrain" else "probe"
        exact = share * sum(images.totals[official] for official in pool.official) * fractions[key]
        back = pool.exclusive and len(sizes) == 1
        total = int(exact + 1e-6) if back else round(exact)  # rounded up both, they could be one too many
        spare = room - sizes[0] if back else per_class(members[~copied[members]]) if pool.exclusive else room
        turn = slice(None, None, -1 if back else 1)
        sizes.append(proportional(total, per_class(everything)[turn], spare[turn])[turn])
        if total - sizes[-1].sum() > left_out:
            raise ValueError(
                f"{images.name}: `{purpose}` needs {total:,} {'/'.join(pool.official)} images, but of "
                f"{len(members):,} only {spare.sum():,} can serve it, the others are copies or serve another purpose; "
                "take more from the source, or lower the fractions `pretrain` and `probe`"
            )
    return sizes


def proportional(total: int, counts: np.ndarray, spare: np.ndarray) -> np.ndarray:
    """Divide `total` in proportion to `counts` (C,) by largest remainders, the first of equal ones; at most `spare`."""
    exact = total * counts / max(1, counts.sum())
    sizes = np.minimum(total * counts // max(1, counts.sum()), spare)
    while sizes.sum() < min(total, spare.sum()):
        sizes[np.argmax(np.where(sizes < spare, exact - sizes, -np.inf))] += 1
    return sizes


def has_copies(images: Images) -> np.ndarray:
    """Return (N,) bool: whether another image has the same pixels, whatever its label and official split."""
    _, inverse, counts = np.unique(images.keys, return_inverse=True, return_counts=True)
    return counts[inverse] > 1


def train_copies_of_test(images: Images) -> np.ndarray:
    """Return (N,) bool: official train images whose pixels are in the official test set too."""
    train = images.official == "train"
    return train & np.isin(images.keys, images.keys[~train])
