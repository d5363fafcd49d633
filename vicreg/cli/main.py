"""The command line: encoders for images of your own, and comparisons of studies. Each command reads, calls, prints."""

import functools
import gc
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from vicreg.cli.encoders import complete, read_images, resolve, study_params
from vicreg.io import atomic, description, errors

DEFAULT = "cifar_aug"

app = typer.Typer(
    name="vicreg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
Use the encoders of a finished study on images of your own, and compare studies.

An encoder is a network that turns an image into a list of numbers, its representation: images that it finds alike get
similar numbers, which makes them useful for search and for simple classifiers. It was trained without labels.

A study is data, encoders and their evaluation; `study:` in the file params.yaml names one, "uv run dvc repro" runs it.
Run "uv run vicreg" in the folder of that file; "uv run vicreg COMMAND --help" has an example.
""",
)

argument = functools.partial(typer.Argument, show_default=False)
out_option = functools.partial(typer.Option, "--out", "-o")
encoder_option = functools.partial(typer.Option, "--encoder", "-e")
ENCODER = "A name from the section `encoders` of params.yaml, or the path of a .safetensors file."
EncoderName = Annotated[str, encoder_option(metavar="NAME|FILE", help=ENCODER, autocompletion=complete)]
Images = Annotated[list[Path], argument(metavar="PATH", help="Image files, and folders with images at any depth.")]
Stem = Annotated[Path, out_option(help="What to call the files, without their endings.", metavar="STEM")]


def device_name(value: str) -> str:
    """The value of --device; what cannot be one is told before torch is imported."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        raise typer.BadParameter(f"{value!r} is none; choose auto, cpu, cuda, cuda:N or mps")
    return value


DEVICE = "Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:N, mps."
Device = Annotated[str, typer.Option(callback=device_name, help=DEVICE)]


def show_version(asked: bool) -> None:
    """Print the version and end, if asked."""
    if asked:
        python = ".".join(map(str, sys.version_info[:3]))
        typer.echo(f"vicreg {version('vicreg')}, torch {version('torch')}, Python {python}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show versions, and end.")
    ] = False,
) -> None:
    """Options of all commands."""


