"""The command line: encoders for images of your own, and comparisons of studies. Each command reads, calls, prints."""

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from vicreg.cli.encoders import complete, resolve
from vicreg.io import atomic, errors

DEFAULT = "cifar_aug"
IMAGE_SIZE = 32  # of encoders whose recipe does not say

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

A study is data, encoders and their evaluation; `study:` in the file params.yaml names one, and "dvc repro" runs it. Then
run "vicreg" (or "uv run vicreg") in the folder of that file. For each command, "vicreg COMMAND --help" has an example.
""",
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of `function`; an error that a user can mend is one message, and ends with status 1."""

    @functools.wraps(function)
    def with_short_errors(**values: Any) -> None:
        try:
            function(**values)
        except Exception as error:
            if not errors.mendable(error):
                raise
            errors.told(error)
            raise typer.Exit(1) from None

    return app.command()(with_short_errors)


EncoderName = Annotated[
    str,
    typer.Option(
        "--encoder",
        "-e",
        metavar="NAME|FILE",
        help="Which encoder: a name from the section `encoders` of params.yaml, or the path of a .safetensors file.",
        autocompletion=complete,
    ),
]
Device = Annotated[str, typer.Option(help="Where to compute: auto (a GPU where there is one), cpu, cuda, cuda:N, mps.")]
Image = Annotated[Path, typer.Argument(help="An image file.", show_default=False)]
Stem = Annotated[
    Path, typer.Option("--out", "-o", metavar="STEM", help="What to call the files, without their endings.")
]


