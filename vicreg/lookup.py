"""Lookup: a family is a folder, a member is a file, and the file's name is its name in params.yaml."""

from importlib import import_module
from pathlib import Path
from types import ModuleType


def names(family: str) -> set[str]:
    """Names of the members of `family` (sources, backbones, methods, probes, heads), without importing them."""
    files = (Path(__file__).parent / family).glob("*.py")
    return {file.stem for file in files if not file.stem.startswith("_")}


def member(family: str, name: str) -> ModuleType:
    """Return the module of this name; raises LookupError that lists the choices."""
    if name not in names(family):
        raise LookupError(f"there is no {name!r} in vicreg/{family}/; choose from {', '.join(sorted(names(family)))}")
    return import_module(f"vicreg.{family}.{name}")
