"""Plugins: a family is a folder, a member is a file, and the file's name is its name in params.yaml."""

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

PACKAGE = Path(__file__).parents[1]
FAMILIES = {
    "methods": "methods",
    "backbones": "backbones",
    "sources": "data.sources",
    "probes": "evaluation.probes",
    "classifiers": "evaluation.classifiers",
}


def names(family: str) -> list[str]:
    """Names of the members of `family`, one of FAMILIES, in alphabetical order, without importing them."""
    files = PACKAGE.joinpath(*FAMILIES[family].split(".")).glob("*.py")
    return sorted(file.stem for file in files if not file.stem.startswith("_"))


def module_name(family: str, name: str) -> str:
    """The dotted name of a member's module."""
    return f"vicreg.{FAMILIES[family]}.{name}"


def member(family: str, name: str) -> ModuleType:
    """Import the member of this name; raises LookupError that lists the choices, ImportError that names its file."""
    folder = "vicreg/" + FAMILIES[family].replace(".", "/")
    if name not in names(family):
        raise LookupError(f"there is no {name!r} in {folder}/; choose from {', '.join(names(family))}")
    try:
        return import_module(module_name(family, name))
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise ImportError(f"{folder}/{name}.py cannot be imported: {problem}") from error


def member_class(family: str, name: str, base: type) -> Any:
    """The class that a member's module defines, a subclass of `base`; raises TypeError where it is not exactly one."""
    module = member(family, name)
    classes = [it for it in vars(module).values() if isinstance(it, type) and it.__module__ == module.__name__]
    classes = [it for it in classes if issubclass(it, base)]
    if len(classes) != 1:
        raise TypeError(f"{module.__name__} must define one subclass of {base.__name__}, not {len(classes)}")
    return classes[0]
