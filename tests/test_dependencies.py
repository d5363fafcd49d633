"""dvc.yaml names what a stage imports: DVC does not follow imports, so a missing line would hide a change."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
DECLARED = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
FAMILIES = {"sources", "backbones", "methods", "probes", "heads"}

# These shape no result: values do, and dvc.yaml names the parameters; what is logged is not what is computed.
SHAPELESS = {
    "stages/__init__.py",
    "vicreg/__init__.py",
    "vicreg/io/atomic.py",
    "vicreg/io/errors.py",
    "vicreg/jobs/launch.py",
    "vicreg/io/plugins.py",
    "vicreg/tracking/system_metrics.py",
    "vicreg/study/params.py",
    "vicreg/study/paths.py",
    "vicreg/io/yaml.py",
    "vicreg/tracking/saved_views.py",
    "vicreg/study/sections.py",
    "vicreg/tracking/runs.py",
    "vicreg/io/code_digest.py",
} | {f"vicreg/{family}/__init__.py" for family in FAMILIES | {"reporting"}}


def imported(file: Path) -> set[Path]:
    """The project's own files that `file` imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            place = ROOT / name.replace(".", "/")
            found |= {path for path in (place.with_suffix(".py"), place / "__init__.py") if path.exists()}
    return found


def reached(stage: str) -> set[str]:
    """The stage's file, the members of families it depends on, and all that they import, directly or not."""
    members = [re.sub(r"\$\{.*?\}", "*", dep) for dep in declared(stage) if dep.split("/")[1] in FAMILIES]
    found = [file for member in members for file in ROOT.glob(member if member.endswith(".py") else f"{member}/*.py")]
    seen, waiting = set(), [ROOT / "stages" / f"{stage}.py", *found]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imported(current)
    return {path.relative_to(ROOT).as_posix() for path in seen}


def declared(stage: str) -> list[str]:
    body = DECLARED[stage]
    return [dep for dep in body.get("do", body)["deps"] if dep.startswith(("stages/", "vicreg/"))]


@pytest.mark.parametrize("stage", sorted(DECLARED))
def test_a_stage_depends_on_every_module_that_can_change_its_result(stage):
    deps = declared(stage)
    needed = reached(stage) - SHAPELESS
    covered = [re.compile(re.sub(r"\\\$\\{.*?\\}", "[^/]+", re.escape(dep)) + "(/.*)?$") for dep in deps]
    missing = {file for file in needed if not any(pattern.match(file) for pattern in covered)}
    assert not missing, f"dvc.yaml: stages.{stage}.deps lacks {', '.join(sorted(missing))}"


@pytest.mark.parametrize("stage", sorted(DECLARED))
def test_a_stage_depends_on_no_module_that_it_does_not_reach(stage):
    files = [dep for dep in declared(stage) if "$" not in dep]
    needed = reached(stage)
    extra = {dep for dep in files if not any(file == dep or file.startswith(f"{dep}/") for file in needed)}
    assert not extra, f"dvc.yaml: stages.{stage}.deps names {', '.join(sorted(extra))}, which it does not import"


def test_the_core_imports_nothing_from_the_stages():
    for file in (ROOT / "vicreg").rglob("*.py"):
        assert not any(path.parent.name == "stages" for path in imported(file)), f"{file} imports from stages/"


def test_data_stages_start_without_torch():
    for stage in ("download", "split"):
        code = f"import stages.{stage}, sys; sys.exit('torch' in sys.modules or 'mlflow' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0, stage
