"""Ctrl-C and SIGTERM during a training: its state is saved first."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from vicreg.engine import distributed
from vicreg.jobs.run_store import RunStore, file_position


class Interruption:
    """Ctrl-C or SIGTERM: they end a training after the step under way, its state saved; a second one at once."""

    def __init__(self) -> None:
        self.requested: int | None = None

    def request(self, number: int, frame: Any) -> None:
        """Note a signal's number, for `check`; a second signal ends the program at once."""
        self.check()
        self.requested = number

    def check(self) -> None:
        """End the program if a signal came."""
        if self.requested == signal.SIGINT:
            raise KeyboardInterrupt
        if self.requested:
            raise SystemExit(128 + self.requested)


@contextmanager
def interruptible(store: RunStore, log: Callable[[str], None]) -> Iterator[Interruption]:
    """Let Ctrl-C and SIGTERM wait for `Interruption.check`, and say how to go on."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.request) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    except (KeyboardInterrupt, SystemExit):
        if distributed.is_main_process():
            positions = [file_position(file) for file in store.files()[:1]]
            where = "epoch {}, after {} steps".format(*positions[0]) if positions else "the beginning"
            log(f"\nstopped. The same command goes on from {where}: its checkpoints are in {store.folder}")
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
