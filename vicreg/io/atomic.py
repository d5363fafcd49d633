"""Atomic writes: a file has all of its new content or all of its old one, whatever happens on the way."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

PART = ".part"  # how a file's name ends while it is written; DVC and git overlook what a kill leaves of it


@contextmanager
def writing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a stream whose content becomes the file at `path` when the block ends well, and is dropped when not.

    A power cut leaves the old file or the new one. Raises OSError that says what to do where the disk is full.
    """
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            Path(part).chmod(0o644)
            Path(part).replace(path)
        finally:
            Path(part).unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Let an OSError in the block say what it means for `path`, and what to do next."""
    try:
        yield
    except OSError as error:
        advice = "What was there before is as it was: free some space, or make the folder writable, and run again."
        raise OSError(f"{path} cannot be written: {error.strerror or error}. {advice}") from error
