"""Values as MLflow takes them: flat, short, on one line, without secrets."""

import re
from collections.abc import Mapping
from typing import Any

MAX_LENGTH = {"name": 500, "digest": 36, "param": 6000, "tag": 5000}  # characters that MLflow takes


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


def first_line(message: object) -> str:
    """The first line of a message, of which databases have many, without the passwords of addresses."""
    lines = str(message).strip().splitlines() or [type(message).__name__]
    return re.sub(r"//[^/@\s]+@", "//", lines[0])
