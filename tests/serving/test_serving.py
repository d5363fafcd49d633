"""The best probe of a dataset is a model that anyone can serve: images in, the probe's own probabilities out."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import environment, free_port, runs_in
from fake_models import PIXELS, SIZE, save_encoder, save_probe
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from vicreg.data.images import Images
from vicreg.evaluation import probe_files
from vicreg.serving import classifier, predict
from vicreg.serving.classifier import ImageClassifier
from vicreg.serving.register import register
from vicreg.study import builders
from vicreg.tracking import model_registry, store

# MLflow's models are imported with a warning about MLflow's own types.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")

ROOT = Path(__file__).parents[2]
NAME = "vicreg-embedded-shapes10"
CLASSES = tuple(f"class {n}" for n in range(10))
OFFICIAL = np.array(["train"] * 60 + ["test"] * 40)
IMAGES = Images(PIXELS, np.arange(100) % 10, OFFICIAL, CLASSES, "Shapes-10 (drawn)")
TRAIN, TEST = IMAGES.subset(OFFICIAL == "train"), IMAGES.subset(OFFICIAL == "test")


def classify(folder: Path, seed: int = 0, top1: float = 0.4, val_top1: float = 0.4) -> ImageClassifier:
    """An encoder and a linear probe, in files as the stages write them."""
    model, probes = folder / f"{seed}.safetensors", folder / "probes" / f"{seed}.safetensors"
    save_probe(probes, save_encoder(model, seed=seed), top1, val_top1, len(CLASSES))
    return ImageClassifier(model, probes, "primary", "linear")


def add(model: ImageClassifier) -> dict[str, Any]:
    return register(NAME, model, study="embedded", dataset=IMAGES, train=TRAIN, test=TEST)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository's store with no runs in it; stages run elsewhere, as those of queued experiments do."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(folder))
        (folder / "elsewhere").mkdir()
        patch.chdir(folder / "elsewhere")
        store.create_database(folder / "mlflow.db")
        yield folder


@pytest.fixture(scope="module")
def registered(root: Path) -> dict[str, Any]:
    return add(classify(root / "models"))


@pytest.fixture(scope="module")
def address(root: Path, registered: dict[str, Any]) -> Iterator[str]:
    """Where `mlflow models serve` answers with the registered model."""
    port, log = free_port(), root / "server.log"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        f"models:/{NAME}@{model_registry.ALIAS}",
    ]
    command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
    env = environment(root) | {"MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    env["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with log.open("w") as output:
        server = subprocess.Popen(
            command, cwd=root, env=env, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/ping", server, log)
        yield f"http://127.0.0.1:{port}/invocations"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=30)


def wait_for(ping: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if server.poll() is not None:
            said = log.read_text()
            if "ModuleNotFoundError" in said or "uvicorn: not found" in said:
                pytest.skip(f"`mlflow models serve` lacks something here: {said[-500:]}")
            pytest.fail(f"`mlflow models serve` ended with {server.returncode}:\n{said}")
        try:
            with urllib.request.urlopen(ping, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"`mlflow models serve` does not answer:\n{log.read_text()}")


def ask(address: str, inputs: Any) -> Any:
    request = urllib.request.Request(address, json.dumps({"inputs": inputs}).encode())
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["predictions"]


def test_mlflow_serves_the_probes_own_predictions(address: str, root: Path) -> None:
    answered = np.array(ask(address, TEST.pixels[:6].tolist()))
    probe = probe_files.load(root / "models/probes/0.safetensors", "primary", "linear")
    images = torch.from_numpy(TEST.pixels[:6].transpose(0, 3, 1, 2) / 255).float()
    with torch.inference_mode():
        y = builders.load_encoder(root / "models/0.safetensors")(images).double()
    scores = ((y - probe.mean) * probe.scale) @ probe.weight.T.double() + probe.bias
    expected = torch.exp(scores) / torch.exp(scores).sum(dim=1, keepdim=True)
    np.testing.assert_allclose(answered, expected.numpy(), atol=1e-5)


def test_the_question_in_the_documentation_is_answered(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/mlflow.md").read_text(encoding="utf-8"), re.DOTALL)
    code = block.replace("http://127.0.0.1:5001/invocations", address).replace(", 32)", f", {SIZE})")
    Image.fromarray(TEST.pixels[0]).save(tmp_path / "cat.jpg")
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    [answer] = json.loads(capsys.readouterr().out)
    assert len(answer) == len(CLASSES) and sum(answer) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("wrong", [np.zeros((1, SIZE - 1, SIZE, 3), int), np.full((1, SIZE, SIZE, 3), 256)])
def test_the_server_refuses_what_is_no_image(address: str, wrong: np.ndarray) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(address, wrong.tolist())


def test_a_registered_model_says_where_it_comes_from(root: Path, registered: dict[str, Any]) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    version = client.get_model_version_by_alias(NAME, model_registry.ALIAS)
    assert (str(version.version), registered["uri"]) == (registered["version"], f"models:/{NAME}/1")
    tags = {"encoder": "cifar_aug", "probe": "linear", "top1": "0.4", "val_top1": "0.4"}
    assert tags.items() <= version.tags.items()
    assert "top-1 40.0% of the test images of Shapes-10 (drawn)" in str(version.description)
    [run] = [run for run in runs_in(root / "mlflow.db") if run.info.run_id == version.run_id]
    assert (run.info.status, run.data.tags["stage"]) == ("FINISHED", "register")
    assert run.data.tags["weights"] == registered["weights"]
    folder = client.get_model_version_download_uri(NAME, version.version)
    info = Model.load(folder.removeprefix("file://"))
    assert info.signature.inputs.inputs[0].shape == (-1, SIZE, SIZE, 3)
    assert info.signature.outputs.inputs[0].shape == (-1, 10)
    assert info.metadata is not None and info.metadata["classes"] == list(CLASSES)
    files = {path.name for path in (root / "mlartifacts").rglob("*") if path.is_file()}
    assert {"serving_input_example.json", "encoder.safetensors", "probe.safetensors", "classifier.py"} <= files
    assert not {name for name in files if name.endswith((".pkl", ".lock"))}


NEEDED = """
import ast, sys
import vicreg.serving.classifier
from vicreg.evaluation import classifiers
from vicreg.io import plugins
from vicreg.nn.backbone import Backbone
from vicreg.nn.method import Method
for family, contract in (("methods", Method), ("backbones", Backbone)):
    for name in plugins.names(family):
        plugins.member_class(family, name, contract)
