"""Which code a computation runs through, as one digest that comments, docstrings and blank lines leave alone.

Imports are followed within the project, wherever in a module they stand, but for those that only type checkers see. The
text is hashed, not a syntax tree, which differs between versions of Python.
"""

import ast
import functools
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("vicreg", "stages")
DATA = ("templates/*", "*.yaml", "*.mplstyle")  # files beside a module that it reads
# What reads, writes and logs shapes no value, nor does what checks parameters: their values are in the recipes.
IGNORED = re.compile(r"(vicreg\.(io|tracking)(\..*)?|vicreg\.study\.(params|recipe|paths)|vicreg|stages)$")


def digest(*modules: str, root: Path = ROOT) -> str:
    """The hex SHA-256 of these modules, all that they import, and DATA beside them; ValueError for an unknown one."""
    hashed = hashlib.sha256()
    for name, file in sorted(reached(modules, root).items()):
        hashed.update(f"{name}\n{stripped(file.read_text(encoding='utf-8'))}\n".encode())
        for data in sorted(path for pattern in DATA for path in file.parent.glob(pattern)):
            hashed.update(data.read_bytes())
    return hashed.hexdigest()


def reached(modules: Iterable[str], root: Path = ROOT) -> dict[str, Path]:
    """The files of the modules that a computation runs through, by the modules' names."""
    files, waiting = dict[str, Path](), list(modules)
    while waiting:
        name = waiting.pop()
        if name in files or IGNORED.match(name):
            continue
        if not (file := source(name, root)):
            raise ValueError(f"there is no module {name}")
        files[name], parent = file, name.rpartition(".")[0]  # importing a module runs its parents too
        names = imports(file.read_text(encoding="utf-8"), name if file.name == "__init__.py" else parent)
        waiting += [module for module in (parent, *names) if source(module, root)]
    return files


def source(module: str, root: Path = ROOT) -> Path | None:
    """The file of a module of this project; None for any other name."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@functools.cache
def imports(text: str, package: str) -> tuple[str, ...]:
    """Names that may be modules, of all imports in a module's text but those below `if TYPE_CHECKING`."""
    return tuple(imported(ast.parse(text), package))


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Those in a part of its tree."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            relative = "." * node.level + (node.module or "")
            yield (base := resolve_name(relative, package))
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imported(ast.Module(node.orelse, []), package)
        else:
            yield from imported(node, package)


@functools.cache
def stripped(text: str) -> str:
    """A module's text without comments, docstrings, blank lines and spaces at the ends of lines."""
    lines, literal = text.split("\n"), set[int]()  # rows that end inside of a string, where every space counts
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        first, last, kind = token.start[0] - 1, token.end[0] - 1, tokenize.tok_name[token.type]
        if kind == "COMMENT":
            lines[first] = lines[first][: token.start[1]]
        elif kind == "NEWLINE":
            rows = {row for part in statement for row in range(part.start[0] - 1, part.end[0])}
            if all(part.type == tokenize.STRING for part in statement):  # a docstring
                lines, literal = ["" if i in rows else line for i, line in enumerate(lines)], literal - rows
            statement = []
        elif kind not in ("NL", "INDENT", "DEDENT"):
            statement.append(token)
            literal.update(range(first, last) if "STRING" in kind else ())
    numbered = ((i in literal, line) for i, line in enumerate(lines))
    return "\n".join(line if exact else line.rstrip() for exact, line in numbered if exact or line.strip())
