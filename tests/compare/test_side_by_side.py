"""Side by side: two studies in one page, wherever they lie."""

import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import HERE
from typer.testing import CliRunner

from vicreg.cli import main
from vicreg.compare import reports, side_by_side
from vicreg.evaluation.intervals import pack_bits

SIZES = {"source": "official", "primary": "cifar10", "transfer": "cifar100", "epochs": 30, "fractions": {"probe": 1.0}}


def score(top1: float) -> dict[str, float]:
    return {"top1": top1, "top1_low": top1 - 0.01, "top1_high": top1 + 0.02, "top5": 0.9}


def report(**tops: float) -> dict[str, Any]:
    """A metrics.json with the top-1 of encoders under the linear probe on one dataset."""
    dataset = {
        "name": "CIFAR-10",
        "genuine": True,
        "classes": 10,
        "images": {},
        "fingerprints": {"train": "a", "test": "b"},
    }
    facts = {
        "name": "s",
        "source": "official",
        "sizes": SIZES,
        "protocol": "report",
        "seed": 0,
        "datasets": {"cifar10": dataset},
        "device": "cpu",
        "commit": "0123456789abcdef",
        "versions": {"torch": "2.15"},
        "seconds": {"total": 10.0},
    }
    encoders: dict[str, Any] = {name: {"linear": score(top1)} for name, top1 in tops.items()}
    return {"cifar10": {**encoders, "absent": {"not_run": "not run"}}, "study": json.loads(json.dumps(facts))}


def written(folder: Path, content: dict[str, Any]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps(content))
    return folder


def page(a: Path | str, b: Path | str) -> str:
    return side_by_side.document(reports.find(str(a)), reports.find(str(b)))


class Words(HTMLParser):
    """The text of a page as a person reads it, and the addresses that it loads or leads to."""

    def __init__(self, text: str):
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_data(self, data: str) -> None:
        self.words += data.split()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]

    @property
    def text(self) -> str:
        return " ".join(self.words)


def test_the_page_shows_numbers_and_their_difference(tmp_path):
    a = written(tmp_path / "a", report(random=0.34, learned=0.64, gone=0.5))
    b = written(tmp_path / "b", report(random=0.345, learned=0.7, new=0.6))
    text = Words(page(a, b)).text
    low, high = 6 - 100 * np.hypot(0.01, 0.02), 6 + 100 * np.hypot(0.02, 0.01)
    assert f"learned 64.0 63.0 – 66.0 70.0 69.0 – 72.0 +6.0 {low:+.1f} to {high:+.1f} B is ahead" in text
    assert "random 34.0 33.0 – 36.0 34.5 33.5 – 36.5 +0.5 -1.7 to +2.7 may be chance" in text
    assert "gone 50.0 49.0 – 52.0 – –" in text and "new – 60.0 59.0 – 62.0 –" in text
    assert "A is ahead" in Words(page(b, a)).text


def test_on_the_same_images_differences_are_taken_image_by_image(tmp_path):
    folders = [written(tmp_path / name, report(x=top1)) for name, top1 in (("a", 0.50), ("b", 0.51))]
    for folder, right in zip(folders, (500, 510), strict=True):
        hits = {"images": 1000, "hits": {"x": {"linear": pack_bits(np.arange(1000) < right)}}}
        folder.joinpath("hits.json").write_text(json.dumps({"cifar10": hits}))
    a, b = (reports.find(str(folder)) for folder in folders)
    change = side_by_side.paired(a, b, ("cifar10", "x", "linear"))
    assert change is not None and change[0] == pytest.approx(0.01)
    assert 0 < change[1] < 0.01 < change[2] < 0.02  # ten images were gained and none lost
    text = Words(page(*folders)).text
    assert "B is ahead 1 of 1 comparison" in text and "No sure difference 0 of 1" in text and "image by image." in text
    assert [row["verdict"] for row in side_by_side.dataset("cifar10", {"a": a, "b": a})["rows"]] == ["the same"]
    other = report(x=0.51)
    other["study"]["seed"] = 1  # which draws other test images
    again = written(tmp_path / "c", other)
    again.joinpath("hits.json").write_bytes(folders[1].joinpath("hits.json").read_bytes())
    assert side_by_side.paired(a, reports.find(str(again)), ("cifar10", "x", "linear")) is None
    text = Words(page(folders[0], again)).text
    assert "as if on different images" in text and "No sure difference 1 of 1 comparison" in text


