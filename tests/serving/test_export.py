"""Export: the same encoder outside this project, and a card that says what it is."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import digest

from vicreg.data import images
from vicreg.io import plugins, weights
from vicreg.nn import encoder
from vicreg.serving import export, model_card
from vicreg.study import builders
from vicreg.study.params import load
from vicreg.study.paths import Paths

ROOT = Path(__file__).parents[1]
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8)
STATISTICS = ((0.5, 0.4, 0.3), (0.2, 0.3, 0.25))
DESCRIBED = {"encoder": "x", "method": "vicreg", "backbone": "resnet18", "seed": 0, "primary": "cifar10", "epochs": 3}


def saved(path: Path, method: str = "vicreg", **parameters: Any) -> Path:
    """A file with an encoder whose batch norm has seen images, as after a training."""
    torch.manual_seed(0)
    backbone = plugins.member("backbones", "resnet18").build(**parameters)
    known = encoder.Encoder(backbone, *STATISTICS)
    known(torch.from_numpy(PIXELS).permute(0, 3, 1, 2))
    built = plugins.member("methods", method).build(known, width=8)
    encoder.save(path, built, {**DESCRIBED, "method": method, "parameters": parameters})
    return path


@pytest.fixture(scope="module", params=["cifar", "imagenet"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An encoder's file and the folder it was exported to, for both stems."""
    folder = tmp_path_factory.mktemp(request.param)
    file = saved(folder / "x.safetensors", width=8, stem=request.param)
    export.export(file, folder / "out")
    return file, folder / "out"


