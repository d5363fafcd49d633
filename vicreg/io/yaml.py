"""YAML by PyYAML, with the numbers and words of version 1.2 as DVC writes them: 1e-05 is a number, `yes` a text."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.CSafeLoader):
    """PyYAML's safe loader, of libyaml, with the numbers and words of version 1.2."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (as PyYAML has it)


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper that writes lists as DVC does."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Indent lists too."""
        return super().increase_indent(flow, False)  # lists too, as DVC does


for tag, pattern in {  # YAML 1.2.2, section 10.3.2, tried in this order
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}.items():
    for kind in (Loader, Dumper):  # which puts text in quotes that either version of YAML takes for something else
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})\Z"), None)
BASES = {"0o": 8, "0x": 16}
Loader.add_constructor("tag:yaml.org,2002:int", lambda _, node: int(node.value, BASES.get(node.value[:2], 10)))


def loads(text: str | bytes, origin: str = "the text") -> Any:
    """Return the values in a text; raises ValueError that names `origin` and the line."""
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)
        raise ValueError(f"{origin} cannot be read as YAML: {line}") from error


def load(path: Path | str) -> Any:
    """Return the values in a file; raises ValueError, or OSError where it cannot be read."""
    return loads(Path(path).read_bytes(), str(path))


def dumps(values: Any) -> str:
    """Plain values as text, keys in their order, floats so that `load` gives them back."""
    return yaml.dump(values, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the nested values, each with its keys joined by dots; an empty mapping is a value."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
