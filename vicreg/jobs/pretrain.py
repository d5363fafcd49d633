"""Resumable pretraining: checkpoints, one MLflow run, one process at a time."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vicreg.data.images import Images
from vicreg.engine import collapse, distributed, loop
from vicreg.engine.loader import Loader
from vicreg.engine.train_state import TrainState
from vicreg.io import description
from vicreg.jobs import online_eval, trainer
from vicreg.jobs.interruption import interruptible
from vicreg.jobs.run_store import CheckpointError, RunStore, environment
from vicreg.nn.method import Method
from vicreg.study.recipe import Recipe
from vicreg.tracking import runs


class RecipeChangedError(RuntimeError):
    """What shapes a pretraining was changed while it ran."""


@dataclass(frozen=True)
class Job:
    """One pretraining.

    images, positions: the primary dataset, and which of its images pretrain; eval_images: labeled images of which the
    online evaluation takes a part, or None. data_key: a digest of all of them, in their order.
    scratch: the folder of all pretrainings' checkpoints; checkpoint_every: seconds.
    log: prints a line.
    """

    recipe: Recipe
    images: Images
    positions: np.ndarray
    eval_images: Images | None
    data_key: str
    device: torch.device
    scratch: Path
    checkpoint_every: float = 60.0
    data_placement: str = "auto"
    log: Callable[[str], None] = print

    def store(self, num_processes: int) -> RunStore:
        """Where the checkpoints lie of this very recipe, on this very data, computed in this very way."""
        recipe = self.recipe.values()
        recipe["method"].pop("representation", None)  # which shapes no weights
        key = {
            "recipe": recipe,
            "data": self.data_key,
            "num_processes": num_processes,
            **trainer.computed_with(self.recipe, self.device, len(self.positions)),
        }
        prefix = f"{self.recipe.study}-{self.recipe.row}"
        return RunStore(self.scratch, prefix, key, self.checkpoint_every, self.log)


def run(job: Job, is_current: Callable[[], bool], save: Callable[[Method, dict[str, Any]], Path]) -> None:
    """Pretrain, or finish what an earlier process began, and `save` the method and the result.

    is_current: whether the recipe and the code are still those that the job began with, asked when all is done.
    save: writes the weights and the result, and returns the file of weights. The result has `history`, a record per
        epoch, `online`, accuracies by epoch, `train_seconds`, of all processes that had this run, `peak_memory` of a
        GPU in bytes, of a method with a pretext task `pretext`, its accuracy, and, where the run ended early,
        `collapsed`, the reason.

    Raises RecipeChangedError, and does not save, where `is_current` says no; and what `loop.train` raises.
    """
    store = job.store(distributed.world_size())
    with (
        loop.reraise_oom(job.recipe.batch_size),
        main_process_only(store.lock),
        main_process_only(lambda: mlflow_run(job, store)) as tracked,
        interruptible(store, job.log) as interruption,
    ):
        state = trainer.build_state(job.recipe, job.images.pixels, job.positions, job.device)
        checkpoint, form = load_checkpoint(store), job.recipe.method.get("representation")
        about = {"dataset": job.images.name, "genuine": job.images.genuine, "images": len(job.positions)}
        result: dict[str, Any] = {**about, "history": [], "online": [], "train_seconds": 0.0}
        if checkpoint:
            result = checkpoint["result"]
            if checkpoint.get("form", form) != form:
                result["online"] = []  # of another form of the representation
            state.load_state_dict(checkpoint)
        began = time.monotonic() - result["train_seconds"]

        def save_checkpoint(state: TrainState) -> None:
            if store.is_due or interruption.requested:
                loop.check_finite_weights(state)
                result["train_seconds"] = round(time.monotonic() - began, 2)
                store.write({**state.state_dict(), "result": result, "form": form})
            interruption.check()

        loader = Loader(job.images.pixels, job.positions, job.device, job.data_placement)
        if tracked is None:  # the main process logs and saves
            with suppress(loop.CollapseError):
                for _ in () if "collapsed" in result else trainer.run(job.recipe, state, loader):
                    pass
                evaluate_pretext(job, state.method, result)
            return
        log_metrics(tracked, result)
        try:
            for record in () if "collapsed" in result else trainer.run(job.recipe, state, loader, save_checkpoint):
                result["history"].append(record)
                evaluate_online(job, state.method, result)
                log_metrics(tracked, result, since=int(record["epoch"]))
                job.log(format_epoch(job.recipe, result))
            evaluate_pretext(job, state.method, result)
        except loop.CollapseError as error:  # a result: the tables say so, and the other rows go on
            job.log(f"warning: {error}")
            result["collapsed"] = str(error).splitlines()[0]
        result["train_seconds"] = round(time.monotonic() - began, 2)
        if job.device.type == "cuda":
            result["peak_memory"] = torch.cuda.max_memory_allocated(job.device)
        store.finish({**state.state_dict(), "result": result, "form": form})
        if not is_current():
            raise RecipeChangedError(
                f"the recipe or the code of {job.recipe.row} changed while it was pretrained, and DVC would record the "
                "new state beside weights of the old one. Nothing was written, and nothing is lost: put back what was "
                "changed and run again to have these weights at once, or run again as it is to pretrain anew."
            )
        if "pretext" in result:
            tracked.metrics({"pretext_accuracy": result["pretext"]}, job.recipe.epochs)
        file = save(state.method, result)
        tracked.artifact(file, "weights")
        if "collapsed" in result:
            tracked.tag("collapsed", result["collapsed"])
        else:
            tracked.tag("weights", description.identity(description.encoder(file)))


def main_process_only(context: Callable[[], AbstractContextManager]) -> AbstractContextManager:
    """Enter the context in the main process only."""
    return context() if distributed.is_main_process() else nullcontext()


def mlflow_run(job: Job, store: RunStore) -> AbstractContextManager:
    """The MLflow run of this pretraining, one for all processes that had it until it was finished."""
    recipe = job.recipe
    return runs.run(
        f"{recipe.row} pretrain",
        tags=runs.RunTags(stage="pretrain", study=recipe.study, encoder=recipe.row, dataset=job.images.name),
        fingerprint=job.images.digest,
        params=recipe.values(),
        run_id_file=store.folder / "mlflow_run",
    )


def load_checkpoint(store: RunStore) -> dict[str, Any] | None:
    """Return the latest checkpoint, read by every process before any writes another; CheckpointError for others."""
    distributed.barrier()
    state = store.load_latest()
    if not distributed.all_equal((state["epoch"], state["step"]) if state else (0, 0)):
        raise CheckpointError(
            f"the processes do not find the same checkpoint in {store.folder}: every machine must see the same folder"
        )
    if distributed.is_main_process():
        store.mark_resume(state)
        if state is not None:
            store.log(f"going on in epoch {state['epoch']}, after {state['step']} steps, from {store.folder}")
            if (before := state["environment"]) != (now := environment()):
                store.log(f"warning: it began with {before}, now there is {now}: the weights' last bits may differ")
    return state


def evaluate_online(job: Job, method: Method, result: dict[str, Any]) -> None:
    """Evaluate the encoder of the time, where it is due."""
    epoch, every = int(result["history"][-1]["epoch"]), job.recipe.online_eval_every
    if job.eval_images is not None and every and (epoch % every == 0 or epoch == job.recipe.epochs):
        accuracy = online_eval.evaluate(method.representation, job.eval_images, job.recipe.seed, job.device)
        result["online"].append({"epoch": epoch, **accuracy})


def evaluate_pretext(job: Job, method: Method, result: dict[str, Any]) -> None:
    """Add how often the method solves its own task, `pretext`, if it has one, once the training is over.

    On images that did not pretrain, unless there are none, or the method knows those that did alone.
    """
    if "pretext" in result or "collapsed" in result:
        return
    images, positions = job.images, job.positions
    others = job.eval_images
    if others is not None and others.name == images.name and not method.remembers_images:
        images, positions = others, np.arange(len(others))
    generator = torch.Generator(job.device).manual_seed(job.recipe.seed)
    policy, size = job.recipe.view_policy(), job.recipe.batch_size
    accuracy = online_eval.pretext_accuracy(method, images, positions, policy, size, generator)
    if accuracy is not None:
        result["pretext"] = accuracy
        job.log(f"its own task: {accuracy:.1%} solved")


def log_metrics(tracked: runs.Run, result: dict[str, Any], since: int = 0) -> None:
    """Log the records from epoch `since` on."""
    for prefix, records in (("online/", result["online"]), ("", result["history"])):
        for record in records:
            if record["epoch"] >= since:
                values = {f"{prefix}{key}": value for key, value in record.items() if key != "epoch"}
                tracked.metrics(values, int(record["epoch"]))
    tracked.flush()


def format_epoch(recipe: Recipe, result: dict[str, Any]) -> str:
    """What a person reads of the last epoch, warnings of collapse included."""
    record, online = result["history"][-1], result["online"]
    left = (recipe.epochs - record["epoch"]) * record["seconds"] / 60
    parts = [f"epoch {record['epoch']:.0f}/{recipe.epochs}: {record['images_per_second']:,.0f} images/s"]
    parts += [f"{left:.1f} min left", *(f"{key} {record[key]:.3f}" for key in record if key not in loop.NOT_TERMS)]
    if "effective_rank" in record:
        parts.append(f"effective rank {record['effective_rank']:.1f} of {record['max_rank']:.0f}")
    if online and online[-1]["epoch"] == record["epoch"]:
        parts.append(f"online top-1 {online[-1]['top1']:.1%}")
    return "\n".join([", ".join(parts), *(f"warning: {line}" for line in collapse.warnings(record))])
