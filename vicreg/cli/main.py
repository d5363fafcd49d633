"""The command line: encoders for images of your own, and comparisons of studies. Each command reads, calls, prints."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from vicreg.cli.encoders import complete, resolve, study_params
from vicreg.io import atomic, errors

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

A study is data, encoders and their evaluation; `study:` in the file params.yaml names one, and "dvc repro" runs it.
Then run "vicreg" (or "uv run vicreg") in the folder of that file. "vicreg COMMAND --help" has an example.
""",
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of `function`; an error that a user can mend is one message, and ends with status 1."""

    @functools.wraps(function)
    def with_short_errors(**values: Any) -> None:
        try:
            function(**values)
        except Exception as error:
            if not errors.is_user_error(error):
                raise
            errors.print_error(error)
            raise typer.Exit(1) from None

    return app.command()(with_short_errors)


argument = functools.partial(typer.Argument, show_default=False)
out_option = functools.partial(typer.Option, "--out", "-o")
ENCODER = "A name from the section `encoders` of params.yaml, or the path of a .safetensors file."
EncoderName = Annotated[
    str, typer.Option("--encoder", "-e", metavar="NAME|FILE", help=ENCODER, autocompletion=complete)
]
Device = Annotated[str, typer.Option(help="Where to compute: auto (a GPU if there is one), cpu, cuda, cuda:N, mps.")]
Stem = Annotated[Path, out_option(help="What to call the files, without their endings.", metavar="STEM")]


@command
def embed(
    folder: Annotated[Path, argument(metavar="FOLDER", help="A folder of images, and of folders with images.")],
    out: Annotated[Path, out_option(help="The .npz file to write; one that is there is replaced.")] = Path(
        "features.npz"
    ),
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Turn every image of a folder into a representation, all in one file.

    Example: `vicreg embed holiday/ --encoder cifar_aug --out holiday.npz`

    Images may be PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF files of any size; of an animation the first frame is taken,
    transparency becomes white, gray becomes RGB. An encoder takes squares of one size, for CIFAR 32 x 32 pixels, to
    which images are squeezed; crop them before if their shape matters. Hidden files are ignored, files that are not
    images are listed and skipped. The file that is written is NumPy's, `numpy.load("holiday.npz")`, with three arrays:

    - features: N x D numbers (float32), a row of D numbers for each of the N images
    - files: the path of each image in the folder, sorted, in the same order
    - description: what the encoder is and how it was trained, as JSON
    """
    import numpy as np

    from vicreg.data import image_files
    from vicreg.engine.devices import choose_device
    from vicreg.io.arrays import save_arrays
    from vicreg.nn.encoder import extract_features
    from vicreg.study.builders import describe, load_encoder

    if out.suffix != ".npz" or out.is_dir():
        raise ValueError(f"--out {out}: name a file for NumPy, such as features.npz")
    file = resolve(encoder)
    description, network, where = describe(file), load_encoder(file), choose_device(device)
    pixels, names, skipped = image_files.read_folder(folder, description["data"]["image_size"])
    if skipped:
        typer.echo(image_files.summary(skipped), err=True)
    features = extract_features(network, pixels, where)  # in batches as the stage does: others change the last bits
    arrays = {"files": np.array(names), "description": np.array(json.dumps(description, sort_keys=True))}
    save_arrays(out, features=features, **arrays)
    typer.echo(f"{out}: {len(names):,} images x {features.shape[1]} numbers, by {file}")


@command
def predict(
    images: Annotated[list[Path], argument(metavar="IMAGE", help="One or more images.")],
    encoder: EncoderName = DEFAULT,
    dataset: Annotated[
        str, typer.Option(help="Whose classes to name: primary, the dataset that pretrained; transfer; or a name.")
    ] = "primary",
    probe: Annotated[
        str, typer.Option(help="Which classifier, by its name in `probes` of params.yaml: linear, logistic or knn.")
    ] = "linear",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to show for each image.")] = 5,
) -> None:
    """Name the most probable classes of images, with their probabilities.

    Example: `vicreg predict cat.jpg`, or for the classes of CIFAR-100 `vicreg predict cat.jpg --dataset cifar100`

    A probe, a simple classifier that "dvc repro" trained on the encoder's representations, knows the classes of a
    dataset of the study, such as the ten of CIFAR-10, and no others: whatever an image shows, it names one of them. So
    photos need a study of CIFAR, such as cifar_small: `embedded`, which a new clone has, takes a photo for one of its
    drawn shapes. Images are prepared as by "vicreg embed". It computes on the CPU.
    """
    from vicreg.data.image_files import shown
    from vicreg.serving import predict

    file = resolve(encoder)
    pixels, loaded = read_images(images, file), predict.load(file, dataset, probe)
    typer.echo(predict.format_predictions(loaded, [shown(image) for image in images], loaded.topk(pixels, top)))


