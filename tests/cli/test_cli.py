"""The command line: the encoders of a study for one's own images."""

import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from conftest import HERE, Repository
from PIL import Image
from rich.console import Console
from tiny import CPU
from typer.testing import CliRunner

from vicreg.cli import encoders, main, predictions
from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.io import weights, yaml
from vicreg.io.arrays import load_arrays
from vicreg.nn.encoder import extract_features
from vicreg.study import builders, params, recipe
from vicreg.study.paths import Paths, study_of

COMMANDS = ("embed", "predict", "loss", "export", "status", "ui", "report", "seeds", "sweep")
CONSOLE = Path(sys.executable).with_name("vicreg")
PIXELS = tiny.pixels(40)
CLASSES = ("cat", "dog", "ship", "frog", "car", "deer")
PATHS = {**os.environ, "PYTHONPATH": str(HERE)}


def save_encoder(path: Path, seed: int = 0) -> None:
    """Write a small encoder of the row that the file is named after, its weights as drawn."""
    values = yaml.load(HERE / "params.yaml") | {"seed": seed}
    values["studies"]["embedded"] |= {"width": 2, "projector_width": 6}
    row = recipe.resolve(params.validate(values), path.stem)
    builders.save_method(path, builders.build_method(row, PIXELS, np.arange(len(PIXELS))), row)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with two encoders, one that did not run, and a probe of one of them."""
    folder = tmp_path_factory.mktemp("study")
    paths = Paths("embedded", folder)
    shutil.copy(HERE / "params.yaml", folder)
    for name in ("cifar_aug", "random"):
        save_encoder(paths.model(name))
    weights.save_not_run(paths.model("resnet50_paper"), "not run: `pretrained.weights` names no file")
    labels = np.arange(40, dtype=np.int64) % len(CLASSES)
    for role in ("primary", "transfer"):
        images.save(images.Images(PIXELS, labels, np.full(40, "train"), CLASSES, f"{role} pictures"), paths.data(role))
    weight = torch.randn(6, 16, generator=torch.Generator().manual_seed(0))
    probe = LinearClassifier(torch.zeros(16), torch.ones(16), weight, torch.zeros(6))
    about = {"encoder": "cifar_aug", "weights": builders.describe(paths.model("cifar_aug"))["digest"]["encoder"]}
    about |= {"top1": {"primary": {"linear": 0.612}}, "val_top1": {"primary": {"linear": 0.6}}}
    probe_files.save(paths.probes("cifar_aug"), {("primary", "linear"): probe}, about)
    return folder


@pytest.fixture
def study(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, in which commands run; beside it lies a folder of pictures."""
    shutil.copytree(made, tmp_path / "study")
    monkeypatch.chdir(tmp_path / "study")
    save_pictures(PIXELS, tmp_path / "pictures")
    return tmp_path / "study"


def save_pictures(pixels: np.ndarray, folder: Path) -> None:
    folder.mkdir()
    for number, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{number:05}.png")


def vicreg(*arguments: object, status: int = 0) -> str:
    """What a command prints, on both streams together."""
    found = CliRunner().invoke(main.app, [str(argument) for argument in arguments], terminal_width=100)
    assert found.exit_code == status, found.output
    return found.output


def refused(*arguments: object) -> str:
    """The message of a command that ends with status 1, in one line and without a traceback."""
    lines = vicreg(*arguments, status=1).strip().splitlines()
    told = [line for line in lines if line.startswith("error: ")]
    assert len(told) == 1 and lines[-1] == "(VICREG_TRACEBACK=1 shows where)" and "Traceback" not in lines, lines
    return told[0]


def test_embed_gives_representations_bit_for_bit(study):
    said = vicreg("embed", "../pictures", "--encoder", "cifar_aug", "--out", "found.npz", "--device", "cpu")
    found = load_arrays(Path("found.npz"))
    file = Path("models/embedded/cifar_aug.safetensors")
    expected = extract_features(builders.load_encoder(file), PIXELS, CPU)
    assert np.array_equal(found["features"], expected) and found["features"].dtype == np.float32
    assert found["files"].tolist() == [f"{number:05}.png" for number in range(40)]
    about = json.loads(str(found["description"]))
    assert about == builders.describe(file) and about["method"]["name"] == "vicreg"
    assert said.strip().endswith("found.npz: 40 images x 16 numbers, by models/embedded/cifar_aug.safetensors")


