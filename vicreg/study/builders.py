"""A recipe: what params.yaml says of one encoder becomes a method, and its training."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from vicreg.augment.policy import Policy
from vicreg.engine import devices, distributed, loader, loop, optimizers
from vicreg.io import code_digest, plugins
from vicreg.nn.encoder import Encoder, channel_statistics
from vicreg.study.params import Params


def describe(p: Params, name: str) -> dict[str, Any]:
    """What shapes the encoder `name`, as nested plain values: for its file, and for tracking.

    Where nothing is learned, nothing of the training is in it, so that another rate leaves `random` as it is.
    """
    entry = p.encoders[name]
    about = {"encoder": name, "method": entry.method, "backbone": entry.backbone, "seed": p.seed}
    about |= {"parameters": {"width": p.sizes.width, **p.section(entry.backbone)}}
    if not learns(p, name):
        return about
    sizes = p.sizes.model_dump(include={"primary", "fractions", "projector_width", "epochs", "batch_size"})
    sections = {"optimizer": p.optimizer.model_dump(), "schedule": p.schedule.model_dump()}
    policy = {"policy": entry.policy, "aug": p.policies[entry.policy].model_dump()}
    choices = {"protocol": p.protocol, "precision": p.precision, "objective": p.section(entry.method)}
    return about | sizes | sections | policy | choices


def build(p: Params, name: str, pixels: np.ndarray) -> nn.Module:
    """Return the method of the encoder `name`, its weights drawn from the seed.

    pixels: (N, H, W, 3) uint8, the pretraining images: the encoder normalises all images by their statistics.
    """
    entry, width = p.encoders[name], p.sizes.projector_width
    with torch.random.fork_rng(devices=[]):  # layers draw their weights from the global generator, and from no other
        torch.manual_seed(p.seed)
        backbone = plugins.member("backbones", entry.backbone).build(width=p.sizes.width, **p.section(entry.backbone))
        encoder = Encoder(backbone, *channel_statistics(pixels))
        return plugins.member("methods", entry.method).build(encoder, width=width, **p.section(entry.method))


def learns(p: Params, name: str) -> bool:
    return plugins.member("methods", p.encoders[name].method).LEARNS


def shape(
    p: Params, name: str, arrays: list[np.ndarray], device: torch.device, processes: int | None = None
) -> dict[str, Any]:
    """Everything that shapes a training of the encoder `name`, to the last bit, as nested plain values.

    arrays: the images it learns from and is looked at with, and their labels, in their order.
    processes: how many train together, where these are not yet they.
    """
    entry, steps = p.encoders[name], len(arrays[0]) // p.sizes.batch_size * p.sizes.epochs
    modules = [
        "vicreg.study.builders",
        "vicreg.jobs.online_eval",
        f"vicreg.methods.{entry.method}",
        f"vicreg.backbones.{entry.backbone}",
    ]
    computed = {
        "device": device.type,
        "processes": processes or distributed.count(),
        "dtype": str(devices.choose_dtype(p.precision, device)),
        "compiled": devices.choose_compile(p.compile, device, steps),
        "torch": torch.__version__,
    }
    data = [hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() for array in arrays]
    code = code_digest.digest(*modules)
    return {**describe(p, name), "online_every": p.sizes.online_every, **computed, "data": data, "code": code}


def train(
    p: Params,
    name: str,
    method: nn.Module,
    pixels: np.ndarray,
    device: torch.device,
    *,
    resumed: dict[str, Any] | None = None,
    offer: Callable[[loop.State], None] = lambda state: None,
) -> Iterator[dict[str, float]]:
    """Pretrain `method` in place on the images (N, H, W, 3) uint8 and yield a record of each epoch.

    resumed, offer: see `vicreg.engine.loop.pretrain`.
    """
    sizes, epochs = p.sizes, p.sizes.epochs
    steps_per_epoch = len(pixels) // sizes.batch_size
    method.to(device).to(memory_format=torch.channels_last)
    settings = p.optimizer.model_dump(exclude={"base_lr", "scaling"})
    peak_lr = optimizers.peak_lr(p.optimizer.base_lr, p.optimizer.scaling, sizes.batch_size)
    return loop.pretrain(
        method,
        loader.place(torch.from_numpy(pixels).permute(0, 3, 1, 2), device, p.memory),
        Policy(**p.policies[p.encoders[name].policy].model_dump()),
        optimizers.build(method, lr=peak_lr, **settings),
        optimizers.schedule(steps_per_epoch=steps_per_epoch, epochs=epochs, **p.schedule.model_dump()),
        epochs=epochs,
        batch_size=sizes.batch_size,
        generator=torch.Generator(device).manual_seed(p.seed),
        dtype=devices.choose_dtype(p.precision, device),
        compiled=devices.choose_compile(p.compile, device, steps_per_epoch * epochs),
        progress=True,
        resumed=resumed,
        offer=offer,
    )
