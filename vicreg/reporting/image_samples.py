"""Pictures of a report: the images themselves, picked from the data by the positions that the stages wrote."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vicreg.augment.views import Policy
from vicreg.data.images import SIDE, Images
from vicreg.reporting.figures import sheet
from vicreg.reporting.study import Study

ROWS = 6  # images whose views are shown


@dataclass(frozen=True)
class Picture:
    """An image (32, 32, 3) uint8 and its class. note: what else to say; good: whether the class is right."""

    pixels: np.ndarray
    name: str
    note: str = ""
    good: bool = True


@dataclass(frozen=True)
class Pair:
    """Two pictures that an encoder holds against each other, and their invariance."""

    words: str
    first: Picture
    second: Picture
    invariance: float


@dataclass(frozen=True)
class Pictures:
    """What a report shows.

    name: of the dataset; classes: its class names.
    originals: M images; views: by policy (M, K, 32, 32, 3) uint8, first and second views in turn.
    neighbours: test images, each with the nearest training images by encoder, nearest first.
    pairs: by encoder, the pairs of its representative loss.
    """

    name: str
    classes: tuple[str, ...]
    originals: list[Picture] = field(default_factory=list)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    neighbours: list[tuple[Picture, dict[str, list[Picture]]]] = field(default_factory=list)
    pairs: dict[str, list[Pair]] = field(default_factory=dict)


def gather(study: Study, images: Images, split: dict[str, np.ndarray], policies: dict[str, Policy]) -> Pictures:
    """Pick the pictures of the primary dataset; split: positions by "primary/pretrain" and so on."""
    parts = {part: images.take(split[f"primary/{part}"]) for part in ("pretrain", "probe_train", "probe_test")}
    _, first = np.unique(parts["pretrain"].labels, return_index=True)
    originals = [_picture(parts["pretrain"], int(i)) for i in first[:ROWS]]
    pixels = np.stack([picture.pixels for picture in originals])
    return Pictures(
        name=images.name,
        classes=images.classes,
        originals=originals,
        views={name: sheet.sample_views(pixels, policy, study.seed) for name, policy in policies.items()},
        neighbours=_neighbours(study.portraits, parts["probe_train"], parts["probe_test"]),
        pairs=_pairs(study, parts["probe_test"]),
    )


def _picture(images: Images, position: int, **more: Any) -> Picture:
    return Picture(images.pixels[position], images.classes[images.labels[position]], **more)


def _neighbours(
    portraits: dict[str, dict[str, Any]], train: Images, test: Images
) -> list[tuple[Picture, dict[str, list[Picture]]]]:
    """All encoders were asked about the same test images; one asked about others is left out."""
    found = {encoder: entry["neighbours"] for encoder, entry in portraits.items() if "neighbours" in entry}
    asked = [entry["image"] for entry in next(iter(found.values()), [])]
    same = {e: entries for e, entries in found.items() if [entry["image"] for entry in entries] == asked}
    return [
        (_picture(test, image), {e: list(_nearest(entries[row], train)) for e, entries in same.items()})
        for row, image in enumerate(asked)
    ]


def _nearest(entry: dict[str, Any], train: Images) -> Iterable[Picture]:
    for near in entry["nearest"]:
        yield _picture(train, near["image"], note=f"cosine {near['cosine']:.2f}", good=near["class"] == entry["class"])


def _pairs(study: Study, test: Images) -> dict[str, list[Pair]]:
    entries = study.representative_loss["encoders"]
    return {e: list(_of_encoder(entries[e], test)) for e in study.encoders if "anchor_views" in entries.get(e, {})}


def _of_encoder(entry: dict[str, Any], test: Images) -> Iterable[Pair]:
    anchor = _picture(test, entry["image"])
    one, two = (_view(text, anchor.name) for text in entry["anchor_views"]["pixels"])
    yield Pair("two views", one, two, entry["anchor_views"]["invariance"])
    yield Pair("itself twice", anchor, anchor, 0.0)
    for other in entry["against"]:
        words = f"another {anchor.name}" if other["class"] == anchor.name else f"{anchor.name}, {other['class']}"
        yield Pair(words, anchor, _picture(test, other["image"]), other["invariance"])


def _view(text: str, name: str) -> Picture:
    pixels = np.frombuffer(bytes.fromhex(text), np.uint8).reshape(SIDE, SIDE, 3)
    return Picture(pixels, name, note="view")