@command
def embed(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="A folder of images, and of folders with images.", show_default=False),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The .npz file to write; one that is there is replaced.")
    ] = Path("features.npz"),
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Turn every image of a folder into a representation, all in one file.

    Example: `vicreg embed holiday/ --encoder cifar_aug --out holiday.npz`

    Images may be PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF files of any size. Encoders take RGB of the size that they were
    trained with, for CIFAR 32 x 32 pixels:

    - another size is squeezed to the square; crop images before if their shape matters
    - of an animation the first frame is taken
    - transparency becomes white, gray becomes RGB

    Hidden files are ignored. Files that are not images are listed and skipped.

    The file that is written is NumPy's (.npz) and holds three arrays:

    - features: N x D numbers (float32), a row of D numbers for each of the N images
    - files: the path of each image in the folder, sorted, in the same order
    - description: what the encoder is and how it was trained, as JSON

    To read it in Python: `numpy.load("holiday.npz")["features"]`
    """
    import numpy as np

    from vicreg.data import image_files
    from vicreg.io.arrays import save_arrays
    from vicreg.nn.encoder import describe, represent
    from vicreg.study.builders import load_method

    if out.suffix != ".npz" or out.is_dir():
        raise ValueError(f"--out {out}: name a file for NumPy, such as features.npz")
    file = resolve(encoder)
    method, torch_device = load_method(file), choose_device(device)
    pixels, names, skipped = image_files.read_folder(folder, image_size(file))
    if skipped:
        typer.echo(image_files.summary(skipped), err=True)
    features = represent(method.encoder, pixels, torch_device)  # in batches as the stage: others change the last bits
    description = json.dumps(describe(file), sort_keys=True)
    save_arrays(out, features=features, files=np.array(names), description=np.array(description))
    typer.echo(f"{out}: {len(names):,} images x {features.shape[1]} numbers, by {file}")


@command
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="One or more images.", show_default=False)],
    encoder: EncoderName = DEFAULT,
    dataset: Annotated[
        str,
        typer.Option(
            help="Whose classes to name: a dataset of the study, such as shapes10, shapes100, cifar10 or cifar100; or "
            "primary, the one that the encoder was pretrained on, or transfer, the other one."
        ),
    ] = "primary",
    probe: Annotated[
        str,
        typer.Option(help="Which classifier, by its name in `probes` of params.yaml: linear, logistic or knn."),
    ] = "linear",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to show for each image.")] = 5,
) -> None:
    """Name the most probable classes of images, with their probabilities.

    Example: `vicreg predict cat.jpg`, or for the classes of CIFAR-100: `vicreg predict cat.jpg --dataset cifar100`

    Photos need a study of CIFAR, such as cifar_small: the study `embedded`, which a new clone has, was trained on drawn
    shapes, and takes a photo for one of them.

    The classes are those of a dataset of the study, such as the ten of CIFAR-10. A probe, a simple classifier that "dvc
    repro" trained on the encoder's representations, knows these classes and no others: whatever an image shows, it
    names one of them. Images are prepared as by "vicreg embed". It computes on the CPU.
    """
    from vicreg.data import image_files
    from vicreg.serving import predict

    file = resolve(encoder)
    pixels = read_images(images, file)
    loaded = predict.load(file, dataset, probe)
    rows = loaded.best(pixels, top)
    typer.echo(predict.told(loaded, [image_files.shown(image) for image in images], rows))


@command
def loss(a: Image, b: Image, encoder: EncoderName = DEFAULT, device: Device = "auto") -> None:
    """Show how different an encoder finds two images.

    Example: `vicreg loss cat.png dog.png`

    It is the loss that the encoder was pretrained with, between two images of yours instead of two views (random crops
    and colors) of one. Read its main term, VICReg's invariance or another method's distance: it is 0 for an image and
    itself, and the larger the less alike the encoder finds two images; compare it between pairs. The total can be lower
    for images that are less alike, since its other terms are made for large batches. Images are prepared as by "vicreg
    embed".
    """
    from vicreg.data import image_files
    from vicreg.serving import compare_images

    file = resolve(encoder)
    pixels, names = read_images([a, b], file), (image_files.shown(a), image_files.shown(b))
    pairs = compare_images.compare(file, pixels, names, choose_device(device))
    typer.echo(f"The loss between two images, by {file}\n\n{compare_images.format_table(pairs, file)}")


@command
def export(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER",
            help="A name from the section `encoders` of params.yaml, or the path of a .safetensors file.",
            autocompletion=complete,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder to write into; it is made.", show_default="the encoder's name"),
    ] = None,
    onnx: Annotated[
        bool, typer.Option(help="Whether to write ONNX too; it needs packages: uv sync --extra onnx.")
    ] = True,
) -> None:
    """Write an encoder into a folder of its own, to use or publish it elsewhere.

    Example: `vicreg export cifar_aug --out cifar_aug/`

    The folder gets:

    - the weights (.safetensors), and what images they take and how they were trained (config.json)
    - the same encoder as ONNX (.onnx), which other programs and languages can run, checked against PyTorch
    - a model card (README.md): data, training, results and limits, taken from the files of the study
    """
    from vicreg.serving import export

    file = resolve(encoder)
    folder = out or Path(file.stem)
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--out {folder}: that is a file; name a folder")
    for line in export.export(file, folder, onnx=onnx):
        typer.echo(line)


@command
def report(
    a: Annotated[str, typer.Argument(metavar="A", help="The baseline; one of the above.", show_default=False)],
    b: Annotated[
        str, typer.Argument(metavar="B", help="What is compared with it; one of the above.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The page to write.")] = Path("side_by_side.html"),
) -> None:
    """Show two studies or experiments side by side in one page: accuracies, differences, settings.

    Example: `vicreg report main my-experiment --out idea.html`, or `vicreg report HEAD~1 HEAD`

    The page needs nothing but itself, so it can be sent to somebody. Differences are B minus A. Each of the two is:

    - a study in the folder reports, by its name, such as cifar_small
    - a folder that holds a file metrics.json
    - an experiment, by the name that "dvc exp show" gives it
    - a git revision, such as main or HEAD~1; it stands for the study that its params.yaml names
    - REVISION:FOLDER, for another study of that revision, such as main:reports/cifar_small
    """
    from vicreg.compare.reports import find
    from vicreg.compare.side_by_side import document

    page = document(find(a), find(b))
    with atomic.writing(out) as stream:
        stream.write(page.encode())
    typer.echo(f"{out}: open it in a browser; it needs nothing but itself")


@command
def seeds(
    reports: Annotated[
        list[str],
        typer.Argument(metavar="REPORT", help="As A and B of `vicreg report`; two or more.", show_default=False),
    ],
    out: Stem,
) -> None:
    """Show what several seeds of a study gave, with the mean and the standard deviation.

    Example: `vicreg seeds main seed-1 seed-2 --out seeds`

    A seed is one draw of everything random: the split, the initial weights, the order of the images, their views
    (and the pictures, in a study that draws them). `dvc exp run -n seed-1 -S seed=1` runs the study with another one;
    the reports must not differ in anything else. The tables (.md) say how far the best two encoders are apart, and
    whether that may be chance; each number is in the .csv.
    """
    from vicreg.compare.reports import find
    from vicreg.compare.seeds import write_seeds

    write_seeds([find(name) for name in dict.fromkeys(reports)], check_stem(out))
    typer.echo(f"{out}.md, .svg, .png and .csv")


@command
def sweep(
    experiments: Annotated[
        list[str],
        typer.Argument(
            metavar="EXPERIMENT",
            help="Names as `dvc exp show` has them, or workspace; LABEL=A,B joins seeds.",
            show_default=False,
        ),
    ],
    out: Stem,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="PARAMETER", help="The parameter that was swept, such as aug.scale_min.", show_default="none"
        ),
    ] = None,
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="Which encoder of the experiments.")] = DEFAULT,
) -> None:
    """Draw several experiments of the current study in one figure, from their MLflow runs.

    Example: `vicreg sweep workspace scale-0.4 scale-0.6 --by aug.scale_min --out scale_min`

    An experiment is made and named by `dvc exp run -n scale-0.4 -S aug.scale_min=0.4`; "workspace" is what "dvc repro"
    ran here. MLflow has the numbers of each, from which a figure and a table are made (.svg, .png; .md, .csv):

    - without --by, the online evaluation: how well a linear classifier on the encoder did every few epochs of
      pretraining; LABEL=A,B,C draws the experiments A, B and C, which differ in their seeds, as one
    - with --by, how well the linear probe does at each value of that parameter, on both datasets; then the experiments
      must not differ in anything else than that and their seeds
    """
    from vicreg.cli.encoders import study_params
    from vicreg.compare import experiments as tracked
    from vicreg.compare import sweeps

    check_stem(out)
    study = study_params()["study"]
    about = f"{encoder} in the study {study}"
    if by is None:
        online = tracked.online(experiments, study, encoder)
        sweeps.write_online(online, f"{online.dataset}: {about} while it learns", out)
    else:
        scores = tracked.probed(experiments, study, encoder, by)
        sweeps.write_probed(scores, by, f"Linear probe on {about}, against {by}", out)
    typer.echo(f"{out}.svg, .png, .md and .csv: {', '.join(experiments)}")


def check_stem(stem: Path) -> Path:
    """Return `stem`; raises ValueError where several files cannot be called so."""
    if stem.suffix:
        raise ValueError(f"--out {stem}: name it without {stem.suffix!r}, since several endings are added")
    if stem.is_dir():
        raise ValueError(f"--out {stem}: that is a folder; name files in it, such as {stem / 'sweep'}")
    return stem


def choose_device(name: str) -> Any:
    """The torch device of this name; raises ValueError, in the words of the command line, where it is not there."""
    from vicreg.engine import devices

    try:
        return devices.choose_device(name)
    except ValueError as error:
        reason = str(error.__cause__ or error).split(". ")[0].splitlines()[0]
        raise ValueError(f"--device {name} cannot be used here ({reason}): use --device auto or cpu") from error


def read_images(images: list[Path], encoder: Path) -> Any:
    """The pixels (N, S, S, 3) uint8 of image files, in the size that the encoder takes."""
    import numpy as np

    from vicreg.data import image_files

    size = image_size(encoder)
    return np.stack([image_files.read(image, size) for image in images])


def image_size(encoder: Path) -> int:
    """Height and width in pixels of the images that the encoder in this file takes."""
    from vicreg.nn.encoder import describe

    return describe(encoder).get("data", {}).get("image_size", IMAGE_SIZE)


if __name__ == "__main__":
    app()
