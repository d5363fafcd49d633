"""Files of classifiers: all that the probes of one encoder have learned, each by its dataset's role and its probe."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vicreg.evaluation.classifier import Classifier
from vicreg.io import plugins, weights
from vicreg.io.description import RERUN_PROBES as RERUN_HINT
from vicreg.io.description import probes as describe

Classifiers = Mapping[tuple[str, str], Classifier]


def save(path: Path, classifiers: Classifiers, description: Mapping[str, Any]) -> None:
    """Write classifiers by (role, probe) as safetensors, with a digest of each and a description."""
    parts = {f"{role}/{probe}": classifier for (role, probe), classifier in classifiers.items()}
    members = {name: (type(part).__module__.rpartition(".")[2], part.settings) for name, part in parts.items()}
    weights.save(path, parts, {**description, "classifiers": members})


def save_results(path: Path, classifiers: Classifiers, result: Mapping[str, Any]) -> None:
    """Write the classifiers of an encoder with the accuracies in its `result`, or why it did not run."""
    if "not_run" in result:
        return weights.save_not_run(path, result["not_run"])
    scores = {role: dataset["probes"].items() for role, dataset in result["datasets"].items()}
    description = {"encoder": result["encoder"], "weights": next(iter(result["datasets"].values()))["weights"]}
    for metric in ("top1", "val_top1"):
        description[metric] = {role: {probe: it[metric] for probe, it in probes} for role, probes in scores.items()}
    return save(path, classifiers, description)


def load(path: Path, role: str, probe: str) -> Classifier:
    """Return a classifier from the file at `path`; raises ValueError where it is not there, damaged or changed."""
    name, description = f"{role}/{probe}", describe(path)
    try:
        member, settings = description["classifiers"][name]
        build = plugins.member_class("classifiers", member, Classifier)
        classifier = build(**weights.tensors(path, name), **settings)
    except (LookupError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"{path} holds no classifier {name!r} to be built ({error!r}): {RERUN_HINT}") from error
    return weights.trusted(classifier, name, path, description.get("digest", {}).get(name), RERUN_HINT)
