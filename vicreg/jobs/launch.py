"""Launch: torchrun on this machine, with sockets that nothing outside of it can reach."""

import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import main as torchrun


class LaunchError(RuntimeError):
    """One of several processes ended before the work was done; the others were stopped."""


def launch(count: int, module: str, *args: str) -> None:
    """Run `python -m module args` as `count` processes that train together, and wait for all of them.

    Raises LaunchError when one dies, after the others were stopped; SystemExit when this process is told to stop.
    """
    with TemporaryDirectory() as folder:
        os.environ |= environment_variables(Path(folder), count)
        options = ["--nnodes=1", "--rdzv-backend=c10d", "--rdzv-conf=store_type=file", "--monitor-interval=0.5"]
        options += [f"--rdzv-endpoint={folder}/agent", f"--nproc-per-node={count}", "--module", module]
        try:
            torchrun([*options, *args])
        except ChildFailedError as error:
            raise LaunchError(describe_failure(error, count)) from None
        except SignalException as error:
            raise SystemExit(128 + error.sigval) from None


def environment_variables(folder: Path, count: int) -> dict[str, str]:
    """Variables of the processes: they meet in a file, and talk over the loopback interface."""
    loopback = next((name for _, name in socket.if_nameindex() if name.startswith("lo")), "lo")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "VICREG_RENDEZVOUS": f"file://{folder}/ranks",
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",  # its server would listen on every interface
        "GLOO_SOCKET_IFNAME": loopback,
        "NCCL_SOCKET_IFNAME": loopback,
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, cores // count))),
    }


def describe_failure(error: ChildFailedError, count: int) -> str:
    """Which process failed and how: one that was killed rather than one that then missed it."""
    killed = [(rank, failure) for rank, failure in error.failures.items() if failure.exitcode < 0]
    rank, failure = killed[0] if killed else error.get_first_failure()
    how = f"was killed by {failure.signal_name()}" if killed else f"ended with exit status {failure.exitcode}"
    why = "Memory may have run out: see `dmesg`." if killed else "What it said stands above."
    return f"process {rank} of {count} {how}, and the others were stopped. {why} The next run goes on."
