"""Values as MLflow takes them, flat and short, and its failures as warnings."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

MAX_LENGTH = {"name": 500, "digest": 36, "param": 6000, "tag": 5000}  # characters that MLflow takes

log = logging.getLogger(__name__)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested mappings as one, keys joined with dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, Mapping) and value
        flat |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value}
    return flat


def truncate(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Values as texts of at most MAX_LENGTH[kind] characters; a cut one ends in an ellipsis."""
    texts, length = {key: str(value) for key, value in values.items()}, MAX_LENGTH[kind]
    return {key: text if len(text) <= length else f"{text[: length - 1]}…" for key, text in texts.items()}


@contextmanager
def try_or_warn(consequence: str) -> Iterator[None]:
    """Let an error in the block end it with a warning: no failure of the store may end hours of work."""
    try:
        yield
    except Exception as error:
        log.warning("%s: %s", consequence, first_line(error))


def first_line(message: object) -> str:
    """The first line of a message, of which databases have many, without the passwords of addresses."""
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return re.sub(r"//[^/@\s]+@", "//", lines[0])
