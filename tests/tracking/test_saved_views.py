"""MLflow's page offers lists of our runs; they are packed as the page packs its own."""

import json
import zlib
from base64 import b64decode

import pytest

from vicreg.tracking import saved_views


@pytest.mark.parametrize("number", range(len(saved_views.LISTS)))
def test_a_list_is_packed_as_mlflows_page_packs_it(number: int) -> None:
    saved = json.loads(saved_views.tags()[f"mlflow.sharedViewState.vicreg{number}"])
    kind, _, packed = saved["state"].partition(";")
    state = json.loads(zlib.decompress(b64decode(packed)))
    assert kind == "deflate"
    assert saved["name"] == list(saved_views.LISTS)[number]
    assert {"tags.`encoder`", "tags.`experiment`", "attributes.`Dataset`"} <= set(state["selectedColumns"])
