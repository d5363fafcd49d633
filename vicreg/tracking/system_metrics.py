"""How busy processors, memory, disk, network and GPUs are while a run goes on, measured by MLflow itself."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from vicreg.tracking.failures import try_or_warn

SECONDS = 10.0  # between two samples; MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL says otherwise
FAILURE = "system metrics are not recorded"
PREFIX = "system/"  # of the names of these metrics, by which MLflow's pages know them


@contextmanager
def log_system_metrics(run_id: str, uri: str) -> Iterator[None]:
    """Log system metrics to a run of the store at `uri` while the block runs, and at least once.

    Resumed runs continue the step count; errors are logged, never raised.
    """
    with ExitStack() as at_the_end:
        with try_or_warn(FAILURE):
            at_the_end.callback(finish, start(run_id, uri))
        yield


def start(run_id: str, uri: str) -> Any:
    """Measure in a thread, first after an interval: until then there is no share of time to speak of."""
    import psutil
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    class Monitor(SystemMetricsMonitor):
        def monitor(self) -> None:
            self._shutdown_event.wait(self.sampling_interval)
            super().monitor()

    psutil.cpu_percent()  # the next call measures from here
    monitor = Monitor(run_id, sampling_interval=SECONDS, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor


def finish(monitor: Any) -> None:
    """Stop the thread, and log what it measured last: it drops what is younger than its interval."""
    with try_or_warn(FAILURE):
        monitor.finish()
        monitor.collect_metrics()
        monitor.publish_metrics(monitor.aggregate_metrics())
        monitor.mlflow_logger.flush()
