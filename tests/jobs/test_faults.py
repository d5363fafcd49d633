"""Whatever goes wrong around a pretraining is one clear message, and what was good before is still good."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import conftest
import pytest
import torch
from conftest import Repository, digest

import stages.pretrain
import stages.recipes
from vicreg.jobs import pretrain

WEIGHTS = Path("models/embedded/cifar_aug.safetensors")
COMMAND = [sys.executable, "-m", "stages.pretrain", "cifar_aug"]


@pytest.fixture
def study(finished_study: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A finished study whose folder is the current one, as a stage has it, and whose checkpoints are gone."""
    repository = finished_study.copy(tmp_path / "repository")
    repository.run("rm", "-rf", ".vicreg/pretrain")
    monkeypatch.setenv("DVC_ROOT", str(repository.folder))
    monkeypatch.chdir(repository.folder)
    return repository


def change(repository: Repository, key: str, value: Any) -> None:
    """Set a parameter, named with dots, and resolve it into recipes."""
    conftest.change(repository.folder / "params.yaml", key, value)
    stages.recipes.main()


def test_a_row_that_collapses_says_so_and_stops_nothing_else(study: Repository) -> None:
    change(study, "encoders.cifar_aug.method_params", {"variance": 0.0, "gamma": 1000.0})  # any spread is nothing
    for _ in range(2):  # and when its outputs are lost
        WEIGHTS.unlink()
        stages.pretrain.main("cifar_aug")
        result = json.loads(Path("results/embedded/pretrain-cifar_aug.json").read_text())
        assert re.match(r"epoch \d+: the embeddings collapsed: their standard deviation is", result["collapsed"])
        assert len(result["history"]) >= 1
    study.dvc("repro")
    metrics = json.loads(Path("reports/embedded/metrics.json").read_text())
    assert metrics["shapes10"]["cifar_aug"] == {"collapsed": result["collapsed"]}
    assert "top1" in metrics["shapes10"]["random"]["linear"]
    collapsed = [run for run in study.tracked_runs() if "collapsed" in run.data.tags]
    assert {run.data.tags["encoder"] for run in collapsed} == {"cifar_aug"}
    assert {run.info.status for run in collapsed} == {"FINISHED"}


def test_a_recipe_that_changes_meanwhile_stops_it(study: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest(WEIGHTS)
    evaluate_online = pretrain.evaluate_online

    def impatient(*args) -> None:
        evaluate_online(*args)
        change(study, "optimizer.base_lr", 0.2)

    monkeypatch.setattr(pretrain, "evaluate_online", impatient)
    WEIGHTS.unlink()
    with pytest.raises(
        pretrain.RecipeChangedError, match=r"cifar_aug changed while it was pretrained.*nothing is lost"
    ):
        stages.pretrain.main("cifar_aug")
    assert not WEIGHTS.exists()
    change(study, "optimizer.base_lr", 0.3)
    monkeypatch.setattr(pretrain, "evaluate_online", None)  # no epoch is trained again
    stages.pretrain.main("cifar_aug")
    assert digest(WEIGHTS) == before


def test_weights_that_cannot_be_written_are_not_lost(study: Repository) -> None:
    before = digest(WEIGHTS)
    models = WEIGHTS.parent
    study.run("rm", "-rf", str(models))
    models.write_text("a file, where a folder should be")
    said = study.run(*COMMAND, fails=True)
    assert "error: models/embedded/cifar_aug.safetensors cannot be written" in said
    assert "make the folder writable, and run again" in said and "Traceback" not in said
    models.unlink()
    assert "going on in epoch 2" in study.run(*COMMAND)
    assert digest(WEIGHTS) == before


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_an_error(study: Repository) -> None:
    change(study, "device", "cuda")
    with pytest.raises(ValueError, match=r"device = 'cuda' cannot be used here.*Use `device: auto` or cpu\."):
        stages.pretrain.main("cifar_aug")


def test_too_little_memory_is_one_clear_message(study: Repository) -> None:
    before = digest(WEIGHTS)
    change(study, "studies.embedded.width", 1_000_000)  # 36 TB for the first convolution of the first stage
    said = study.run(*COMMAND, fails=True)
    assert "error: memory ran out with batch_size = 32 (" in said and "smaller `batch_size`" in said
    assert "Traceback" not in said
    assert digest(WEIGHTS) == before


def test_who_stops_it_is_told_how_to_go_on(study: Repository) -> None:
    before = digest(WEIGHTS)
    change(study, "checkpoint_every", 3600)  # so that the last checkpoint is the one that stopping makes
    change(study, "studies.embedded.epochs", 30)
    started = study.begin(
        *COMMAND,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a shell's background jobs ignore
    )
    until(started, "epoch 3/30: ")
    started.send_signal(signal.SIGINT)
    said = started.communicate(timeout=60)[0]
    assert started.returncode != 0
    [epoch] = re.findall(r"stopped. The same command goes on from epoch (\d+), after \d+ steps", said)
    assert int(epoch) >= 4 and "Traceback" not in said
    assert digest(WEIGHTS) == before
    assert {run.info.status for run in study.tracked_runs() if run.data.params.get("epochs") == "30"} == {"KILLED"}


def until(process: subprocess.Popen[str], words: str) -> None:
    """Read what `process` prints until a line has `words`."""
    assert process.stdout is not None
    read = []
    for line in process.stdout:
        read.append(line)
        if words in line:
            return
    raise AssertionError(f"{words!r} was not printed: {''.join(read)}")


def test_two_processes_on_the_same_run_do_its_work_once(study: Repository) -> None:
    before = digest(WEIGHTS)
    (study.folder / "mlflow.db").unlink()
    WEIGHTS.unlink()
    change(study, "studies.embedded.epochs", 20)
    first = study.begin(*COMMAND)
    until(first, "epoch 1/20: ")
    first.send_signal(signal.SIGSTOP)  # for as long as the second takes to come to it
    second = study.begin(*COMMAND)
    until(second, f"this run is under way in process {first.pid}")
    first.send_signal(signal.SIGCONT)
    said = [process.communicate(timeout=240)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], said
    assert ["epoch 20/20: " in text for text in said] == [True, False]
    [run] = study.tracked_runs()
    assert run.info.status == "FINISHED"
    assert digest(WEIGHTS) != before
