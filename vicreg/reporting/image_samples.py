"""Samples of the images themselves, picked from the data by the positions that the stages wrote."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.data.images import Images
from vicreg.reporting.study import Study

SHOWN = 6  # images whose views are shown


@dataclass(frozen=True)
class Sample:
    """An image (H, W, 3) uint8 and its class, "" without labels. note: what else to say."""

    pixels: np.ndarray
    name: str
    note: str = ""
    same_class: bool = True


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
    neighbors: test images, each with the nearest training images by row of the study, nearest first.
    pairs: by row of the study, the pairs of its pair loss, of images of the dataset `probed`.
    """

    name: str
    originals: list[Sample] = field(default_factory=list)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    neighbors: list[tuple[Sample, dict[str, list[Sample]]]] = field(default_factory=list)
    pairs: dict[str, list[Pair]] = field(default_factory=dict)
    probed: str = ""


def gather(study: Study, data: Mapping[str, Images], split: Mapping[str, np.ndarray]) -> Samples:
    """Pick images by role; split: positions by "primary/pretrain" and so on."""
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
    rows: dict[str, list[str]] = {}
    for row in study.trained:
        if policy := study.recipes.get(row, {}).get("policy"):
            rows.setdefault(json.dumps(policy), []).append(row)
    numbers = {f"{json.loads(text)['name']} ({', '.join(names)})": json.loads(text) for text, names in rows.items()}
    return {name: Policy.model_validate({k: v for k, v in p.items() if k != "name"}) for name, p in numbers.items()}


def sample_views(pixels: np.ndarray, policy: Policy, seed: int, draws: int = 2) -> np.ndarray:
    """Return (M, 2 * draws, H, W, 3) uint8: first and second view, `draws` times, of M uint8 images."""
    images, count = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), len(pixels)
    batch = Batch(images, torch.arange(count), slice(0, count), count, policy, torch.Generator().manual_seed(seed))
    views = torch.cat([batch.views(2).unflatten(0, (2, -1)) for _ in range(draws)])  # (2 * draws, M, 3, H, W)
    return (views * 255).round().to(torch.uint8).permute(1, 0, 3, 4, 2).numpy()


def _sample(images: Images, position: int, note: str = "", same_class: bool = True) -> Sample:
    name = images.classes[images.labels[position]] if images.classes else ""
    return Sample(np.array(images.pixels[position]), name, note, same_class)


def _neighbors(
    results: dict[str, dict[str, Any]], images: Images, split: Mapping[str, np.ndarray]
) -> list[tuple[Sample, dict[str, list[Sample]]]]:
    """All rows were asked about the same test images."""
    entries = {row: result["neighbors"] for row, result in results.items() if "neighbors" in result}
    train, test = (split.get(f"primary/{subset}", np.arange(0)) for subset in ("probe_train", "probe_test"))

    def nearest(entry: dict[str, Any]) -> list[Sample]:
        return [
            _sample(images, train[n["image"]], f"cosine {n['cosine']:.2f}", n["class"] == entry["class"])
            for n in entry["nearest"]
        ]

    queries = [entry["image"] for entry in next(iter(entries.values()), [])]
    return [
        (_sample(images, test[query]), {row: nearest(asked[n]) for row, asked in entries.items()})
        for n, query in enumerate(queries)
    ]


def _pairs(entry: dict[str, Any], data: Mapping[str, Images], split: Mapping[str, np.ndarray]) -> Iterator[Pair]:
    term, role = entry["term"], entry.get("role", "primary")
    anchor, *others = (
        _sample(data[role], split[f"{role}/probe_test"][image])
        for image in (entry["image"], *(other["image"] for other in entry["against"]))
    )
    first, second = (
        Sample(np.frombuffer(bytes.fromhex(text), np.uint8).reshape(anchor.pixels.shape), anchor.name, note="view")
        for text in entry["anchor_views"]["pixels"]
    )
    yield Pair("two views", first, second, term, entry["anchor_views"][term])
    yield Pair("itself twice", anchor, anchor, term, entry["same"][term])
    for sample, other in zip(others, entry["against"], strict=True):
        caption = f"another {anchor.name}" if sample.name == anchor.name else f"{anchor.name}, {sample.name}"
        yield Pair(caption, anchor, sample, term, other[term])
