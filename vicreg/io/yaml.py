"""Plain YAML: values and nothing else, as many as people write, whatever a file asks for."""

import reprlib
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent, Event, NodeEvent, ScalarEvent

LARGEST_FILE = 100_000  # bytes; the project's own has a tenth of that
MOST_VALUES = 10_000  # each alias counted as all that it stands for
DEEPEST = 20  # levels of nesting


def read(path: Path) -> Any:
    """Return what a file holds in YAML 1.2; raises OSError, ValueError or YAMLError, which `reason` puts into words."""
    text = _text(path)
    _refuse_bombs(text)
    return _yaml().load(text)


def _text(path: Path) -> str:
    if path.exists() and not path.is_file():  # to open a named pipe would wait for ever
        raise ValueError("it is not a file")
    with path.open("rb") as stream:
        data = stream.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise ValueError(f"it has more than {LARGEST_FILE:,} bytes")
    return data.decode("utf-8")


class _Constructor(SafeConstructor):
    """Says of a value that looks like a date or number, and is none, in which line it stands."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise ConstructorError(None, None, f"{brief(node.value)}: {error}", node.start_mark) from None


def _yaml() -> YAML:
    yaml = YAML(typ="safe", pure=True)  # `pure`: the same parser, and the same errors, on every machine
    yaml.Constructor = _Constructor
    return yaml


def _refuse_bombs(text: str) -> None:
    """Refuse tags, deep nesting and aliases that multiply, all of it before a value is built."""
    weight = _Weight()
    for event in _yaml().parse(text):
        line = f"line {event.start_mark.line + 1}"
        if getattr(event, "tag", None):
            raise ValueError(f"{line}: {brief(str(event.tag))} is a tag; only plain values are allowed")
        if isinstance(event, NodeEvent) and not isinstance(event, AliasEvent) and event.anchor in weight.named:
            raise ValueError(f"{line}: the anchor {brief(event.anchor)} is there twice")
        weight.add(event)
        if len(weight.around) > DEEPEST:
            raise ValueError(f"{line}: it is nested more than {DEEPEST} levels deep")
        if weight.total > MOST_VALUES:
            raise ValueError(f"{line}: it has more than {MOST_VALUES:,} values, aliases written out")


class _Weight:
    """How many values a document has, counted while it is parsed; an alias counts as all that it stands for.

    total: values so far.
    named: of each anchor, the values in what it names.
    around: of each collection that is open, its anchor and what `total` was before it.
    """

    def __init__(self) -> None:
        self.total = 0
        self.named: dict[str, int] = {}
        self.around: list[tuple[str | None, int]] = []

    def add(self, event: Event) -> None:
        if isinstance(event, CollectionEndEvent):
            anchor, before = self.around.pop()
            if anchor:
                self.named[anchor] = self.total - before
        elif isinstance(event, AliasEvent):
            self.total += self.named.get(event.anchor, 1)  # an unknown one is the parser's to refuse
        elif isinstance(event, NodeEvent):
            self.total += 1
            if isinstance(event, CollectionStartEvent):
                self.around.append((event.anchor, self.total - 1))
            if event.anchor:  # inside of itself it stands for more than there can be
                self.named[event.anchor] = 1 if isinstance(event, ScalarEvent) else MOST_VALUES


def reason(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        return shown(f"line {error.problem_mark.line + 1}: {error.problem}")
    return shown(str(error))


def shown(text: str, most: int = 400) -> str:
    """One line that can be shown anywhere: at most `most` characters, and whatever moves a cursor written out."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[:most])
    return shown if len(text) <= most else f"{shown} ..."


class _Brief(reprlib.Repr):
    def repr_int(self, x: int, level: int) -> str:
        """Python refuses to write out numbers of thousands of digits."""
        return repr(x) if abs(x) < 10**40 else "a number of more than 40 digits"


def brief(value: Any) -> str:
    """The value as Python writes it, and of a long one or one inside of others only a part."""
    brief = _Brief()
    brief.maxstring = brief.maxother = 80
    return brief.repr(value)