def test_embed_takes_an_encoder_by_its_path(study, monkeypatch):
    file = (study / "models/embedded/random.safetensors").absolute()
    monkeypatch.chdir(study.parent)
    vicreg("embed", "pictures", "-e", file)
    assert json.loads(str(load_arrays(Path("features.npz"))["description"]))["row"] == "random"


def test_embed_names_what_it_passed_over(study):
    (study.parent / "pictures" / "notes.txt").write_text("no image")
    assert "passed over 1 of its files: notes.txt (it is no image" in vicreg("embed", "../pictures")
    assert len(load_arrays(Path("features.npz"))["files"]) == 40


def test_embed_says_what_is_wrong_with_a_folder(study):
    Path("empty").mkdir()
    assert "empty holds no image that can be read; it is empty" in refused("embed", "empty")
    assert "nowhere cannot be used as an image: it does not exist" in refused("embed", "nowhere")
    assert "params.yaml cannot be used as an image: it is no image" in refused("embed", "params.yaml")
    assert "--out empty: name a file for NumPy" in refused("embed", "../pictures", "--out", "empty")


def test_a_missing_encoder_is_an_error_that_lists_others(study):
    said = refused("embed", "../pictures", "--encoder", "cifar_big")
    assert "no encoder cifar_big: choose from cifar_aug, random, resnet50_paper, or give the path of a" in said
    assert "there is no encoder elsewhere/x.safetensors: check its path" in refused("export", "elsewhere/x.safetensors")
    assert "holds no encoder: not run: `pretrained.weights`" in refused("export", "resnet50_paper")
    shutil.rmtree("models")
    assert "run `uv run dvc repro pretrain@random`" in refused("embed", "../pictures", "-e", "random")
    said = refused("embed", "../pictures", "--encoder", "cifer_aug")
    assert "choose from random, imagenet_aug, cifar_aug, resnet50_paper" in said


def test_outside_a_study_a_name_is_an_error(study, monkeypatch):
    monkeypatch.chdir(study.parent)
    said = refused("embed", "pictures", "-e", "random")
    assert "no params.yaml here" in said and "give the path of a .safetensors file" in said


@pytest.mark.parametrize("command", [("embed", "../pictures"), ("predict", "../pictures/00000.png"), ("export",)])
def test_a_file_that_holds_no_encoder_is_a_clear_error(study, command):
    Path("x.safetensors").write_bytes(b"not weights")
    named = ("x.safetensors",) if command == ("export",) else ("-e", "x.safetensors")
    assert "x.safetensors is not an encoder of this project" in refused(*command, *named)


def test_predict_names_the_most_probable_classes(study):
    files = ["../pictures/00003.png", "../pictures/00007.png"]
    said = vicreg("predict", *files, "--top", "3")
    paths = Paths("embedded")
    y = extract_features(builders.load_encoder(paths.model("cifar_aug")), PIXELS[[3, 7]], CPU)
    probabilities = probe_files.load(paths.probes("cifar_aug"), "primary", "linear")(torch.from_numpy(y)).numpy()
    for file, row in zip(files, probabilities, strict=True):
        best = [f"{100 * row[k]:5.1f} %  {CLASSES[k]}" for k in np.argsort(-row)[:3]]
        assert "\n  ".join([file, *best]) + "\n\n" in said
    assert "By the linear probe for primary pictures on cifar_aug, right for 61.2 % of its test images." in said
    assert "It knows 6 classes" in said


