"""Publishing: a classifier becomes a version of a model in MLflow, once, as a run that says where it comes from."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from vicreg.data.images import Images, fingerprint
from vicreg.serving import classifier
from vicreg.serving.classifier import Classifier
from vicreg.tracking import model_registry, runs

EXAMPLES = 2  # images that show how to ask the model


def publish(title: str, model: Classifier, *, study: str, known: Images, tested: Images) -> dict[str, Any]:
    """Register `model` under the name `title` and let the alias name it; return what is to be known of it.

    known, tested: the images of its dataset, and those among them that tested it.
    A model that is registered already, with the same weights, code and accuracy, keeps its version, and no run is made.
    """
    about = {**model.about, "study": study, "dataset": known.name}
    about["tested_on"] = fingerprint(tested.pixels, tested.labels)
    about["digest"] = model.identity({**about, "classes": known.classes})
    with model_registry.alone():
        version = model_registry.find(title, about["digest"]) or register(title, model, about, known, tested)
        best = model_registry.point(title, version)
    alias = f"{model_registry.ALIAS}: {best}"
    print(f"{known.name}: {about['probe']} on {about['encoder']}: {title} version {version}, {alias}")
    return {**about, "model": title, "version": version, "uri": f"models:/{title}/{version}"}


def register(title: str, model: Classifier, about: dict[str, Any], known: Images, tested: Images) -> str:
    """Log the model to a run of its own and register it; return the version."""
    with (
        TemporaryDirectory() as parent,
        runs.run(
            f"publish {title}",
            stage="publish",
            study=about["study"],
            encoder=about["encoder"],
            dataset=known.name,
            probe=about["probe"],
            weights=about["weights"],
            fingerprint=fingerprint(known.pixels, known.labels),
            params=model.description,
        ) as run,
    ):
        run.metrics({"top1": about["top1"]})
        run.flush()  # MLflow shows a model with the metrics that its run has by then
        folder = Path(parent) / "weights"  # its name is the one in the model
        classifier.save(model, folder)
        return model_registry.register(
            run,
            title,
            loader="vicreg.serving.classifier",
            folder=folder,
            example=tested.pixels[:EXAMPLES],
            classes=known.classes,
            tags={name: str(value) for name, value in about.items()},
            description=sentence(about, known),
        )


def sentence(about: dict[str, Any], known: Images) -> str:
    """What a person reads beside the version."""
    return (
        f"The {about['probe']} probe on the frozen encoder {about['encoder']}: top-1 {about['top1']:.1%} of the test "
        f"images of {known.name}. Images (N, 32, 32, 3) uint8 in, probabilities (N, {len(known.classes)}) out, of: "
        f"{', '.join(known.classes)}"
    )
