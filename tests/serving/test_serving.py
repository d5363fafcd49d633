"""The best probe of a dataset is a model that anyone can serve: images in, the probe's own probabilities out."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cifar_fakes import made_up
from conftest import environment, runs_in

from vicreg.backbones import resnet18
from vicreg.evaluation import metrics, probe_files, run_probe
from vicreg.io import weights
from vicreg.nn import encoder
from vicreg.serving import classifier, publish
from vicreg.tracking import model_registry, runs

# MLflow's models are imported with a warning about MLflow's own types.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")

CPU = torch.device("cpu")
TITLE = "vicreg-embedded-shapes10"
PARAMETERS: dict[str, Any] = {"width": 2, "stem": "cifar"}
IMAGES = made_up(train=30, test=4)
TESTED = IMAGES.take(IMAGES.official == "test")


def judged(folder: Path, seed: int = 0, top1: float = 0.4) -> classifier.Classifier:
    """An encoder and a linear probe, in files as the stages write them."""
    torch.manual_seed(seed)
    frozen = encoder.Encoder(resnet18.build(**PARAMETERS), [0.5] * 3, [0.25] * 3)
    model, heads = folder / f"{seed}.safetensors", folder / "probes" / f"{seed}.safetensors"
    encoder.save(model, SimpleNamespace(encoder=frozen), {"backbone": "resnet18", "parameters": PARAMETERS})
    train = IMAGES.take(IMAGES.official == "train")
    parts = {"probe_train": train, "probe_test": TESTED}
    known = {part: encoder.represent(frozen, images.pixels, CPU) for part, images in parts.items()}
    known |= {"probe_train_labels": train.labels, "classes": np.array(IMAGES.classes)}
    _, _, head = run_probe.guess("linear", known, {"epochs": 2}, seed=0, device=CPU)
    about = {"encoder": "cifar_aug", "weights": weights.digest(frozen), "top1": {"primary": {"linear": top1}}}
    probe_files.save(heads, {("primary", "linear"): head}, about)
    return classifier.Classifier(model, heads, "primary", "linear")


def registered(model: classifier.Classifier) -> dict[str, Any]:
    return publish.publish(TITLE, model, study="embedded", known=IMAGES, tested=TESTED)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A repository's store with no runs in it; stages run elsewhere, as those of queued experiments do."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MLFLOW_TRACKING_URI", "DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
            patch.delenv(name, raising=False)
        patch.setenv("DVC_ROOT", str(folder))
        (folder / "elsewhere").mkdir()
        patch.chdir(folder / "elsewhere")
        runs.create_database(folder / "mlflow.db")
        yield folder


@pytest.fixture(scope="module")
def published(root: Path) -> dict[str, Any]:
    return registered(judged(root / "models"))


@pytest.fixture(scope="module")
def address(root: Path, published: dict[str, Any]) -> Iterator[str]:
    """Where `mlflow models serve` answers with the registered model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = root / "server.log"
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "--model-uri",
        f"models:/{TITLE}@{model_registry.ALIAS}",
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
    answered = np.array(ask(address, TESTED.pixels[:6].tolist()))
    frozen, head = (
        encoder.load(root / "models/0.safetensors"),
        probe_files.load(root / "models/probes/0.safetensors", "primary", "linear"),
    )
    y = torch.from_numpy(encoder.represent(frozen, TESTED.pixels[:6], CPU))
    np.testing.assert_allclose(answered, head(y).numpy(), atol=1e-5)
    guesses = metrics.ranked(head.scores(y).numpy())  # type: ignore[operator]
    np.testing.assert_array_equal(metrics.ranked(answered), guesses)


@pytest.mark.parametrize("wrong", [np.zeros((1, 31, 32, 3), int), np.full((1, 32, 32, 3), 256)])
def test_what_is_no_image_is_refused_by_the_server(address: str, wrong: np.ndarray) -> None:
    with pytest.raises(urllib.error.HTTPError, match="400"):
        ask(address, wrong.tolist())


def test_a_model_says_what_it_takes_and_gives_and_where_it_comes_from(root: Path, published: dict[str, Any]) -> None:
    from mlflow import MlflowClient
    from mlflow.models import Model

    client = MlflowClient(f"sqlite:///{root}/mlflow.db")
    found = client.get_model_version_by_alias(TITLE, model_registry.ALIAS)
    assert (str(found.version), published["uri"]) == (published["version"], f"models:/{TITLE}/1")
    assert {"encoder": "cifar_aug", "probe": "linear", "top1": "0.4"}.items() <= found.tags.items()
    [run] = [run for run in runs_in(root / "mlflow.db") if run.info.run_id == found.run_id]
    assert (run.info.status, run.data.tags["stage"]) == ("FINISHED", "publish")
    assert run.data.tags["weights"] == published["weights"]
    place = client.get_model_version_download_uri(TITLE, found.version)
    info = Model.load(place.removeprefix("file://"))
    assert info.signature.inputs.inputs[0].shape == (-1, 32, 32, 3)
    assert info.signature.outputs.inputs[0].shape == (-1, 10)
    assert info.metadata is not None and info.metadata["classes"] == list(IMAGES.classes)
    kept = {path.name for path in (root / "mlartifacts").rglob("*") if path.is_file()}
    assert {"serving_input_example.json", "encoder.safetensors", "head.safetensors", "serving.py"} <= kept
    assert not {name for name in kept if name.endswith((".pkl", ".lock"))}


def test_the_same_model_keeps_its_version_and_another_gets_one(root: Path, published: dict[str, Any]) -> None:
    before = len(runs_in(root / "mlflow.db"))
    assert "MLFLOW_TRACKING_URI" not in os.environ and not list((root / "elsewhere").iterdir())
    assert registered(judged(root / "again")) == published
    assert len(runs_in(root / "mlflow.db")) == before
    worse = registered(judged(root / "worse", seed=1, top1=0.3))
    assert worse["version"] == "2"
    assert alias(root) == "1", "a worse model takes no alias from a better one on the same test images"
    better = registered(judged(root / "better", seed=1, top1=0.5))
    assert (better["version"], alias(root)) == ("3", "3")


def alias(root: Path) -> str:
    client, _ = runs.store(f"sqlite:///{root}/mlflow.db")
    return str(client.get_model_version_by_alias(TITLE, model_registry.ALIAS).version)


def test_a_head_of_other_weights_answers_nothing(tmp_path: Path) -> None:
    judged(tmp_path, seed=1)
    judged(tmp_path, seed=2)
    with pytest.raises(ValueError, match=r"1\.safetensors belongs to other weights than those in .*2\.safetensors"):
        classifier.Classifier(tmp_path / "2.safetensors", tmp_path / "probes/1.safetensors", "primary", "linear")


def test_the_best_is_the_highest_top1_and_of_equals_the_first() -> None:
    top1 = {
        "random": {"primary": {"linear": 0.2, "knn": 0.3}, "transfer": {"linear": 0.1}},
        "cifar_aug": {"primary": {"linear": 0.3, "knn": 0.1}, "transfer": {"linear": 0.2}},
        "resnet50_paper": {},
    }
    assert classifier.best(top1, "primary") == ("random", "knn")
    assert classifier.best(top1, "transfer") == ("cifar_aug", "linear")
    with pytest.raises(ValueError, match="no encoder ran on the dataset `primary`"):
        classifier.best({"resnet50_paper": {}}, "primary")
