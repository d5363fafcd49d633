"""Every public name says what it is."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import stages
import vicreg


def public_names(package: Any) -> Iterator[tuple[str, Any]]:
    """Modules, their public classes and functions, and those classes' own public methods and properties."""
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        yield info.name, module
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != info.name:
                continue
            if inspect.isclass(value):
                yield f"{info.name}.{name}", value
                for part, member in vars(value).items():
                    method = inspect.isroutine(member) or inspect.isclass(member) or isinstance(member, property)
                    if method and not part.startswith("_"):
                        yield f"{info.name}.{name}.{part}", getattr(value, part)
            elif inspect.isroutine(value):
                yield f"{info.name}.{name}", value


@pytest.mark.parametrize("package", [vicreg, stages])
def test_every_public_name_has_a_docstring_of_its_own_or_inherits_one(package: Any) -> None:
    names = list(public_names(package))
    assert len(names) > 20
    assert [name for name, value in names if not inspect.getdoc(value)] == []