def test_predict_says_which_probes_there_are(study):
    picture = "../pictures/00003.png"
    assert "there is no probe 'knn' in" in (said := refused("predict", picture, "--probe", "knn"))
    assert "choose from linear" in said
    said = refused("predict", picture, "--dataset", "cifar10")
    assert "no dataset 'cifar10': choose from primary (primary pictures), transfer (transfer pictures)" in said
    assert "run `uv run dvc repro linear_eval" in refused("predict", picture, "-e", "random")
    shutil.copy("models/embedded/cifar_aug.safetensors", "elsewhere.safetensors")
    said = refused("predict", picture, "-e", "elsewhere.safetensors")
    assert "neither in a folder models/<study>/ nor beside elsewhere-probes.safetensors" in said


def test_predict_takes_a_dataset_by_its_name(study):
    known = images.load(paths := Paths("embedded").data("primary"))
    images.save(replace(known, name="CIFAR-10 (subset)"), paths)
    said = {name: vicreg("predict", "../pictures/00003.png", "--dataset", name) for name in ("primary", "cifar10")}
    assert said["cifar10"] == said["primary"] and "for CIFAR-10 (subset)" in said["cifar10"]


def test_predict_takes_folders_and_gives_json(study):
    Path("../pictures/notes.txt").write_text("no image")
    found = CliRunner().invoke(main.app, ["predict", "../pictures", "--json", "--top", "6"])
    assert "../pictures: passed over 1 of its files: notes.txt" in found.stderr
    result = json.loads(found.stdout)
    [dataset] = result["datasets"]  # the transfer pictures have no probe
    assert (dataset["name"], dataset["top1"], result["probe"]) == ("primary pictures", 0.612, "linear")
    assert list(dataset["images"]) == [f"{number:05}.png" for number in range(40)]
    for classes in dataset["images"].values():
        assert set(classes) == set(CLASSES) and sum(classes.values()) == pytest.approx(1, abs=1e-6)
        assert list(classes.values()) == sorted(classes.values(), reverse=True)
    both = CliRunner().invoke(main.app, ["predict", "../pictures", "../pictures/00001.png", "--json"]).stdout
    named = json.loads(both)["datasets"][0]["images"]
    assert len(named) == 40 and all(len(classes) == 1 for classes in named.values())
    assert named["../pictures/00001.png"].items() <= dataset["images"]["00001.png"].items()


def test_a_terminal_shows_a_table_whose_bars_are_as_long_as_the_probabilities():
    images = {"a [red].png": {"cat": 0.75, "dog": 0.25}, "b.png": {"dog": 1.0, "cat": 0.0}}
    dataset = {"name": "Pets", "classes": 2, "synthetic": True, "top1": 0.5, "images": images}
    file = io.StringIO()
    terminal = Console(file=file, force_terminal=True, color_system=None, width=90)
    predictions.show({"encoder": "x/y.safetensors", "probe": "knn", "datasets": [dataset]}, terminal)
    said = file.getvalue()
    rows = [line for line in said.splitlines() if line.rstrip().endswith("%") and "right" not in line]
    assert re.findall("cat|dog", "".join(rows)) == ["cat", "dog", "dog", "cat"]
    assert [row.count("━") for row in rows] == [15, 5, 20, 0]
    assert "a [red].png" in said and "By the knn probe for Pets on y, right for 50.0 %" in said
    assert "It knows 2 classes" in said and "drawn shapes" in said


def test_embed_takes_single_images(study):
    vicreg("embed", "../pictures/00003.png", "../pictures/00007.png", "--device", "cpu")
    found = load_arrays(Path("features.npz"))
    assert found["files"].tolist() == ["../pictures/00003.png", "../pictures/00007.png"]
    expected = extract_features(builders.load_encoder(Path("models/embedded/cifar_aug.safetensors")), PIXELS, CPU)
    np.testing.assert_allclose(found["features"], expected[[3, 7]], atol=1e-5)


def test_loss_of_a_folder_is_an_error(study):
    assert "../pictures is a folder: name two images" in refused("loss", "../pictures", "../pictures/00001.png")


