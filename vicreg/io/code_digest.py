"""Version: which code a computation runs through, as one digest that comments, docstrings and layout leave alone."""

import ast
import hashlib
from pathlib import Path

SHAPELESS = {
    f"vicreg.{name}"
    for name in (
        *("io.atomic", "io.code_digest", "io.plugins", "io.yaml"),
        *("data.images", "study.params", "study.sections"),
    )
}  # values count


def digest(*modules: str) -> str:
    """Return the hex SHA-256 of these modules of the package and all of it that they import, directly or not."""
    trees: dict[str, str] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in trees and name not in SHAPELESS:
            file = source(name)
            if file is None:
                raise ValueError(f"there is no module {name}")
            tree = ast.parse(file.read_text(encoding="utf-8"))
            trees[name] = ast.dump(without_docstrings(tree))
            waiting += imported(tree)
    return hashlib.sha256("\n".join(f"{name} {trees[name]}" for name in sorted(trees)).encode()).hexdigest()


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node, clean=False):
            del node.body[0]
    return tree


def imported(tree: ast.AST) -> set[str]:
    """The modules of this package that a tree imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("vicreg.") and source(name) is not None}


def source(module: str) -> Path | None:
    """The file of a module of this package; None for any other name."""
    place = Path(__file__).parents[2].joinpath(*module.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)