@pytest.mark.parametrize("count", [1, 7, 100])
def test_onnx_computes_what_pytorch_computes_for_any_number_of_images(exported, count):
    file, folder = exported
    inputs = PIXELS[:count].transpose(0, 3, 1, 2).astype(np.float32) / 255
    session = onnxruntime.InferenceSession(folder / "x.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["representations"], {"images": inputs})
    expected = encoder.represent(encoder.load(file), PIXELS[:count], torch.device("cpu"))
    assert found.shape == (count, 64) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    assert np.abs(expected).max() > 0.1, "the bound means something beside these numbers"


def test_the_copy_is_an_encoder_with_the_same_digest_and_its_configuration(exported):
    file, folder = exported
    assert weights.digest(encoder.load(folder / "x.safetensors")) == weights.digest(encoder.load(file))
    assert encoder.describe(folder / "x.safetensors") == encoder.describe(file)
    told = json.loads((folder / "config.json").read_text())
    assert told["description"] == encoder.describe(file) and told["dimension"] == 64
    np.testing.assert_allclose(told["input"]["mean"], STATISTICS[0], rtol=1e-6)


def test_the_onnx_file_is_sound_describes_itself_and_tells_nothing_of_this_machine(exported):
    file, folder = exported
    model = onnx.load(folder / "x.onnx")
    onnx.checker.check_model(model)
    assert json.loads({entry.key: entry.value for entry in model.metadata_props}["description"]) == encoder.describe(
        file
    )
    content = (folder / "x.onnx").read_bytes()
    assert (
        str(ROOT).encode() not in content
        and b"site-packages" not in content
        and str(Path.home()).encode() not in content
    )


def test_onnx_that_computes_something_else_is_refused(tmp_path, monkeypatch):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    other = saved(tmp_path / "y.safetensors", width=2, stem="cifar")
    content = export.as_onnx(encoder.load(file).eval(), {})
    assert content == export.as_onnx(encoder.load(other).eval(), {}), "the same weights give the same bytes"
    changed = encoder.load(file).eval()
    changed.backbone.conv1.weight.data[0] += 0.01  # type: ignore[union-attr,index,operator]
    with pytest.raises(
        ValueError, match=r"the ONNX of .*x\.safetensors differs from PyTorch by 0\.\d+, more than 0.0001"
    ):
        export.checked(content, changed, file)


def test_without_the_packages_for_onnx_the_error_says_what_to_do(tmp_path, monkeypatch):
    file = saved(tmp_path / "x.safetensors", width=2, stem="cifar")
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(ValueError, match=r"ONNX needs the package onnxscript.*uv sync --extra onnx.*--no-onnx"):
        export.export(file, tmp_path / "out")
    (tmp_path / "out" / "x.onnx").write_bytes(b"of other weights")
    assert any("x.onnx: removed" in line for line in export.export(file, tmp_path / "out", onnx=False))
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


def test_what_both_are_tried_on_has_images_of_the_study_where_they_are_there(tmp_path):
    paths = Paths("s", tmp_path)
    labels, official = np.zeros(100, np.int64), np.full(100, "train")
    images.save(images.Images(PIXELS, labels, official, ("a",), "made up", False), paths.data("primary"))
    tried = export.trial(paths.model("x"))
    np.testing.assert_allclose(tried[:50], PIXELS[:50].transpose(0, 3, 1, 2) / 255, atol=1e-6)
    assert tried.shape == (100, 3, 32, 32) and not np.allclose(tried[50:], PIXELS[50:].transpose(0, 3, 1, 2) / 255)
    assert export.trial(tmp_path / "x.safetensors").shape == (100, 3, 32, 32)


def metrics(about: dict[str, Any], source: str, genuine: bool) -> dict[str, Any]:
    p = load(ROOT / "params.yaml")
    study = p.studies["cifar_small" if about.get("primary", "cifar10") == "cifar10" else "embedded"]
    score = {"top1": 0.6543, "top1_low": 0.6321, "top1_high": 0.6765, "top5": 0.9182}
    probed = {"linear": score | {"gain": 0.321, "gain_low": 0.298, "gain_high": 0.344}}
    fingerprints = {"train": "a1" * 32, "test": "b2" * 32}
    dataset = {
        "name": "CIFAR-10",
        "genuine": genuine,
        "classes": 10,
        "images": {"pretrain": 20_000, "probe_test": 5000},
    }
    facts = {
        "name": "s",
        "source": source,
        "sizes": study.model_dump(exclude={"folder"}),
        "protocol": p.protocol,
        "seed": p.seed,
        "datasets": {study.primary: dataset | {"fingerprints": fingerprints}},
        "device": "cpu: a processor",
        "commit": "0123456789abcdef",
        "versions": {"python": "3.11", "torch": "2.15"},
        "seconds": {"pretrain-cifar_aug": 2389.66, "total": 2500.0},
    }
    return {study.primary: {"cifar_aug": probed, "random": {"linear": score}}, "study": facts}


def carded(folder: Path, study: str, name: str = "cifar_aug", *, source: str = "official", genuine: bool = True) -> str:
    """The card of an encoder of a study that has its report."""
    p = load(ROOT / "params.yaml").model_copy(update={"study": study})
    small = p.sizes.model_copy(update={"width": 2, "projector_width": 8})
    p = p.model_copy(update={"studies": {study: small}})
    paths = Paths("s", folder)
    encoder.save(paths.model(name), builders.build(p, name, PIXELS), builders.describe(p, name))
    about = encoder.describe(paths.model(name))
    found = metrics(about, source, genuine)
    found["study"]["sizes"] |= {"width": 2, "projector_width": 8}
    paths.report("metrics.json").parent.mkdir(parents=True, exist_ok=True)
    paths.report("metrics.json").write_text(json.dumps(found))
    return card(paths.model(name))


def card(file: Path) -> str:
    return model_card.Card.of(file, encoder.describe(file)).text(16, onnx=True, difference=2e-6)


def test_the_card_holds_the_numbers_of_the_report_the_training_and_the_data(tmp_path):
    text = carded(tmp_path, "cifar_small")
    assert text.startswith("# `cifar_aug`: a resnet18 pretrained on CIFAR-10\n")
    for told in (
        "65.4 |     63.2 – 67.7 |      91.8 |       +32.1 (+29.8 to +34.4)",
        "genuine and complete",
        "20,000 images for pretraining",
        "a1" * 32,
        "It took 2,390 seconds. Hardware of the study: cpu: a processor.",
        "`0123456789abcdef`",
        "| `aug.scale_min`                        | `0.2`",
        "within 2.0e-06 of PyTorch",
        "one run with one seed",
        "80 Million Tiny Images",
        "states no licence",
    ):
        assert told in text, told


def test_the_card_says_in_its_first_line_that_drawn_pictures_stand_in_for_cifar(tmp_path):
    text = carded(tmp_path, "embedded", source="embedded", genuine=False)
    first = text.splitlines()[0]
    assert "stand-in data, drawn pictures" in first and "not on CIFAR" in first
    assert "**On drawn pictures: they say whether the pipeline works, not how good the method is.**" in text
    assert "Tiny Images" not in text and "drawn by this project's own code" in text


def test_the_card_says_that_a_part_of_cifar_is_not_known_to_be_genuine(tmp_path):
    text = carded(tmp_path, "cifar_small", source="local", genuine=False)
    assert text.splitlines()[0].endswith("(not verified as the genuine, complete dataset)")


def test_the_card_of_a_random_network_says_that_it_learned_nothing(tmp_path):
    text = carded(tmp_path, "cifar_small", name="random")
    assert text.splitlines()[0] == "# `random`: a random resnet18 that learned nothing, to compare with"
    assert "took" not in text and "Tiny Images" not in text


def test_without_a_report_the_card_says_so_and_what_it_learned_from(tmp_path):
    text = carded(tmp_path, "embedded", source="embedded", genuine=False)
    shutil.rmtree(tmp_path / "reports")
    text = card(Paths("s", tmp_path).model("cifar_aug"))
    assert "stand-in data, drawn pictures called shapes10, not on CIFAR" in text.splitlines()[0]
    assert "None are told: no report of its study was found beside it." in text and "65.4" not in text


@pytest.mark.parametrize("other", ["sizes", "seed", "results", "features"])
def test_the_report_of_other_weights_is_not_told(tmp_path, other):
    text = carded(tmp_path, "cifar_small")
    assert "65.4" in text
    paths = Paths("s", tmp_path)
    report = json.loads(paths.report("metrics.json").read_text())
    if other == "sizes":
        report["study"]["sizes"]["epochs"] += 1
    if other == "seed":
        report["study"]["seed"] += 1
    if other == "results":
        paths.result("x").parent.mkdir(parents=True)
        probed = {"datasets": {"primary": {"key": "cifar10", "probes": {"linear": {"top1": 0.7}}}}}
        paths.result("linear_eval-cifar_aug").write_text(json.dumps(probed))
    if other == "features":
        about = np.array(json.dumps({"digest": {"encoder": "another"}}))
        images.save_arrays({"description": about}, paths.features("cifar_aug", "primary"))
    paths.report("metrics.json").write_text(json.dumps(report))
    text = card(paths.model("cifar_aug"))
    assert "65.4" not in text and "the report of its study is of other weights: run `dvc repro`" in text


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"study": {"datasets": {"cifar10": {}}}}'])
def test_a_damaged_report_is_a_clear_error(tmp_path, content):
    carded(tmp_path, "cifar_small")
    paths = Paths("s", tmp_path)
    paths.report("metrics.json").write_text(content)
    with pytest.raises(ValueError, match=r"metrics\.json is no metrics\.json of a study .*run `dvc repro report`"):
        card(paths.model("cifar_aug"))
