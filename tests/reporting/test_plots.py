"""What `dvc plots` writes: a page that needs no network, its curves in the colors and dashes of the figures."""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, Repository, environment
from PIL import Image

from vicreg.reporting import curves
from vicreg.reporting.figures import style
from vicreg.study import params

TEMPLATE = json.loads((HERE / ".dvc/plots/encoders.json").read_text(encoding="utf-8"))
ENCODERS = list(params.load(HERE / "params.yaml").rows)
BEFORE, NOW = ENCODERS[:-1], [*ENCODERS[:2], "idea"]  # those with results, earlier and now
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
LOADED = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*?\b(?:src|href)\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)


def template_styles(encoders: list[str], channel: str) -> dict[str, Any]:
    """Return what a curve of each encoder looks like: those that the template names first, then the others."""
    scale = TEMPLATE["encoding"][channel]["scale"]
    named = scale["domain"]["unionWith"]
    order = named + [encoder for encoder in encoders if encoder not in named]
    return {encoder: scale["range"][order.index(encoder) % len(scale["range"])] for encoder in encoders}


def dashes(one: style.Style) -> list[float]:
    """Return a figure's dashes in the units of the page; matplotlib's are multiples of the line's width."""
    width = TEMPLATE["mark"]["strokeWidth"]
    return [1, 0] if one.linestyle == "-" else [round(width * part, 6) for part in one.linestyle[1]]


@pytest.mark.parametrize("added", [0, 1, 8])
def test_a_curve_has_the_color_and_dashes_of_the_figures(added: int) -> None:
    encoders = ENCODERS + [f"idea_{n}" for n in range(added)]
    figures = style.styles(encoders)
    hint = "let `unionWith` in .dvc/plots/encoders.json name the encoders of params.yaml in their order"
    assert template_styles(encoders, "color") == {name: look.color for name, look in figures.items()}, hint
    assert template_styles(encoders, "strokeDash") == {name: dashes(look) for name, look in figures.items()}, hint
    assert style.styles(["x"])["x"].line(1)["linewidth"] == TEMPLATE["mark"]["strokeWidth"]


def test_the_scripts_of_the_page_are_those_that_it_names() -> None:
    text = (HERE / ".dvc/plots/page.html").read_text(encoding="utf-8")
    scripts = re.findall(r'<script data-npm="([\w-]+)@.+?" data-sha256="(\w+)">(.*?)</script>', text, re.DOTALL)
    assert [name for name, _, _ in scripts] == ["vega", "vega-lite", "vega-embed"]
    for name, digest, script in scripts:
        assert hashlib.sha256(script.encode()).hexdigest() == digest, f"{name} is not what data-sha256 says"


def write_report(folder: Path, encoders: list[str], learned: list[str]) -> None:
    """Write what dvc.yaml plots: curves of these encoders, and pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    accuracy = {
        name: [{"epoch": e, "top1": e / (n + 9), "top5": 0.9} for e in (1, 2)] for n, name in enumerate(encoders)
    }
    loss = {name: [{"epoch": e, "loss": (n + 9) / e} for e in (1, 2)] for n, name in enumerate(learned)}
    for name, points, columns in (
        ("accuracy-primary", accuracy, ["top1", "top5"]),
        ("accuracy-transfer", accuracy, ["top1", "top5"]),
        ("losses", loss, ["loss"]),
    ):
        (folder / f"{name}.csv").write_text(curves.as_csv(points, columns), encoding="utf-8")
    for name in ("accuracy-primary", "accuracy-transfer", "losses", "views"):
        Image.new("RGB", (8, 8)).save(folder / f"{name}.png")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A report, committed, and a later one that has an encoder of another name."""
    parent = tmp_path_factory.mktemp("plots")
    made = Repository(parent / "repository", environment(parent))
    shutil.copytree(HERE / ".dvc/plots", made.folder / ".dvc/plots")
    for name in (".dvc/config", "dvc.yaml", "params.yaml"):
        shutil.copy(HERE / name, made.folder / name)
    report = made.folder / "reports" / params.load(HERE / "params.yaml").study
    write_report(report, BEFORE, BEFORE[1:])
    made.git("init", "--quiet", "--initial-branch=main")
    made.git("add", "--all")
    made.git("commit", "--quiet", "--message", "A report")
    write_report(report, NOW, NOW[1:])
    return made


