"""A method or a backbone is one file and its lines in params.yaml, and leaves finished work valid."""

import re

import pytest
from conftest import Repository, change

HELPER = '''"""Half of a squared distance."""

from torch import Tensor


def half_distance(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).square().mean() / 2  # a comment
'''
METHOD = '''"""A toy: keep two views close, and nothing else."""

from torch import Tensor

from vicreg.io.section import Positive, Section
from vicreg.nn.half_distance import half_distance
from vicreg.nn.method import Method


class Toy(Method):
    class Params(Section):
        weight: Positive

    kept = ()

    def forward(self, views: Tensor) -> dict[str, Tensor]:
        a, b = self.encoder(views).chunk(2)
        return {"loss": self.params.weight * half_distance(a, b)}
'''
BACKBONE = '''"""A toy: the mean color of an image."""

from torch import Tensor, nn

from vicreg.io.section import Count, Section
from vicreg.nn.backbone import Backbone


class Mean(Backbone):
    class Params(Section):
        width: Count

    def __init__(self, params: Params):
        super().__init__(params)
        self.num_features = params.width
        self.layer = nn.Linear(3, params.width)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x.mean(dim=(2, 3)))
'''


@pytest.fixture(scope="module")
def extended(finished_study: Repository, tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """A finished study to which somebody added a method with a helper, and a backbone."""
    repository = finished_study.copy(tmp_path_factory.mktemp("extending") / "repository")
    write(repository, "vicreg/nn/half_distance.py", HELPER)
    write(repository, "vicreg/methods/toy.py", METHOD)
    write(repository, "vicreg/backbones/mean.py", BACKBONE)
    params = repository.folder / "params.yaml"
    change(params, "methods.toy", {"weight": 2.0})
    change(params, "backbones.mean", {})
    change(params, "encoders.toy", {"method": "toy", "backbone": "mean", "policy": "aug"})
    change(params, "rows", ["random", "imagenet_aug", "cifar_aug", "resnet50_paper", "toy"])
    return repository


def write(repository: Repository, file: str, text: str) -> None:
    (repository.folder / file).write_text(text)


@pytest.fixture(scope="module")
def before(extended: Repository) -> str:
    """What `dvc status` says before the new row ran."""
    return extended.dvc("status")


@pytest.fixture(scope="module")
def first(extended: Repository, before: str) -> set[str]:
    """The stages that run when the new row is there."""
    return extended.stages_run_by("repro")


def pretrained(status: str) -> set[str]:
    """The rows that would pretrain, by what `dvc status` says."""
    return set(re.findall(r"^pretrain@(\S+):", status, re.MULTILINE))


def test_status_names_no_finished_pretraining(before: str) -> None:
    assert pretrained(before) == {"toy"}


def test_the_new_row_runs_and_no_other(extended: Repository, first: set[str]) -> None:
    assert "pretrain@toy" in first and all(stage.endswith("@toy") for stage in first if "@" in stage)
    assert "`toy`" in (extended.folder / "reports" / "embedded" / "comparison.md").read_text()


@pytest.mark.usefixtures("first")
def test_a_comment_reruns_no_row(extended: Repository) -> None:
    write(extended, "vicreg/nn/half_distance.py", HELPER.replace("# a comment", "# another one"))
    loop = extended.folder / "vicreg" / "engine" / "loop.py"
    loop.write_text(f"# A remark.\n{loop.read_text()}")
    assert extended.stages_run_by("repro") == {"recipes"}


@pytest.mark.usefixtures("first")
def test_an_edited_helper_reruns_its_row_alone(extended: Repository) -> None:
    write(extended, "vicreg/nn/half_distance.py", HELPER.replace("/ 2", "/ 3"))
    assert extended.stages_run_by("repro", "recipes") == {"recipes"}
    status = extended.dvc("status")
    assert pretrained(status) == {"toy"} and set(re.findall(r"^\w+@(\w+):", status, re.MULTILINE)) == {"toy"}
