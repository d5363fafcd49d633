"""Pixels, methods, states and configurations so small that a test trains them in a moment."""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy
from vicreg.backbones import resnet
from vicreg.engine import distributed, optimizers
from vicreg.engine.loader import Loader
from vicreg.engine.loop import LoopConfig, train
from vicreg.engine.train_state import TrainState
from vicreg.io import plugins, yaml
from vicreg.nn.encoder import Encoder
from vicreg.nn.method import Method

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
WRITTEN = yaml.load(ROOT / "params.yaml")["methods"]
POLICY = Policy(scale_min=0.2, flip=0.5, jitter=0.8, brightness=0.4, contrast=0.4, saturation=0.2, hue=0.1, blur=(1, 0))
SIZES = {
    "projector_width": 8,
    "embedding_width": 6,
    "prototypes": 5,
    "permutations": 12,
}  # small values of members' parameters, by their names
SMALL = {"small_views": 1, "small_size": 12}
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # of methods: a member and changes of its parameters
    "vicreg-predictor": ("vicreg", {"predictor": True, **SMALL}),
    "simclr-multi-crop": ("simclr", SMALL),
    "swav-multi-crop": ("swav", SMALL | {"queue_start": 0.0}),
    "byol-regularized": ("byol", {"variance": 1.0, "covariance": 0.01}),
    "simsiam-regularized": (
        "simsiam",
        {"predictor": False, "batch_norm": False, "variance": 1.0, "regularize": "directions"},
    ),
    "moco_v2-one-sided": ("moco_v2", {"symmetric": False, "norm_parts": 2}),
    "exemplar-columns": ("exemplar", {"normalize": "columns", "views": 3}),
    "jigsaw-image": ("jigsaw", {"distance": "mean", "representation": "image", "puzzles": 1}),
    "pirl-drawn": ("pirl", {"negatives": 7, "representation": "patches"}),
    "cmc-drawn": ("cmc", {"negatives": 7, "representation": "lightness"}),
}


class Cut(Exception):
    """Stands in for whatever ends a process."""


def pixels(n: int = 50, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def batch(n: int, side: int = 32, policy: Policy = POLICY, first: int = 0) -> Batch:
    """The first step's images, numbered from `first` on."""
    images = torch.from_numpy(pixels(n, side)).permute(0, 3, 1, 2)
    return Batch(images, torch.arange(n) + first, slice(0, n), n, policy, generator())


def encoder(width: int = 2) -> Encoder:
    return Encoder(resnet.ResNet(resnet.ResNet.Params(width=width)), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25))


def params(section: Any, **changes: Any) -> Any:
    """Parameters of a member, small where SIZES has a value for them, as they are by default elsewhere."""
    return section(**{name: value for name, value in SIZES.items() if name in section.model_fields} | changes)


def member_params(name: str, **changes: Any) -> Any:
    """Parameters of a method: as `params`, and as params.yaml has them where there is no default."""
    name, own = VARIANTS.get(name, (name, {}))
    section = plugins.member_class("methods", name, Method).Params
    required = {key for key, field in section.model_fields.items() if field.is_required()} - SIZES.keys()
    written = {key: value for key, value in WRITTEN.get(name, {}).items() if key in required}
    return params(section, **(written | own | changes))


def method(name: str = "vicreg", width: int = 2, num_images: int = 50, seed: int = 0, **changes: Any) -> Any:
    """A method of this name on a tiny encoder."""
    member = plugins.member_class("methods", VARIANTS.get(name, (name, {}))[0], Method)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = member(encoder(width), member_params(name, **changes), num_images=num_images)
        made.initialize()
    return made


def optimizer(name: str = "adamw", lr: float = 0.01, weight_decay: float = 1e-4) -> optimizers.Optimizer:
    values = {"momentum": 0.9, "trust_coefficient": 0.001, "trust_clip": False, "scaling": "none"}
    return optimizers.Optimizer.model_validate({"name": name, "base_lr": lr, "weight_decay": weight_decay, **values})


def state(made: Method, name: str = "adamw", lr: float = 0.01, seed: int = 0) -> TrainState:
    """A training before its first step."""
    made = made.to(memory_format=torch.channels_last)
    return TrainState(made, optimizers.build_optimizer(made, optimizer(name, lr), 16), generator(seed))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def loader(images: np.ndarray | None = None, placement: str = "device") -> Loader:
    images = pixels() if images is None else images
    return Loader(images, np.arange(len(images)), CPU, placement)


def config(epochs: int = 3, batch_size: int = 16, policy: Policy = POLICY, **changes: Any) -> LoopConfig:
    return LoopConfig(epochs, batch_size, policy, changes.pop("schedule", lambda step: 1.0), **changes)


def run(
    begun: TrainState,
    images: Loader | None = None,
    settings: LoopConfig | None = None,
    after_step: Callable[[TrainState], None] = lambda state: None,
) -> list[dict[str, float]]:
    """Train to the end and return the records of the epochs."""
    return list(epochs(begun, images, settings, after_step))


def epochs(
    begun: TrainState,
    images: Loader | None = None,
    settings: LoopConfig | None = None,
    after_step: Callable[[TrainState], None] = lambda state: None,
) -> Iterator[dict[str, float]]:
    return train(begun, images or loader(), settings or config(), after_step)


def one_of_two(rank: int, folder: str) -> AbstractContextManager[torch.device]:
    """The process group of two processes that meet in a folder; called in a process of its own."""
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    os.environ["VICREG_RENDEZVOUS"] = f"file://{folder}/rendezvous"
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    return distributed.process_group(CPU)


def assert_same(one: Any, other: Any) -> None:
    """Nested states are equal bit for bit."""
    assert type(one) is type(other)
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other
