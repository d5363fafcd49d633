"""YAML as DVC writes it: 1.2's numbers, so that 1e-05 is one, plain values only."""

import re
from pathlib import Path
from typing import Any

import yaml


class Loader(yaml.SafeLoader):
    """PyYAML's safe loader, with the numbers and booleans of YAML 1.2 and without dates."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (as PyYAML has it)


class Dumper(yaml.SafeDumper):
    """PyYAML's safe dumper, with indented lists, as DVC writes them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        return super().increase_indent(flow, False)


for tag, pattern in {  # YAML 1.2.2, section 10.3.2, tried in this order
    "null": "~|null|Null|NULL|",
    "bool": "true|True|TRUE|false|False|FALSE",
    "int": "[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "merge": "<<",
}.items():
    for kind in (Loader, Dumper):  # which puts text in quotes that either version of YAML takes for something else
        kind.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"^(?:{pattern})\Z"), None)


def construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))


Loader.add_constructor("tag:yaml.org,2002:int", construct_int)


class YamlError(ValueError):
    """A text that is not YAML, or more than plain values."""


def loads(text: str | bytes, origin: str = "the text") -> Any:
    """Return the values in a text; raises YamlError that names `origin` and the line."""
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: {getattr(error, 'problem', '')}" if mark else str(error)
        raise YamlError(f"{origin} cannot be read as YAML: {line}") from error


def load(path: Path | str) -> Any:
    """Return the values in a file; raises YamlError, or OSError where it cannot be read."""
    return loads(Path(path).read_bytes(), str(path))


def dumps(values: Any) -> str:
    """Plain values as text, keys in their order, floats so that `load` gives them back."""
    return yaml.dump(values, Dumper=Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=120)
