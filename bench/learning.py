"""Online top-1 against seconds of pretraining: a row of the study, changes of it, and the same in the standard loop.

Needs the study's images: `uv run dvc repro split`. All have one clock, and within it the learning rate of each falls to
its end. Who has trained the least trains the next epoch, so that a slow minute slows all of them.

A file of changes has, by the name of each, what an entry of `encoders` would say differently:

    batches of 512: {batch_size: 512}
    views of 32 pixels: {policy_params: {sizes: []}}
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.axes import Axes

from bench import report
from bench.step import engine, standard
from stages import paths
from vicreg.data import images
from vicreg.engine import devices
from vicreg.io import yaml
from vicreg.io.arrays import load_arrays
from vicreg.jobs import online_eval
from vicreg.reporting.figures import style
from vicreg.reporting.figures.panels import Panel, together
from vicreg.study import params, recipe
from vicreg.study.params import Params
from vicreg.study.recipe import Recipe

STANDARD = "the standard loop"
BATCHES, TIMED = 4, 6  # of a short run that tells how long an epoch takes: steps of an epoch, epochs
Begin = Callable[[Recipe, np.ndarray], Any]  # returns a function that trains an epoch
Curve = list[tuple[float, float]]  # seconds, top-1


def fitted(row: Recipe, pixels: np.ndarray, begin: Begin, seconds: float) -> Recipe:
    """The recipe with as many epochs as fit into the seconds, by a short run in which views grow as they will."""
    some = pixels[: BATCHES * row.batch_size]
    begin(row.model_copy(update={"epochs": 1}), some)()  # warms up
    epoch, start = begin(row.model_copy(update={"epochs": TIMED}), some), time.perf_counter()
    for _ in range(TIMED):
        epoch()
    per_epoch = (time.perf_counter() - start) / TIMED * len(pixels) / len(some)
    return row.model_copy(update={"epochs": max(1, int(seconds / per_epoch))})


def race(candidates: dict[str, Callable], epochs: dict[str, int], evaluate: Callable[[Any], float]) -> dict[str, Curve]:
    """Train all to their last epoch and evaluate after each, while the clock stands."""
    curves: dict[str, Curve] = {name: [(0.0, evaluate(epoch))] for name, epoch in candidates.items()}
    while unfinished := [name for name, curve in curves.items() if len(curve) <= epochs[name]]:
        name = min(unfinished, key=lambda name: curves[name][-1][0])
        start = time.perf_counter()
        candidates[name]()
        seconds = curves[name][-1][0] + time.perf_counter() - start
        curves[name].append((seconds, evaluate(candidates[name])))
        print(f"{name}: epoch {len(curves[name]) - 1} of {epochs[name]}, {seconds:.0f} s, {curves[name][-1][1]:.1%}")
    return curves


def draw(curves: dict[str, Curve], file: Path) -> None:
    styles = style.styles(curves, baseline="")

    def lines(axes: Axes) -> None:
        for name, curve in curves.items():
            seconds, top1 = np.array(curve).T
            axes.plot(seconds / 60, 100 * top1, **styles[name].line(len(curve)))
        axes.set(xlabel="minutes of pretraining", xlim=(0, None))

    legend = {name: styles[name].line(1) for name in curves}
    panel = Panel("online linear evaluation, top-1 (%)", lines)
    style.save(together([panel], "What the same minutes teach", columns=1, height=3.6, legend=legend), file)


def changed(p: Params, row: str, changes: dict[str, Any]) -> Recipe:
    """The recipe of a row whose entry, in this study, says something else."""
    values = p.model_dump(exclude_unset=True)
    rows = values["studies"][p.study].setdefault("encoders", {})
    rows[row] = params.merged(rows.get(row, {}), changes)
    return recipe.resolve(params.validate(values), row)


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    figure: Annotated[Path | None, typer.Option(help="Where to draw the curves, without a suffix.")] = None,
    row: Annotated[str, typer.Option(help="Of params.yaml.")] = "cifar_aug",
    changes: Annotated[Path | None, typer.Option(help="A YAML file of changes to compare.")] = None,
    unchanged: Annotated[bool, typer.Option(help="Whether the row as it is takes part, in both loops.")] = True,
    seconds: Annotated[float, typer.Option(help="For each.")] = 1200,
    workers: Annotated[int, typer.Option(help="Of the standard loop.")] = 2,
    num_images: Annotated[int | None, typer.Option(help="Of those that pretrain; all by default.")] = None,
) -> None:
    """Let all train equally long, and compare what they learned."""
    p, device = params.load(), devices.choose_device("auto")
    primary, split = images.load(paths().data("primary")), load_arrays(paths().split)
    pixels = primary.pixels[split["primary/pretrain"][:num_images]]
    eval_images = primary.subset(split["primary/probe_train"])
    resolved = {name: changed(p, row, values) for name, values in (yaml.load(changes) if changes else {}).items()}
    begin: dict[str, Begin] = dict.fromkeys(resolved, lambda row, some: engine(row, some, device))
    if unchanged:
        resolved |= dict.fromkeys((row, STANDARD), recipe.resolve(p, row))
        dtype = devices.choose_dtype(resolved[row].precision, device)
        begin[row] = lambda row, some: engine(row, some, device)
        begin[STANDARD] = lambda row, some: standard(row, some, device, workers, dtype)
    fits = {name: fitted(resolved[name], pixels, begin[name], seconds) for name in begin}
    candidates = {name: begin[name](fits[name], pixels) for name in begin}

    def evaluate(epoch: Any) -> float:
        return online_eval.evaluate(epoch.encoder, eval_images, p.seed, device)["top1"]

    curves = race(candidates, {name: row.epochs for name, row in fits.items()}, evaluate)
    if figure:
        draw(curves, figure)
    lines = [[name, f"{len(c) - 1}", f"{c[-1][0]:.0f}", f"{100 * c[-1][1]:.1f}"] for name, c in curves.items()]
    figures = {"n": 1, "curves": {name: [(round(s, 1), round(a, 4)) for s, a in c] for name, c in curves.items()}}
    report(f"Learning, {len(pixels):,} images", ["", "epochs", "seconds", "online top-1, %"], lines, figures, json)


if __name__ == "__main__":
    typer.run(main)
