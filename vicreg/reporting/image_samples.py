"""Samples of the images themselves, picked from the data by the positions that the stages wrote."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.data.images import Images
from vicreg.reporting.study import Results, Split, Study

SHOWN = 6  # images whose views are shown


@dataclass(frozen=True)
class Sample:
    """An image (H, W, 3) uint8 and its class, "" without labels. note: what else to say."""

    pixels: np.ndarray
    name: str
    note: str = ""
    same_class: bool = True


Neighbors = tuple[Sample, dict[str, list[Sample]]]  # a test image, and by row the training images, nearest first


@dataclass(frozen=True)
class Pair:
    """Two images, and the term of the pair loss that says how alike an encoder holds them."""

    caption: str
    first: Sample
    second: Sample
    term: str
    loss: float


@dataclass(frozen=True)
class Samples:
    """The images that a report shows.

    name: of the dataset. originals: M images.
    views: by policy and its rows (M, K, H, W, 3) uint8, first and second views in turn.
    pairs: by row of the study, the pairs of its pair loss, of images of the dataset `probed`.
    """

    name: str
    originals: list[Sample] = field(default_factory=list)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    neighbors: list[Neighbors] = field(default_factory=list)
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    probed: str = ""


def gather(study: Study, data: Mapping[str, Images], split: Split) -> Samples:
    """Pick what a report shows of the images; data: by role."""
    primary = data["primary"]
    positions = split["primary/pretrain"]
    first = np.unique(primary.labels[positions], return_index=True)[1] if primary.classes else np.arange(SHOWN)
    originals = [_sample(primary, position) for position in positions[first[:SHOWN]]]
    pixels = np.stack([sample.pixels for sample in originals])
    views = {name: sample_views(pixels, policy, study.seed) for name, policy in policies(study).items()}
    pairs = {row: list(_pairs(e, data, split)) for row, e in study.pair_losses.items() if "anchor_views" in e}
    probed = (study.labeled or study.datasets)[0].name
    return Samples(primary.name, originals, views, _neighbors(study.neighbors, primary, split), pairs, probed)


def policies(study: Study) -> dict[str, Policy]:
    """The policies of the rows that trained, named after both: rows may change numbers of a policy."""
    used = {row: policy for row in study.trained if (policy := study.recipes.get(row, {}).get("policy"))}
    named = {}
    for policy in used.values():
        rows = ", ".join(row for row, other in used.items() if other == policy)
        numbers = {key: value for key, value in policy.items() if key != "name"}
        named[f"{policy['name']} ({rows})"] = Policy.model_validate(numbers)
    return named


def sample_views(pixels: np.ndarray, policy: Policy, seed: int, draws: int = 2) -> np.ndarray:
    """Return (M, 2 * draws, H, W, 3) uint8: first and second view, `draws` times, of M uint8 images (M, H, W, 3).

    They are those of the training's beginning; views of another size than the images are enlarged pixel by pixel.
    """
    images, count = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), len(pixels)
    batch = Batch(images, torch.arange(count), slice(0, count), count, policy, torch.Generator().manual_seed(seed))
    views = torch.cat([interpolate(batch.views(2), images.shape[2:]) for _ in range(draws)])  # nearest pixels
    return (views * 255).round().to(torch.uint8).unflatten(0, (2 * draws, -1)).permute(1, 0, 3, 4, 2).numpy()


def _sample(images: Images, position: int, note: str = "", same_class: bool = True) -> Sample:
    name = images.classes[images.labels[position]] if images.classes else ""
    return Sample(np.array(images.pixels[position]), name, note, same_class)


def _neighbors(results: Results, images: Images, split: Split) -> list[Neighbors]:
    """All rows were asked about the same test images."""
    entries = {row: result["neighbors"] for row, result in results.items() if "neighbors" in result}
    train, test = (split.get(f"primary/{subset}", np.arange(0)) for subset in ("probe_train", "probe_test"))

    def nearest(entry: dict[str, Any]) -> list[Sample]:
        notes = [(n["image"], f"cosine {n['cosine']:.2f}", n["class"] == entry["class"]) for n in entry["nearest"]]
        return [_sample(images, train[image], *note) for image, *note in notes]

    queries = [_sample(images, test[entry["image"]]) for entry in next(iter(entries.values()), [])]
    return [(query, {row: nearest(asked[n]) for row, asked in entries.items()}) for n, query in enumerate(queries)]


def _pairs(entry: dict[str, Any], data: Mapping[str, Images], split: Split) -> Iterator[Pair]:
    term, role = entry["term"], entry.get("role", "primary")
    positions = [split[f"{role}/probe_test"][other["image"]] for other in (entry, *entry["against"])]
    anchor, *others = (_sample(data[role], position) for position in positions)
    views = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in entry["anchor_views"]["pixels"]]
    first, second = (Sample(view.reshape(anchor.pixels.shape), anchor.name) for view in views)
    yield Pair("two views", first, second, term, entry["anchor_views"][term])
    yield Pair("itself twice", anchor, anchor, term, entry["same"][term])
    for sample, other in zip(others, entry["against"], strict=True):
        caption = f"another {anchor.name}" if sample.name == anchor.name else f"{anchor.name}, {sample.name}"
        yield Pair(caption, anchor, sample, term, other[term])
