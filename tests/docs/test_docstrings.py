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
    found = [info.name for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for module in map(importlib.import_module, [package.__name__, *found]):
        yield module.__name__, module
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if inspect.isclass(value):
                yield f"{module.__name__}.{name}", value
                for part, member in vars(value).items():
                    method = inspect.isroutine(member) or inspect.isclass(member) or isinstance(member, property)
                    if method and not part.startswith("_"):
                        yield f"{module.__name__}.{name}.{part}", getattr(value, part)
            elif inspect.isroutine(value):
                yield f"{module.__name__}.{name}", value


def docstring(value: Any) -> str:
    """Its own, of methods also an inherited one; not what `dataclass` makes where there is none."""
    text = (vars(value).get("__doc__") if inspect.isclass(value) else inspect.getdoc(value)) or ""
    return "" if inspect.isclass(value) and text.startswith(f"{value.__name__}(") else text


@pytest.mark.parametrize("package", [vicreg, stages])
def test_every_public_name_says_what_it_is(package: Any) -> None:
    names = list(public_names(package))
    assert len(names) > 20
    assert [name for name, value in names if not docstring(value)] == []
