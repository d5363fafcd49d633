"""Parameters: what params.yaml may hold, and the one error for what it may not."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from vicreg.io import yaml
from vicreg.study import params
from vicreg.study.params import ParamsError

FILE = Path(__file__).parents[2] / "params.yaml"


@pytest.fixture
def values() -> Any:
    return copy.deepcopy(yaml.load(FILE))


def put(values: Any, key: str, value: Any) -> None:
    *parents, last = key.split(".")
    for parent in parents:
        values = values[parent]
    values[last] = value


def test_the_projects_own_parameters_are_valid(values: Any) -> None:
    for study in values["studies"]:
        assert params.validate(values | {"study": study}).sizes.epochs > 0


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        (
            "study",
            "imagenet",
            "study = 'imagenet': allowed are cifar, cifar100, cifar_both, cifar_laptop, cifar_methods, cifar_short",
        ),
        ("rows", ["random", "nowhere"], "rows.1 = 'nowhere': allowed are barlow_twins, byol, cifar_aug"),
        ("rows", [], "rows = []"),
        ("aug.scale_mn", 0.4, "aug.scale_mn: unknown key"),
        ("augment", {}, "augment: unknown key; there are study, rows, judged, policy, seed"),
        ("aug.scale_min", 1.5, "aug.scale_min = 1.5: must be less than or equal to 1"),
        ("aug.scale_min", "a lot", "aug.scale_min = 'a lot': must be a valid number"),
        ("aug.flip", True, "aug.flip = True: must be a valid number"),
        ("aug.blur", [0.5], "aug.blur"),
        ("aug.blur_kernel", 4, "aug: blur_kernel = 4 must be odd"),
        ("policies.imagenet_code.hue", 0.6, "policies.imagenet_code.hue = 0.6"),
        ("studies.embedded.epochs", 0, "studies.embedded.epochs = 0"),
        ("studies.embedded.epochs", 1.5, "studies.embedded.epochs = 1.5: must be a valid integer"),
        ("studies.cifar.transfer", "cifar10", "studies.cifar.transfer = 'cifar10': allowed are cifar100"),
        (
            "datasets.cifar10.source",
            "torrent",
            "datasets.cifar10.source = 'torrent': allowed are folder, joined, local",
        ),
        ("datasets.cifar10.source", "local", "datasets.cifar10.folder: missing"),
        ("datasets.shapes10.source", "official", "datasets.shapes10.source = 'official': it has cifar10, cifar100"),
        ("datasets.shapes10.folder", "x", "datasets.shapes10.folder: unknown key"),
        (
            "methods.vicreg.varience",
            1.0,
            "methods.vicreg (encoders.imagenet_aug).varience: unknown key; there are small_views",
        ),
        ("methods.vicreg.variance", -1.0, "methods.vicreg (encoders.imagenet_aug).variance = -1.0"),
        ("methods.nowhere", {}, "methods.nowhere = 'nowhere': allowed are "),
        ("backbones.resnet.stem", "cifr", "backbones.resnet (encoders.random).stem = 'cifr'"),
        (
            "encoders.random.backbone_params",
            {"relu": False},
            "backbones.resnet (encoders.random): `relu: false` needs `ver",
        ),
        ("encoders.cifar_aug.method", "nowhere", "encoders.cifar_aug.method = 'nowhere': allowed are"),
        ("encoders.cifar_aug.policy", "augmented", "encoders.cifar_aug.policy = 'augmented': allowed are aug,"),
        ("encoders.cifar_aug.policy", None, "encoders.cifar_aug.policy: missing; its method trains on views"),
        ("encoders.cifar_aug.optimizer", {"base_lr": 0.0}, "encoders.cifar_aug.optimizer.base_lr = 0.0"),
        ("encoders.cifar_aug.method_params", {"mu": 1.0}, "methods.vicreg (encoders.cifar_aug).mu: unknown key"),
        ("encoders.cifar_aug.policy_params", {"flip": 2.0}, "encoders.cifar_aug.policy_params.flip = 2.0"),
        ("optimizer.base_lr", float("nan"), "optimizer.base_lr"),
        ("probes", {}, "probes = {}"),
        ("probes.linear.lr", -1.0, "probes.linear.lr = -1.0"),
        ("probes.svm", {}, "probes.svm = 'svm': allowed are knn, linear, logistic"),
        ("device", "gpu", "device = 'gpu'"),
        ("threads", 0, "threads"),
        ("seed", -1, "seed = -1"),
    ],
)
def test_an_impossible_value_is_one_clear_error(values: Any, key: str, value: Any, says: str) -> None:
    put(values, key, value)
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be used") as error:
        params.validate(values)
    assert says in str(error.value)


def test_a_member_without_a_section_is_told_apart_from_a_typo(values: Any) -> None:
    del values["methods"]["vicreg"]
    with pytest.raises(ParamsError, match=r"= 'vicreg': allowed are .*; vicreg needs an entry below `methods`"):
        params.validate(values)


def test_all_problems_are_told_at_once(values: Any) -> None:
    put(values, "aug.flip", 2)
    put(values, "studies.cifar.epochs", "many")
    del values["seed"]
    with pytest.raises(ParamsError) as error:
        params.validate(values)
    lines = str(error.value).splitlines()
    assert len(lines) == 4 and any(line.strip() == "seed: missing" for line in lines)


@pytest.mark.parametrize("text", ["", "- 1\n", "study: [", "study: !!python/object/apply:os.system [ls]"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        params.load(path)


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"nothing\.yaml cannot be used: .*No such file"):
        params.load(tmp_path / "nothing.yaml")


def test_numbers_as_dvc_writes_them_are_numbers(tmp_path: Path) -> None:
    text = FILE.read_text().replace("base_lr: 0.3", "base_lr: 1e-05")
    (tmp_path / "params.yaml").write_text(text)
    assert params.load(tmp_path / "params.yaml").optimizer.base_lr == 1e-5


def test_dvc_changes_one_line_for_one_parameter(tmp_path: Path) -> None:
    from dvc.utils.serialize import modify_yaml

    (tmp_path / "params.yaml").write_text(FILE.read_text())
    with modify_yaml(str(tmp_path / "params.yaml")) as content:
        content["aug"]["scale_min"] = 0.4
    before, after = (path.read_text().splitlines() for path in (FILE, tmp_path / "params.yaml"))
    assert len(before) == len(after)
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 1


def test_parameters_are_frozen() -> None:
    p = params.load(FILE)
    with pytest.raises(ValueError, match="frozen"):
        p.seed = 1


def test_the_policies_are_those_of_paper_and_code(values: Any) -> None:
    shared = {"scale_min": 0.08, "jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
    shared |= {"grayscale": 0.2, "flip": 0.5}
    code, paper = (values["policies"][f"imagenet_{name}"] for name in ("code", "paper"))
    assert (shared | {"blur": [1.0, 0.1], "solarize": [0.0, 0.2]}).items() <= code.items()
    assert (shared | {"blur": [0.5, 0.5], "solarize": [0.1, 0.1]}).items() <= paper.items()


def test_a_mistake_in_a_member_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from vicreg.methods.vicreg import VICReg
    from vicreg.nn.method import Method

    monkeypatch.setattr(VICReg, "forward", Method.forward)
    with pytest.raises(ParamsError, match=r"vicreg\.methods\.vicreg\.VICReg must define forward"):
        params.load(FILE)


def test_the_published_files_are_named_as_their_authors_do() -> None:
    """https://github.com/facebookresearch/vicreg, README, November 2026."""
    names = re.findall(r"dl\.fbaipublicfiles\.com/vicreg/(\S+)", FILE.read_text())
    assert names == ["resnet50.pth", "resnet50_fullckpt.pth"]
