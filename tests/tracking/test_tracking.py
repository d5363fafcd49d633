"""What is tracked is read back with MLflow's own client, as its pages do."""

import logging
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from conftest import all_runs_in, environment, results_of, runs_in, wait_for

from vicreg.tracking import provenance, runs, store, system_metrics
from vicreg.tracking.runs import RunTags

FINGERPRINT = "0123456789abcdef" * 4
PARAMS = {"seed": 0, "probes": {"linear": {"lr": 0.3, "epochs": 2}}}
TAGS: dict[str, Any] = {
    "stage": "linear_eval",
    "study": "embedded",
    "encoder": "cifar_aug",
    "dataset": "Shapes-10 (drawn)",
}
ABOUT: dict[str, Any] = {"tags": RunTags(**TAGS), "fingerprint": FINGERPRINT, "params": PARAMS}
LEARN = """
import sys
from vicreg.tracking import runs
tags = runs.RunTags(stage="pretrain", study="embedded", dataset="drawn", encoder=sys.argv[1])
with runs.run(sys.argv[1], tags=tags, fingerprint="ab" * 32, params={}) as run:
    print("begun", flush=True)
    exec(sys.argv[2])
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that is created once: MLflow takes seconds for its tables."""
    folder = tmp_path_factory.mktemp("store") / "with a space, 100 % & more"
    folder.mkdir()
    store.create_database(folder / "mlflow.db")
    return folder