@app.command()
@errors.short_errors()
def embed(
    images: Images,
    out: Annotated[Path, out_option(help="The .npz file to write, or to replace.")] = Path("features.npz"),
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Turn images, or all images of folders, into representations in one file.

    Example: `uv run vicreg embed holiday/ --encoder cifar_aug --out holiday.npz`

    Images may be of any common kind and size: they are squeezed to the squares that the encoder takes, for CIFAR of
    32 x 32 pixels, so crop them before if their shape matters. What is no image in a folder is listed and skipped.
    The file that is written is NumPy's, `numpy.load("holiday.npz")`, with three arrays:

    - features: a row of numbers for each image (N x D, float32)
    - files: the path of each image, in a single folder the one within it, in the same order
    - description: what the encoder is and how it was trained, as JSON
    """
    if out.suffix != ".npz" or out.is_dir():
        raise ValueError(f"--out {out}: name a file for NumPy, such as features.npz")
    file = resolve(encoder)
    pixels, names = read_images(images, file)

    import numpy as np

    from vicreg.engine.devices import choose_device
    from vicreg.io.arrays import save_arrays
    from vicreg.nn.encoder import extract_features
    from vicreg.study.builders import load_encoder

    network, where = load_encoder(file), choose_device(device)
    features = extract_features(network, pixels, where)  # in batches as the stage does: others change the last bits
    about = np.array(json.dumps(description.encoder(file), sort_keys=True))
    save_arrays(out, features=features, files=np.array(names), description=about)
    typer.echo(f"{out}: {len(names):,} images x {features.shape[1]} numbers, by {file}")


@app.command()
@errors.short_errors()
def predict(
    images: Images,
    encoder: EncoderName = DEFAULT,
    dataset: Annotated[
        str | None, typer.Option(help="Whose classes to name, else all: primary, transfer, or a name.")
    ] = None,
    probe: Annotated[
        str, typer.Option(help="Which classifier: linear, logistic, knn or mlp, of those in `probes`.")
    ] = "linear",
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="How many classes of each image, else 5; of several images 1."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Name the most probable classes of images, with their probabilities.

    Example: `uv run vicreg predict cat.jpg`, or `uv run vicreg predict holiday/ --dataset cifar100 --top 3`

    A probe is a simple classifier that "uv run dvc repro" trained on the encoder's representations. It knows the
    classes of one dataset of the study, primary (which trained the encoder) or transfer, and names one of them whatever
    an image shows. Photos need CIFAR, as the encoder that comes with this repository has it; `embedded`, which a new
    clone runs, knows drawn shapes. Programs take --json, or the lines that are printed where there is no terminal.
    """
    from vicreg.data.image_files import shown
    from vicreg.serving import predict

    file = resolve(encoder)
    probes = predict.find_probes(file, probe, dataset)
    pixels, names = read_images(images, file)
    result = predict.predict(probes, pixels, list(map(shown, names)), top or (5 if len(names) == 1 else 1))
    if as_json:
        return typer.echo(json.dumps(result, indent=1))

    from rich.console import Console

    from vicreg.cli import predictions

    return predictions.show(result, Console())


@app.command()
@errors.short_errors()
def loss(
    a: Annotated[Path, argument(metavar="A", help="An image file.")],
    b: Annotated[Path, argument(metavar="B", help="Another image file.")],
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Show how different an encoder finds two images.

    Example: `uv run vicreg loss cat.png dog.png`

    It is the loss that trained the encoder, which compared two views (random crops and colors) of one image. Below the
    table stands which term to read, for VICReg the invariance: 0 for an image and itself, the larger the less alike.
    """
    file = resolve(encoder)
    if folders := [path for path in (a, b) if path.is_dir()]:
        raise ValueError(f"{folders[0]} is a folder: name two images")
    pixels, names = read_images([a, b], file)

    from vicreg.data.image_files import shown
    from vicreg.engine.devices import choose_device
    from vicreg.serving.compare_images import compare

    typer.echo(compare(file, pixels, list(map(shown, names)), choose_device(device)))


@app.command()
@errors.short_errors()
def export(
    encoder: Annotated[str, argument(metavar="ENCODER", help=ENCODER, autocompletion=complete)],
    out: Annotated[Path | None, out_option(help="The folder to write into, else one of the encoder's name.")] = None,
    onnx: Annotated[bool, typer.Option(help="Write ONNX too, which needs packages: uv sync --extra onnx.")] = True,
    half: Annotated[bool, typer.Option("--half", help="The encoder alone, in half precision: half the bytes.")] = False,
) -> None:
    """Write an encoder into a folder of its own, to use or publish it elsewhere.

    Example: `uv run vicreg export cifar_aug --out cifar_aug/`

    The folder gets the weights (.safetensors), their input and recipe (config.json), what its probes learned, for
    `uv run vicreg predict`, the encoder as ONNX (.onnx), which other programs can run, and a model card (README.md):
    data, training, results and limits.
    """
    file = resolve(encoder)

    from vicreg.serving import export

    typer.echo("\n".join(export.export(file, out or Path(file.stem), onnx=onnx, half=half)))


@app.command()
@errors.short_errors()
def status() -> None:
    """Say what "uv run dvc repro" would run, what is not as in the last commit, and how to go back to it.

    Example: `uv run vicreg status`

    Run it after an experiment, or after an edit, before the study runs for long. It changes nothing.
    """
    study_params()

    from vicreg.cli import status

    for line in status.lines():
        typer.echo(line)


@app.command()
@errors.short_errors()
def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where on this machine it listens.")] = 5000,
) -> None:
    """Open MLflow's page of all runs: print its address, and serve it on this machine alone until Ctrl-C.

    Example: `uv run vicreg ui --port 5001`

    The address leads to the list of probes, best first. MLflow sends no usage data from here.
    """
    from vicreg.tracking.ui import serve

    serve(port)


@app.command()
@errors.short_errors()
def report(
    a: Annotated[str, argument(metavar="A", help="The baseline; one of the above.")],
    b: Annotated[str, argument(metavar="B", help="What is compared with it; one of the above.")],
    out: Annotated[Path, out_option(help="The page to write.")] = Path("side_by_side.html"),
) -> None:
    """Show two studies or experiments side by side in one page: accuracies, differences, settings.

    Example: `uv run vicreg report main my-experiment --out idea.html`, or `uv run vicreg report HEAD~1 HEAD`

    Each of the two is:

    - a study in the folder reports, by its name, or another folder that holds a file metrics.json
    - an experiment, by the name that "dvc exp show" gives it
    - a git revision, such as main or HEAD~1: the study that its params.yaml names
    - another study of a revision, such as main:reports/cifar_small
    """
    from vicreg.compare.reports import find
    from vicreg.compare.side_by_side import document

    with atomic.writing(out) as stream:
        stream.write(document(find(a), find(b)).encode())
    typer.echo(f"{out}: open it in a browser; it needs nothing but itself")


@app.command()
@errors.short_errors()
def seeds(
    names: Annotated[list[str], argument(metavar="REPORT", help="As in `uv run vicreg report`; two or more.")],
    out: Stem,
) -> None:
    """Show what several seeds of a study gave, with the mean and the standard deviation.

    Example: `uv run vicreg seeds main seed-1 seed-2 --out seeds`

    A seed is one draw of everything random: the split, the initial weights, the order of the images, their views.
    `uv run dvc exp run -n seed-1 -S seed=1` runs the study with another one; nothing else may differ between reports.
    It writes a page, a figure, all numbers, and the table of the linear probe in LaTeX.
    """
    from vicreg.compare.reports import find
    from vicreg.compare.seeds import write_seeds

    write_seeds([find(name) for name in dict.fromkeys(names)], out)
    typer.echo(f"{out}.md, .tex, .svg, .png and .csv")


@app.command()
@errors.short_errors()
def sweep(
    names: Annotated[
        list[str], argument(metavar="EXPERIMENT", help="As `uv run dvc exp show` has them, or workspace.")
    ],
    out: Stem,
    by: Annotated[str, typer.Option(metavar="PARAMETER", help="The one that was swept, such as aug.scale_min.")] = "",
    encoder: Annotated[str, encoder_option(help="Which encoder of the experiments.")] = DEFAULT,
) -> None:
    """Draw several experiments of the current study in one figure, from their MLflow runs.

    Example: `uv run vicreg sweep workspace scale-0.4 scale-0.6 --by aug.scale_min --out scale_min`

    `uv run dvc exp run -n scale-0.4 -S aug.scale_min=0.4` makes one and names it; "workspace" is what
    "uv run dvc repro" ran here.

    - without --by: accuracy during pretraining; LABEL=A,B draws A and B, which differ in their seeds, as one
    - with --by: accuracy of the linear probe at each value of that parameter; nothing else may differ but the seeds
    """
    study = study_params()["study"]

    from vicreg.compare import experiments, sweeps

    if by:
        scores = experiments.probed(names, study, encoder, by)
        sweeps.write_probed(scores, by, f"Linear probe on {encoder} in the study {study}, against {by}", out)
    else:
        scores, settings = experiments.online(names, study, encoder)
        title = f"{scores['dataset'].iloc[0]}: {encoder} in the study {study} while it learns"
        sweeps.write_online(scores, settings, title, out)
    typer.echo(f"{out}.svg, .png, .md and .csv: {', '.join(names)}")


def main() -> None:
    """Run the program `vicreg`."""
    gc.set_threshold(100_000)  # importing torch makes so many objects that collecting takes a seventh of its time
    try:
        app()
    finally:
        gc.freeze()  # else Python looks through all of them once more before it ends, for half a second
