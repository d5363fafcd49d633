"""Which image serves which purpose: decided by the images' content and a seed, never by source or order.

Within an official split and class the images are sorted by SHA-256 of the seed and their digest. The first
purpose takes from the front of that order, `probe_train` from its back, each as much as its fraction says: so
classes stay balanced, and the images of a smaller fraction are among those of a larger one.

Images with copies (the same pixels, whatever the label, in this dataset or in what another one pretrains on)
stand at the very back, where only `probe_train` takes them: so copies stay on one side, and no test image was
seen before, as `vicreg.data.split_checks` makes sure.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vicreg.data.images import Images, digests, load_arrays, pixel_digests, save_arrays
from vicreg.data.protocols import ROLES, Pool, pools


def split(
    images: Images,
    protocol: str,
    role: str,
    *,
    fractions: Mapping[str, float],
    seed: int,
    seen: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return for each purpose the positions (int64) of its images, in a seeded order.

    protocol: "report": of the primary dataset's train images 40,000 for `pretrain`, the other 10,000 with
        5,000 test images for `probe_train`, 5,000 of test for `probe_test`. Of the transfer dataset's 60,000
        images 45,000 for `probe_train`, 15,000 for `probe_test`.
        "standard": the official splits, train for `pretrain`, `probe_train`; test for `probe_test`. Train
        images that are copies of test images are left out, so that the test set stays the published one.
    role: "primary" (pretrained on and probed) or "transfer" (only probed).
    fractions: of these counts, in (0, 1]: "pretrain" for `pretrain`, "probe" for the other two.
    seen: `pixel_digests` of images that another dataset's pretraining sees (CIFAR-10 and CIFAR-100 share three);
        with "report" they train probes and never test them. With "standard" the published test set stays whole, and
        it is the pretraining that goes on `without` them.

    Raises ValueError for unknown names, impossible fractions, and too few images (with what to lower).
    """
    chosen_pools = pools(protocol, role)
    for key in ("pretrain", "probe"):
        if not 0 < fractions.get(key, 0) <= 1:
            raise ValueError(f"the fraction `{key}` is {fractions.get(key)}; it must be above 0, at most 1")
    order = _seeded_order(images, seed, seen, keep_test_whole=protocol == "standard")
    taken: dict[str, list[np.ndarray]] = {name: [] for name in ROLES[role]}
    for pool in chosen_pools:
        for label in range(len(images.classes)):
            for purpose, positions in _draw(images, pool, label, order, fractions):
                taken[purpose].append(positions)
    return {name: order.sort(np.concatenate(parts)) for name, parts in taken.items()}