@pytest.fixture
def root(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared store as a repository's, while the stage runs elsewhere; not within an experiment."""
    monkeypatch.setenv("DVC_ROOT", str(shared))
    monkeypatch.chdir(tmp_path)
    return shared


def client(folder: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{folder}/mlflow.db")


def of(**tags: Any) -> dict[str, Any]:
    """ABOUT with other tags."""
    return ABOUT | {"tags": RunTags(**TAGS | tags)}


def learn(folder: Path, *args: str) -> subprocess.Popen[str]:
    """Start a stage-like process, away from the repository, that tracks one run."""
    command = [sys.executable, "-c", LEARN, *args]
    there = folder / "elsewhere"
    there.mkdir(exist_ok=True)
    package = Path(runs.__file__).parents[2]
    env = environment(folder) | {"DVC_ROOT": str(folder), "PYTHONPATH": str(package)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=there, env=env, stdout=pipe, stderr=pipe, text=True)


def test_a_run_says_what_it_is_about(root: Path) -> None:
    with runs.run("linear probe", **of(probe="linear")) as run:
        pass
    found = client(root).get_run(run.id)
    assert found.info.run_name == "linear probe"
    assert found.info.status == "FINISHED"
    expected = {"stage": "linear_eval", "study": "embedded", "encoder": "cifar_aug", "probe": "linear"}
    expected |= {"dataset": "Shapes-10 (drawn)", "fingerprint": FINGERPRINT, "experiment": "workspace"}
    assert expected.items() <= found.data.tags.items()
    assert found.data.params == {"seed": "0", "probes.linear.lr": "0.3", "probes.linear.epochs": "2"}


def test_the_data_is_the_runs_dataset(root: Path) -> None:
    with runs.run("pretraining", **ABOUT) as run:
        pass
    [used] = client(root).get_run(run.id).inputs.dataset_inputs
    assert used.dataset.name == "Shapes-10 (drawn)"
    assert used.dataset.digest == FINGERPRINT[:36]
    assert FINGERPRINT in used.dataset.profile


def test_metrics_keep_their_steps(root: Path) -> None:
    with runs.run("pretraining", **ABOUT) as run:
        for epoch in range(150):
            run.metrics({"loss": 1 / (1 + epoch), "online/top1": epoch / 150}, step=epoch)
        run.metrics({"last": float("nan")})
    reader = client(root)
    losses = reader.get_metric_history(run.id, "loss")
    assert [(entry.step, entry.value) for entry in losses] == [(e, float(f"{1 / (1 + e):.6g}")) for e in range(150)]
    assert reader.get_run(run.id).data.metrics["online/top1"] == 0.993333  # six digits
    assert len(reader.get_metric_history(run.id, "last")) == 1


def test_metrics_can_be_read_while_the_run_goes_on(root: Path) -> None:
    with runs.run("pretraining", **ABOUT) as run:
        run.metrics({"loss": 0.5}, step=1)
        run.flush()
        found = client(root).get_run(run.id)
        assert (found.info.status, results_of(found)) == ("RUNNING", {"loss": 0.5})


def test_artifacts_are_kept_beside_the_database(root: Path, tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"weights")
    with runs.run("pretraining", **ABOUT) as run:
        run.artifact(tmp_path / "weights.safetensors", folder="weights")
    assert [file.path for file in client(root).list_artifacts(run.id, "weights")] == ["weights/weights.safetensors"]
    kept = root / "mlartifacts" / run.id / "artifacts" / "weights" / "weights.safetensors"
    assert kept.read_bytes() == b"weights"
    assert [file.name for file in tmp_path.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize("classes", [2, 30])
def test_a_confusion_matrix_is_a_picture(root: Path, classes: int) -> None:
    counts, names = np.arange(classes**2).reshape(classes, -1), [f"class {n}" for n in range(classes)]
    with runs.run("probe", **ABOUT) as run, mock.patch.object(run, "client", mock.Mock(wraps=run.client)) as client:
        run.confusion(counts.tolist(), names, "a title")
    [axes] = client.log_figure.call_args.args[1].axes
    np.testing.assert_array_equal(axes.images[0].get_array(), counts)  # true classes in rows
    assert [axes.get_title(), *(label.get_text() for label in axes.get_yticklabels())] == ["a title", *names]
    assert len(axes.texts) == (4 if classes == 2 else 0)  # numbers where they have room
    assert (root / "mlartifacts" / run.id / "artifacts" / "confusion.png").read_bytes().startswith(b"\x89PNG")


def test_long_values_are_cut_many_are_taken(root: Path) -> None:
    many = {f"p{i}": i for i in range(250)}
    with runs.run("pretraining", **ABOUT | {"params": many | {"long": "x" * 9000}}) as run:
        pass
    params = client(root).get_run(run.id).data.params
    assert len(params) == 251
    assert params["p249"] == "249"
    assert params["long"].startswith("x" * 5000)


@pytest.mark.parametrize(
    ("error", "status"),
    [(ValueError("no"), "FAILED"), (KeyboardInterrupt(), "KILLED"), (SystemExit(143), "KILLED")],
)
def test_a_run_that_is_cut_off_says_so(root: Path, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)), runs.run("pretraining", **ABOUT) as run:
        run.metrics({"loss": 3.0}, step=7)
        raise error
    found = client(root).get_run(run.id)
    assert (found.info.status, results_of(found)) == (status, {"loss": 3.0})


def test_sigterm_closes_the_run_as_killed(root: Path) -> None:
    process = learn(root, "terminated", "import time; time.sleep(60)")
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    [status] = [run.info.status for run in runs_in(root / "mlflow.db") if run.info.run_name == "terminated"]
    assert status == "KILLED"


def test_experiment_and_commit_become_tags(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_EXP_NAME", "tidal-wave")
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", "c0ffee" * 6 + "c0ff")
    tags = provenance.provenance()
    assert tags["experiment"] == "tidal-wave"
    assert tags["commit"] == tags["mlflow.source.git.commit"] == "c0ffee" * 6 + "c0ff"


def test_outside_of_experiments_the_commit_is_gits(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert "commit" not in provenance.provenance()
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert provenance.provenance()["commit"] == head


def test_without_git_there_is_no_commit(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "commit" not in provenance.provenance()


def test_the_store_is_at_the_repositorys_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert store.tracking_uri() == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "user"))
    assert store.tracking_uri() == f"sqlite:///{tmp_path}/user/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other/runs.db")
    assert store.tracking_uri() == f"sqlite:///{tmp_path}/user/other/runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert store.tracking_uri() == "http://127.0.0.1:5000"


def test_a_named_store_is_respected(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
    with runs.run("elsewhere", **ABOUT) as run:
        pass
    assert client(root).get_run(run.id).info.run_name == "elsewhere"
    assert not list(tmp_path.iterdir())


def test_a_killed_run_goes_on_with_each_epoch_once(root: Path, tmp_path: Path) -> None:
    run_id_file = tmp_path / "mlflow_run"
    with pytest.raises(SystemExit), runs.run("first", **ABOUT, run_id_file=run_id_file) as first:
        for epoch in (1, 2, 3):
            first.metrics({"loss": 1 / epoch}, step=epoch)
        raise SystemExit(143)
    with runs.run("again", **ABOUT, run_id_file=run_id_file) as second:
        assert client(root).get_run(first.id).info.status == "RUNNING"
        for epoch in (2, 3, 4):
            second.metrics({"loss": 10 / epoch}, step=epoch)
    assert second.id == first.id
    history = client(root).get_metric_history(first.id, "loss")
    assert [(entry.step, entry.value) for entry in history] == [(1, 1.0), (2, 0.5), (3, 0.333333), (4, 2.5)]
    found = client(root).get_run(first.id)
    assert (found.info.status, len(found.inputs.dataset_inputs)) == ("FINISHED", 1)


@pytest.mark.parametrize("content", ["0" * 32, "", "not an id"])
def test_a_run_unknown_to_the_store_begins_anew(root: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "mlflow_run").write_text(content)
    with runs.run("anew", **ABOUT, run_id_file=tmp_path / "mlflow_run") as run:
        pass
    assert (tmp_path / "mlflow_run").read_text() == run.id
    assert client(root).get_run(run.id).data.params["seed"] == "0"


def test_a_run_that_somebody_deleted_begins_anew(root: Path, tmp_path: Path) -> None:
    with runs.run("deleted", **ABOUT, run_id_file=tmp_path / "mlflow_run") as first:
        pass
    client(root).delete_run(first.id)
    with runs.run("anew", **ABOUT, run_id_file=tmp_path / "mlflow_run") as second:
        pass
    assert second.id != first.id


def test_four_processes_create_one_store(tmp_path: Path) -> None:
    work = "import os; run.artifact(os.__file__); [run.metrics({'loss': e}, step=e) for e in range(20)]"
    names = ["first", "second", "third", "fourth"]
    (tmp_path / ".mlflow.db.part").write_text("what a kill left of a database")
    processes = [learn(tmp_path, name, work) for name in names]
    outputs = [process.communicate(timeout=180) for process in processes]
    assert outputs == [("begun\n", "")] * 4
    runs = runs_in(tmp_path / "mlflow.db")
    assert sorted(run.info.run_name for run in runs) == sorted(names)
    assert {run.info.status for run in runs} == {"FINISHED"}
    [study] = [run for run in all_runs_in(tmp_path / "mlflow.db") if run.data.tags["stage"] == "study"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {study.info.run_id}
    for run in runs:
        history = client(tmp_path).get_metric_history(run.info.run_id, "loss")
        assert [entry.step for entry in history] == list(range(20))
        assert (tmp_path / "mlartifacts" / run.info.run_id / "artifacts" / "os.py").is_file()
    assert not list((tmp_path / "elsewhere").iterdir())


def studies(root: Path, name: str) -> list[Any]:
    """The runs that hold a study's runs together."""
    return [
        run for run in all_runs_in(root / "mlflow.db") if (run.data.tags["stage"], run.info.run_name) == ("study", name)
    ]


def test_the_runs_of_a_study_are_children_of_one(root: Path) -> None:
    about = of(study="one")
    with runs.run("first", **about) as first, runs.run("other", **of(study="other")) as other:
        pass
    with runs.run("second", **about) as second:
        assert [run.info.status for run in studies(root, "one")] == ["FINISHED"]
    reader = client(root)
    [study] = studies(root, "one")
    parents = [reader.get_run(run.id).data.tags["mlflow.parentRunId"] for run in (first, second, other)]
    assert parents == [study.info.run_id, study.info.run_id, studies(root, "other")[0].info.run_id]
    assert study.data.tags["stage"] == "study"
    assert study.info.end_time >= reader.get_run(second.id).info.end_time
    assert "`data/one/`" in study.data.tags["mlflow.note.content"]


def test_an_experiment_has_a_parent_of_its_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with runs.run("first", **of(study="tried")):
        pass
    monkeypatch.setenv("DVC_EXP_NAME", "bold-idea")
    with runs.run("second", **of(study="tried")) as second:
        whole = second.of_study()
        whole.metrics({"top1": 1 / 3})
        whole.flush()
    [parent] = studies(root, "tried: bold-idea")
    [usual] = studies(root, "tried")
    run = client(root).get_run(second.id)
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id != usual.info.run_id
    assert run.data.tags["mlflow.source.name"] == "stages.linear_eval"
    assert parent.data.metrics == {"top1": 0.333333}


def test_a_resumed_run_stays_in_its_study(root: Path, tmp_path: Path) -> None:
    about: dict[str, Any] = of(study="resumed") | {"run_id_file": tmp_path / "mlflow_run"}
    with runs.run("first", **about) as first:
        pass
    [before] = studies(root, "resumed")
    with runs.run("again", **about):
        pass
    reader = client(root)
    assert reader.get_run(first.id).data.tags["mlflow.parentRunId"] == before.info.run_id
    reader.delete_run(before.info.run_id)
    with runs.run("again", **about):
        pass
    [after] = studies(root, "resumed")
    assert reader.get_run(first.id).data.tags["mlflow.parentRunId"] == after.info.run_id != before.info.run_id


def test_a_finished_run_stays_with_its_experiment(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    about: dict[str, Any] = of(study="taken over") | {"run_id_file": tmp_path / "mlflow_run"}
    monkeypatch.setenv("DVC_EXP_NAME", "first")
    with pytest.raises(SystemExit), runs.run("cut off", **about) as first:
        raise SystemExit(143)
    monkeypatch.setenv("DVC_EXP_NAME", "second")
    with runs.run("goes on", **about) as second:
        pass
    monkeypatch.setenv("DVC_EXP_NAME", "third")
    with runs.run("takes its weights", **about) as third:
        pass
    assert first.id == second.id != third.id
    reader = client(root)
    tags = [reader.get_run(run.id).data.tags["experiment"] for run in (second, third)]
    assert tags == ["second", "third"]


BUSY = ("system/cpu_utilization_percentage", "system/system_memory_usage_megabytes")


def steps(root: Path, run: runs.Run, name: str = BUSY[0]) -> list[int]:
    return [entry.step for entry in client(root).get_metric_history(run.id, name)]


def test_a_short_run_has_a_sample_and_leaves_no_thread(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "SECONDS", 120)
    before, began = set(threading.enumerate()), time.monotonic()
    with runs.run("short", **ABOUT) as run:
        assert set(threading.enumerate()) - before
    assert set(threading.enumerate()) <= before
    assert time.monotonic() - began < 60, "no run waits for its next sample"
    found = client(root).get_run(run.id).data.metrics
    assert steps(root, run) == [0]
    assert set(BUSY) <= found.keys() and found[BUSY[1]] > 0


def test_samples_of_a_resumed_run_are_counted_on(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_metrics, "SECONDS", 0.05)
    about: dict[str, Any] = ABOUT | {"run_id_file": tmp_path / "mlflow_run"}
    with pytest.raises(SystemExit), runs.run("first", **about) as run:
        wait_for(lambda: len(steps(root, run)) >= 2, 60, "a second sample")
        raise SystemExit(143)
    first = steps(root, run)
    with runs.run("again", **about):
        wait_for(lambda: len(steps(root, run)) >= len(first) + 2, 60, "two more samples")
    both = steps(root, run)
    assert both == list(range(len(both)))


def test_an_unmeasurable_machine_ends_no_work(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: Any) -> None:
        raise OSError("no /proc here")

    monkeypatch.setattr(system_metrics, "start", broken)
    with caplog.at_level(logging.WARNING), runs.run("unmeasured", **ABOUT) as run:
        run.metrics({"loss": 1.0})
    assert "system metrics are not recorded: no /proc here" in caplog.text
    found = client(root).get_run(run.id)
    assert (found.info.status, found.data.metrics) == ("FINISHED", {"loss": 1.0})


def test_an_unreachable_store_is_an_error_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9")
    began = time.monotonic()
    unreachable = pytest.raises(RuntimeError, match=r"http://127\.0\.0\.1:9: .* refused")
    with unreachable as caught, runs.run("pretraining", **ABOUT):
        pytest.fail("no work may begin")
    assert "secret" not in str(caught.value)
    assert time.monotonic() - began < 20


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mlflow.db").write_text("words, not tables" * 100)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    unusable = pytest.raises(RuntimeError, match=r"mlflow\.db: .*not a database")
    with unusable, runs.run("pretraining", **ABOUT):
        pytest.fail("no work may begin")


def test_a_store_that_fails_later_ends_no_work(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), runs.run("pretraining", **ABOUT) as run:
        working = run.client.log_batch

        def locked(*args: Any, **kwargs: Any) -> None:
            raise OSError("database is locked")

        monkeypatch.setattr(run.client, "log_batch", locked)
        run.metrics({"loss": 1.0}, step=1)
        run.flush()
        monkeypatch.setattr(run.client, "log_batch", working)
        run.metrics({"loss": 0.5}, step=2)
    assert "database is locked" in caplog.text
    assert [entry.step for entry in client(root).get_metric_history(run.id, "loss")] == [1, 2]
