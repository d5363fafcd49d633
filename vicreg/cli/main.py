"""The command line: an encoder in your own hands, on pictures of your own. Each command reads, calls, shows."""

import functools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from vicreg.cli.encoders import chosen, completed
from vicreg.io import atomic, errors

DEFAULT = "cifar_aug"

app = typer.Typer(
    name="vicreg",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""
Use the encoders of a finished study on pictures of your own, and compare studies.

An encoder is a network that turns an image into a list of numbers, its representation: images that it finds alike get
similar numbers, which makes them useful for search and for simple classifiers. It learned that without labels.

A study is data, encoders and tests of them; `study:` in the file params.yaml names one, and "dvc repro" makes it. Then
run "vicreg" (or "uv run vicreg") in the folder of that file. For each command, "vicreg COMMAND --help" has an example.
""",
)


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Make a command of `function`; what a person can mend is told in one message, and ends with status 1."""

    @functools.wraps(function)
    def told(**values: Any) -> None:
        try:
            function(**values)
        except Exception as error:
            if not errors.mendable(error):
                raise
            errors.told(error)
            raise typer.Exit(1) from None

    return app.command()(told)


EncoderName = Annotated[
    str,
    typer.Option(
        "--encoder",
        "-e",
        metavar="NAME|FILE",
        help="Which encoder: a name from the section `encoders` of params.yaml, or the path of a .safetensors file.",
        autocompletion=completed,
    ),
]


def known_device(given: str) -> str:
    from vicreg.study.params import DEVICES

    if not re.match(DEVICES, given):
        raise typer.BadParameter(f"{given!r} is none of auto, cpu, cuda, cuda:N, mps")
    return given


def found_device(given: str) -> Any:
    """The device of this name; raises ValueError, in the words of the command line, where it is not there."""
    from vicreg.engine import devices

    try:
        return devices.choose_device(given)
    except ValueError as error:
        why = str(error.__cause__).split(". ")[0].splitlines()[0]
        raise ValueError(f"--device {given} cannot be used here ({why}): use --device auto or cpu") from error


Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: auto (a GPU where there is one), cpu, cuda, cuda:N, mps.", callback=known_device
    ),
]


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

    Images may be PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF files of any size. Encoders see 32 x 32 pixels only, in RGB:

    - another size is squeezed to the square; crop images before if their shape matters
    - of an animation the first frame is taken
    - transparency becomes white, grey becomes RGB

    Hidden files are ignored. Files that are not images are listed and skipped.

    The file that is written is NumPy's (.npz) and holds three arrays:

    - features: N x D numbers (float32), a row of D numbers for each of the N images
    - files: where each image lies in the folder, sorted, in the same order
    - description: what the encoder is and how it was trained, as JSON

    To read it in Python: `numpy.load("holiday.npz")["features"]`
    """
    import numpy as np

    from vicreg.data import image_files, images
    from vicreg.nn.encoder import describe, load, represent

    if out.is_dir():
        raise ValueError(f"{out} is a folder: name a file for --out, such as {out / 'features.npz'}")
    if out.suffix != ".npz":
        raise ValueError(f"--out {out}: the file will be NumPy's, so name it {out.with_suffix('.npz').name}")
    file = chosen(encoder)
    frozen, where = load(file), found_device(device)
    pixels, names, passed_over = image_files.read_folder(folder)
    if passed_over:
        typer.echo(image_files.summary(passed_over), err=True)
    features = represent(frozen, pixels, where)  # in batches as the stage does: others can change the last bits
    description = json.dumps(describe(file), sort_keys=True)
    images.save_arrays({"features": features, "files": np.array(names), "description": np.array(description)}, out)
    typer.echo(f"{out}: {len(names):,} images x {features.shape[1]} numbers, by {file}")


@command
def predict(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE", help="One or more images.", show_default=False)],
    encoder: EncoderName = DEFAULT,
    dataset: Annotated[
        str,
        typer.Option(
            help="Whose classes to name: a dataset of the study, such as shapes10, shapes100, cifar10 or cifar100; or "
            "primary, the one that the encoder learned from, or transfer, the other one."
        ),
    ] = "primary",
    probe: Annotated[
        str,
        typer.Option(help="Which classifier, by its name in `probes` of params.yaml: linear, logistic or knn."),
    ] = "linear",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="How many classes to show for each image.")] = 5,
) -> None:
    """Name the likeliest classes of images, with their probabilities.

    Example: `vicreg predict cat.jpg`, or for the classes of CIFAR-100: `vicreg predict cat.jpg --dataset cifar100`

    Photos need a study of CIFAR, such as cifar_small: the study `embedded`, which a new clone has, learned drawn
    shapes, and takes a photo for one of them.

    The classes are those of a dataset of the study, such as the ten of CIFAR-10. A probe, a simple classifier that "dvc
    repro" trained on the encoder's representations, knows these classes and no others: whatever an image shows, it
    names one of them. Images are prepared as by "vicreg embed". It computes on the CPU.
    """
    import numpy as np

    from vicreg.data import image_files
    from vicreg.serving import predict

    pixels = np.stack([image_files.read(image) for image in images])
    judge = predict.load(chosen(encoder), dataset, probe)
    rows = judge.best(pixels, top)
    typer.echo(predict.told(judge, [image_files.shown(image) for image in images], rows))


@command
def loss(
    a: Annotated[Path, typer.Argument(metavar="A", help="An image file.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another image file.", show_default=False)],
    encoder: EncoderName = DEFAULT,
    device: Device = "auto",
) -> None:
    """Show how different an encoder finds two images.

    Example: `vicreg loss cat.png dog.png`

    It is the loss that the encoder learned by, VICReg's, between two images of yours instead of two views (random crops
    and colours) of one. Read its main part, the invariance: it is 0 for an image and itself, and the larger the less
    alike the encoder finds two images; compare it between pairs. The total can be lower for images that are less alike,
    since its other parts are made for large batches. Images are prepared as by "vicreg embed".
    """
    import numpy as np

    from vicreg.data import image_files
    from vicreg.serving import compare_images

    pixels = np.stack([image_files.read(a), image_files.read(b)])
    file = chosen(encoder)
    pairs = compare_images.compare(file, pixels, (image_files.shown(a), image_files.shown(b)), found_device(device))
    typer.echo(
        f"The loss between two images, by {file}\n\n{compare_images.told(pairs, compare_images.objective(file))}"
    )


@command
def export(
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="ENCODER",
            help="A name from the section `encoders` of params.yaml, or the path of a .safetensors file.",
            autocompletion=completed,
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

    file = chosen(encoder)
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
    from vicreg.compare import report_source, side_by_side

    page = side_by_side.document(report_source.find(a), report_source.find(b))
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
    """Show what several seeds of a study gave, with the mean and the spread.

    Example: `vicreg seeds main seed-1 seed-2 --out seeds`

    A seed is one draw of everything random: the split, the weights at the start, the order of the images, their views
    (and the pictures, in a study that draws them). `dvc exp run -n seed-1 -S seed=1` runs the study with another one;
    the reports must not differ in anything else. The tables (.md) say how far the best two encoders are apart, and
    whether that may be chance; each number is in the .csv.
    """
    from vicreg.compare import report_source
    from vicreg.compare import seeds as repetitions

    stem = without_ending(out)
    repetitions.write_seeds([report_source.find(name) for name in dict.fromkeys(reports)], stem)
    typer.echo(f"{stem}.md, .svg, .png and .csv")


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
    """Draw several experiments of the present study in one figure, from their MLflow runs.

    Example: `vicreg sweep workspace scale-0.4 scale-0.6 --by aug.scale_min --out scale_min`

    An experiment is made and named by `dvc exp run -n scale-0.4 -S aug.scale_min=0.4`; "workspace" is what "dvc repro"
    made here. MLflow keeps the numbers of each, from which a figure and a table are made (.svg, .png; .md, .csv):

    - without --by, how well each encoder did while it learned: now and then a classifier was trained on what it gave,
      the online evaluation; LABEL=A,B,C draws the experiments A, B and C, which differ in their seeds, as one
    - with --by, how well the linear probe does at each value of that parameter, on both datasets; then the experiments
      must not differ in anything else than that and their seeds
    """
    from vicreg.cli.encoders import present_study
    from vicreg.compare import sweeps
    from vicreg.tracking import query as tracked

    stem, study = without_ending(out), present_study()
    about = f"{encoder} in the study {study}"
    if by is None:
        found = tracked.online(experiments, study, encoder)
        sweeps.write_online(found, f"{found.dataset}: {about} while it learns", stem)
    else:
        rows = tracked.probed(experiments, study, encoder, by)
        sweeps.write_probed(rows, by, f"Linear probe on {about}, against {by}", stem)
    typer.echo(f"{stem}.svg, .png, .md and .csv: {', '.join(experiments)}")


def without_ending(stem: Path) -> Path:
    if stem.suffix:
        raise ValueError(f"--out {stem}: name it without {stem.suffix!r}, since several endings are added")
    if stem.is_dir():
        raise ValueError(f"--out {stem}: that is a folder; name files in it, such as {stem / 'sweep'}")
    return stem


if __name__ == "__main__":
    app()