@pytest.fixture(scope="module")
def shown(repository: Repository) -> Path:
    """The page of `dvc plots show`."""
    repository.dvc("plots", "show", "--out", "shown")
    return repository.folder / "shown/index.html"


@pytest.fixture(scope="module")
def compared(repository: Repository) -> Path:
    """The page of `dvc plots diff`."""
    repository.dvc("plots", "diff", "HEAD", "--out", "compared")
    return repository.folder / "compared/index.html"


@pytest.mark.parametrize("page", ["shown", "compared"])
def test_a_page_loads_nothing_but_pictures_that_lie_beside_it(page: str, request: pytest.FixtureRequest) -> None:
    written: Path = request.getfixturevalue(page)
    text = re.sub(
        r"(<script\b[^>]*>).*?</script>", r"\1</script>", written.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    addresses = LOADED.findall(text)
    assert len(addresses) >= 4
    assert [address for address in addresses if not (written.parent / address).is_file()] == []


def drawn(page: Path, folder: Path) -> list[str]:
    """Return the plots of a page as SVG, as a browser draws them that reaches no network."""
    if CHROMIUM is None:
        pytest.skip("only a browser can tell whether curves are drawn, and there is no chromium")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    command += ["--host-resolver-rules=MAP * ~NOTFOUND", "--virtual-time-budget=20000", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return re.findall(r'<svg [^>]*class="marks".*?</svg>', done.stdout, re.DOTALL)


def lines(plot: str) -> dict[tuple[str, str], tuple[str, list[float], str]]:
    """Return {(encoder, revision): (color, dashes, opacity)} of the lines in a plot."""
    styles = {}
    for mark in re.findall(r'<path aria-label="[^>]*"line mark"[^>]*>', plot):
        names = dict(re.findall(r"(encoder|revision): ([^;\"]+)", mark))
        look = dict(re.findall(r'(stroke|stroke-dasharray|opacity)="([^"]*)"', mark))
        pattern = [float(part) for part in look["stroke-dasharray"].split(",")]
        styles[names["encoder"], names["revision"]] = (look["stroke"], pattern, look["opacity"])
    return styles


def expected(encoders: dict[str, list[str]]) -> dict[tuple[str, str], tuple[str, list[float], str]]:
    """Return what `lines` should, of {revision: encoders}, the revisions from the strongest to the faintest."""
    figures = style.styles([*ENCODERS, "idea"])
    opacities = map(str, TEMPLATE["encoding"]["opacity"]["scale"]["range"])
    return {
        (encoder, revision): (figures[encoder].color, dashes(figures[encoder]), opacity)
        for (revision, names), opacity in zip(encoders.items(), opacities, strict=False)
        for encoder in names
    }


def named(plot: str) -> set[str]:
    """Return the encoders in the legend of a plot."""
    return set(re.findall(r">([^<>]+)</text>", plot)) & {*ENCODERS, "idea"}


def test_a_browser_without_a_network_draws_the_curves(shown: Path, tmp_path: Path) -> None:
    primary, transfer, losses = drawn(shown, tmp_path)
    assert lines(primary) == lines(transfer) == expected({"workspace": NOW})
    assert lines(losses) == expected({"workspace": NOW[1:]})
    assert (named(primary), named(losses)) == (set(NOW), set(NOW[1:]))


def test_revisions_differ_in_strength_and_keep_their_colors(compared: Path, tmp_path: Path) -> None:
    primary, _, losses = drawn(compared, tmp_path)
    assert lines(primary) == expected({"workspace": NOW, "HEAD": BEFORE})
    assert (named(primary), named(losses)) == ({*BEFORE, *NOW}, {*BEFORE[1:], *NOW[1:]})
