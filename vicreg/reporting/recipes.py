"""How rows were made: what their settings share in sentences, and what differs in a table."""

from typing import Any

from vicreg.reporting.markdown import code, escape, setting, words
from vicreg.reporting.table import Table

Settings = dict[str, dict[str, Any]]  # by row: parts, which are values, or members with a name and numbers
UNSHOWN = {"row", "study", "code", "data", "not_run", "online_eval_every"}  # shape no weights, or stand elsewhere
UNSHOWN |= {"device", "compile", "num_processes", "threads"}  # what a machine decides


def shared(rows: Settings) -> list[str]:
    """Return the parts that are equal wherever there are any, and then the numbers that members have in common."""
    groups: dict[tuple[str, ...], list[str]] = {}
    lines = []
    for part, values in _parts(rows).items():
        if not _differ(values):
            groups.setdefault(tuple(values), []).append(_text(part, next(iter(values.values()))))
            continue
        for name, peers in _members(values).items():
            if common := {key: peers[0][key] for key in peers[0] if key != "name" and _same(peers, key)}:
                lines.append(_text(part, {"name": name, **common}))
    alike = [
        f"{'All rows' if len(names) == len(rows) else ', '.join(map(code, names))}: {', '.join(texts)}"
        for names, texts in groups.items()
    ]
    return [f"{line}." for line in alike + lines]


def table(rows: Settings) -> Table | None:
    """Return a line per row with the parts that differ: their names, and the numbers that differ too; None without any."""
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


def _members(values: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """By the name of a member, as methods have one, all that rows say of it."""
    members: dict[str, list[dict[str, Any]]] = {}
    for value in values.values():
        if isinstance(value, dict):
            members.setdefault(value.get("name", ""), []).append(value)
    return members


def _same(peers: list[dict[str, Any]], key: str) -> bool:
    return all(key in peer and peer[key] == peers[0].get(key) for peer in peers)


def _text(part: str, value: Any) -> str:
    name = isinstance(value, dict) and value.get("name")
    if not name:
        return setting(part, {k: v for k, v in value.items() if k != "name"} if isinstance(value, dict) else value)
    numbers = ", ".join(setting(key, number) for key, number in value.items() if key != "name")
    return f"{words(part)} {code(name)}" + (f" ({numbers})" if numbers else "")


def _cell(values: dict[str, Any], row: str) -> str:
    value = values.get(row)
    if not isinstance(value, dict):
        return "none" if value is None else escape(str(value))
    name = value.get("name", "")
    peers = _members(values)[name]
    numbers = [setting(key, value[key]) for key in value if key != "name" and not _same(peers, key)]
    return ", ".join([*([code(name)] if name else []), *numbers])