def test_the_version_is_that_of_the_package():
    assert vicreg("--version").startswith(
        f"vicreg {metadata.version('vicreg')}, torch {torch.__version__.split('+')[0]}"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "nowhere.png"], "nowhere.png cannot be used as an image: it does not exist"),
        (["embed", "nowhere"], "nowhere cannot be used as an image: it does not exist"),
        (["loss", "../pictures/00001.png", "params.yaml"], "params.yaml cannot be used as an image: it is no image"),
        (["predict", "../pictures/00001.png", "--encoder", "nope"], "there is no encoder nope"),
        (["predict", "../pictures/00001.png", "--dataset", "nope"], "there is no dataset 'nope'"),
        (["predict", "../pictures/00001.png", "--probe", "nope"], "there is no probe 'nope'"),
        (["embed", "../pictures", "--device", "gpu"], "'gpu' is none"),
        (["export", "nope"], "there is no encoder nope"),
        (["sweep", "a", "--out", "x", "--nope"], "No such option"),
    ],
)
def test_a_mistake_is_told_before_torch_is_imported(study, arguments, message):
    code = "import sys; from vicreg.cli.main import app; app(standalone_mode=False)"
    code = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=study, env=PATHS
    )
    assert done.returncode and message in done.stderr, done
    assert done.stdout.strip() == "False", "torch was imported"


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is an Apple GPU")
def test_a_device_that_is_not_there_is_one_short_message(study):
    said = refused("loss", "../pictures/00001.png", "../pictures/00002.png", "--device", "mps")
    assert "device = 'mps' cannot be used here" in said and "auto` or cpu" in said and len(said) < 300


def test_predict_says_where_classes_are_shapes_that_were_drawn(study):
    known = images.load(paths := Paths("embedded").data("primary"))
    assert "of a photo it says nothing" not in vicreg("predict", "../pictures/00003.png")
    images.save(replace(known, name="Shapes-10 (drawn)", synthetic=True), paths)
    assert "of a photo it says nothing" in vicreg("predict", "../pictures/00003.png", "--dataset", "shapes10")
    shutil.rmtree(paths)
    assert "run `uv run dvc repro download" in refused("predict", "../pictures/00003.png")


def test_predict_refuses_probes_of_other_weights(study):
    save_encoder(Path("models/embedded/cifar_aug.safetensors"), seed=1)
    assert "belongs to other weights" in refused("predict", "../pictures/00003.png")


@pytest.mark.parametrize("command", ["predict", "loss"])
@pytest.mark.parametrize(
    ("content", "why"), [(b"text", "it is no image"), (b"", "it is empty"), (None, "it does not exist")]
)
def test_an_image_that_is_none_is_an_error_where_it_was_named(study, command, content, why):
    if content is not None:
        Path("odd.png").write_bytes(content)
    assert f"odd.png cannot be used as an image: {why}" in refused(command, "../pictures/00000.png", "odd.png")


def test_loss_shows_the_terms_of_each_pair(study):
    said = vicreg("loss", "../pictures/00001.png", "../pictures/00002.png")
    method = builders.load_method(Path("models/embedded/cifar_aug.safetensors"))
    with torch.inference_mode():
        z = method.embed(torch.from_numpy(PIXELS[1:3]).permute(0, 3, 1, 2))
        assert z is not None
        terms = method.pair_terms(z[0], z[1])
    columns = next(line.split() for line in said.splitlines() if "invariance" in line)
    start = "../pictures/00001.png and ../pictures/00002.png"
    line = next(line for line in said.splitlines() if line.startswith(start))
    expected = [float(terms[name]) for name in columns]
    np.testing.assert_allclose([float(cell) for cell in line.split()[3:]], expected, atol=1e-4)
    itself = next(line for line in said.splitlines() if "00002.png and itself" in line)
    assert float(itself.split()[3 + columns.index("invariance")]) == 0
    assert "Read the invariance" in said


def test_loss_of_one_image_given_twice_is_that_with_itself(study):
    said = vicreg("loss", "../pictures/00001.png", "../pictures/00001.png")
    assert len(re.findall(r"^\S*00001.*", said, re.MULTILINE)) == 1 and "00001.png and itself" in said


