"""A classifier becomes a version of a model in MLflow, once, as a run that says where it comes from."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vicreg.data.images import Images, fingerprint
from vicreg.serving.classifier import ImageClassifier
from vicreg.tracking import model_registry, runs
from vicreg.tracking.store import store_lock, tracking_uri

DESCRIPTION = "The {probe} probe on {encoder}: top-1 {top1:.1%} of the test images of {dataset}. Classes: {classes}"


def register(
    name: str, model: ImageClassifier, *, study: str, dataset: Images, train: Images, test: Images
) -> dict[str, Any]:
    """Register `model` under `name`, let the alias name it if it is the best, and return its tags, version and address.

    dataset, train, test: all images, and those that trained and tested the probe.
    A model that is registered already, with the same weights, code and accuracy, keeps its version, and no run is made.
    """
    about = {**model.about, "study": study, "dataset": dataset.name}
    about |= {key: fingerprint(part.pixels, part.labels) for key, part in (("trained_on", train), ("tested_on", test))}
    about["digest"] = model.digest({**about, "classes": dataset.classes})
    with store_lock(tracking_uri(), ".models"):
        version = model_registry.find(name, about["digest"]) or log_model(name, model, about, dataset, test)
        best = model_registry.set_best_alias(name, version)
    print(f"{dataset.name}: {about['probe']} on {about['encoder']}: {name} version {version}, best: {best}")
    return {**about, "model": name, "version": version, "uri": f"models:/{name}/{version}"}


def log_model(name: str, model: ImageClassifier, about: dict[str, Any], dataset: Images, test: Images) -> str:
    """Log the model to a run of its own and register it; return the version."""
    tags = {key: about[key] for key in ("study", "encoder", "dataset", "probe", "weights")}
    options: Any = {"tags": runs.RunTags(stage="register", **tags), "params": model.recipe}
    data = fingerprint(dataset.pixels, dataset.labels)
    with TemporaryDirectory() as parent, runs.run(f"register {name}", fingerprint=data, **options) as run:
        run.metrics({key: about[key] for key in ("top1", "val_top1")})
        run.flush()  # MLflow shows a model with the metrics that its run has by then
        model.save(folder := Path(parent, "weights"))  # a name that is seen in the model
        return model_registry.register(
            run,
            name,
            folder,
            loader="vicreg.serving.classifier",
            example=test.pixels[:2],
            classes=dataset.classes,
            tags={key: str(value) for key, value in about.items()},
            description=DESCRIPTION.format(**about, classes=", ".join(dataset.classes)),
        )
