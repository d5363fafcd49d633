"""Export: the same encoder outside this project, and a card that says what it is."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
import torch
from conftest import digest
from fake_models import PIXELS, RECIPE, SIZE, STATISTICS, TRAINED, save_encoder

from vicreg.data import images
from vicreg.evaluation import probe_files
from vicreg.evaluation.classifiers.linear import LinearClassifier
from vicreg.io import description, weights
from vicreg.serving import export, predict
from vicreg.serving.classifier import ImageClassifier
from vicreg.serving.model_card import model_card
from vicreg.study import builders
from vicreg.study.paths import Paths
from vicreg.study.recipe import Recipe

ROOT = Path(__file__).parents[2]


def saved(path: Path, **options: Any) -> Path:
    save_encoder(path, **options)
    return path


@pytest.fixture(scope="module", params=["cifar", "imagenet"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An encoder's file and the folder it was exported to, for both stems."""
    folder = tmp_path_factory.mktemp(request.param)
    file = saved(folder / "x.safetensors", width=8, stem=request.param)
    export.export(file, folder / "out")
    return file, folder / "out"


@pytest.mark.parametrize("count", [1, 7, 100])
def test_onnx_equals_pytorch_for_any_batch(exported, count):
    file, folder = exported
    inputs = PIXELS[:count].transpose(0, 3, 1, 2).astype(np.float32) / 255
    session = onnxruntime.InferenceSession(folder / "x.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["representations"], {"images": inputs})
    with torch.inference_mode():
        expected = builders.load_encoder(file)(torch.from_numpy(inputs)).numpy()
    assert found.shape == (count, 64) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert np.abs(expected).max() > 0.1, "the bound means something beside these numbers"


OTHER_FORMS = {"jigsaw": "image", "cmc": "color", "cmc-drawn": "color", "cpc": "image", "pirl-drawn": "image"}


@pytest.mark.parametrize("name", OTHER_FORMS)
def test_what_is_judged_is_exported_and_answers(name, tmp_path):
    """The mean over patches, two networks or one of them: in PyTorch, in ONNX, and below a classifier."""
    made, member = tiny.method(name).eval(), tiny.VARIANTS.get(name, (name, {}))[0]
    data = RECIPE["data"] | {"image_size": 32}
    recipe = RECIPE | {"method": {"name": member, **tiny.member_params(name).model_dump()}, "data": data}
    file, pixels = tmp_path / "x.safetensors", tiny.pixels(8)
    builders.save_method(file, made, Recipe.model_validate(recipe))
    export.export(file, tmp_path / "out")
    inputs = pixels.transpose(0, 3, 1, 2).astype(np.float32) / 255
    session = onnxruntime.InferenceSession(tmp_path / "out" / "x.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["representations"], {"images": inputs})
    with torch.inference_mode():
        expected = made.representation(torch.from_numpy(inputs))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    probe = LinearClassifier(torch.zeros(1), torch.ones(1), torch.randn(5, expected.shape[1]), torch.zeros(5))
    about = {"encoder": "x", "weights": description.identity(builders.describe(file))}
    probe_files.save(tmp_path / "p.safetensors", {("primary", "linear"): probe}, about)
    answers = ImageClassifier(file, tmp_path / "p.safetensors", "primary", "linear").predict(pixels)
    np.testing.assert_allclose(answers, probe(expected).detach(), atol=1e-5)
    assert "mean" not in json.loads((tmp_path / "out" / "config.json").read_text())["input"]
    other = recipe | {"method": recipe["method"] | {"representation": OTHER_FORMS[name]}}
    builders.save_method(tmp_path / "y.safetensors", made, Recipe.model_validate(other))  # the very same weights
    with pytest.raises(ValueError, match="belongs to other weights"):
        ImageClassifier(tmp_path / "y.safetensors", tmp_path / "p.safetensors", "primary", "linear")


def test_the_copy_is_the_encoder_with_its_recipe(exported):
    file, folder = exported
    assert weights.digest(builders.load_encoder(folder / "x.safetensors")) == weights.digest(
        builders.load_encoder(file)
    )
    assert builders.describe(folder / "x.safetensors") == builders.describe(file)
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"] == builders.describe(file) and config["num_features"] == 64
    np.testing.assert_allclose(config["input"]["mean"], STATISTICS[0], rtol=1e-6)
    assert config["input"]["layout"] == f"N, 3, {SIZE}, {SIZE} in RGB"


def test_the_onnx_file_is_sound_and_has_its_recipe(exported):
    file, folder = exported
    model = onnx.load(folder / "x.onnx")
    onnx.checker.check_model(model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(metadata["recipe"]) == builders.describe(file)
    content = (folder / "x.onnx").read_bytes()
    assert (
        str(ROOT).encode() not in content
        and b"site-packages" not in content
        and str(Path.home()).encode() not in content
    )


def test_onnx_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    other = saved(tmp_path / "y.safetensors", width=2, stem="cifar")
    content = export.to_onnx(builders.load_encoder(file), RECIPE)
    assert content == export.to_onnx(builders.load_encoder(other), RECIPE), "the same weights give the same bytes"
    changed = builders.load_encoder(file)
    changed.backbone.conv1.weight.data[0] += 0.01  # type: ignore[union-attr,index,operator]
    with pytest.raises(
        ValueError, match=r"the ONNX of .*x\.safetensors differs from PyTorch by 0\.\d+, more than 0.0001"
    ):
        export.compare(content, changed, export.sample_inputs(file, SIZE), file)


def test_without_packages_for_onnx_an_error_helps(tmp_path, monkeypatch):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    monkeypatch.setattr(export, "find_spec", lambda name: None if name == "onnxscript" else find_spec(name))
    with pytest.raises(ValueError, match=r"ONNX needs onnxscript: .*uv sync --extra onnx.*--no-onnx"):
        export.export(file, tmp_path / "out")
    (tmp_path / "out" / "x.onnx").write_bytes(b"of other weights")
    export.export(file, tmp_path / "out", onnx=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["README.md", "config.json", "x.safetensors"]
    assert "onnxruntime" not in (tmp_path / "out" / "README.md").read_text()


def test_files_that_no_export_wrote_are_never_replaced(tmp_path):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    own = tmp_path / "mine" / "README.md"
    own.parent.mkdir()
    own.write_text("mine")
    with pytest.raises(ValueError, match=r"mine holds a README.md, and no x.safetensors of an earlier export: name"):
        export.export(file, own.parent, onnx=False)
    assert own.read_text() == "mine" and list(own.parent.iterdir()) == [own]


def test_an_encoder_can_be_exported_to_where_it_lies(tmp_path):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    before = digest(file)
    export.export(file, tmp_path, onnx=False)
    assert digest(file) == before and (tmp_path / "README.md").exists()


def test_samples_are_of_the_study_where_it_has_images(tmp_path):
    paths = Paths("s", tmp_path)
    labels, official = np.zeros(100, np.int64), np.full(100, "train")
    images.save(images.Images(PIXELS, labels, official, ("a",), "made up"), paths.data("primary"))
    samples, own = export.sample_inputs(paths.model("x"), SIZE), PIXELS.transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(samples[:50], own[:50], atol=1e-6)
    assert samples.shape == (100, 3, SIZE, SIZE) and not np.allclose(samples[50:], own[50:])
    assert export.sample_inputs(tmp_path / "x.safetensors", SIZE).shape == (100, 3, SIZE, SIZE)


def metrics(key: str, synthetic: bool, genuine: bool) -> dict[str, Any]:
    score = {"top1": 0.6543, "top1_low": 0.6321, "top1_high": 0.6765, "top5": 0.9182}
    gained = score | {"gain": 0.321, "gain_low": 0.298, "gain_high": 0.344}
    dataset = {
        "name": "CIFAR-10",
        "genuine": genuine,
        "synthetic": synthetic,
        "classes": 10,
        "images": {"pretrain": 20_000, "probe_test": 5000},
        "fingerprints": {"train": "a1" * 32, "test": "b2" * 32},
    }
    facts = {
        "name": "s",
        "source": "synthetic" if synthetic else "official",
        "datasets": {key: dataset},
        "device": "cpu: a processor",
        "commit": "0123456789abcdef",
        "versions": {"python": "3.11", "torch": "2.15"},
        "seconds": {"pretrain-cifar_aug": 2389.66, "total": 2500.0},
    }
    return {key: {"cifar_aug": {"linear": gained}, "random": {"linear": score}}, "study": facts}


def carded(
    folder: Path, recipe: dict[str, Any], row: str = "cifar_aug", synthetic: bool = False, genuine: bool = True
) -> str:
    """The card of an encoder of a study that has its report."""
    paths = Paths("s", folder)
    encoder = save_encoder(paths.model(row), recipe)
    about = {"encoder": row, "weights": weights.digest(encoder), "top1": {"primary": {"linear": 0.6543}}}
    probe_files.save(paths.probes(row), {}, about)
    paths.report("metrics.json").parent.mkdir(parents=True, exist_ok=True)
    content = metrics(recipe["data"]["primary"], synthetic, genuine)
    paths.report("metrics.json").write_text(json.dumps(content))
    return card(paths.model(row))


def card(file: Path) -> str:
    return model_card(file, builders.describe(file), 16, 2e-6)


def on(primary: str) -> dict[str, Any]:
    """The recipe of an encoder that was pretrained on the dataset of this name."""
    return TRAINED | {"data": TRAINED["data"] | {"primary": primary}}


def test_the_card_holds_results_training_and_data(tmp_path):
    text = carded(tmp_path, TRAINED)
    assert text.startswith("# `cifar_aug`: a resnet pretrained on CIFAR-10\n\n## What it is\n\nAn encoder: it ")
    for fact in (
        "| CIFAR-10 | `linear` | 65.4 | 63.2 – 67.7 | 91.8 | +32.1 (+29.8 to +34.4) |\n",
        "(`cifar10`; genuine and complete, by its fingerprints): 20,000 images for pretraining, 5,000 ",
        f"\n  - train split: SHA-256 `{'a1' * 32}`\n",
        "It took 2,390 seconds. Hardware of the study: cpu: a processor.",
        "`0123456789abcdef`. Versions: python 3.11, torch 2.15.\n\n| setting | value |\n",
        "\n| `policy.scale_min` | `0.2` |\n",
        "within 2.0e-06 of PyTorch",
        f"It sees {SIZE} x {SIZE} pixels",
        "one run with one seed",
        "80 Million Tiny Images",
        "states no licence",
    ):
        assert fact in text, fact
    assert "\n\n\n" not in text and text.endswith("of their own.\n")
    assert text.count("\n## ") == 7 == text.count("\n\n## ")


def test_the_title_says_that_drawn_pictures_stand_in(tmp_path):
    text = carded(tmp_path, on("shapes10"), synthetic=True, genuine=False)
    first = text.splitlines()[0]
    assert "stand-in data, drawn pictures" in first and "not on CIFAR" in first
    assert "**On drawn pictures: they say whether the pipeline works, not how good the method is.**" in text
    assert "Tiny Images" not in text and "drawn by this project's own code" in text


def test_the_title_doubts_a_part_of_cifar(tmp_path):
    text = carded(tmp_path, TRAINED, genuine=False)
    assert text.splitlines()[0].endswith("(not verified as the genuine, complete dataset)")


def test_the_card_of_a_random_network_says_so(tmp_path):
    text = carded(tmp_path, RECIPE, row="random")
    assert text.splitlines()[0] == "# `random`: a random resnet that learned nothing, to compare with"
    assert "took" not in text and "Tiny Images" not in text


def test_the_card_of_published_weights_has_their_licence(tmp_path):
    text = carded(tmp_path, RECIPE | {"method": {"name": "pretrained", "weights": "x.pth"}}, row="random")
    assert "the authors of VICReg pretrained on ImageNet" in text.splitlines()[0] and "MIT licence" in text


def test_a_card_of_photos_makes_no_claim_about_terms(tmp_path):
    text = carded(tmp_path, on("my_photos"), genuine=False)
    assert "Under which terms the images may be used, their source says." in text and "Tiny Images" not in text


def test_without_a_report_the_card_has_no_results(tmp_path):
    text = carded(tmp_path, on("shapes10"), synthetic=True, genuine=False)
    shutil.rmtree(tmp_path / "reports")
    text = card(Paths("s", tmp_path).model("cifar_aug"))
    assert "stand-in data, drawn pictures called shapes10, not on CIFAR" in text.splitlines()[0]
    assert "None are told: no report of its study was found beside it." in text and "65.4" not in text


@pytest.mark.parametrize("about", [{"weights": "another"}, {"top1": {"primary": {"linear": 0.7}}}, None])
def test_the_report_of_other_weights_is_not_told(tmp_path, about):
    assert "65.4" in carded(tmp_path, TRAINED)
    paths = Paths("s", tmp_path)
    probes = paths.probes("cifar_aug")
    if about is None:
        probes.unlink()
    else:
        probe_files.save(probes, {}, probe_files.describe(probes) | about)
    text = card(paths.model("cifar_aug"))
    assert "65.4" not in text and "the report of its study is of other weights: run `uv run dvc repro`" in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"study": {"datasets": {"cifar10": {}}}}'])
def test_a_damaged_report_is_a_clear_error(tmp_path, content):
    carded(tmp_path, TRAINED)
    paths = Paths("s", tmp_path)
    paths.report("metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json is no metrics\.json of a study .*run `dvc repro report`"):
        card(paths.model("cifar_aug"))


VICREG = {"method": {"name": "vicreg", "projector_width": 8}, "backbone": {"name": "resnet", "width": 8}}


def test_half_precision_has_half_the_bytes_and_is_what_it_says(tmp_path):
    file = tmp_path / "x.safetensors"
    made = tiny.method(width=8).eval()
    builders.save_method(file, made, Recipe.model_validate(RECIPE | VICREG))
    export.export(file, tmp_path / "half", onnx=False, half=True)
    copy = tmp_path / "half" / "x.safetensors"
    encoder = builders.load_encoder(copy)
    for name, value in made.encoder.state_dict().items():
        rounded = value.half().float() if value.ndim > 1 else value
        assert torch.equal(encoder.state_dict()[name], rounded), name
    assert builders.describe(copy)["digest"] == {"encoder": weights.digest(encoder)}
    assert builders.load_method(copy).embed(torch.zeros(2, 3, 32, 32)) is None  # and not by a projector drawn anew
    assert copy.stat().st_size < 0.55 * sum(t.nbytes for t in made.encoder.state_dict().values())
    assert "x.safetensors" in (tmp_path / "half" / "README.md").read_text()


@pytest.fixture
def with_probes(tmp_path, monkeypatch) -> Paths:
    """A study with an encoder of numbers that float16 has, a small probe and a large one."""
    paths = Paths("s", tmp_path)
    encoder = save_encoder(paths.model("x"))
    weights.round_to_half(encoder)
    weights.save(paths.model("x"), {"encoder": encoder}, RECIPE)
    small = LinearClassifier(torch.zeros(16), torch.ones(16), torch.randn(3, 16), torch.zeros(3))
    large = LinearClassifier(torch.zeros(16), torch.ones(16), torch.randn(20_000, 16), torch.zeros(20_000))
    about: dict[str, Any] = {"encoder": "x", "weights": weights.digest(encoder)}
    about |= {score: {"primary": {"linear": 0.5, "knn": 0.6}} for score in ("top1", "val_top1")}
    probe_files.save(paths.probes("x"), {("primary", "linear"): small, ("primary", "knn"): large}, about)
    labels = np.arange(100) % 3
    for role in ("primary", "transfer"):
        known = images.Images(PIXELS, labels, np.full(100, "train"), ("cat", "dog", "frog"), f"{role} pictures")
        images.save(known, paths.data(role))
    return paths


def test_an_exported_encoder_predicts_without_its_study(with_probes, tmp_path):
    paths = with_probes
    names = [str(number) for number in range(len(PIXELS))]
    expected = predict.predict(predict.find_probes(paths.model("x"), "linear"), PIXELS, names, 3)["datasets"]
    for half in (False, True):
        folder = tmp_path / f"out-{half}"
        lines = export.export(paths.model("x"), folder, onnx=False, half=half)
        assert any("x-probes.safetensors: linear, for `uv run vicreg predict`" in line for line in lines)
        found = predict.find_probes(folder / "x.safetensors", "linear", "primary pictures")
        assert found.datasets["primary"].classes == ("cat", "dog", "frog") and found.top1 == {"primary": 0.5}
        assert predict.predict(found, PIXELS, names, 3)["datasets"] == expected
        with pytest.raises(ValueError, match="there is no probe 'knn' in"):
            predict.find_probes(folder / "x.safetensors", "knn", "primary")


def test_probes_of_weights_that_half_precision_rounds_stay_behind(with_probes, tmp_path):
    encoder = save_encoder(with_probes.model("x"), seed=1)
    about = probe_files.describe(with_probes.probes("x")) | {"weights": weights.digest(encoder)}
    probe = LinearClassifier(torch.zeros(16), torch.ones(16), torch.randn(3, 16), torch.zeros(3))
    probe_files.save(with_probes.probes("x"), {("primary", "linear"): probe}, about)
    export.export(with_probes.model("x"), tmp_path / "out", onnx=False, half=True)
    assert not (tmp_path / "out" / "x-probes.safetensors").exists()
