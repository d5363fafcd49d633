"""Which image serves which purpose: decided by the images' content and a seed, never by source or order.

The images are sorted by SHA-256 of the seed and their digest. Within an official split and class the first purpose
takes from the front of that order, the second from its back, each its share: so classes keep their proportions, and
where they are equally large, the images of a smaller fraction are among those of a larger one.

Images with copies (the same pixels, whatever the label, in this dataset or in what another one pretrains on)
stand at the very back, where only `probe_train` takes them: so copies stay on one side, and no test image was
seen before, as `vicreg.data.split_checks` makes sure.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike

from vicreg.data.images import Images, digests, seeded
from vicreg.data.protocols import Pool, pools


def split_study(
    data: Mapping[str, Images], protocol: str, *, fractions: Mapping[str, float], seed: int
) -> dict[str, np.ndarray]:
    """Return positions (int64) by "role/purpose" ("primary/pretrain", ...), in a seeded order; `data`: images by role.

    CIFAR-10 and CIFAR-100 share three images: in "report" those that the primary dataset pretrains on never test the
    other's probes; in "standard" the published test set stays whole, and the pretraining goes on without its images.
    """
    primary = split_images(data["primary"], protocol, "primary", fractions=fractions, seed=seed)
    seen = data["primary"].keys[primary["pretrain"]]
    transfer = split_images(data["transfer"], protocol, "transfer", fractions=fractions, seed=seed, seen=seen)
    tested = data["transfer"].keys[transfer["probe_test"]]
    primary["pretrain"] = primary["pretrain"][~np.isin(seen, tested)]
    parts = {"primary": primary, "transfer": transfer}
    return {f"{role}/{purpose}": positions for role, part in parts.items() for purpose, positions in part.items()}


def split_images(
    images: Images, protocol: str, role: str, *, fractions: Mapping[str, float], seed: int, seen: ArrayLike = ()
) -> dict[str, np.ndarray]:
    """Return for each purpose the positions (int64) of its images, in a seeded order.

    protocol, role: names in `vicreg.data.protocols`. With "standard", train images that are copies of test images are
        left out, so that the test set stays the published one.
    fractions: of the protocol's shares of `images.totals`, in (0, 1]: "pretrain", and "probe" for what probes take.
    seen: (M,) keys of images that another dataset pretrains on.
    Raises ValueError for unknown names, and for too few images (with what to lower).
    """
    _, inverse, counts = np.unique(images.keys, return_inverse=True, return_counts=True)
    copied = (counts[inverse] > 1) | np.isin(images.keys, np.array(seen, images.keys.dtype))
    order = np.argsort(seeded(digests(images.pixels, images.labels), seed), kind="stable")
    order = order[np.argsort(copied[order], kind="stable")]
    if protocol == "standard":
        test = images.official == "test"
        order = order[(test | ~np.isin(images.keys, images.keys[test]))[order]]
    chosen: dict[str, list[np.ndarray]] = defaultdict(list)
    for pool in pools(protocol, role, images.labeled):
        for purpose, positions in draw(images, pool, order, copied, fractions):
            chosen[purpose].append(positions)
    return {purpose: order[np.isin(order, np.concatenate(parts))] for purpose, parts in chosen.items()}


def draw(
    images: Images, pool: Pool, order: np.ndarray, copied: np.ndarray, fractions: Mapping[str, float]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (purpose, positions): the front of the `order` (M,) of the pool's images in each class, then the back.

    Where classes cannot get equally many, the front goes to the first classes and the back to the last: together they
    fit, whatever the fraction. A front that excludes a back holds no images that are `copied` (N,).
    """
    labels = np.maximum(images.labels, 0)  # unlabeled images are one class
    everything = np.isin(images.official, pool.official)
    members = order[everything[order]]
    parts, num_classes = (everything, members, members[~copied[members]]), max(1, len(images.classes))
    counts, room, clean = (np.bincount(labels[part], minlength=num_classes) for part in parts)
    exclusive = len(pool.shares) > 1 and not pool.overlap
    for side, (purpose, share) in enumerate(pool.shares):
        back = exclusive and side == 1
        total = share * sum(images.totals[part] for part in pool.official)
        total *= fractions["pretrain" if purpose == "pretrain" else "probe"]
        size = int(total + 1e-6) if back else round(total)  # with both rounded up there could be one too few
        spare = clean if exclusive and not back else room
        turn = slice(None, None, -1 if back else 1)
        sizes = proportional(size, counts[turn], spare[turn])[turn]
        if size - sizes.sum() > everything.sum() - len(members):  # those left out as copies of test images may lack
            raise ValueError(
                f"{images.name}: `{purpose}` needs {size:,} {'/'.join(pool.official)} images, but of {len(members):,} "
                f"only {spare.sum():,} are neither copies nor taken; take more from the source, or lower the fractions"
            )
        for label, count in enumerate(sizes.tolist()):
            row = members[labels[members] == label]
            yield purpose, row[len(row) - count :] if back else row[:count]
        room = room - sizes if exclusive else room


def proportional(total: int, counts: np.ndarray, spare: np.ndarray) -> np.ndarray:
    """Divide `total` in proportion to `counts` (C,) by largest remainders, the first of equal ones; at most `spare`."""
    exact = total * counts / max(1, counts.sum())
    sizes = np.minimum(total * counts // max(1, counts.sum()), spare)
    while sizes.sum() < min(total, spare.sum()):
        sizes[np.argmax(np.where(sizes < spare, exact - sizes, -np.inf))] += 1
    return sizes
