"""MLflow's page on this repository's store: on this machine alone, and without telemetry."""

import os
import socket
import sys

from vicreg.tracking import store

HOST = "127.0.0.1"
PROBES = "vicreg1"  # the second view of saved_views.yaml: probes, best first
QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
QUIET |= {"PYTHONWARNINGS": "ignore"}  # on MLflow's own libraries


def serve(port: int) -> None:
    """Print the address of the list of probes and become MLflow's server; print the address alone of another server.

    Raises ValueError where there is no run yet, and where the port is taken.
    """
    uri = store.tracking_uri()
    file = store.database(uri)
    if file and not file.exists():
        raise ValueError(f"there is no {file}, which holds the runs: `dvc repro` makes some")
    if file and taken(port):
        raise ValueError(f"port {port} is taken, perhaps by a page that is open already: try --port {port + 1}")
    _, experiment = store.store(uri)
    base = f"http://{HOST}:{port}" if file else uri
    print(f"the probes, best first: {base}/#/experiments/{experiment}/runs?viewStateShareKey={PROBES}", flush=True)
    if file:
        print("MLflow takes some seconds to start; Ctrl-C ends it.", flush=True)
        options = ["--backend-store-uri", uri, "--host", HOST, "--port", str(port), "--workers", "1"]
        command = [sys.executable, "-m", "mlflow", "server", *options, "--uvicorn-opts", "--log-level warning"]
        os.chdir(store.repository())
        os.execve(sys.executable, command, {**os.environ, **QUIET})


def taken(port: int) -> bool:
    """Whether something listens on this port of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0
