"""Errors: what a person can mend is told in one message, without a traceback."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

TRACEBACK = "VICREG_TRACEBACK"
BUGS = (KeyError, IndexError, TypeError, AttributeError, AssertionError)


@contextmanager
def short_errors(who: str = "") -> Iterator[None]:
    """Let an error end the process with its message alone; what only a programmer can mend shows where it happened."""
    try:
        yield
    except Exception as error:
        if isinstance(error, BUGS) or os.environ.get(TRACEBACK):
            raise
        print_error(error, who)
        sys.exit(1)


def pasteable(message: str) -> str:
    """The message with each command in backquotes as it can be pasted into a shell, whose environment uv chooses."""
    return re.sub(r"`(?=(dvc|vicreg) )", "`uv run ", message)


def print_error(error: Exception, who: str = "") -> None:
    """Print the message of `error` for a person, in red on a terminal; `who` says which process it comes from."""
    import typer

    typer.secho(f"\n{who}error: {pasteable(str(error))}\n({TRACEBACK}=1 shows where)", fg="red", err=True)


def reason(error: Exception) -> str:
    """Return in one short printable line what a library says of a file that it cannot read."""
    text = " ".join(str(error).split())[:200] or type(error).__name__
    return "".join(character if character.isprintable() else "?" for character in text)