def test_the_interval_of_a_difference_covers_it():
    rng = np.random.default_rng(0)
    count, shares, covered = 400, (0.6, 0.7), 0
    for _ in range(2000):
        found = rng.binomial(count, shares) / count
        spread = 1.96 * np.sqrt(found * (1 - found) / count)
        one, other = (
            {"top1": top1, "top1_low": top1 - half, "top1_high": top1 + half}
            for top1, half in zip(found, spread, strict=True)
        )
        _, low, high = side_by_side.difference(one, other)
        covered += low <= 0.1 <= high
    assert 0.93 < covered / 2000 < 0.97


def test_the_page_loads_nothing_and_escapes_names(tmp_path):
    odd = "<script>alert(1)</script>"
    a, b = report(random=0.3), report(random=0.4)
    for found in (a, b):
        found["cifar10"][odd] = {"linear": score(0.5)}
        found["study"]["datasets"]["cifar10"]["name"] = '"><img src=x onerror=alert(1)>'
    b["study"]["sizes"]["source"] = "<b>bold</b>"
    first, second = written(tmp_path / "<i>a & b<" / "i>", a), written(tmp_path / "b", b)
    text = page(first, second)
    shown = Words(text)
    assert odd in shown.text and "<b>bold</b>" in shown.text and "onerror=alert(1)" in shown.text
    assert str(first) in shown.text
    assert shown.tags.isdisjoint({"script", "img", "b>bold", "i", "iframe", "object"})
    assert set(shown.addresses) <= {"data:,"} and "http" not in text.replace("http-equiv", "")


def test_what_differs_is_listed_and_what_is_equal_is_not(tmp_path):
    other = report(random=0.3)
    other["study"]["seed"] = 1
    other["study"]["sizes"]["fractions"]["probe"] = 0.5
    a, b = (
        reports.find(str(written(tmp_path / "a", report(random=0.3)))),
        reports.find(str(written(tmp_path / "b", other))),
    )
    assert side_by_side.changes(a, b) == [("seed", "0", "1"), ("fractions.probe", "1.0", "0.5")]
    assert "Nothing that the reports record." in page(tmp_path / "a", tmp_path / "a")


def test_recipes_that_differ_are_listed(tmp_path):
    pages = []
    for name, scale in (("a", 0.2), ("b", 0.4)):
        content = report(random=0.3)
        recipe = {"row": "random", "code": name, "epochs": 30, "policy": {"name": "aug", "scale_min": scale}}
        content["study"]["recipes"] = {"random": recipe, f"only {name}": {"epochs": 1}}
        pages.append(reports.find(str(written(tmp_path / name, content))))
    assert side_by_side.changes(*pages) == [("random.policy.scale_min", "0.2", "0.4")]
    assert "which record how encoders were trained" in Words(side_by_side.document(*pages)).text


def test_committed_reports_are_read():
    folder = HERE / "reports" / "embedded"
    committed = reports.find(str(folder))
    content = json.loads((folder / "metrics.json").read_text())
    rows = {
        (row.pop("dataset"), row.pop("encoder"), row.pop("probe")): row for row in committed.scores.to_dict("records")
    }
    ran = [entry for dataset in committed.datasets for entry in content[dataset].values() if "linear" in entry]
    assert len(rows) == sum(map(len, ran)) > 0
    assert rows["shapes100", "cifar_aug", "knn"] == content["shapes100"]["cifar_aug"]["knn"]
    assert committed.synthetic


def test_what_makes_the_numbers_no_comparison_is_said(tmp_path):
    plain = report(random=0.3)
    drawn, reseeded, others, elsewhere = (report(random=0.3) for _ in range(4))
    drawn["study"]["source"] = "synthetic"
    reseeded["study"]["seed"] = 1
    others["study"]["datasets"]["cifar10"]["fingerprints"]["test"] = "c"
    elsewhere["study"]["datasets"] = {"shapes10": elsewhere["study"]["datasets"]["cifar10"]}
    elsewhere["shapes10"] = elsewhere.pop("cifar10")
    a = written(tmp_path / "a", plain)
    assert warnings(page(a, written(tmp_path / "better", report(random=0.4)))) == []
    assert ["the same report" in said for said in warnings(page(a, a))] == [True]
    for number, (found, message) in enumerate(
        [
            (drawn, "On drawn pictures, not on CIFAR: B."),
            (reseeded, "another seed or protocol drew the test images"),
            (others, "the images of A and B are not the same ones"),
            (elsewhere, "no dataset in common"),
        ]
    ):
        (said,) = warnings(page(a, written(tmp_path / f"b{number}", found)))
        assert message in said


