"""Any fraction of any dataset can be split, and classes keep their proportions."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import fractions, sized
from hostile import examples
from hypothesis import given
from hypothesis import strategies as st

from vicreg.data import split_checks
from vicreg.data.images import Images, canonical_order
from vicreg.data.protocols import PROTOCOLS
from vicreg.data.sources import synthetic
from vicreg.data.splits import proportional, split_images, split_study


def counted(dataset: str, fraction: float, monkeypatch: pytest.MonkeyPatch) -> Images:
    """What the synthetic source draws of a dataset, each image with other first bytes and nothing else on it."""
    start = {"shapes10": 0, "shapes100": 1_000_000}[dataset]

    def blank(shape: str, texture: str, count: int, seed: np.random.SeedSequence) -> np.ndarray:
        nonlocal start
        start += count
        return np.arange(start - count, start, dtype="<u4").view(np.uint8)[: 4 * count].reshape(count, 1, 1, 4)[..., :3]

    monkeypatch.setattr(synthetic, "draw", blank)
    return synthetic.Synthetic(None).load(dataset, scratch=Path(), fraction=fraction, seed=0)


@examples(25)
@given(
    pretrain=st.floats(0.001, 0.3),
    probe=st.floats(0.02, 0.3),
    protocol=st.sampled_from(sorted(PROTOCOLS)),
    order=st.permutations(["shapes10", "shapes100"]),
)
def test_the_drawn_datasets_have_enough_for_any_fraction(
    pretrain: float, probe: float, protocol: str, order: list[str]
) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        names = dict(zip(("primary", "transfer"), order, strict=True))
        data = {role: counted(name, max(pretrain, probe), monkeypatch) for role, name in names.items()}
    split = split_study(data, protocol, fractions=fractions(pretrain, probe), seed=0)
    split_checks.check(split, data, protocol)
    for name, share in {"primary/pretrain": 0.8, "primary/probe_test": 0.5, "transfer/probe_test": 0.25}.items():
        total, fraction = (50_000, pretrain) if name.endswith("pretrain") else (10_000, probe)
        total = 60_000 if name.startswith("transfer") else total
        expected = (share if protocol == "report" else 1 - (total == 60_000) * 5 / 6) * total * fraction
        assert abs(len(split[name]) - expected) <= 1
        counts = np.bincount(data[name.partition("/")[0]].labels[split[name]])
        assert counts.max() - counts.min() <= 1


@pytest.mark.parametrize("probe", [0.25, 0.0123, 0.03])
def test_fractions_that_the_drawn_dataset_once_refused(probe: float, monkeypatch: pytest.MonkeyPatch) -> None:
    data = {"transfer": counted("shapes100", max(0.1, probe), monkeypatch)}
    for protocol in PROTOCOLS:
        split_images(data["transfer"], protocol, "transfer", fractions=fractions(0.1, probe), seed=0)
        split_images(data["transfer"], protocol, "primary", fractions=fractions(probe, probe), seed=0)


@pytest.mark.parametrize(("protocol", "expected"), [("report", "f0e9a05d7bf7544c"), ("standard", "90a81d6f1d258867")])
def test_the_embedded_study_is_split_as_ever(protocol: str, expected: str) -> None:
    """As the results in `reports/` were made."""
    source, data = synthetic.Synthetic(None), {}
    for role, name in (("primary", "shapes10"), ("transfer", "shapes100")):
        images = source.load(name, scratch=Path(), fraction=0.1, seed=0)
        data[role] = images.subset(canonical_order(images))
    split = split_study(data, protocol, fractions=fractions(0.1, 0.1), seed=0)
    assert hashlib.sha256(b"".join(split[name].tobytes() for name in sorted(split))).hexdigest()[:16] == expected


def unbalanced(counts: list[int], share: float = 0.2) -> Images:
    """Distinct images, so many of each class, this share of them test."""
    images = sized(sum(counts), 0, classes=1)
    labels = np.repeat(np.arange(len(counts)), counts)
    test = np.concatenate([np.arange(count) < share * count for count in counts])
    official = np.where(test, "test", "train")
    return Images(images.pixels, labels, official, tuple(f"class {i}" for i in range(len(counts))), "Photos")


@examples(40)
@given(
    counts=st.lists(st.integers(60, 120), min_size=2, max_size=6),
    sizes=st.tuples(st.floats(0.3, 1), st.floats(0.3, 1)),
    protocol=st.sampled_from(sorted(PROTOCOLS)),
)
def test_unbalanced_classes_keep_their_proportions(counts: list[int], sizes: Any, protocol: str) -> None:
    images = unbalanced(counts)
    data = {"primary": images, "transfer": replace(images, pixels=images.pixels ^ 255)}
    split = split_study(data, protocol, fractions=fractions(*sizes), seed=0)
    split_checks.check(split, data, protocol)
    for name, positions in split.items():
        official = set(images.official[positions])
        pool = np.bincount(images.labels[np.isin(images.official, list(official))])
        if len(official) == 1:
            exact = len(positions) * pool / pool.sum()
            assert np.abs(np.bincount(images.labels[positions], minlength=len(counts)) - exact).max() < 2, name
    if min(sizes) == 1 and protocol == "report":
        assert sum(len(split[name]) for name in split if name.startswith("primary")) == len(images)


def test_proportions_are_largest_remainders() -> None:
    counts = np.array([53, 24, 23])
    assert proportional(10, counts, counts).tolist() == [5, 3, 2]  # of 5.3, 2.4, 2.3
    assert proportional(10, counts, np.array([53, 2, 23])).tolist() == [6, 2, 2]
    assert proportional(100, counts, counts).tolist() == counts.tolist()
    assert proportional(5, np.array([10, 10, 10]), np.array([10, 10, 10])).tolist() == [2, 2, 1]
