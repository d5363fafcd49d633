"""A pretraining job: what names its checkpoints, and how it is interrupted."""

import os
import signal
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import tiny
import torch

from vicreg.data.images import Images
from vicreg.jobs import interruption, online_eval, pretrain
from vicreg.nn.method import Method
from vicreg.study import builders, params, recipe

PARAMS = params.load(Path(__file__).parents[2] / "params.yaml")
PIXELS = tiny.pixels(50)
IMAGES = Images(PIXELS, np.zeros(50, np.int64), np.full(50, "train"), ("x",), "made up", genuine=False)


def job(folder: Path, data_key: str = "data", **changes: Any) -> pretrain.Job:
    row = recipe.resolve(PARAMS.model_copy(update={"precision": "float32", **changes}), "cifar_aug")
    cpu = torch.device("cpu")
    return pretrain.Job(row, IMAGES, np.arange(50), None, data_key, cpu, folder, log=lambda line: None)


def jigsaw(form: str) -> recipe.Recipe:
    methods = PARAMS.methods | {"jigsaw": PARAMS.methods["jigsaw"] | {"representation": form}}
    row = recipe.resolve(PARAMS.model_copy(update={"methods": methods}), "jigsaw")
    assert row.method["representation"] == form
    return row


def test_everything_that_shapes_a_run_is_in_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def name(num_processes: int = 1, **changes: Any) -> str:
        return job(tmp_path, **changes).store(num_processes).folder.name

    first = name()
    assert first == name() == name(checkpoint_every=5.0, data_placement="stream", rows=["random"])
    optimizer = PARAMS.optimizer.model_copy(update={"base_lr": 0.1})
    aug = PARAMS.aug.model_copy(update={"flip": 0.4})
    changes: list[dict[str, Any]] = [{"seed": 1}, {"optimizer": optimizer}, {"aug": aug}, {"data_key": "other"}]
    assert len({name(**change) for change in changes} | {first, name(2)}) == len(changes) + 2
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert name() != first


def test_what_is_evaluated_shapes_no_weights(tmp_path: Path) -> None:
    names = set()
    for form in ("patches", "image"):
        made = pretrain.Job(jigsaw(form), IMAGES, np.arange(50), None, "data", torch.device("cpu"), tmp_path)
        names.add(made.store(1).folder.name)
    assert len(names) == 1


def test_another_form_has_no_online_accuracies_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrain, "mlflow_run", lambda job, store: nullcontext(Mock()))
    images = replace(IMAGES, labels=np.arange(50) % 2, classes=("x", "y"))
    found = []
    for form in ("patches", "image"):
        row = jigsaw(form).model_copy(update={"epochs": 1, "batch_size": 16})

        def save(method: Method, result: dict[str, Any], row: recipe.Recipe = row) -> Path:
            found.append((len(result["history"]), len(result["online"])))
            builders.save_method(tmp_path / "x.safetensors", method, row)
            return tmp_path / "x.safetensors"

        made = pretrain.Job(row, images, np.arange(50), images, "data", tiny.CPU, tmp_path, log=lambda line: None)
        pretrain.run(made, lambda: True, save)
    assert found == [(1, 1), (1, 0)]


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)])
def test_a_signal_waits_for_the_step_and_a_second_does_not(tmp_path: Path, number: int, error: type) -> None:
    lines: list[str] = []
    store, steps = job(tmp_path).store(1), []
    before = signal.getsignal(number)
    with pytest.raises(error), interruption.interruptible(store, lines.append) as stop:
        os.kill(os.getpid(), number)
        steps.append("the rest of the step")
        stop.check()
    with pytest.raises(error), interruption.interruptible(store, lines.append):
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        steps.append("never")
    assert steps == ["the rest of the step"] and signal.getsignal(number) == before
    assert "stopped. The same command goes on from the beginning" in lines[0]


def test_a_pretext_task_is_solved_as_often_as_its_head_guesses_and_nothing_changes() -> None:
    images = Images(tiny.pixels(50), np.zeros(50, np.int64), np.full(50, "train"), ("x",), "made up", genuine=False)

    def solved(method: Method, positions: np.ndarray, batch_size: int = 16) -> float | None:
        return online_eval.pretext_accuracy(method, images, positions, tiny.POLICY, batch_size, tiny.generator())

    rotation = tiny.method("rotation")
    with torch.no_grad():
        rotation.head.weight.zero_()
    before = {key: value.clone() for key, value in rotation.state_dict().items()}
    assert solved(rotation, np.arange(50)) == pytest.approx(0.25)  # one of four turns, whatever the image
    tiny.assert_same(dict(rotation.state_dict()), before)
    assert solved(rotation, np.arange(10)) is None  # less than a batch
    assert solved(tiny.method("vicreg"), np.arange(50)) is None
    pirl = tiny.method("pirl", num_images=50)
    with torch.no_grad():
        pirl.embed_patch.weight.zero_()
        pirl.embed_patch.bias.zero_()
        pirl.head.weight.zero_()
        pirl.head.bias.copy_(pirl.bank.rows[7])  # all patches find the eighth image of `positions`
    assert solved(pirl, np.arange(50)) == pytest.approx(1 / 48)
    assert solved(pirl, np.arange(50)[::-1].copy()) == pytest.approx(1 / 48)
