"""MLflow's page offers views of our runs; they are packed as the page packs its own."""

import json
import zlib
from base64 import b64decode

from vicreg.tracking import store

NAMES = ["By study", "Probes, best first", "Pretrainings, best first"]


def test_views_are_packed_as_mlflows_page_packs_them() -> None:
    tags = store.saved_views()
    assert list(tags) == [f"mlflow.sharedViewState.vicreg{number}" for number in range(3)]
    for name, tag in zip(NAMES, tags.values(), strict=True):
        view = json.loads(tag)
        kind, _, packed = view["state"].partition(";")
        state = json.loads(zlib.decompress(b64decode(packed)))
        assert (kind, view["name"]) == ("deflate", name)
        assert {"tags.`encoder`", "tags.`experiment`", "attributes.`Dataset`"} <= set(state["selectedColumns"])
    assert (state["searchFilter"], state["orderByKey"]) == ("tags.stage = 'pretrain'", "metrics.`online/top1`")
