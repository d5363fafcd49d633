"""pretrain: one entry of `encoders` -> models/<study>/<encoder>.safetensors, and the history of its training."""

from pathlib import Path

import torch

from stages import Paths, run, scratch, show, timed, write_json, write_seconds
from vicreg.data import images
from vicreg.engine import devices, distributed
from vicreg.io import weights
from vicreg.jobs import pretrain
from vicreg.nn import encoder
from vicreg.study import builders, params


def main(name: str) -> None:
    """Pretrain NAME, an entry of `encoders` in params.yaml, or finish what was cut off."""
    p = params.load()
    distributed.use_own_gpu()
    device = devices.choose_device(p.device)
    if p.not_run(name) or not builders.learns(p, name):
        with timed(p.study, f"pretrain-{name}", devices.accelerator(device)):
            keep_as_it_is(p, name)
    elif distributed.started_by_torchrun():
        with distributed.joined(device) as own:
            learn(p, name, own)
    elif (count := devices.choose_processes(p.processes, device, p.sizes.batch_size)) > 1:
        from vicreg.jobs.launch import launch  # torchrun costs seconds, and only several processes need it

        pretrain.wait(p, name, *load(Paths(p.study)), device, count, scratch=scratch() / "pretrain", show=show)
        launch(count, "stages.pretrain", name)
    else:
        learn(p, name, devices.numbered(device))


def load(paths: Paths) -> tuple[images.Images, images.Images]:
    """The images that pretrain, and those that train probes."""
    primary, split = images.load(paths.data("primary")), images.load_arrays(paths.data("split"))
    return primary.take(split["primary/pretrain"]), primary.take(split["primary/probe_train"])


def keep_as_it_is(p: params.Params, name: str) -> None:
    """Write an encoder that learns nothing here, or why it does not take part."""
    paths = Paths(p.study)
    result: dict = {"encoder": name}
    if reason := p.not_run(name):
        weights.save_not_run(paths.model(name), reason)
        result |= {"not_run": reason}
    else:
        seen, _ = load(paths)
        encoder.save(paths.model(name), builders.build(p, name, seen.pixels), builders.describe(p, name))
        result |= pretrain.about(seen)
    write_json(paths.result(f"pretrain-{name}"), result)


def learn(p: params.Params, name: str, device: torch.device) -> None:
    paths = Paths(p.study)
    seen, looked_at = load(paths)

    def save(method: torch.nn.Module, result: dict) -> Path:
        encoder.save(paths.model(name), method, builders.describe(p, name))
        write_seconds(p.study, f"pretrain-{name}", result["worked"], devices.accelerator(device))
        write_json(paths.result(f"pretrain-{name}"), {"encoder": name, **result})
        return paths.model(name)

    pretrain.run(
        p, name, seen, looked_at, device, scratch=scratch() / "pretrain", reload=params.load, save=save, show=show
    )


if __name__ == "__main__":
    run(main)
