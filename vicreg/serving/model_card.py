"""The model card of an encoder: its recipe, and what its study's report says of it, in templates/model_card.md.j2."""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from vicreg.compare import metrics_file
from vicreg.data.cifar import NAMES
from vicreg.evaluation import probe_files
from vicreg.io import plugins
from vicreg.reporting import markdown
from vicreg.study.paths import study_of
from vicreg.tracking.texts import flatten

FILTERS = {name: getattr(markdown, name) for name in ("escape", "count", "percent", "points")}


def model_card(model: Path, recipe: dict[str, Any], num_features: int, onnx_difference: float | None) -> str:
    """Return the card of the encoder in the file `model`, as markdown.

    recipe: the file's description. num_features: D of the representations. onnx_difference: how far the encoder in ONNX
    is from PyTorch, None where there is none. Raises ValueError for a damaged report.
    """
    metrics, missing = read_metrics(model, recipe)
    environment = Environment(
        loader=PackageLoader("vicreg.serving"), trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= FILTERS
    context: dict[str, Any] = {"name": model.stem, "recipe": recipe, "metrics": metrics, "missing": missing}
    context |= {"num_features": num_features, "onnx_difference": onnx_difference, "cifar_names": NAMES}
    context["settings"] = {key: json.dumps(value) for key, value in flatten(recipe).items()}
    context["synthetic_names"] = plugins.member("sources", "synthetic").DATASETS
    return environment.get_template("model_card.md.j2").render(context) + "\n"


def read_metrics(model: Path, recipe: dict[str, Any]) -> tuple[metrics_file.Metrics | None, str]:
    """The metrics of the report of the encoder's study; None and the reason where there are none of these weights."""
    paths = study_of(model)
    if paths is None or not (file := paths.report("metrics.json")).is_file():
        return None, "no report of its study was found beside it"
    metrics, probes = metrics_file.parse(file.read_bytes(), str(file)), paths.probes(model.stem)
    about = probe_files.describe(probes) if probes.is_file() else {}
    top1 = sorted(value for role in about.get("top1", {}).values() for value in role.values())
    reported = sorted(scores["top1"] for _, _, row, scores in metrics.rows() if row == model.stem)
    if about.get("weights") != recipe["digest"]["encoder"] or top1 != reported:
        return None, "the report of its study is of other weights: run `dvc repro`"
    return metrics, ""
