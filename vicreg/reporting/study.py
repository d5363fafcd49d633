"""A study as its report needs it: plain data that the stages left behind, gathered in one place."""

import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from vicreg.data.images import Images, fingerprints

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "matplotlib", "dvc", "mlflow")


@dataclass(frozen=True)
class Dataset:
    """One dataset of a study.

    slot: "primary" or "transfer"; key: its name in params.yaml; name: what tables and figures call it.
    genuine: True only for complete CIFAR data; drawn: True for the embedded pictures.
    classes: their names, by label; purposes: images for each purpose, by the split's names.
    fingerprints: hex SHA-256 of each official split's content.
    """

    slot: str
    key: str
    name: str
    genuine: bool
    drawn: bool
    classes: tuple[str, ...]
    purposes: dict[str, int]
    fingerprints: dict[str, str]


@dataclass(frozen=True)
class Study:
    """All that one report says.

    sizes: the block of `studies` in params.yaml: source, fractions, width, epochs and so on.
    pretraining, evaluations: by encoder, in the order of params.yaml, as the stages wrote them; an encoder
        that did not take part has "not_run", the reason in words, instead of numbers.
    representative_loss: as its stage wrote it.
    seconds: one entry per stage, {"stage", "seconds", "device"}.
    commit: of the code, None where there is no git.
    recipes: by encoder, the entry of `encoders` in params.yaml: method, backbone, policy.
    portraits: by encoder, as its stage wrote them: neighbours and a map.

    Raises ValueError where two datasets share a key, since one would hide the other.
    """

    name: str
    sizes: dict[str, Any]
    protocol: str
    seed: int
    datasets: tuple[Dataset, ...]
    pretraining: dict[str, dict[str, Any]]
    evaluations: dict[str, dict[str, Any]]
    representative_loss: dict[str, Any]
    seconds: list[dict[str, Any]]
    versions: dict[str, str]
    commit: str | None
    recipes: dict[str, dict[str, str]] = field(default_factory=dict)
    portraits: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        keys = [dataset.key for dataset in self.datasets]
        if len(set(keys)) < len(keys):
            raise ValueError(f"the datasets of a study must differ, these are {', '.join(keys)}")

    @property
    def encoders(self) -> list[str]:
        return list(self.evaluations)

    @property
    def learned(self) -> dict[str, dict[str, Any]]:
        """The results of pretraining, of encoders that learned something in this study."""
        return {name: result for name, result in self.pretraining.items() if result.get("history")}

    @property
    def devices(self) -> list[str]:
        """The hardware of the stages, each once."""
        return sorted({entry["device"] for entry in self.seconds})


def describe(images: Images, slot: str, key: str, purposes: dict[str, int], *, drawn: bool) -> Dataset:
    """Return what the report says about `images`, of which so many serve each purpose."""
    return Dataset(
        slot=slot,
        key=key,
        name=images.name,
        genuine=images.genuine,
        drawn=drawn,
        classes=images.classes,
        purposes=purposes,
        fingerprints=fingerprints(images),
    )


def versions(packages: Iterable[str] = PACKAGES) -> dict[str, str]:
    """Return the versions of Python and of the installed ones among `packages`."""
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
