"""The digest of code: what is computed counts, what is written about it does not."""

import subprocess
import sys
from pathlib import Path

import pytest

from vicreg.io import code_digest

MAIN = '''"""A module."""

from vicreg.two import y  # a comment


class Error(Exception):
    """A class."""


def f(x):
    """A function.

    With more to say.
    """
    text = """A text:

    with a blank line and spaces at the end   
    # and no comment
    """
    return x + y, text, f"""{x}

    and more"""
'''  # noqa: W291


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, {"one": MAIN, "two": "y = 1\n", "three": "z = 1\n", "pack/__init__": "", "pack/four": "w = 1\n"})
    return tmp_path


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = root / "vicreg" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def digest(root: Path) -> str:
    return code_digest.digest("vicreg.one", root=root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("  # a comment", ""),
        ("\n\n\nclass", "\n\n# A comment of a\n# whole paragraph\nclass"),
        ('"""A module."""\n', ""),
        ('    """A class."""\n', '    """Another\n\n    text,  # with a hash and "quotes".\n    """\n'),
        ("With more to say.", "With less."),
        ("    return x", "\n\n    return x"),
        ("(x):\n", "(x):   \n"),
        ("    text = ", "    # ä ö — a comment\n    text = "),
    ],
)
def test_comments_docstrings_and_blank_lines_do_not_count(root: Path, old: str, new: str) -> None:
    before = digest(root)
    assert old in MAIN
    write(root, {"one": MAIN.replace(old, new)})
    assert digest(root) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x + y", "x - y"),
        ("class Error(Exception):", "class Error(ValueError):"),
        ("A text:\n\n", "A text:\n"),
        ("at the end   \n", "at the end\n"),
        ("    # and no comment\n", ""),
        ("{x}\n\n", "{x}\n"),
        ("    return x + y", "    if x:\n        return x + y"),
    ],
)
def test_any_other_edit_counts(root: Path, old: str, new: str) -> None:
    before = digest(root)
    assert old in MAIN
    write(root, {"one": MAIN.replace(old, new)})
    assert digest(root) != before


def test_code_beside_a_docstring_counts(root: Path) -> None:
    digests = set()
    for text in ('class E(A): """d"""', 'class E(B): """d"""', '"""d"""; x = 1', '"""d"""; x = 2', 'x = "é"; """d"""'):
        write(root, {"one": text + "\n"})
        digests.add(digest(root))
    assert len(digests) == 5


IMPORTS = [
    "from vicreg import three",
    "import vicreg.three",
    "from vicreg.three import z",
    "from . import three",
    "from .three import z as q",
    "def f():\n    from vicreg import three",
    "class A:\n    def f(self):\n        with x:\n            import vicreg.three as t",
    "from vicreg import pack\nfrom vicreg.pack import four",
    "import typing\nif not typing.TYPE_CHECKING:\n    from vicreg import three",
    "if TYPE_CHECKING:\n    pass\nelse:\n    from vicreg import three",
]


@pytest.mark.parametrize("text", IMPORTS)
def test_imports_are_followed(root: Path, text: str) -> None:
    write(root, {"one": text + "\n", "pack/four": "from .. import three\n"})
    before = digest(root)
    write(root, {"three": "z = 2\n"})
    assert digest(root) != before


def test_imports_of_imports_and_packages_are_followed(root: Path) -> None:
    write(root, {"one": "from vicreg.pack import four\n", "pack/four": "from ..two import y\n"})
    digests = {digest(root)}
    for changes in ({"two": "y = 3\n"}, {"pack/__init__": "v = 1\n"}):
        write(root, changes)
        digests.add(digest(root))
    assert len(digests) == 3


@pytest.mark.parametrize("test", ["TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_imports_for_type_checkers_are_not_followed(root: Path, test: str) -> None:
    write(root, {"one": f"if {test}:\n    from vicreg import three\n"})
    before = digest(root)
    write(root, {"three": "z = 2\n"})
    assert digest(root) == before


def test_modules_that_are_not_imported_do_not_count(root: Path) -> None:
    before = digest(root)
    write(root, {"three": "z = 2\n", "pack/four": "w = 2\n"})
    assert digest(root) == before


def test_imports_may_go_in_circles(root: Path) -> None:
    write(root, {"two": "from vicreg import one\n"})
    assert code_digest.reached(["vicreg.one"], root).keys() == {"vicreg.one", "vicreg.two"}


def test_templates_beside_a_module_count(root: Path) -> None:
    digests = {digest(root)}
    folder = root / "vicreg" / "templates"
    folder.mkdir()
    for text in ("<p>", "<b>"):
        (folder / "page.html").write_text(text)
        digests.add(digest(root))
    assert len(digests) == 3


def test_a_module_that_is_not_there_is_an_error(root: Path) -> None:
    with pytest.raises(ValueError, match=r"there is no module vicreg\.none"):
        code_digest.digest("vicreg.none", root=root)


def test_every_version_of_python_gives_the_same_digest(root: Path) -> None:
    package = Path(code_digest.__file__).parents[2]
    code = (
        f"import sys; sys.path.insert(0, {str(package)!r}); from pathlib import Path; from vicreg.io import code_digest"
    )
    code += f"; print(sys.version_info[:2] >= (3, 11) and code_digest.digest('vicreg.one', root=Path({str(root)!r})))"
    digests = {}
    for minor in range(11, 16):
        try:
            done = subprocess.run([f"python3.{minor}", "-c", code], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            digests[minor] = done.stdout.strip()
    digests[sys.version_info.minor] = digest(root)
    assert len(set(digests.values())) == 1, digests


def test_a_pretraining_reaches_what_shapes_it() -> None:
    roots = ["vicreg.study.builders", "vicreg.jobs.trainer", "vicreg.jobs.online_eval", "vicreg.methods.vicreg"]
    reached = code_digest.reached([*roots, "vicreg.backbones.resnet"]).keys()
    names = "engine.loop augment.views augment.policy augment.operators augment.batch engine.loader engine.optimizers "
    names += "engine.ddp engine.distributed engine.train_state engine.collapse nn.encoder nn.method nn.mlp nn.backbone "
    names += "evaluation.probes.linear methods.vicreg backbones.resnet study.builders jobs.trainer jobs.online_eval"
    assert {f"vicreg.{name}" for name in names.split()} <= reached
    shapeless = (
        "vicreg.io",
        "vicreg.tracking",
        "vicreg.reporting",
        "vicreg.cli",
        "vicreg.serving",
        "vicreg.study.params",
    )
    assert not [name for name in reached if name.startswith(shapeless)]
    assert "vicreg.data.sources.official" not in reached and "vicreg.methods.pretrained" not in reached
