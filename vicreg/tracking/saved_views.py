"""Views: what MLflow's page of runs offers above its table, listed in saved_views.yaml.

The page keeps them as tags of the experiment, compressed JSON, as of MLflow 3.17; other pages may offer none.
"""

import json
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

from vicreg.io import yaml

COMMON = ["attributes.Dataset", "tags.experiment"]  # columns of every view


def tags() -> dict[str, str]:
    """The views as tags of an experiment."""
    views: dict[str, dict[str, Any]] = yaml.load(Path(__file__).with_suffix(".yaml"))
    return {f"mlflow.sharedViewState.vicreg{n}": pack(name, **view) for n, (name, view) in enumerate(views.items())}


def pack(name: str, *, columns: list[str], filter: str = "", order: str = "attributes.start_time") -> str:
    """A view as MLflow's page saves it."""
    parts = [column.partition(".") for column in [*columns, *COMMON]]
    state = {
        "searchFilter": filter,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"{kind}.`{column}`" for kind, _, column in parts],
    }
    packed = b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
