"""How rows were made: what their settings share in sentences, and what differs in a table."""

import ast
import re
from collections.abc import Iterable
from typing import Any

from vicreg.io import plugins
from vicreg.reporting.markdown import Table, code, escape, setting, words
from vicreg.reporting.page.html import say

Settings = dict[str, dict[str, Any]]  # by row: parts, which are values, or members with a name and numbers
UNSHOWN = {"row", "study", "code", "data", "not_run", "online_eval_every"}  # shape no weights, or stand elsewhere
BRIEF = ("backbone", "policy", "epochs", "batch_size", "optimizer")  # parts that `summary` tells
UNSHOWN |= {"device", "compile", "num_processes", "threads"}  # what a machine decides


def shared(rows: Settings) -> list[str]:
    """Return the parts that are equal wherever there are any, and then the numbers in which members agree."""
    groups: dict[str, list[str]] = {}
    lines = []
    for part, values in _parts(rows).items():
        if _differ(values):
            lines += _agreements(part, values)
        else:
            names = "All rows" if len(values) == len(rows) else ", ".join(map(code, values))
            value = next(iter(values.values()))
            whole = _text(part, [value.get("name", "")], value) if isinstance(value, dict) else setting(part, value)
            groups.setdefault(names, []).append(whole)
    return [f"{line}." for line in [*(f"{names}: {', '.join(texts)}" for names, texts in groups.items()), *lines]]


def summary(rows: Settings) -> tuple[str, dict[str, str]]:
    """Return what all rows share, and for each row its method and what is its own, both in few words."""
    phrases = {
        row: {part: say(f"part_{part}", recipe[part]) for part in BRIEF if part in recipe}
        for row, recipe in rows.items()
    }
    values = {part: {row: texts[part] for row, texts in phrases.items() if part in texts} for part in BRIEF}
    common = {part: next(iter(held.values())) for part, held in values.items() if len(held) > 1 and not _differ(held)}
    words = {}
    for row, texts in phrases.items():
        own = ", ".join(text for part, text in texts.items() if part not in common)
        sentence = f" {own[0].upper()}{own[1:]}." if own else ""
        words[row] = explained("methods", rows[row]["method"]["name"]) + sentence
    return ", ".join(common.values()), words


def explained(family: str, name: str) -> str:
    """What a member does: the first line of its file, markdown; its name where there is no such file."""
    text = _docstring(family, name)
    return escape(text.partition("\n")[0]) if text else f"{code(name)}."


def paper(method: str) -> tuple[str, str] | None:
    """The name of a method and the address of its paper, from its file's docstring: `Name: ...` and `<https://...>`."""
    text = _docstring("methods", method)
    address = re.search(r"<(https://[^>]+)>", text)
    return (text.partition(":")[0], address[1]) if address else None


def _docstring(family: str, name: str) -> str:
    file = plugins.PACKAGE.joinpath(*plugins.FAMILIES[family].split("."), f"{name}.py")
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "") if file.is_file() else ""


def table(rows: Settings) -> Table | None:
    """Return a line per row with the parts that differ, as names and the numbers that differ; None where none do."""
    parts = {part: values for part, values in _parts(rows).items() if _differ(values)}
    lines = [[code(row), *(_cell(values, row) for values in parts.values())] for row in rows]
    return Table(["encoder", *map(words, parts)], {}, lines) if parts else None


def _parts(rows: Settings) -> Settings:
    """By part what it is by row, where there is one: rows that do not train have no optimizer."""
    names = dict.fromkeys(part for parts in rows.values() for part in parts if part not in UNSHOWN)
    return {name: {row: parts[name] for row, parts in rows.items() if name in parts} for name in names}


def _differ(values: dict[str, Any]) -> bool:
    first, *others = values.values()
    return any(value != first for value in others)


def _holders(values: dict[str, Any], key: str) -> dict[str, Any]:
    return {row: value[key] for row, value in values.items() if isinstance(value, dict) and key in value}


def _agreements(part: str, values: dict[str, Any]) -> list[str]:
    """The numbers that are equal in all members that have them, by the names of these members."""
    groups: dict[tuple[str, ...], dict[str, Any]] = {}
    for key in dict.fromkeys(key for value in values.values() if isinstance(value, dict) for key in value):
        numbers = _holders(values, key)
        if key != "name" and not _differ(numbers):
            names = dict.fromkeys(values[row].get("name", "") for row in numbers)
            groups.setdefault(tuple(names), {})[key] = next(iter(numbers.values()))
    return [_text(part, names, numbers) for names, numbers in groups.items()]


def _text(part: str, names: Iterable[str], numbers: dict[str, Any]) -> str:
    texts = ", ".join(setting(key, number) for key, number in numbers.items() if key != "name")
    return f"{words(part)} {', '.join(map(code, filter(None, names)))}".strip() + (f" ({texts})" if texts else "")


def _cell(values: dict[str, Any], row: str) -> str:
    value = values.get(row)
    if not isinstance(value, dict):
        return "none" if value is None else escape(str(value))
    numbers = [setting(key, value[key]) for key in value if key != "name" and _differ(_holders(values, key))]
    return ", ".join([*([code(value["name"])] if "name" in value else []), *numbers])