def warnings(text: str) -> list[str]:
    return re.findall(r'<p class="warning" role="note">(.*?)</p>', text)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two commits of a study, and an experiment between them as DVC keeps it."""
    monkeypatch.chdir(tmp_path)
    for name, value in {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}.items():
        monkeypatch.setenv(name, value)
    git("init", "--quiet", "--initial-branch=main")
    git("config", "user.email", "a@example.org")
    git("config", "user.name", "A")
    base = committed(tmp_path, 0.3, "0.2", "baseline")
    git("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/quick-idea", committed(tmp_path, 0.4, "0.4", "idea"))
    git("reset", "--quiet", "--hard", base)
    committed(tmp_path, 0.5, "0.6", "later")
    return tmp_path


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def parameters(scale: float, **sizes: Any) -> dict[str, Any]:
    """All of a params.yaml but its study."""
    return {"seed": 0, "protocol": "report", "studies": {"s": SIZES | sizes}, "aug": {"scale_min": scale}}


def write_parameters(folder: Path, **values: Any) -> None:
    lines = [f"{key}: {json.dumps(value)}" for key, value in values.items()]
    (folder / "params.yaml").write_text("\n".join(["study: s    # which", *lines, ""]))


def committed(folder: Path, top1: float, scale: str, message: str) -> str:
    written(folder / "reports" / "s", report(random=top1))
    write_parameters(folder, **parameters(float(scale)))
    git("add", "--all")
    git("commit", "--quiet", "--message", message)
    return git("rev-parse", "HEAD")


def test_parameters_changed_since_a_report_are_not_its_own(repository):
    for changed, own in ({}, True), ({"epochs": 99}, False):
        write_parameters(repository, **parameters(0.3, **changed))
        git("commit", "--quiet", "--all", "--message", "Other parameters")
        assert [reports.find(name).params is not None for name in ("s", "HEAD")] == [own, own]


@pytest.mark.parametrize(
    ("name", "top1", "scale"),
    [
        ("HEAD~1", 0.3, 0.2),
        ("main", 0.5, 0.6),
        ("quick-idea", 0.4, 0.4),
        ("s", 0.5, 0.6),
        ("reports/s", 0.5, 0.6),
        ("HEAD~1:reports/s", 0.3, 0.2),
    ],
)
def test_a_study_is_found_with_its_parameters(repository, name, top1, scale):
    found = reports.find(name)
    assert found.scores["top1"].item() == top1
    assert found.params == {"study": "s", **parameters(scale)}


def test_of_two_revisions_every_parameter_that_differs_is_shown(repository):
    assert side_by_side.changes(reports.find("HEAD~1"), reports.find("quick-idea")) == [("aug.scale_min", "0.2", "0.4")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "nowhere",
            "'nowhere' is no folder with metrics.json, study, revision or experiment; studies here: s",
        ),
        ("--help", "is no folder"),
        ("a\0b", "is no folder"),
        ("HEAD:elsewhere", r"holds no elsewhere/metrics.json"),
        ("HEAD:../..", r"holds no"),
    ],
)
def test_a_missing_study_is_an_error_that_lists_others(repository, name, message):
    with pytest.raises(ValueError, match=message):
        reports.find(name)


def test_experiments_of_one_name_need_their_commits(repository):
    head = git("rev-parse", "HEAD")
    git("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/quick-idea", head)
    with pytest.raises(
        ValueError, match=rf"2 experiments are called 'quick-idea': name the commit of one, .*{head[:10]}"
    ):
        reports.find("quick-idea")
    assert reports.find(head).scores["top1"].item() == 0.5


def test_a_revision_without_parameters_needs_a_folder(repository):
    git("rm", "--quiet", "params.yaml")
    git("commit", "--quiet", "--message", "No parameters")
    with pytest.raises(ValueError, match=r"holds no reports/STUDY/metrics\.json: commit it, or write HEAD:FOLDER"):
        reports.find("HEAD")
    assert reports.find("HEAD:reports/s").scores["top1"].item() == 0.5


def test_outside_a_repository_folders_are_compared(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a", report(random=0.3))
    assert "CIFAR-10" in page("a", "a")
    with pytest.raises(ValueError, match="studies here: none"):
        reports.find("HEAD")


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b'{"study": {}}', b"[" * 100_000])
def test_a_damaged_report_is_a_clear_error(tmp_path, content):
    written(tmp_path, {}).joinpath("metrics.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"metrics\.json is no metrics\.json of a study"):
        reports.find(str(tmp_path))


def test_the_command_writes_the_page(repository):
    done = CliRunner().invoke(main.app, ["report", "HEAD~1", "quick-idea", "--out", "out/idea.html"])
    assert done.exit_code == 0 and done.output.startswith("out/idea.html: open it in a browser")
    assert re.search(r"<title>HEAD~1 and quick-idea, side by side</title>", Path("out/idea.html").read_text())
    assert CliRunner().invoke(main.app, ["report", "HEAD~1", "nowhere"]).exit_code == 1
