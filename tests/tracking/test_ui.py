"""`vicreg ui`: MLflow's server on this repository's store, for this machine alone; the address is that of a view."""

import json
import os
import socket
from pathlib import Path

import click
import pytest
from conftest import free_port

from vicreg.tracking import store, ui

pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred as AnyType:UserWarning")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a store whose experiment is number 7."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(store, "store", lambda uri: (None, "7"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_becomes_mlflows_server_for_this_machine_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from mlflow.cli import cli
    from mlflow.environment_variables import MLFLOW_DISABLE_TELEMETRY

    became: list[tuple[list[str], dict[str, str]]] = []
    monkeypatch.setattr(os, "execve", lambda file, command, env: became.append((command, env)))
    (root / "mlflow.db").touch()
    ui.serve(port := free_port())
    [(command, env)] = became
    assert command[1:3] == ["-m", "mlflow"]
    name, server, rest = cli.resolve_command(click.Context(cli), command[3:])
    assert server is not None
    options = server.make_context(name, rest).params
    assert (options["host"], options["port"]) == ("127.0.0.1", port)
    assert options["backend_store_uri"] == f"sqlite:///{root / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", env["MLFLOW_DISABLE_TELEMETRY"])
    assert MLFLOW_DISABLE_TELEMETRY.get() and env["DO_NOT_TRACK"] == "true"
    [tag] = [tag for tag, view in store.saved_views().items() if json.loads(view)["name"] == "Probes, best first"]
    key = tag.removeprefix("mlflow.sharedViewState.")
    assert f"http://127.0.0.1:{port}/#/experiments/7/runs?viewStateShareKey={key}\n" in capsys.readouterr().out


def test_without_runs_or_with_a_taken_port_it_says_what_to_do(root: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no .*mlflow\.db.*`dvc repro`"):
        ui.serve(free_port())
    (root / "mlflow.db").touch()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ValueError, match=f"port {port} is taken.*--port {port + 1}"):
            ui.serve(port)


def test_of_a_server_elsewhere_it_prints_the_address(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://runs.example:8080")
    ui.serve(5000)
    assert "http://runs.example:8080/#/experiments/7/runs?" in capsys.readouterr().out
