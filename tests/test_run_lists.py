"""MLflow's page offers lists of our runs; they are packed as the page packs its own."""

import json
import zlib
from base64 import b64decode

import pytest

from vicreg import run_lists


@pytest.mark.parametrize("number", range(len(run_lists.LISTS)))
def test_a_list_is_packed_as_mlflows_page_packs_it(number: int) -> None:
    saved = json.loads(run_lists.tags()[f"mlflow.sharedViewState.vicreg{number}"])
    kind, _, packed = saved["state"].partition(";")
    state = json.loads(zlib.decompress(b64decode(packed)))
    assert kind == "deflate"
    assert saved["name"] == list(run_lists.LISTS)[number]
    assert {"tags.`encoder`", "tags.`experiment`", "attributes.`Dataset`"} <= set(state["selectedColumns"])
