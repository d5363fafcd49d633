"""Views: what MLflow's page of runs offers above its table, listed in saved_views.yaml.

The page keeps them as tags of the experiment, compressed JSON, as of MLflow 3.17; other pages may offer none.
"""

import json
import zlib
from base64 import b64encode
from pathlib import Path

from vicreg.io import yaml


def tags() -> dict[str, str]:
    """The views as tags of an experiment."""
    tags = {}
    for number, (name, state) in enumerate(yaml.load(Path(__file__).with_suffix(".yaml")).items()):
        packed = b64encode(zlib.compress(json.dumps(state).encode())).decode()
        view = {"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"}
        tags[f"mlflow.sharedViewState.vicreg{number}"] = json.dumps(view)
    return tags
