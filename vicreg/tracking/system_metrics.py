"""How busy processors, memory, disk, network and GPUs are while a run goes on, measured by MLflow itself."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

SECONDS = 10.0  # between two samples; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise
PREFIX = "system/"  # of the names of these metrics, by which MLflow's pages know them

log = logging.getLogger(__name__)


@contextmanager
def log_system_metrics(run_id: str, uri: str) -> Iterator[None]:
    """Log system metrics to a run of the store at `uri` while the block runs, and at least once.

    Resumed runs continue the step count; errors are logged, never raised.
    """
    monitor = try_or_warn(lambda: start(run_id, uri))
    try:
        yield
    finally:
        if monitor is not None:
            try_or_warn(lambda: finish(monitor))


def start(run_id: str, uri: str) -> Any:
    import psutil
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        def monitor(self) -> None:
            """Sample after the first interval, not before: until then there is no share of time to speak of."""
            self._shutdown_event.wait(self.sampling_interval)
            super().monitor()

    psutil.cpu_percent()  # the next call measures from here
    monitor = Monitor(run_id, sampling_interval=SECONDS, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor


def finish(monitor: Any) -> None:
    """Stop the thread, and log what it measured last: it drops what is younger than its interval."""
    monitor.finish()
    monitor.collect_metrics()
    monitor.publish_metrics(monitor.aggregate_metrics())
    monitor.mlflow_logger.flush()


def try_or_warn(call: Callable[[], Any]) -> Any:
    """What `call` returns; None and a warning where it fails."""
    try:
        return call()
    except Exception as error:
        log.warning("system metrics are not recorded: %s", error)
        return None
