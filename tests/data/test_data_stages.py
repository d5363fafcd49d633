"""The stages download and split: what they write, and that they start without torch."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from stages import Paths, download, split
from vicreg.data import images, split_checks
from vicreg.io.arrays import load_arrays

SETTINGS: dict[str, dict[str, Any]] = {
    "download-primary": {"dataset": "shapes10", "source": "synthetic", "params": {}, "fraction": 0.02, "seed": 0},
    "download-transfer": {"dataset": "shapes100", "source": "synthetic", "params": {}, "fraction": 0.02, "seed": 0},
    "split": {"protocol": "report", "seed": 0, "fractions": {"pretrain": 0.01, "probe": 0.02}},
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for module in (download, split):
        monkeypatch.setattr(module, "settings", SETTINGS.__getitem__)
        monkeypatch.setattr(module, "paths", lambda: Paths("tiny"))
        monkeypatch.setattr(module, "timed", lambda name: nullcontext())
    return tmp_path / "data" / "tiny"


def test_the_stages_make_a_verified_split(study: Path) -> None:

    for role in ("primary", "transfer"):
        download.main(role)
    split.main()
    data = {role: images.load(study / role) for role in ("primary", "transfer")}
    assert [len(some) for some in data.values()] == [1200, 1200]
    purposes = split_checks.verified(load_arrays(study / "split.npz"), data, "report")
    assert {name: len(positions) for name, positions in purposes.items()} == {
        "primary/pretrain": 400,
        "primary/probe_train": 300,
        "primary/probe_test": 100,
        "transfer/probe_train": 900,
        "transfer/probe_test": 300,
    }


def test_a_subset_is_allowed_by_the_source(study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cifar_fakes import made_up, write_png

    from stages import download

    write_png(made_up(), tmp_path / "in")
    params = {"folder": str(tmp_path / "in")}
    settings = SETTINGS["download-primary"] | {"dataset": "cifar10", "source": "local"}
    monkeypatch.setitem(SETTINGS, "download-primary", settings | {"params": params})
    with pytest.raises(ValueError, match="genuine CIFAR-10"):
        download.main("primary")
    monkeypatch.setitem(SETTINGS, "download-primary", settings | {"params": params | {"allow_subset": True}})
    download.main("primary")
    assert images.load(study / "primary").name == "CIFAR-10 (subset)"


@pytest.mark.parametrize("stage", ["download", "split"])
def test_the_stages_start_without_torch(stage: str) -> None:
    script = f"""
import sys
import stages.{stage}
from vicreg.data import source
from vicreg.io import plugins
[plugins.member_class("sources", name, source.Source) for name in plugins.names("sources")]
slow = {{"torch", "mlflow", "matplotlib", "sklearn", "scipy"}} & sys.modules.keys()
assert not slow, slow
"""
    subprocess.run([sys.executable, "-c", script], check=True)
