"""YAML as DVC reads and writes it, by the library that it uses: version 1.2, so that 1e-05 is a number."""

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError


def loads(text: str | bytes, origin: str = "the text") -> Any:
    """Return the values in a text; raises ValueError that names `origin` and the line."""
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)
        raise ValueError(f"{origin} cannot be read as YAML: {line}") from error


def load(path: Path | str) -> Any:
    """Return the values in a file; raises ValueError, or OSError where it cannot be read."""
    return loads(Path(path).read_bytes(), str(path))


def dumps(values: Any) -> str:
    """Plain values as text, keys in their order, floats so that `load` gives them back."""
    writer: Any = YAML(typ="safe", pure=True)
    stream = StringIO()
    writer.default_flow_style, writer.width, writer.sort_base_mapping_type_on_output = False, 120, False
    writer.indent(sequence=4, offset=2)
    writer.dump(values, stream)
    return stream.getvalue()
