"""The study as a person runs it: again, with another idea, as a sweep, away from the workspace."""

import json
import re
import sys
import time
from pathlib import Path

import pytest
from conftest import Repository, change

CHAIN = {"pretrain@cifar_aug", "features@cifar_aug", "linear_eval@cifar_aug", "pair_loss@cifar_aug"}
CHAIN |= {"neighbors@cifar_aug", "register", "recipes", "report"}
TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
METRICS = "reports/embedded/top1.json"


@pytest.fixture(scope="module")
def repository(finished_study: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    return finished_study.copy(tmp_path_factory.mktemp("experiments") / "repository")


@pytest.fixture(scope="module")
def rerun(repository: Repository) -> set[str]:
    """The stages that the experiment `gentle`, with larger crops for cifar_aug, ran in the workspace."""
    return repository.stages_run_by("exp", "run", "--name", "gentle", "--set-param", "aug.scale_min=0.4")


def scale_mins(repository: Repository, experiment: str | None = None) -> set[str]:
    """`aug.scale_min` of cifar_aug's pretrainings, all or those of one experiment, as MLflow has it."""
    wanted = {"stage": "pretrain", "encoder": "cifar_aug"} | ({"experiment": experiment} if experiment else {})
    runs = [run for run in repository.tracked_runs() if wanted.items() <= run.data.tags.items()]
    assert {run.info.status for run in runs} <= {"FINISHED"}
    return {value for run in runs for key, value in run.data.params.items() if key.endswith(".scale_min")}


def work_through_the_queue(repository: Repository) -> str:
    """Start a worker and return the queue's state once nothing waits and the worker is gone."""
    repository.dvc("queue", "start")
    deadline = time.monotonic() + 300
    try:
        while True:
            status = repository.dvc("queue", "status")
            if "0 active, 0 idle" in status and not re.search(r"Queued$|Running$", status, re.MULTILINE):
                return status
            assert time.monotonic() < deadline, status
            time.sleep(1)
    except BaseException:
        repository.dvc("queue", "stop", "--kill")
        raise


def test_every_pretraining_and_every_probe_is_a_run(finished_study: Repository) -> None:
    runs = finished_study.tracked_runs()
    assert {run.info.status for run in runs} == {"FINISHED"}
    about = [tuple(run.data.tags.get(key) for key in ("stage", "encoder", "dataset", "probe")) for run in runs]
    drawn = ("Shapes-10 (drawn)", "Shapes-100 (drawn)")
    expected: list[tuple[str | None, ...]] = [
        ("pretrain", encoder, drawn[0], None) for encoder in ("imagenet_aug", "cifar_aug")
    ]
    expected += [
        ("linear_eval", encoder, dataset, probe)
        for encoder in ("random", "imagenet_aug", "cifar_aug")
        for dataset in drawn
        for probe in ("linear", "logistic", "knn")
    ]
    expected += [("report", None, drawn[0], None)]
    registered = json.loads((finished_study.folder / "results/embedded/registered.json").read_text())["datasets"]
    expected += [("register", best["encoder"], best["dataset"], best["probe"]) for best in registered.values()]
    assert sorted(map(str, about)) == sorted(map(str, expected))
    head = finished_study.git("rev-parse", "HEAD^").strip()
    assert {run.data.tags["commit"] for run in runs} == {head}
    assert all(run.inputs.dataset_inputs and run.data.metrics for run in runs)


def test_an_idea_runs_only_what_depends_on_it(repository: Repository, rerun: set[str]) -> None:
    assert rerun == CHAIN
    assert scale_mins(repository) == {"0.2", "0.4"}
    assert scale_mins(repository, "gentle") == {"0.4"}


@pytest.mark.usefixtures("rerun")
def test_dvc_shows_and_compares_experiments(repository: Repository) -> None:
    assert "cifar_aug" in repository.dvc("metrics", "show", METRICS)
    changed = json.loads(repository.dvc("metrics", "diff", "--json")).get(METRICS, {})
    assert changed.keys() <= {"shapes10.cifar_aug", "shapes100.cifar_aug"}
    shown = repository.dvc("exp", "show", "--only-changed", "--drop", ".*/", "--csv")
    assert "gentle" in shown
    columns = shown.splitlines()[0].split(",")
    assert "aug.scale_min" in columns and len(columns) < 12, columns
    written = repository.dvc("plots", "diff", "--out", ".vicreg/plots")
    assert (repository.folder / ".vicreg" / "plots" / "index.html").is_file(), written


@pytest.mark.usefixtures("rerun")
def test_a_queued_sweep_finishes_and_leaves_no_worker(repository: Repository) -> None:
    queued = repository.dvc("exp", "run", "--queue", "--set-param", "aug.scale_min=choice(0.08,0.1)")
    assert queued.count("Queued experiment") == 2
    status = work_through_the_queue(repository)
    assert status.count("Success") == 2, status
    assert scale_mins(repository) == {"0.08", "0.1", "0.2", "0.4"}


@pytest.mark.usefixtures("rerun")
def test_a_temporary_experiment_is_tracked_at_the_root(repository: Repository) -> None:
    command = ("exp", "run", "--temp", "--name", "away", "--set-param", "aug.scale_min=0.3")
    assert repository.stages_run_by(*command, "pretrain@cifar_aug") == {"recipes", "pretrain@cifar_aug"}
    assert scale_mins(repository, "away") == {"0.3"}
    [run] = [run for run in repository.tracked_runs() if run.data.tags["experiment"] == "away"]
    assert run.data.tags["commit"] == repository.git("rev-parse", "HEAD").strip()
    assert list(repository.folder.rglob("mlflow.db")) == [repository.folder / "mlflow.db"]


def same_as_committed(repository: Repository) -> bool:
    """Whether every tracked file of parameters and results has the bytes of the last commit."""
    names = ["params.yaml", "dvc.lock", *repository.git("ls-files", "recipes", "reports").split()]
    shown = (repository.raw("git", "show", f"HEAD:{name}") for name in names)
    return all((repository.folder / name).read_bytes() == content for name, content in zip(names, shown, strict=True))


@pytest.mark.usefixtures("rerun")
def test_the_way_back_restores_every_byte(repository: Repository, tmp_path: Path) -> None:
    copy = repository.copy(tmp_path / "repository")
    copy.dvc("exp", "run", "--set-param", "aug.scale_min=1.5", fails=True)
    assert not same_as_committed(copy)
    said = copy.vicreg("status")
    assert "aug.scale_min = 1.5: must be less" in said
    changed = {"/".join(line[3:].split("/")[:2]) for line in copy.git("status", "--short").splitlines()}
    assert "params.yaml" in changed and f"last commit: {', '.join(sorted(changed))}.\n" in said, said
    way_back = said.partition("which drops it:\n\n")[2]
    assert all(command in TUTORIAL.read_text() for command in re.split("; |\n", way_back.strip()))
    copy.run("bash", "-c", way_back.replace("uv run dvc", f"{sys.executable} -m dvc"))
    assert same_as_committed(copy) and copy.git("status", "--short") == ""
    said = copy.vicreg("status")
    assert "would run nothing" in said and "last commit" not in said
    assert copy.stages_run_by("repro") == set()
    change(copy.folder / "params.yaml", "aug.scale_min", 0.3)
    said = copy.vicreg("status")
    assert "another policy.scale_min: pretrain (cifar_aug)\n" in said and "changed params.yaml: recipes\n" in said


def test_an_unknown_study_is_told_last(finished_study: Repository, tmp_path: Path) -> None:
    copy = finished_study.copy(tmp_path / "repository")
    said = copy.dvc("exp", "run", "--set-param", "study=nope", fails=True)
    assert said.count("Running stage") == 1 and "Traceback" not in said
    lines = said.strip().splitlines()
    assert (
        "study = 'nope': allowed are cifar, cifar100, cifar_both, cifar_laptop, cifar_methods, cifar_short" in lines[-3]
    )
