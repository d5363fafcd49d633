"""A classifier becomes a version of a model in MLflow, once, as a run that says where it comes from."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vicreg.data.images import Images, fingerprint
from vicreg.serving.classifier import ImageClassifier
from vicreg.tracking import model_registry, runs

NUM_EXAMPLES = 2  # images that show how to ask the model


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
    with model_registry.registry_lock():
        version = model_registry.find(name, about["digest"]) or log_model(name, model, about, dataset, test)
        best = model_registry.set_best_alias(name, version)
    print(f"{dataset.name}: {about['probe']} on {about['encoder']}: {name} version {version}, best: {best}")
    return {**about, "model": name, "version": version, "uri": f"models:/{name}/{version}"}


def log_model(name: str, model: ImageClassifier, about: dict[str, Any], dataset: Images, test: Images) -> str:
    """Log the model to a run of its own and register it; return the version."""
    tags = {key: about[key] for key in ("study", "encoder", "dataset", "probe", "weights")}
    data = fingerprint(dataset.pixels, dataset.labels)
    with (
        TemporaryDirectory() as parent,
        runs.run(
            f"register {name}",
            tags=runs.RunTags(stage="register", **tags),
            fingerprint=data,
            params=model.recipe,
        ) as run,
    ):
        run.metrics({key: about[key] for key in ("top1", "val_top1")})
        run.flush()  # MLflow shows a model with the metrics that its run has by then
        folder = Path(parent) / "weights"  # its name is the one in the model
        model.save(folder)
        return model_registry.register(
            run,
            name,
            folder,
            loader="vicreg.serving.classifier",
            example=test.pixels[:NUM_EXAMPLES],
            classes=dataset.classes,
            tags={key: str(value) for key, value in about.items()},
            description=description(about, dataset),
        )


def description(about: dict[str, Any], dataset: Images) -> str:
    """What a person reads beside the version."""
    height, width = dataset.pixels.shape[1:3]
    return (
        f"The {about['probe']} probe on the frozen encoder {about['encoder']}: top-1 {about['top1']:.1%} of the test "
        f"images of {dataset.name}. Images (N, {height}, {width}, 3) uint8 in, probabilities "
        f"(N, {len(dataset.classes)}) out, of: {', '.join(dataset.classes)}"
    )
