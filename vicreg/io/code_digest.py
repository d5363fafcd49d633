"""Which code a computation runs through, as one digest that comments, docstrings and blank lines leave alone.

Imports are followed within the project, wherever in a module they stand, but for those that only type checkers see. The
text is hashed, not a syntax tree, which differs between versions of Python.
"""

import ast
import hashlib
import io
import re
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("vicreg", "stages")
DATA = ("templates/*", "*.yaml", "*.mplstyle")  # files beside a module that it reads
# What reads, writes and logs shapes no value, nor does what checks parameters: their values are in the recipes.
IGNORED = re.compile(r"(vicreg\.(io|tracking)(\..*)?|vicreg\.study\.(params|recipe|paths)|vicreg|stages)$")


def digest(*modules: str, root: Path = ROOT) -> str:
    """Return the hex SHA-256 of these modules and of all of the project's that they import, directly or not.

    `DATA` beside a module counts too. Raises ValueError for a module that is not there.
    """
    hashed = hashlib.sha256()
    for name, file in sorted(reached(modules, root).items()):
        hashed.update(f"{name}\n{stripped(file)}\n".encode())
        for data in sorted(path for pattern in DATA for path in file.parent.glob(pattern)):
            hashed.update(data.read_bytes())
    return hashed.hexdigest()


def reached(modules: Iterable[str], root: Path = ROOT) -> dict[str, Path]:
    """The files of the modules that a computation runs through, by the modules' names."""
    files: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in files or IGNORED.match(name):
            continue
        file = source(name, root)
        if file is None:
            raise ValueError(f"there is no module {name}")
        files[name] = file
        waiting += [parent for parent in [name.rpartition(".")[0]] if source(parent, root)]  # importing runs it too
        tree = ast.parse(file.read_text(encoding="utf-8"))
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        waiting += [module for module in imported(tree, package) if source(module, root)]
    return files


def source(module: str, root: Path = ROOT) -> Path | None:
    """The file of a module of this project; None for any other name."""
    if module.partition(".")[0] not in PACKAGES:
        return None
    path = root.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported(tree: ast.AST, package: str) -> Iterator[str]:
    """Names that may be modules, of all imports in a tree but those below `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
            yield from imported(ast.Module(node.orelse, []), package)
        else:
            yield from imported(node, package)


def stripped(file: Path) -> str:
    """The text of a module without comments, docstrings, blank lines and spaces at the ends of lines."""
    text = file.read_text(encoding="utf-8")
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
    return "\n".join(
        line if i in literal else line.rstrip() for i, line in enumerate(lines) if i in literal or line.strip()
    )
