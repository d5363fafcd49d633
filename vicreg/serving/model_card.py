"""The model card of an encoder: its recipe, and what its study's report says of it, in templates/model_card.md.j2."""

import json
from pathlib import Path
from typing import Any

from vicreg.compare import reports
from vicreg.compare.frames import flatten
from vicreg.data.cifar import NAMES
from vicreg.evaluation import probe_files
from vicreg.io import description, plugins
from vicreg.reporting import recipes
from vicreg.reporting.page import html
from vicreg.study.paths import study_of


def model_card(model: Path, recipe: dict[str, Any], num_features: int, onnx_difference: float | None) -> str:
    """Return the card of the encoder in the file `model`, as markdown.

    recipe: the file's description. num_features: D of the representations. onnx_difference: how far the encoder in ONNX
    is from PyTorch, None where there is none. Raises ValueError for a damaged report.
    """
    environment = html.environment("vicreg.serving")
    context = {"name": model.stem, "recipe": recipe, "num_features": num_features, "onnx_difference": onnx_difference}
    context |= {"cifar_names": NAMES, "synthetic_names": plugins.member("sources", "synthetic").NAMES}
    context["paper"] = recipes.paper(recipe["method"]["name"])
    context["settings"] = {key: json.dumps(value) for key, value in flatten(recipe).items()}
    return environment.get_template("model_card.md.j2").render(context | read_report(model, recipe))


def read_report(model: Path, recipe: dict[str, Any]) -> dict[str, Any]:
    """What the report says of the encoder's study, `facts`, and of its probes, `results`.

    `facts` is None where there is no report of these weights, and `missing` says why.
    """
    paths = study_of(model)
    if paths is None or not (file := paths.report("metrics.json")).is_file():
        return {"facts": None, "missing": "no report of its study was found beside it"}
    report = reports.parse(model.stem, str(file), file.read_bytes())
    scores = report.scores[report.scores["encoder"] == model.stem]
    probes = paths.probes(model.stem)
    about = probe_files.describe(probes) if probes.is_file() else {}
    top1 = sorted(value for role in about.get("top1", {}).values() for value in role.values())
    if about.get("weights") != description.identity(recipe) or top1 != sorted(scores["top1"]):
        return {"facts": None, "missing": "the report of its study is of other weights: run `uv run dvc repro`"}
    return {"facts": report.facts, "results": [row.dropna().to_dict() for _, row in scores.iterrows()]}