def test_loss_needs_a_projector(study):
    said = refused("loss", "../pictures/00001.png", "../pictures/00002.png", "-e", "random")
    assert "random.safetensors cannot compare images" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_each_help_has_an_example_and_every_option(command):
    said = vicreg(command, "--help")
    assert f"Example: uv run vicreg {command} " in said
    known = main.app.registered_commands
    function = next(found.callback for found in known if found.callback and found.callback.__name__ == command)
    for option in re.findall(r"`(--[a-z-]+)", function.__doc__ or ""):
        assert option in said.partition("Arguments")[2], option


def test_the_help_names_every_command():
    said = vicreg("--help")
    assert all(command in said for command in COMMANDS) and "--install-completion" in said


def test_no_command_at_all_shows_the_help():
    assert "embed" in vicreg(status=2)


def test_a_bug_shows_a_traceback_and_an_error_on_request(study, monkeypatch):
    assert isinstance(failure("embed", "nowhere"), SystemExit)
    monkeypatch.setenv("VICREG_TRACEBACK", "1")
    assert isinstance(failure("embed", "nowhere"), ValueError)
    monkeypatch.delenv("VICREG_TRACEBACK")

    def broken(file: Path) -> None:
        raise KeyError(file)

    monkeypatch.setattr(builders, "load_encoder", broken)
    assert isinstance(failure("embed", "../pictures"), KeyError)


def failure(*arguments: str) -> BaseException | None:
    return CliRunner().invoke(main.app, arguments).exception


def test_the_console_script_starts_fast_without_torch():
    def seconds() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    took = []
    for _ in range(3):
        before = seconds()
        assert "embed" in subprocess.run([CONSOLE, "--help"], capture_output=True, text=True, check=True).stdout
        took.append(seconds() - before)
    assert min(took) < 1
    code = "import sys, vicreg.cli.main; sys.exit(bool({'torch', 'mlflow', 'matplotlib', 'PIL'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@pytest.mark.parametrize(
    ("line", "expected"),
    [("vicreg em", {"embed"}), ("vicreg embed x --encoder ", {"cifar_aug", "random", "resnet50_paper"})],
)
def test_a_shell_completes_commands_and_encoders(study, line, expected):
    count = str(len(line.split(" ")) - 1)
    asked = {"_VICREG_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": count}
    done = subprocess.run([CONSOLE], env={**os.environ, **asked}, capture_output=True, text=True)
    assert set(done.stdout.split()) == expected, done


def test_a_shell_completes_no_encoder_where_there_is_no_study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert encoders.complete("") == []


def test_the_study_of_an_encoder_is_known_by_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert study_of(Path("models/embedded/x.safetensors")) == Paths("embedded", tmp_path)
    for place in ("x.safetensors", "embedded/x.safetensors", "/x.safetensors", "models/x.safetensors"):
        assert study_of(Path(place)) is None, place


def test_embed_and_predict_agree_with_the_stages(finished_study: Repository, tmp_path, monkeypatch):
    monkeypatch.chdir(finished_study.copy(tmp_path / "repository").folder)
    paths = Paths("embedded")
    features, split = load_arrays(paths.features("cifar_aug", "primary")), load_arrays(paths.split)
    tested = images.load(paths.data("primary")).subset(split["primary/probe_test"])
    save_pictures(tested.pixels, tmp_path / "pictures")
    vicreg("embed", tmp_path / "pictures", "--out", tmp_path / "found.npz", "--device", "cpu")
    assert np.array_equal(load_arrays(tmp_path / "found.npz")["features"], features["probe_test"])
    files = sorted((tmp_path / "pictures").iterdir())
    said = vicreg("predict", *files, "--top", "1", "--dataset", "primary")
    named = re.findall(r"^ +[\d.]+ %  (.+)$", said, re.MULTILINE)
    right = np.mean([name == tested.classes[label] for name, label in zip(named, tested.labels, strict=True)])
    probes = json.loads(paths.result("linear_eval-cifar_aug").read_text())["datasets"]["primary"]["probes"]
    assert right == pytest.approx(probes["linear"]["top1"], abs=1e-9)