@command
def loss(
    a: Annotated[Path, argument(metavar="A", help="An image file.")],
    b: Annotated[Path, argument(metavar="B", help="Another image file.")],
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Show how different an encoder finds two images.

    Example: `vicreg loss cat.png dog.png`

    The terms are those of the encoder's pretraining method, between two images of yours instead of two views (random
    crops and colors) of one. Each method has one to read, VICReg its invariance: it is 0 for an image and itself, and
    the larger the less alike the encoder finds two images; compare it between pairs. Images are prepared as by
    "vicreg embed".
    """
    from vicreg.data.image_files import shown
    from vicreg.engine.devices import choose_device
    from vicreg.serving.compare_images import compare

    file = resolve(encoder)
    typer.echo(compare(file, read_images([a, b], file), (shown(a), shown(b)), choose_device(device)))


@command
def export(
    encoder: Annotated[str, argument(metavar="ENCODER", help=ENCODER, autocompletion=complete)],
    out: Annotated[
        Path | None, out_option(help="The folder to write into; it is made.", show_default="the encoder's name")
    ] = None,
    onnx: Annotated[bool, typer.Option(help="Write ONNX too, which needs packages: uv sync --extra onnx.")] = True,
) -> None:
    """Write an encoder into a folder of its own, to use or publish it elsewhere.

    Example: `vicreg export cifar_aug --out cifar_aug/`

    The folder gets the weights (.safetensors), what images they take and how they were trained (config.json), the same
    encoder as ONNX (.onnx), which other programs can run, checked against PyTorch, and a model card (README.md): data,
    training, results and limits, taken from the files of the study.
    """
    from vicreg.serving import export

    file = resolve(encoder)
    for line in export.export(file, out or Path(file.stem), onnx=onnx):
        typer.echo(line)


@command
def report(
    a: Annotated[str, argument(metavar="A", help="The baseline; one of the above.")],
    b: Annotated[str, argument(metavar="B", help="What is compared with it; one of the above.")],
    out: Annotated[Path, out_option(help="The page to write.")] = Path("side_by_side.html"),
) -> None:
    """Show two studies or experiments side by side in one page: accuracies, differences, settings.

    Example: `vicreg report main my-experiment --out idea.html`, or `vicreg report HEAD~1 HEAD`

    The page needs nothing but itself, so it can be sent to somebody. Each of the two is:

    - a study in the folder reports, by its name, such as cifar_small
    - a folder that holds a file metrics.json
    - an experiment, by the name that "dvc exp show" gives it
    - a git revision, such as main or HEAD~1; it stands for the study that its params.yaml names
    - REVISION:FOLDER, for another study of that revision, such as main:reports/cifar_small
    """
    from vicreg.compare.reports import find
    from vicreg.compare.side_by_side import document

    with atomic.writing(out) as stream:
        stream.write(document(find(a), find(b)).encode())
    typer.echo(f"{out}: open it in a browser; it needs nothing but itself")


@command
def seeds(
    reports: Annotated[list[str], argument(metavar="REPORT", help="As A and B of `vicreg report`; two or more.")],
    out: Stem,
) -> None:
    """Show what several seeds of a study gave, with the mean and the standard deviation.

    Example: `vicreg seeds main seed-1 seed-2 --out seeds`

    A seed is one draw of everything random: the split, the initial weights, the order of the images, their views.
    `dvc exp run -n seed-1 -S seed=1` runs the study with another one; the reports must not differ in anything else.
    The tables (.md) say how far the best two encoders are apart, and whether that may be chance.
    """
    from vicreg.compare.reports import find
    from vicreg.compare.seeds import write_seeds

    write_seeds([find(name) for name in dict.fromkeys(reports)], out)
    typer.echo(f"{out}.md, .svg, .png and .csv")


@command
def sweep(
    experiments: Annotated[
        list[str],
        argument(metavar="EXPERIMENT", help="Names as `dvc exp show` has them, or workspace; LABEL=A,B joins seeds."),
    ],
    out: Stem,
    by: Annotated[str, typer.Option(metavar="PARAMETER", help="The one that was swept, such as aug.scale_min.")] = "",
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="Which encoder of the experiments.")] = DEFAULT,
) -> None:
    """Draw several experiments of the current study in one figure, from their MLflow runs.

    Example: `vicreg sweep workspace scale-0.4 scale-0.6 --by aug.scale_min --out scale_min`

    `dvc exp run -n scale-0.4 -S aug.scale_min=0.4` makes one and names it; "workspace" is what "dvc repro" ran here.
    A figure and a table are made (.svg, .png; .md, .csv):

    - without --by, of the online evaluation during pretraining; LABEL=A,B,C draws A, B and C, which differ in their
      seeds, as one
    - with --by, of the linear probe at each value of that parameter; nothing else may differ but the seeds
    """
    from vicreg.compare import experiments as tracked
    from vicreg.compare import sweeps

    study = study_params()["study"]
    if not by:
        scores, settings = tracked.online(experiments, study, encoder)
        title = f"{scores['dataset'].iloc[0]}: {encoder} in the study {study} while it learns"
        sweeps.write_online(scores, settings, title, out)
    else:
        scores = tracked.probed(experiments, study, encoder, by)
        sweeps.write_probed(scores, by, f"Linear probe on {encoder} in the study {study}, against {by}", out)
    typer.echo(f"{out}.svg, .png, .md and .csv: {', '.join(experiments)}")


def read_images(images: list[Path], encoder: Path) -> Any:
    """The pixels (N, S, S, 3) uint8 of image files, in the size S that the encoder takes."""
    import numpy as np

    from vicreg.data import image_files
    from vicreg.study.builders import describe

    size = describe(encoder)["data"]["image_size"]
    return np.stack([image_files.read(image, size) for image in images])
