"""The stage register: of each dataset with labels, the best probe by validation accuracy becomes a model."""

import json
from pathlib import Path

import numpy as np
import pytest
from fake_models import PIXELS, save_encoder, save_probe

import stages
import stages.register
from vicreg.data import images
from vicreg.io import yaml
from vicreg.io.arrays import save_arrays

pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")
CLASSES = tuple(f"class {n}" for n in range(10))
OFFICIAL = np.array(["train"] * 60 + ["test"] * 40)


def test_datasets_without_labels_get_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("study: tiny\n")
    paths = stages.paths()
    paths.settings("register").parent.mkdir(parents=True)
    options = {"datasets": {"primary": "shapes10", "transfer": "photos"}, "rows": ["lucky", "good"]}
    paths.settings("register").write_text(yaml.dumps(options))
    images.save(images.Images(PIXELS, np.arange(100) % 10, OFFICIAL, CLASSES, "Shapes-10"), paths.data("primary"))
    images.save(images.Images(PIXELS, np.full(100, -1), OFFICIAL, (), "photos"), paths.data("transfer"))
    save_arrays(paths.split, **{"primary/probe_train": np.arange(60), "primary/probe_test": np.arange(60, 100)})
    for seed, (row, val_top1) in enumerate({"lucky": 0.2, "good": 0.6}.items()):
        save_probe(paths.probes(row), save_encoder(paths.model(row), seed=seed), 1 - val_top1, val_top1, 10)
    stages.register.main()
    [(role, model)] = json.loads(paths.result("registered").read_text())["datasets"].items()
    assert (role, model["model"], model["val_top1"]) == ("primary", "vicreg-tiny-shapes10", 0.6)
