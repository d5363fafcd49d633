"""pretrain: a row's recipe -> models/<study>/<row>.safetensors, and the history of its training."""

import hashlib
import os
from pathlib import Path
from typing import Any

import torch

from stages import log, param, paths, recipe, run, scratch, timed, write_json, write_seconds
from vicreg.data import images
from vicreg.engine import devices, distributed
from vicreg.io import weights
from vicreg.io.arrays import load_arrays
from vicreg.jobs import pretrain
from vicreg.nn.method import Method
from vicreg.study import builders
from vicreg.study.recipe import Recipe


def main(row: str) -> None:
    """Pretrain ROW, an entry of `rows` in params.yaml, or finish what was cut off."""
    what = recipe(row)
    if what.code != what.current_code():
        raise ValueError(f"the code of {row} is not that of its recipe: run `dvc repro recipes` first")
    distributed.set_local_device()
    device = devices.choose_device(what.device)
    if what.not_run or not what.trains:
        with timed(f"pretrain-{row}", devices.device_name(device)):
            save_without_training(what)
        return
    if what.threads != "auto":
        os.environ["OMP_NUM_THREADS"] = str(what.threads)  # which torchrun's processes inherit, and `processor` tells
    devices.set_threads(what.threads, log)
    if distributed.started_by_torchrun():
        with distributed.process_group(device) as own:
            train(what, own)
        return
    count = devices.choose_num_processes(what.num_processes, device, what.batch_size)
    if count == 1:
        train(what, torch.empty(0, device=device).device)  # with its number, as tensors on it have
        return
    from vicreg.jobs.launch import launch  # torchrun costs seconds, and only several processes need it

    with job(what, device).store(count).lock():  # no other process has the run that so many are about to share
        pass
    launch(count, "stages.pretrain", row)


def job(what: Recipe, device: Any) -> pretrain.Job:
    """Return the pretraining of a recipe, its images read."""
    primary, split = images.load(paths().data("primary")), load_arrays(paths().split)
    role = "primary" if "primary/probe_train" in split else "transfer"  # whichever has labels
    labeled = images.load(paths().data(role))
    digests = [primary.digest, labeled.digest, hashlib.sha256(paths().split.read_bytes()).hexdigest()]
    return pretrain.Job(
        recipe=what,
        images=primary,
        positions=split["primary/pretrain"],
        eval_images=labeled.subset(split[f"{role}/probe_train"]),
        data_key=" ".join(digests),
        device=device,
        scratch=scratch() / "pretrain",
        checkpoint_every=param("checkpoint_every"),
        data_placement=param("data_placement"),
        log=log,
    )


def save_without_training(what: Recipe) -> None:
    """Write an encoder that does not train, or why it does not take part."""
    result: dict[str, Any] = {"encoder": what.row, "recipe": what.values()}
    if what.not_run:
        weights.save_not_run(paths().model(what.row), what.not_run)
        result |= {"not_run": what.not_run}
    else:
        primary, positions = images.load(paths().data("primary")), load_arrays(paths().split)["primary/pretrain"]
        builders.save_method(paths().model(what.row), builders.build_method(what, primary.pixels, positions), what)
        result |= {"dataset": primary.name, "genuine": primary.genuine, "images": len(positions)}
    write_json(paths().result(f"pretrain-{what.row}"), result)


def train(what: Recipe, device: Any) -> None:
    """Pretrain, or go on, and write the weights and their numbers."""

    def save(method: Method, result: dict[str, Any]) -> Path:
        if "collapsed" in result:
            weights.save_not_run(paths().model(what.row), result["collapsed"])
        else:
            builders.save_method(paths().model(what.row), method, what)
        write_seconds(f"pretrain-{what.row}", result["train_seconds"], devices.device_name(device))
        write_json(paths().result(f"pretrain-{what.row}"), {"encoder": what.row, "recipe": what.values(), **result})
        return paths().model(what.row)

    pretrain.run(job(what, device), lambda: recipe(what.row) == what and what.code == what.current_code(), save)


if __name__ == "__main__":
    run(main)
