"""Run lists: what MLflow's page of runs offers under `Views`: which runs, in which order, with which columns.

The page keeps them as tags of the experiment, compressed JSON, as of MLflow 3.17; a page that does not know them offers
none. What a list leaves out is as the page has it by default.
"""

import json
import zlib
from base64 import b64encode
from typing import Any

KEY = "mlflow.sharedViewState."
ABOUT = ["attributes.Dataset", "tags.experiment"]  # columns of every list
LISTS: dict[str, dict[str, Any]] = {
    "By study": {"columns": ["tags.stage", "tags.encoder", "tags.probe", "metrics.top1", "attributes.Models"]},
    "Probes, best first": {
        "filter": "tags.stage = 'linear_eval'",
        "order": "metrics.`top1`",
        "columns": ["tags.encoder", "tags.probe", "metrics.top1", "metrics.top5"],
    },
    "Pretrainings, best first": {
        "filter": "tags.stage = 'pretrain'",
        "order": "metrics.`online/top1`",  # by time, the page would fold runs into their study's
        "columns": ["tags.encoder", "metrics.online/top1", "metrics.loss", "metrics.effective_rank", "params.epochs"],
    },
}


def tags() -> dict[str, str]:
    """The lists as tags of an experiment."""
    return {f"{KEY}vicreg{number}": saved(name, **about) for number, (name, about) in enumerate(LISTS.items())}


def saved(name: str, *, columns: list[str], filter: str = "", order: str = "attributes.start_time") -> str:
    """A list as MLflow's page saves it. filter: as in its search field; columns: `tags.encoder`, `metrics.top1`, ..."""
    chosen = [column.partition(".") for column in [*columns, *ABOUT]]
    state = {
        "searchFilter": filter,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [f"{kind}.`{column}`" for kind, _, column in chosen],
    }
    packed = b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
