"""A run is named by everything that shapes it."""

from typing import Any

import numpy as np
import pytest
import torch

from vicreg.study import builders, params

CPU = torch.device("cpu")
PARAMS = params.load()
PIXELS = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)


def tiny(optimizer: str = "adamw", **study: Any) -> params.Params:
    sizes = {"width": 2, "projector_width": 8, "epochs": 3, "batch_size": 16, **study}
    studies = {"embedded": PARAMS.studies["embedded"].model_copy(update=sizes)}
    chosen = PARAMS.optimizer.model_copy(update={"name": optimizer})
    return PARAMS.model_copy(update={"studies": studies, "precision": "float32", "optimizer": chosen})


def test_everything_that_shapes_a_run_is_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros(50, np.int64)

    def shape(p: params.Params | None = None, pixels: np.ndarray = PIXELS) -> Any:
        return builders.shape(p or tiny(), "cifar_aug", [pixels, labels], CPU)

    first = shape()
    assert first == shape()
    aug = PARAMS.policies | {"aug": PARAMS.policies["aug"].model_copy(update={"flip": 0.4})}
    others = [shape(tiny("sgd")), shape(tiny(epochs=4)), shape(tiny(online_every=3)), shape(pixels=PIXELS[::-1])]
    others += [shape(tiny().model_copy(update=change)) for change in ({"seed": 1}, {"policies": aug})]
    assert all(other != first for other in others)
    assert shape(tiny().model_copy(update={"checkpoint_every": 5.0, "probes": None})) == first
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert shape() != first
