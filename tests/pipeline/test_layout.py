"""The house: rooms that import downwards only, functions of few parameters, a pipeline without lists of code."""

import ast
from collections.abc import Iterator
from pathlib import Path

from vicreg.io import code_digest, yaml

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "vicreg").rglob("*.py"), *(ROOT / "stages").glob("*.py")])
ROOMS = (
    {"cli"},
    {"serving"},
    {"compare"},
    {"reporting"},
    {"jobs"},
    {"tracking"},
    {"study"},
    {"methods", "backbones"},
    {"transfer"},
    {"evaluation"},
    {"engine"},
    {"nn"},
    {"augment"},
    {"data"},
    {"io"},
)
LEVELS = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}


def module(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> Iterator[str]:
    """The project's modules that a file imports."""
    for name in code_digest.imported(ast.parse(file.read_text()), module(file).rpartition(".")[0]):
        if code_digest.source(name):
            yield name


def test_no_import_runs_back_up() -> None:
    for file in (ROOT / "vicreg").rglob("*.py"):
        parts = module(file).split(".")
        for name in imports(file):
            assert not name.startswith("stages"), f"{module(file)} imports {name}"
            room = name.split(".")[1] if "." in name else ""
            assert len(parts) < 2 or not room or LEVELS[parts[1]] <= LEVELS[room], f"{module(file)} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {module(file): set(imports(file)) - {module(file)} for file in FILES}
    while leaves := {name for name, needed in graph.items() if not needed & graph.keys()}:
        graph = {name: needed for name, needed in graph.items() if name not in leaves}
    assert not graph


def test_no_function_has_more_than_eight_parameters() -> None:
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                arguments = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
                assert len(set(arguments) - {"self", "cls"}) <= 8, f"{file}:{node.lineno} {node.name}"


def test_the_training_loop_fits_on_one_screen() -> None:
    tree = ast.parse((ROOT / "vicreg" / "engine" / "loop.py").read_text())
    [loop] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "train"]
    assert loop.end_lineno is not None and loop.end_lineno - loop.lineno < 60


def test_only_tracking_imports_mlflow() -> None:
    for file in FILES:
        names = {
            alias.name
            for node in ast.walk(ast.parse(file.read_text()))
            if isinstance(node, ast.Import)
            for alias in node.names
        }
        names |= {
            node.module or "" for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)
        }
        if any(name.split(".")[0] == "mlflow" for name in names):
            assert module(file).startswith("vicreg.tracking"), file


def test_the_pipeline_names_no_file_of_code() -> None:
    text = (ROOT / "dvc.yaml").read_text()
    assert ".py" not in "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    stages = yaml.loads(text)["stages"]
    code = {
        name: [dep for dep in body.get("do", body)["deps"] if dep.split("/")[0] in ("vicreg", "stages")]
        for name, body in stages.items()
    }
    assert {name for name, deps in code.items() if deps} == {"recipes"}
    assert len(text.splitlines()) <= 260