for name, module in list(sys.modules.items()):
    if name.startswith("vicreg") and module.__file__:
        tree = ast.parse(open(module.__file__).read())
        for node in ast.walk(tree) if name.startswith(("vicreg.methods", "vicreg.backbones")) else tree.body:
            print(*[alias.name for alias in node.names] if isinstance(node, ast.Import) else [], sep="\\n")
            print(node.module if isinstance(node, ast.ImportFrom) else "")
"""


def test_a_registered_model_names_what_it_needs() -> None:
    """What the code that answers imports is in the packages that it names, or in those that these need."""
    said = subprocess.run([sys.executable, "-c", NEEDED], capture_output=True, text=True, check=True, cwd=ROOT)
    imported = {line.split(".")[0] for line in said.stdout.split()} - sys.stdlib_module_names - {"vicreg"}
    found, waiting = set[str](), list(model_registry.REQUIREMENTS)
    while waiting:
        if (name := canonicalize_name(waiting.pop())) not in found:
            found.add(name)
            needed = map(Requirement, metadata.requires(name) or [])
            waiting += [other.name for other in needed if not other.marker or other.marker.evaluate({"extra": ""})]
    packages = metadata.packages_distributions()
    assert {"torch", "torchvision", "tqdm", "psutil"} <= imported
    assert [module for module in imported if not found & set(map(canonicalize_name, packages[module]))] == []


def test_the_same_model_keeps_its_version(root: Path, registered: dict[str, Any]) -> None:
    before = len(runs_in(root / "mlflow.db"))
    assert "MLFLOW_TRACKING_URI" not in os.environ and not list((root / "elsewhere").iterdir())
    assert add(classify(root / "again")) == registered
    assert len(runs_in(root / "mlflow.db")) == before


def test_the_alias_goes_by_validation_accuracy(root: Path, registered: dict[str, Any]) -> None:
    lucky = add(classify(root / "lucky", seed=1, top1=0.9, val_top1=0.3))
    assert (lucky["version"], alias(root)) == ("2", "1"), "better on the test images, worse on held-out training images"
    better = add(classify(root / "better", seed=1, top1=0.1, val_top1=0.5))
    assert (better["version"], alias(root)) == ("3", "3")


def alias(root: Path) -> str:
    client, _ = store.store(f"sqlite:///{root}/mlflow.db")
    return str(client.get_model_version_by_alias(NAME, model_registry.ALIAS).version)


def test_a_probe_of_other_weights_answers_nothing(tmp_path: Path) -> None:
    classify(tmp_path, seed=1)
    classify(tmp_path, seed=2)
    with pytest.raises(ValueError, match=r"1\.safetensors belongs to other weights than those in .*2\.safetensors"):
        ImageClassifier(tmp_path / "2.safetensors", tmp_path / "probes/1.safetensors", "primary", "linear")


def test_the_best_probe_is_the_first_of_the_highest() -> None:
    val_top1 = {
        "random": {"primary": {"linear": 0.2, "knn": 0.3}, "transfer": {"linear": 0.1}},
        "cifar_aug": {"primary": {"linear": 0.3, "knn": 0.1}, "transfer": {"linear": 0.2}},
        "resnet50_paper": {},
    }
    assert classifier.best(val_top1, "primary") == ("random", "knn")
    assert classifier.best(val_top1, "transfer") == ("cifar_aug", "linear")
    with pytest.raises(ValueError, match="no encoder ran on the primary dataset"):
        classifier.best({"resnet50_paper": {}}, "primary")


def test_the_likeliest_classes_are_named_first(tmp_path: Path) -> None:
    model, pixels = classify(tmp_path), TEST.pixels[:3]
    dataset = predict.Classes(IMAGES.name, IMAGES.classes, True)
    probes = predict.Probes(
        model.encoder_file, tmp_path / "probes/0.safetensors", "linear", {"primary": dataset}, {"primary": 0.4}
    )
    [about] = predict.predict(probes, pixels, ["a.png", "b.png", "c.png"], 3)["datasets"]
    assert (about["top1"], about["synthetic"], about["classes"]) == (0.4, True, len(CLASSES))
    for name, row in zip(("a.png", "b.png", "c.png"), model.predict(pixels), strict=True):
        likeliest = [CLASSES[label] for label in np.argsort(row)[::-1][:3]]
        assert list(about["images"][name]) == likeliest
        np.testing.assert_allclose(list(about["images"][name].values()), np.sort(row)[::-1][:3], rtol=1e-5)
