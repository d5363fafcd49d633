"""What one person pushed, a colleague pulls, and nothing has to run again."""

from pathlib import Path

import pytest
from conftest import NOBODYS_KEYS, Repository, clone


def test_an_s3_bucket_is_a_remote(finished_study: Repository, tmp_path: Path, bucket: str) -> None:
    pytest.importorskip("dvc_s3", reason="the optional extra `s3` is not installed")
    mine = finished_study.copy(tmp_path / "mine")
    mine = Repository(mine.folder, {**mine.environment, **NOBODYS_KEYS})
    mine.dvc("remote", "add", "--default", "share", "s3://share/vicreg")
    mine.dvc("remote", "modify", "share", "endpointurl", bucket)
    mine.git("commit", "--quiet", "--all", "--message", "Share in a bucket")
    mine.dvc("push")
    colleague = clone(mine, tmp_path / "colleague")
    colleague.dvc("pull")
    assert colleague.stages_run_by("repro") == set()
    assert colleague.git("status", "--short") == ""
    weights = Path("models/embedded/cifar_aug.safetensors")
    assert (colleague.folder / weights).read_bytes() == (mine.folder / weights).read_bytes()


def test_an_experiment_travels_with_its_results(finished_study: Repository, tmp_path: Path) -> None:
    mine, stage = finished_study.copy(tmp_path / "mine"), "pair_loss@cifar_aug"
    mine.git("init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    mine.git("remote", "add", "origin", str(tmp_path / "origin.git"))
    mine.dvc("remote", "add", "--default", "share", str(tmp_path / "share"))
    mine.git("commit", "--quiet", "--all", "--message", "Share in a folder")
    mine.git("push", "--quiet", "origin", "main")
    ran = mine.stages_run_by("exp", "run", "--name", "fewer", "--set-param", "pair_loss.num_pairs=3", stage)
    assert ran == {"recipes", stage}
    mine.dvc("exp", "push", "origin", "fewer")

    mine.git("clone", "--quiet", "--branch", "main", str(tmp_path / "origin.git"), str(tmp_path / "colleague"))
    colleague = Repository(tmp_path / "colleague", mine.environment)
    assert "fewer" in colleague.dvc("exp", "list", "origin")
    colleague.dvc("exp", "pull", "origin", "fewer")
    colleague.dvc("exp", "apply", "fewer")
    colleague.dvc("pull")
    assert "num_pairs: 3" in (colleague.folder / "params.yaml").read_text()
    assert colleague.stages_run_by("repro", stage) == set()
