"""Models that MLflow serves by name, each state of one a version, and an alias for the best version."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

import numpy as np

from vicreg.tracking.runs import Run
from vicreg.tracking.store import store, tracking_uri

ALIAS = "best"
REQUIREMENTS = ("mlflow", "numpy", "psutil", "safetensors", "torch", "torchvision", "tqdm")  # what answering needs


def find(name: str, digest: str) -> str | None:
    """The version of the model `name` that was registered with this digest; None where there is none."""
    client, _ = store(tracking_uri())
    versions = client.search_model_versions(f"name = '{name}' and tags.digest = '{digest}'")
    return str(versions[0].version) if versions else None


def register(
    run: Run,
    name: str,
    folder: Path,
    *,
    loader: str,
    example: np.ndarray,
    classes: tuple[str, ...],
    tags: Mapping[str, str],
    description: str,
) -> str:
    """Log a model to the run, register it and return its version.

    folder, loader: files, and the module whose `_load_pyfunc` makes a model of them: nothing is pickled.
    example: some images (N, H, W, 3) uint8. classes: their names, in the order of the probabilities.
    tags: of the version; `find` goes by `digest`, `set_best_alias` by `val_top1`, `trained_on` and `tested_on`.
    """
    import mlflow

    probabilities = np.zeros((1, len(classes)), np.float32)
    with active_run(run):
        logged = mlflow.pyfunc.log_model(
            name=name,
            loader_module=loader,
            data_path=str(folder),
            code_paths=[str(Path(__file__).parents[1])],
            signature=mlflow.models.infer_signature(example, probabilities),
            input_example=example,
            pip_requirements=[f"{package}=={metadata.version(package).partition('+')[0]}" for package in REQUIREMENTS],
            metadata={"classes": list(classes), **tags},
            registered_model_name=name,
            tags=dict(tags),
        )
    version = str(logged.registered_model_version)
    run.client.update_model_version(name, version, description)
    return version


@contextmanager
def active_run(run: Run) -> Iterator[None]:
    """Make `run` MLflow's active run, for its functions that go by global state."""
    import mlflow

    logging.getLogger("mlflow.utils.environment").setLevel(logging.ERROR)  # uv's environments have no pip to name
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(run.client.tracking_uri)
    try:
        with mlflow.start_run(run_id=run.id, log_system_metrics=False):
            yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None is right, and unsets the variable


def set_best_alias(name: str, version: str) -> str:
    """Move the alias to `version`, unless it names one with a higher `val_top1`; return the aliased version.

    Test images decide nothing, so that their accuracy stays an estimate. Versions of other data are not compared.
    """
    client, _ = store(tracking_uri())
    new = client.get_model_version(name, version).tags
    if ALIAS in client.get_registered_model(name).aliases:
        holder = client.get_model_version_by_alias(name, ALIAS)
        comparable = all(holder.tags.get(key) == new[key] for key in ("trained_on", "tested_on"))
        if comparable and float(holder.tags["val_top1"]) > float(new["val_top1"]):
            return str(holder.version)
    client.set_registered_model_alias(name, ALIAS, version)
    return version
