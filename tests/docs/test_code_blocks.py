"""Every block of code in the README and docs/: commands and options exist, parameters validate, Python runs."""

import importlib.util
import re
import shlex
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pages
import pytest
import typer.main
from pages import ROOT, Block

from vicreg.cli.main import app
from vicreg.io import yaml
from vicreg.study import params

WIDTH = 90
SHELL = pages.blocks("bash")
COMMANDS = [(block.page, command) for block in SHELL for command in block.commands()]
PYTHON = pages.blocks("python")
RUN_ELSEWHERE = {"docs/detection.md", "docs/mlflow.md"}  # by test_detection_recipe.py and test_serving.py
CHECKED = {"dvc", "vicreg", "python", "pytest", "torchrun"}  # further than by their name
OTHERS = {"apt", "export", "git", "mkdocs", "mlflow", "mypy", "pip", "rm", "ruff", "sudo", "uv", "uvx"}


def arguments(command: str) -> list[str]:
    """The words of a command, without the variables before it, and without `uv run` and its options."""
    words = shlex.split(command)
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words.pop(0)
    if words[:2] != ["uv", "run"]:
        return words
    words = words[2:]
    while words[0] in ("--extra", "--group"):
        words = words[2:]
    return words


def calls(program: str) -> list[Any]:
    """The commands of a program as parameters of a test."""
    every = [(page, arguments(command)) for page, command in COMMANDS]
    return [pytest.param(words[1:], id=f"{page}: {shlex.join(words)}") for page, words in every if words[0] == program]


def overrides(words: list[str]) -> list[str]:
    """What a command says after each -S."""
    return [value for option, value in pairwise(words) if option in ("-S", "--set-param")]


def merged(values: Any, changes: Any) -> Any:
    """Nested mappings with other values in them."""
    if not (isinstance(values, dict) and isinstance(changes, dict)):
        return changes
    return {**values, **{key: merged(values.get(key), value) for key, value in changes.items()}}


def test_a_line_fits_a_narrow_window_and_comments_stand_above() -> None:
    for block in pages.blocks("bash", "yaml"):
        for line in block.text.splitlines():
            assert len(line) <= WIDTH, (block.page, line)
            assert block.language == "yaml" or line.startswith("#") or " # " not in line, (block.page, line)


def test_every_command_is_one_that_is_checked() -> None:
    assert [call for call in COMMANDS if arguments(call[1])[0] not in CHECKED | OTHERS] == []


@pytest.mark.parametrize("words", calls("dvc"))
def test_dvc_has_the_command_and_its_options(words: list[str]) -> None:
    from dvc.cli.parser import get_main_parser

    get_main_parser().parse_args(words)


@pytest.mark.parametrize("words", [call for call in calls("dvc") if overrides(call.values[0])])
def test_overrides_name_parameters_and_validate(words: list[str], tmp_path: Path) -> None:
    """As DVC applies them; a key that is not there needs `++`, and each value of a sweep is tried."""
    from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

    for number, sweep in enumerate(get_hydra_sweeps({"params.yaml": overrides(words)})):
        file = tmp_path / f"{number}.yaml"
        shutil.copyfile(ROOT / "params.yaml", file)
        apply_overrides(file, sweep["params.yaml"])
        params.load(file)


@pytest.mark.parametrize("words", calls("vicreg"))
def test_vicreg_has_the_command_and_its_options(words: list[str]) -> None:
    group: Any = typer.main.get_command(app)
    if words == ["--install-completion"]:
        assert any(words[0] in option.opts for option in group.params)
        return
    command = group.commands[words[0]]
    command.make_context(words[0], words[1:])  # raises for what it does not know; it does not run


@pytest.mark.parametrize("words", calls("python"))
def test_a_module_that_is_run_exists(words: list[str]) -> None:
    assert words[0] == "-m" and importlib.util.find_spec(words[1])


@pytest.mark.parametrize("words", calls("torchrun"))
def test_torchrun_has_the_options_and_the_module_exists(words: list[str]) -> None:
    from torch.distributed.run import get_args_parser

    parsed = get_args_parser().parse_args(words)
    assert parsed.module and importlib.util.find_spec(parsed.training_script)


@pytest.mark.parametrize("words", calls("pytest"))
def test_what_pytest_is_to_run_exists(words: list[str]) -> None:
    folders = [word for word in words if "/" in word]
    assert all((ROOT / folder).exists() for folder in folders)
    if "-k" in words:
        name = words[words.index("-k") + 1]
        assert importlib.util.find_spec(f"vicreg.{folders[0].removeprefix('tests/')}.{name}")


@pytest.mark.parametrize("block", pages.blocks("yaml"), ids=str)
def test_yaml_may_stand_in_the_parameters(block: Block) -> None:
    values = yaml.load(ROOT / "params.yaml")
    params.validate(merged(values, yaml.loads(block.text)))


def code_of_the_repository() -> Iterator[str]:
    for folder in ("vicreg", "stages"):
        for file in (ROOT / folder).rglob("*.py"):
            yield file.read_text(encoding="utf-8")


@pytest.mark.parametrize("block", PYTHON, ids=str)
def test_python_is_the_repository_s_or_runs(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = compile(block.text, block.page, "exec")
    if block.page in RUN_ELSEWHERE or any(block.text in code for code in code_of_the_repository()):
        return
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compiled, names)
    assert names["features"].shape == (4, 512)


def test_something_was_checked() -> None:
    assert len(SHELL) > 30 and len(PYTHON) >= 3
