"""Samples of the images themselves, picked from the data by the positions that the stages wrote."""

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

    name: of the dataset. originals: M images; views: by policy (M, K, H, W, 3) uint8, first and second views in turn.
    neighbors: test images, each with the nearest training images by row of the study, nearest first.
    pairs: by row of the study, the pairs of its pair loss. learned_from: by policy, the rows that it taught.
    """

    name: str
    originals: list[Sample] = field(default_factory=list)
    views: dict[str, np.ndarray] = field(default_factory=dict)
    learned_from: dict[str, list[str]] = field(default_factory=dict)
    neighbors: list[tuple[Sample, dict[str, list[Sample]]]] = field(default_factory=list)
    pairs: dict[str, list[Pair]] = field(default_factory=dict)


def gather(study: Study, data: Mapping[str, Images], split: Mapping[str, np.ndarray]) -> Samples:
    """Pick images by role; split: positions by "primary/pretrain" and so on."""
    primary = data["primary"]
    labels, positions = primary.labels[split["primary/pretrain"]], split["primary/pretrain"]
    first = np.unique(labels, return_index=True)[1] if primary.classes else np.arange(len(labels))
    originals = [_sample(primary, position) for position in positions[first[:SHOWN]]]
    policies, learned_from = _policies(study)
    pixels = np.stack([sample.pixels for sample in originals])
    pair_losses = {row: entry for row, entry in study.pair_losses.items() if "anchor_views" in entry}
    return Samples(
        name=primary.name,
        originals=originals,
        views={name: sample_views(pixels, policy, study.seed) for name, policy in policies.items()},
        learned_from=learned_from,
        neighbors=_neighbors(study.neighbors, primary, split),
        pairs={row: list(_pairs(entry, data, split)) for row, entry in pair_losses.items()},
    )


def _policies(study: Study) -> tuple[dict[str, Policy], dict[str, list[str]]]:
    """The policies of the rows that trained, and which rows each taught; other numbers of one name are named by row."""
    policies: dict[str, Policy] = {}
    rows: dict[str, list[str]] = {}
    for row in study.trained:
        numbers = dict(study.recipes.get(row, {}).get("policy") or {})
        if not numbers:
            continue
        name = numbers.pop("name")
        policy = Policy.model_validate(numbers)
        name = name if policies.get(name, policy) == policy else f"{name} of {row}"
        policies[name] = policy
        rows.setdefault(name, []).append(row)
    return policies, rows


def sample_views(pixels: np.ndarray, policy: Policy, seed: int, draws: int = 2) -> np.ndarray:
    """Return (M, 2 * draws, H, W, 3) uint8: first and second view, `draws` times, of M uint8 images."""
    images, count = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), len(pixels)
    batch = Batch(images, torch.arange(count), slice(0, count), count, policy, torch.Generator().manual_seed(seed))
    views = torch.cat([batch.views(2).unflatten(0, (2, -1)) for _ in range(draws)])  # (2 * draws, M, 3, H, W)
    return (views * 255).round().to(torch.uint8).permute(1, 0, 3, 4, 2).numpy()


def _sample(images: Images, position: int, **more: Any) -> Sample:
    name = images.classes[images.labels[position]] if images.classes else ""
    return Sample(np.array(images.pixels[position]), name, **more)


def _neighbors(
    results: dict[str, dict[str, Any]], images: Images, split: Mapping[str, np.ndarray]
) -> list[tuple[Sample, dict[str, list[Sample]]]]:
    """All rows were asked about the same test images; one asked about others is left out."""
    entries = {row: result["neighbors"] for row, result in results.items() if "neighbors" in result}
    queries = [entry["image"] for entry in next(iter(entries.values()), [])]
    same = {row: asked for row, asked in entries.items() if [entry["image"] for entry in asked] == queries}

    def nearest(entry: dict[str, Any]) -> Iterator[Sample]:
        for near in entry["nearest"]:
            note, same_class = f"cosine {near['cosine']:.2f}", near["class"] == entry["class"]
            yield _sample(images, split["primary/probe_train"][near["image"]], note=note, same_class=same_class)

    return [
        (_sample(images, split["primary/probe_test"][query]), {row: list(nearest(e[n])) for row, e in same.items()})
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
