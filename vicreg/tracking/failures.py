"""What goes wrong while a run goes on: SIGTERM becomes an exception, and a failure of the store a warning."""

import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def sigterm_as_exit() -> Iterator[None]:
    """Let SIGTERM raise SystemExit in the block, which must be in the main thread."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def try_or_warn(consequence: str) -> Iterator[None]:
    """Let an error in the block end it with a warning: no failure of the store may end hours of work."""
    try:
        yield
    except Exception as error:
        logging.getLogger(__name__).warning("%s: %s", consequence, first_line(error))


def first_line(message: object) -> str:
    """The first line of a message, of which databases have many, without the passwords of addresses."""
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return re.sub(r"//[^/@\s]+@", "//", lines[0])
