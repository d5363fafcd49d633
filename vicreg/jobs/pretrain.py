"""A pretraining that cannot be lost: it goes on where it stopped, is tracked as one run, and one process has it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vicreg.data import images
from vicreg.data.images import Images
from vicreg.engine import collapse, distributed, loop
from vicreg.io import weights
from vicreg.jobs import online_eval, run_store
from vicreg.study import builders
from vicreg.study.params import Params
from vicreg.tracking import runs


class ChangedError(RuntimeError):
    """What shapes a pretraining was changed while it ran."""


def run(
    p: Params,
    name: str,
    seen: Images,
    looked_at: Images,
    device: torch.device,
    *,
    scratch: Path,
    reload: Callable[[], Params],
    save: Callable[[nn.Module, dict[str, Any]], Path],
    show: Callable[[str], None] = print,
) -> None:
    """Pretrain the encoder `name` on the images `seen`, or finish what an earlier process began, and `save` it.

    Args:
        looked_at: images that train probes, of which the online evaluation takes a part.
        scratch: the folder of all pretrainings' checkpoints.
        reload: reads the parameters again, when all is done.
        save: writes the method's encoder and the result, and returns the file of weights.
        show: prints a line.

    The result has `history`, a record per epoch, `online`, accuracies by epoch, and `worked`, the seconds spent by
    all processes that had this run.

    Raises ChangedError, and does not save, where parameters or code are no longer those it began with; and what
    `vicreg.engine.loop.pretrain` raises.
    """
    kept, unchanged = prepared(p, name, seen, looked_at, device, None, scratch, show)
    result = about(seen) | {"worked": 0.0}
    with (
        loop.explained_memory(p.sizes.batch_size),
        led(kept.held),
        led(lambda: tracked(p, name, seen, kept)) as current,
        interruptible(kept, show),
    ):
        method = builders.build(p, name, seen.pixels)
        resumed = newest(kept)
        if resumed is not None:
            result = resumed["result"]
        began = time.monotonic() - result["worked"]

        def offer(state: loop.State) -> None:
            result["worked"] = round(time.monotonic() - began, 2)
            kept.offer(lambda: {**state(), "result": result})

        if current is None:  # another process leads
            list(builders.train(p, name, method, seen.pixels, device, resumed=resumed))
            return
        log(current, result)
        for record in builders.train(p, name, method, seen.pixels, device, resumed=resumed, offer=offer):
            result["history"].append(record)
            look(p, method, looked_at, device, result)
            log(current, result, since=int(record["epoch"]))
            show(line(result, p))
        kept.finish({"method": method.state_dict(), "epoch": p.sizes.epochs + 1, "step": 0, "result": result})
        check_unchanged(reload(), p, name, unchanged)
        current.artifact(save(method, result), "weights")
        current.tag("weights", weights.digest(method.get_submodule("encoder")))


def wait(
    p: Params,
    name: str,
    seen: Images,
    looked_at: Images,
    device: torch.device,
    processes: int,
    *,
    scratch: Path,
    show: Callable[[str], None],
) -> None:
    """Wait until nobody else has the run that so many processes are about to share."""
    with prepared(p, name, seen, looked_at, device, processes, scratch, show)[0].held():
        pass


def prepared(
    p: Params,
    name: str,
    seen: Images,
    looked_at: Images,
    device: torch.device,
    processes: int | None,
    scratch: Path,
    show: Callable[[str], None],
) -> tuple[run_store.Checkpoints, Callable[[Params], bool]]:
    """The checkpoints of a pretraining, and whether other parameters, and the code as it is then, describe the same."""
    arrays = [seen.pixels, seen.labels, looked_at.pixels, looked_at.labels]

    def shape(now: Params) -> dict[str, Any]:
        return builders.shape(now, name, arrays, device, processes)

    first = shape(p)
    kept = run_store.Checkpoints(scratch, f"{p.study}-{name}", first, p.checkpoint_every, show)
    return kept, lambda now: shape(now) == first


def about(seen: Images) -> dict[str, Any]:
    """What the result of a pretraining says before any epoch."""
    return {"dataset": seen.name, "genuine": seen.genuine, "images": len(seen), "history": [], "online": []}


def led(context: Callable[[], AbstractContextManager]) -> AbstractContextManager:
    """The context in the process that leads; the others have none."""
    return context() if distributed.leads() else nullcontext()


def tracked(p: Params, name: str, seen: Images, kept: run_store.Checkpoints) -> AbstractContextManager:
    """The MLflow run of this pretraining, the same one for all processes that ever had it."""
    return runs.run(
        f"{name} pretrain",
        stage="pretrain",
        study=p.study,
        encoder=name,
        dataset=seen.name,
        fingerprint=images.fingerprint(seen.pixels, seen.labels),
        params=builders.describe(p, name),
        remembered=kept.folder / "mlflow_run",
    )


def newest(kept: run_store.Checkpoints) -> dict[str, Any] | None:
    """Return the newest checkpoint, read by every process before any writes another.

    Raises CheckpointError where processes do not find the same one.
    """
    distributed.barrier()
    found = kept.newest()
    if not distributed.agreed((found["epoch"], found["step"]) if found else (0, 0)):
        raise run_store.CheckpointError(
            f"the processes do not find the same checkpoint in {kept.folder}: every machine must see the same folder"
        )
    if distributed.leads():
        kept.note(found)
        if found is not None:
            kept.say(f"going on in epoch {found['epoch']}, after {found['step']} steps, from {kept.folder}")
            if (before := found["surroundings"]) != (now := run_store.surroundings()):
                kept.say(
                    f"warning: it began with {before}, now there is {now}: the last bits of the weights may differ"
                )
    return found


def look(p: Params, method: Any, looked_at: Images, device: torch.device, result: dict[str, Any]) -> None:
    """Evaluate online where it is due."""
    epoch, every = int(result["history"][-1]["epoch"]), p.sizes.online_every
    if every and (epoch % every == 0 or epoch == p.sizes.epochs):
        accuracy = online_eval.evaluate(method.encoder, looked_at, p.seed, device)
        result["online"].append({"epoch": epoch, **accuracy})


def log(current: runs.Run, result: dict[str, Any], since: int = 0) -> None:
    """Track the records from epoch `since` on."""
    for prefix, records in (("online/", result["online"]), ("", result["history"])):
        for record in records:
            if record["epoch"] >= since:
                values = {f"{prefix}{key}": value for key, value in record.items() if key != "epoch"}
                current.metrics(values, int(record["epoch"]))


def line(result: dict[str, Any], p: Params) -> str:
    """What a person reads of the last epoch, warnings of collapse included."""
    epochs, possible = p.sizes.epochs, min(2 * p.sizes.batch_size, p.sizes.projector_width)
    record, online_ones = result["history"][-1], result["online"]
    terms = [f"{key} {record[key]:.3f}" for key in ("loss", "invariance", "variance", "covariance") if key in record]
    rank = [f"effective rank {record['effective_rank']:.1f}"] if "effective_rank" in record else []
    due = online_ones and online_ones[-1]["epoch"] == record["epoch"]
    looked = [f"online top-1 {online_ones[-1]['top1']:.1%}"] if due else []
    speed = f"{record['images_per_second']:,.0f} images/s"
    left = f"{(epochs - record['epoch']) * record['seconds'] / 60:.1f} min left"
    told = ", ".join([f"epoch {record['epoch']:.0f}/{epochs}: {speed}, {left}", *terms, *rank, *looked])
    return "\n".join([told, *(f"warning: {sentence}" for sentence in collapse.warnings(record, possible))])


def check_unchanged(now: Params, p: Params, name: str, same: Callable[[Params], bool]) -> None:
    """Raise ChangedError unless the parameters `now`, and the code, still describe this pretraining."""
    if now.study != p.study or name not in now.encoders or not same(now):
        raise ChangedError(
            f"params.yaml or the code changed while {name} was pretrained, and DVC would record the new state beside "
            "weights of the old one. Nothing was written, and nothing is lost: put back what was changed and run "
            "again to have these weights at once, or run again as it is to pretrain anew."
        )


@contextmanager
def interruptible(kept: run_store.Checkpoints, show: Callable[[str], None]) -> Iterator[None]:
    """Tell a person who stops the pretraining how to go on."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if distributed.leads():
            found = [file.name.split("-")[:2] for file in kept.files()[:1]]
            where = f"epoch {int(found[0][0])}, after {int(found[0][1])} steps" if found else "the beginning"
            show(f"\nstopped. The same command goes on from {where}: its checkpoints are in {kept.folder}")
        raise