def without(images: Images, positions: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return the positions of images whose pixels are not among the `pixel_digests` in `seen`."""
    elsewhere = {key.tobytes() for key in seen}
    kept = [key.tobytes() not in elsewhere for key in pixel_digests(images.pixels[positions])]
    return positions[np.array(kept, dtype=bool)]


def save_split(purposes: Mapping[str, np.ndarray], path: Path) -> None:
    """Write positions by "role/purpose" ("primary/pretrain", ...) as .npz, always as the same bytes.

    `vicreg.data.split_checks.marked` adds "role/images", by which the images are recognised that the positions are for.
    """
    save_arrays({name: purposes[name] for name in sorted(purposes)}, path)


def load_split(path: Path) -> dict[str, np.ndarray]:
    """Read the positions that `save_split` wrote. A missing, damaged or other file is a ValueError that names it."""
    marks = {f"{role}/images" for role in ROLES}
    purposes = {name: positions for name, positions in load_arrays(path).items() if name not in marks}
    known = {f"{role}/{purpose}" for role, names in ROLES.items() for purpose in names}
    if not purposes or not purposes.keys() <= known:
        found = ", ".join(sorted(purposes)) or "nothing"
        raise ValueError(f"{path} holds {found}, which is not a split; make it again")
    return purposes


def has_copies(images: Images) -> np.ndarray:
    """Return (N,) bool: whether another image has the same pixels, whatever its label and official split."""
    keys = _pixel_keys(images)
    counts = Counter(keys)
    return np.array([counts[key] > 1 for key in keys], dtype=bool)


def train_copies_of_test(images: Images) -> np.ndarray:
    """Return (N,) bool: official train images whose pixels are in the official test set too."""
    keys = _pixel_keys(images)
    test = {key for key, official in zip(keys, images.official, strict=True) if official == "test"}
    return np.array([key in test for key in keys], dtype=bool) & (images.official == "train")


def _pixel_keys(images: Images) -> list[bytes]:
    return [key.tobytes() for key in pixel_digests(images.pixels)]


@dataclass(frozen=True)
class _Order:
    """What content and seed decide about N images, (N,) each: place in the draw, has copies, usable."""

    ranks: np.ndarray
    copied: np.ndarray
    usable: np.ndarray

    def sort(self, positions: np.ndarray) -> np.ndarray:
        return positions[np.argsort(self.ranks[positions])]


def _seeded_order(images: Images, seed: int, seen: np.ndarray | None, *, keep_test_whole: bool) -> _Order:
    """Sort by SHA-256 of the seed and each image's digest, images with copies last."""
    start = hashlib.sha256(f"{seed}\n".encode())
    elsewhere = set() if seen is None else {key.tobytes() for key in seen}
    copied = has_copies(images) | np.array([key in elsewhere for key in _pixel_keys(images)], dtype=bool)
    keys = []
    for digest, last in zip(digests(images.pixels, images.labels), copied.tolist(), strict=True):
        keyed = start.copy()
        keyed.update(digest.tobytes())
        keys.append((last, keyed.digest()))
    ranks = np.empty(len(images), dtype=np.int64)
    ranks[sorted(range(len(images)), key=keys.__getitem__)] = np.arange(len(images))
    unusable = train_copies_of_test(images) if keep_test_whole else np.zeros(len(images), dtype=bool)
    return _Order(ranks, copied, ~unusable)


def _draw(
    images: Images, pool: Pool, label: int, order: _Order, fractions: Mapping[str, float]
) -> list[tuple[str, np.ndarray]]:
    """Return (purpose, positions) of one class: the front of the pool's order, then its back."""
    of_class = np.flatnonzero(np.isin(images.official, pool.official) & (images.labels == label))
    row = order.sort(of_class[order.usable[of_class]])
    sizes = [_quota(part, label, images, fractions) for part in pool.parts]
    if len(row) < len(of_class):  # copies of test images were left out; the counts give way to that
        sizes = [min(size, len(row)) if size <= len(of_class) else size for size in sizes]
    _check_enough(images, pool, label, row, order.copied[row], sizes)
    sides = (row, row[::-1] if pool.contested else row)
    return [(purpose, side[:size]) for (purpose, _), side, size in zip(pool.parts, sides, sizes, strict=False)]


def _quota(part: tuple[str, int], label: int, images: Images, fractions: Mapping[str, float]) -> int:
    """Return how many images of a class a purpose takes; a remainder goes to the first classes."""
    purpose, full = part
    key = "pretrain" if purpose == "pretrain" else "probe"
    total = round(full * fractions[key])
    each, extra = divmod(total, len(images.classes))
    if each == 0:
        raise ValueError(
            f"{images.name}: the fraction `{key}` of {fractions[key]} leaves `{purpose}` {total} images for "
            f"{len(images.classes)} classes; raise it"
        )
    return each + (label < extra)


def _check_enough(
    images: Images, pool: Pool, label: int, row: np.ndarray, copied: np.ndarray, sizes: list[int]
) -> None:
    """Raise ValueError when a class has too few images, or too few without copies where copies may not go."""
    needed = sum(sizes) if pool.contested else max(sizes)
    for_front = int((~copied).sum()) if pool.contested else len(row)
    if needed <= len(row) and sizes[0] <= for_front:
        return
    wanted = " and ".join(f"{size} for `{name}`" for (name, _), size in zip(pool.parts, sizes, strict=True))
    raise ValueError(
        f"{images.name}: the protocol needs {wanted} of the {'/'.join(pool.official)} images of class "
        f"{images.classes[label]!r}, but there are {len(row)}, {len(row) - for_front} of them repeated; take "
        "more from the source, or lower the fractions `pretrain` and `probe`"
    )
