"""Write docs/params.md: every parameter, from the classes that validate params.yaml and the comments in it.

Run it after a parameter changed: `uv run python -m docs.params_reference`.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from vicreg.io import plugins
from vicreg.io.section import MAX_INT, Section
from vicreg.study import params

ROOT = Path(__file__).parents[1]
PAGE = Path(__file__).with_name("params.md")
TITLES = {"methods": "Methods", "backbones": "Backbones", "probes": "Probes", "sources": "Sources of images"}
PREFIXES = {"methods": "methods.{}", "backbones": "backbones.{}", "probes": "probes.{}", "sources": "source: {}"}
SECTIONS = ("optimizer", "schedule", "pair_loss", "neighbors", "few_labels", "fine_tuning", "external_datasets")
HEAD = """# Every parameter

All of [params.yaml](../params.yaml), and what may stand there: made from the classes that validate it and the comments
in it, by [docs/params_reference.py](../docs/params_reference.py). The first stage checks the file; an unknown key, a
missing one or a value out of range is one clear message.

*Default* is what holds where the file says nothing; "needed": it must say something, or the study does (`width`,
`projector_width`). *Here* is what this repository's file says, of `studies` that of `embedded`.
"""


class File:
    """What params.yaml says: the `values` and the `comments` behind its keys, by the key's path, such as `aug.flip`."""

    def __init__(self, text: str):
        self.lines = text.splitlines()
        self.comments: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.walk(yaml.compose(text), "")

    def walk(self, node: yaml.Node | None, path: str) -> None:
        if not isinstance(node, yaml.MappingNode):
            return
        for key, value in node.value:
            name = f"{path}.{key.value}".lstrip(".")
            if match := re.search(r"\s#\s+(.*)$", self.lines[key.start_mark.line]):
                self.comments[name] = match[1]
            if isinstance(value, yaml.ScalarNode) and value.value:
                self.values[name] = value.value
            elif isinstance(value, yaml.SequenceNode) and value.start_mark.line == value.end_mark.line:
                start, end = value.start_mark.column, value.end_mark.column
                self.values[name] = self.lines[value.start_mark.line][start:end]
            self.walk(value, name)


def allowed(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What a value may be, in words, of its JSON schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(allowed(part, definitions) for part in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return number(schema)
    if kind == "array":
        if "prefixItems" in schema:
            parts = dict.fromkeys(allowed(part, definitions) for part in schema["prefixItems"])
            return f"list of {len(schema['prefixItems'])}: {', then '.join(parts)}"
        return f"list of {allowed(schema.get('items', {}), definitions)}"
    words = {"boolean": "`true`, `false`", "string": "text", "null": "nothing", "object": "a section"}
    return words.get(str(kind), "any")


def number(schema: dict[str, Any]) -> str:
    words = "whole number" if schema["type"] == "integer" else "number"
    limits = []
    for key, sign in (("minimum", ">="), ("exclusiveMinimum", ">"), ("maximum", "<="), ("exclusiveMaximum", "<")):
        if key in schema and schema[key] not in (MAX_INT, 2**32):
            limits.append(f"{sign} {schema[key]:g}")
    return f"{words} {', '.join(limits)}".strip()


def text_of(section: type[Section]) -> str:
    """The docstrings of a section and of those that it is made of, as Markdown."""
    own = [
        base.__dict__.get("__doc__") for base in section.__mro__ if issubclass(base, Section) and base is not Section
    ]
    return "\n\n".join(markdown(inspect.cleandoc(doc)) for doc in own if doc)


def markdown(doc: str) -> str:
    """A docstring as Markdown: entries below `Attributes:` as a list."""
    before, _, attributes = doc.partition("Attributes:\n")
    items = re.sub(r"\n {8,}", " ", "\n" + attributes.rstrip())
    items = re.sub(r"\n {4}([\w, ]+): ", lambda match: f"\n- `{match[1]}`: ", items)
    return f"{before.strip()}\n{items}".strip().replace("<", "&lt;")


def table(section: type[Section], file: File, path: str) -> str:
    """The keys of a section; path: where it stands in params.yaml."""
    schema = section.model_json_schema()
    rows = ["| key | meaning | may be | default | here |", "|:--|:--|:--|:--|:--|"]
    for name, field in section.model_fields.items():
        key = f"{path}.{name}".lstrip(".")
        may_be = allowed(schema["properties"][name], schema.get("$defs", {}))
        if field.default_factory is not None:
            default = "empty"
        elif field.is_required():
            default = "needed"
        else:
            default = "nothing" if field.default is None else f"`{plain(field.default)}`"
        here = f"`{file.values[key]}`" if key in file.values else ""
        cells = [f"`{name}`", file.comments.get(key, "").replace("<", "&lt;"), may_be, default, here]
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) if len(rows) > 2 else "No parameters."


def plain(value: Any) -> Any:
    """A default as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(str(plain(part)) for part in value)}]"
    return f"{value:.6g}" if isinstance(value, float) else value


def sections() -> Iterator[str]:
    """The page, part by part."""
    file = File((ROOT / "params.yaml").read_text(encoding="utf-8"))
    fields = params.Params.model_fields
    yield HEAD
    yield f"## The file\n\n{table(params.Params, file, '')}\n"
    yield f"## studies\n\n{text_of(params.Study)}\n\n{table(params.Study, file, 'studies.embedded')}\n"
    yield f"## encoders\n\n{text_of(params.Row)}\n\n{table(params.Row, file, 'encoders')}\n"
    policy = fields["aug"].annotation
    assert isinstance(policy, type)
    yield f"## aug, and each of policies\n\n{text_of(policy)}\n\n{table(policy, file, 'aug')}\n"
    for name in SECTIONS:
        section = fields[name].annotation
        assert isinstance(section, type)
        yield f"## {name}\n\n" + "\n\n".join(filter(None, [text_of(section), table(section, file, name)])) + "\n"
    for family, title in TITLES.items():
        yield f"## {title}\n"
        for name in sorted(plugins.names(family)):
            member = params.member_class(family, name)
            module = inspect.getmodule(member)
            first = (inspect.getdoc(module) or "").partition("\n")[0]
            parts = [first, text_of(member.Params), table(member.Params, file, f"{family}.{name}")]
            yield f"### {PREFIXES[family].format(name)}\n\n" + "\n\n".join(filter(None, parts)) + "\n"


def page() -> str:
    return "\n".join(sections())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
