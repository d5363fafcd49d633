"""Parameters: what params.yaml may hold, and the one error for what it may not."""

import copy
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from vicreg.study import params
from vicreg.study.params import ParamsError

FILE = Path(__file__).parent.parent / "params.yaml"


@pytest.fixture
def values():
    return copy.deepcopy(YAML(typ="safe").load(FILE.read_text()))


def put(values, key, value):
    *parents, last = key.split(".")
    for parent in parents:
        values = values[parent]
    values[last] = value


def test_the_projects_own_parameters_are_valid_for_every_study(values):
    for study in values["studies"]:
        assert params.validate(values | {"study": study}).sizes.epochs > 0


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("study", "imagenet", "study = 'imagenet': allowed are cifar, cifar_short, cifar_small, embedded"),
        ("aug.scale_mn", 0.4, "aug.scale_mn: unknown key"),
        ("optimiser", {}, "optimiser: unknown key"),
        ("aug.scale_min", 1.5, "aug.scale_min = 1.5: must be less than or equal to 1"),
        ("aug.scale_min", "a lot", "aug.scale_min = 'a lot': must be a valid number"),
        ("aug.flip", True, "aug.flip = True: must be a valid number"),
        ("aug.blur", [0.5], "aug.blur"),
        ("aug.blur_kernel", 4, "blur_kernel = 4 must be odd"),
        ("aug.hue", 0.6, "aug.hue = 0.6"),
        ("studies.embedded.epochs", 0, "studies.embedded.epochs = 0"),
        ("studies.embedded.epochs", 1.5, "studies.embedded.epochs = 1.5: must be a valid integer"),
        ("studies.cifar.source", "torrent", "allowed are local, official, synthetic"),
        ("studies.cifar.transfer", "cifar10", "must differ"),
        ("studies.cifar.source", "local", "studies.cifar.folder = None: the source `local` needs a folder"),
        ("studies.embedded.source", "official", "studies.embedded.primary = 'shapes10': allowed are cifar10, cifar100"),
        ("encoders.resnet50_paper.backbone", "resnet18", "the published weights are resnet50's"),
        ("probes", {}, "probes: there must be one at least"),
        ("encoders.cifar_aug.method", "simclr", "encoders.cifar_aug.method = 'simclr': allowed are"),
        ("encoders.cifar_aug.policy", "augmented", "encoders.cifar_aug.policy = 'augmented': allowed are"),
        ("optimizer.base_lr", float("nan"), "optimizer.base_lr"),
        ("optimizer.base_lr", -1, "must be greater than 0"),
        ("device", "gpu", "device = 'gpu'"),
        ("probes.logistic.C", [], "probes.logistic.C"),
        ("seed", -1, "seed = -1"),
    ],
)
def test_an_impossible_value_is_one_error_that_names_key_value_and_what_is_allowed(values, key, value, says):
    put(values, key, value)
    with pytest.raises(ParamsError, match=r"params\.yaml cannot be used") as error:
        params.validate(values)
    assert says in str(error.value)


def test_all_problems_are_told_at_once_and_in_words(values):
    put(values, "aug.flip", 2)
    put(values, "studies.cifar.epochs", "many")
    del values["seed"]
    with pytest.raises(ParamsError) as error:
        params.validate(values)
    lines = str(error.value).splitlines()
    assert len(lines) == 4 and any(line.strip() == "seed: missing" for line in lines)


@pytest.mark.parametrize("text", ["", "- 1\n", "study: [", "a: &a [*a]", "study: !!python/object/apply:os.system [ls]"])
def test_a_file_that_is_no_mapping_of_plain_values_is_refused(tmp_path, text):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ParamsError, match=r"params\.yaml"):
        params.load(path)


def test_a_missing_file_is_a_clear_error(tmp_path):
    with pytest.raises(ParamsError, match="cannot be read"):
        params.load(tmp_path / "nothing.yaml")


def test_numbers_as_dvc_writes_them_are_numbers(tmp_path):
    text = FILE.read_text().replace("base_lr: 0.3", "base_lr: 1e-05")
    (tmp_path / "params.yaml").write_text(text)
    assert params.load(tmp_path / "params.yaml").optimizer.base_lr == 1e-5


def test_parameters_are_frozen():
    p = params.load(FILE)
    with pytest.raises(ValueError, match="frozen"):
        p.seed = 1


def test_the_paper_encoder_does_not_run_until_a_parameter_names_its_weights(values):
    assert "pretrained.weights" in str(params.validate(values).not_run("resnet50_paper"))
    put(values, "pretrained.weights", "resnet50.pth")
    assert params.validate(values).not_run("resnet50_paper") is None
    assert params.validate(values).not_run("cifar_aug") is None


def test_the_imagenet_policy_is_the_papers(values):
    paper: dict = {"scale_min": 0.08, "jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1}
    paper |= {"grayscale": 0.2, "blur": [1.0, 0.1], "solarize": [0.0, 0.2], "flip": 0.5}
    assert paper.items() <= values["aug_imagenet"].items()


def test_a_probe_that_is_left_out_does_not_run(values):
    del values["probes"]["knn"]
    assert params.validate(values).probes.names() == ["linear", "logistic"]


def test_an_encoder_that_is_not_there_is_an_error_that_lists_those_that_are():
    with pytest.raises(ParamsError, match=r"no encoder 'typo' .* choose from random, imagenet_aug"):
        params.load(FILE).not_run("typo")
