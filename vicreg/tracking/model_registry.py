"""Registry: models that MLflow serves by name, each state of one a version, and an alias for the best version."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np

from vicreg.tracking import runs

ALIAS = "best"
VARIABLE = "MLFLOW_TRACKING_URI"
REQUIREMENTS = ("mlflow", "numpy", "safetensors", "torch", "torchvision")  # what answering needs, as it is here


def alone() -> AbstractContextManager:
    """Only one process of this repository at a time registers models."""
    return runs.locked(runs.tracking_uri(), "models")


def find(name: str, digest: str) -> str | None:
    """The version of the model `name` that was registered with this digest; None where there is none."""
    client, _ = runs.store(runs.tracking_uri())
    versions = client.search_model_versions(f"name = '{name}'")
    return next((str(found.version) for found in versions if found.tags.get("digest") == digest), None)


def register(
    run: runs.Run,
    name: str,
    *,
    loader: str,
    folder: Path,
    example: np.ndarray,
    classes: tuple[str, ...],
    tags: Mapping[str, str],
    description: str,
) -> str:
    """Log a model to the run, register it and return its version.

    loader, folder: the module whose `_load_pyfunc` makes a model of the files in the folder. Nothing is pickled: the
        model carries the files, and the package that reads them.
    example: some images (N, 32, 32, 3) uint8. classes: their names, in the order of the probabilities.
    tags: of the version; `digest` is what `find` goes by.
    """
    import mlflow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    images = TensorSpec(np.dtype(np.uint8), (-1, *example.shape[1:]))
    probabilities = TensorSpec(np.dtype(np.float32), (-1, len(classes)))
    with fluently(run):
        logged = mlflow.pyfunc.log_model(
            name=name,
            loader_module=loader,
            data_path=str(folder),
            code_paths=[str(Path(__file__).parents[1])],
            signature=ModelSignature(Schema([images]), Schema([probabilities])),
            input_example=example,
            pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
            metadata={"classes": list(classes), **tags},
            registered_model_name=name,
            tags=dict(tags),
        )
    found = str(logged.registered_model_version)
    run.client.update_model_version(name, found, description)
    return found


@contextmanager
def fluently(run: runs.Run) -> Iterator[None]:
    """Let MLflow's functions that go by global state mean this run."""
    import mlflow

    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # uv's environments have no pip to name
    before = os.environ.get(VARIABLE)
    mlflow.set_tracking_uri(run.client.tracking_uri)
    try:
        with mlflow.start_run(run_id=run.id, log_system_metrics=False):
            yield
    finally:
        mlflow.set_tracking_uri(None)  # type: ignore[arg-type]  # forgets the variable too, which it had set
        if before is not None:
            os.environ[VARIABLE] = before


def version(package: str) -> str:
    """The installed version, without what says for which machine it was built."""
    return metadata.version(package).partition("+")[0]


def point(name: str, version: str) -> str:
    """Let the alias name this version, unless it names one that did better on the same test images; return which."""
    client, _ = runs.store(runs.tracking_uri())
    new = client.get_model_version(name, version).tags
    aliases = client.get_registered_model(name).aliases
    if ALIAS in aliases:
        held = client.get_model_version_by_alias(name, ALIAS)
        same = held.tags.get("tested_on") == new["tested_on"]
        if same and float(held.tags["top1"]) > float(new["top1"]):
            return str(held.version)
    client.set_registered_model_alias(name, ALIAS, version)
    return version
