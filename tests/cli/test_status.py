"""`vicreg status` says in words what DVC and git say of a repository."""

from pathlib import Path

from conftest import Repository, change

from vicreg.cli import status

ROWS = ["random", "cifar_aug"]


def test_what_dvc_says_becomes_words() -> None:
    missing = [{"changed deps": {"a": "deleted"}}, {"changed outs": {"b": "not in cache", "c": "deleted"}}]
    assert status.why(missing) == "no results here"
    assert status.why([{"changed deps": {"params.yaml": "modified", "vicreg": "modified"}}]) == (
        "changed params.yaml, vicreg"
    )
    assert status.why([{"changed outs": {"b": "modified"}}]) == "results were changed"
    assert status.why(["changed command"]) == "changed itself"
    stages = {"split": "x", "pretrain@random": "x", "pretrain@cifar_aug": "x", "features@random": "x", "report": "y"}
    assert status.by_reason(stages, ROWS) == {
        "x": ["split", "pretrain (all rows)", "features (random)"],
        "y": ["report"],
    }


def test_of_a_new_clone_everything_would_run(tiny_repository: Repository, tmp_path: Path) -> None:
    copy = tiny_repository.copy(tmp_path / "repository")
    said = copy.vicreg("status")
    assert said.startswith("Study embedded; rows random, imagenet_aug, cifar_aug, resnet50_paper.\n"), said
    assert "pretrain (all rows)" in said and "report" in said and "judge" not in said
    assert "last commit" not in said
    change(copy.folder / "params.yaml", "aug.scale_min", 0.4)
    said = copy.vicreg("status")
    assert "Not as in the last commit: params.yaml.\n" in said and said.endswith(f"{status.BACK}\n")
    change(copy.folder / "params.yaml", "study", "nope")
    said = copy.vicreg("status")
    assert said.startswith("`uv run dvc repro` would fail: ") and "study = 'nope': allowed are" in said
    assert said.endswith(f"{status.BACK}\n")
