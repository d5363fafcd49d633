"""Recipes: what is in them, what changes them, and what does not."""

import copy
from pathlib import Path
from typing import Any

import pytest

from vicreg.io import code_digest, yaml
from vicreg.study import params, recipe

FILE = Path(__file__).parents[2] / "params.yaml"
VALUES = yaml.load(FILE)


def resolved(row: str, **changes: Any) -> dict[str, Any]:
    """The recipe of a row after these changes, keys with __ for dots."""
    values = copy.deepcopy(VALUES)
    for key, value in changes.items():
        *parents, last = key.split("__")
        section = values
        for parent in parents:
            section = section[parent]
        section[last] = value
    return recipe.resolve(params.validate(values), row).values()


def test_a_recipe_holds_all_that_shapes_a_row() -> None:
    values = resolved("cifar_aug")
    assert values["method"] == {"name": "vicreg", **VALUES["methods"]["vicreg"], "projector_width": 128}
    defaults = {"relu": True, "size": None}
    assert values["backbone"] == {"name": "resnet", **VALUES["backbones"]["resnet"], **defaults, "width": 8}
    assert values["policy"] == {"name": "aug", **VALUES["aug"]}
    assert values["optimizer"] == VALUES["optimizer"] and values["schedule"] == VALUES["schedule"]
    assert (values["epochs"], values["batch_size"], values["seed"]) == (10, 64, 0)


def test_a_row_has_values_of_its_own() -> None:
    own = {"optimizer": {"base_lr": 0.06}, "method_params": {"variance": 1.0}, "policy_params": {"flip": 0.0}}
    entry = VALUES["encoders"]["cifar_aug"] | own | {"epochs": 3, "backbone_params": {"width": 5}}
    values, other = resolved("cifar_aug", encoders__cifar_aug=entry), resolved("imagenet_aug")
    assert (values["optimizer"]["base_lr"], values["optimizer"]["name"]) == (0.06, "lars")
    assert (values["method"]["variance"], values["policy"]["flip"], values["epochs"]) == (1.0, 0.0, 3)
    assert values["backbone"]["width"] == 5
    assert resolved("imagenet_aug", encoders__cifar_aug=entry) == other


def test_a_study_has_values_of_its_own_for_a_row() -> None:
    own = {"byol": {"method_params": {"momentum": 0.5}, "optimizer": {"weight_decay": 0.5}, "epochs": 3}}
    before, values = resolved("byol"), resolved("byol", studies__embedded__encoders=own)
    assert values["method"] == before["method"] | {"momentum": 0.5}
    assert values["optimizer"] == before["optimizer"] | {"weight_decay": 0.5}
    assert values["epochs"] == 3
    assert resolved("byol", studies__cifar__encoders=own) == before
    assert resolved("simclr", studies__embedded__encoders=own) == resolved("simclr")
    entry = VALUES["encoders"]["byol"] | {"method_params": {"momentum": 0.7}}  # is not SimCLR's
    other = {"encoders__byol": entry, "studies__embedded__encoders": {"byol": {"method": "simclr"}}}
    assert resolved("byol", **other)["method"] == resolved("simclr")["method"]
    entry = VALUES["encoders"]["byol"] | {"backbone_params": {"depth": 34}}  # is not VGG-19's
    vgg19 = {"encoders__byol": entry, "studies__embedded__encoders": {"byol": {"backbone": "vgg19"}}}
    assert resolved("byol", **vgg19)["backbone"]["name"] == "vgg19"

    for wrong, message in (
        ({"byol": {"momentum": 1}}, "studies.embedded.encoders.byol.momentum: unknown key"),
        ({"toy": {}}, "studies.embedded.encoders = 'toy': allowed are"),
    ):
        with pytest.raises(params.ParamsError, match=message):
            resolved("byol", studies__embedded__encoders=wrong)
    for entry, message in (  # of any study, and of names too
        ({"policy": "nowhere"}, "studies.cifar.encoders.byol.policy = 'nowhere': allowed are"),
        ({"method_params": {"momentum": 7.0}}, r"studies.cifar.encoders.byol\).momentum = 7.0"),
    ):
        with pytest.raises(params.ParamsError, match=message):
            resolved("byol", studies__cifar__encoders={"byol": entry})


def test_changes_of_an_entry_are_merged_by_section() -> None:
    entry = {"method": "byol", "method_params": {"momentum": 0.9}, "optimizer": {"name": "sgd", "base_lr": 1.0}}
    assert params.merged(entry, {"optimizer": {"base_lr": 2.0}, "epochs": 3}) == entry | {
        "optimizer": {"name": "sgd", "base_lr": 2.0},
        "epochs": 3,
    }
    changes = {"method": "simclr", "method_params": {"temperature": 0.1}}
    assert params.merged(entry, changes) == changes | {"optimizer": entry["optimizer"]}


def test_one_policy_for_all_replaces_that_of_each_row() -> None:
    assert resolved("simclr", policy="aug")["policy"] == {"name": "aug", **VALUES["aug"]}
    assert resolved("simclr")["policy"]["hue"] == 0.2
    assert resolved("imagenet_aug", policy="imagenet_paper")["policy"]["name"] == "imagenet_paper"
    assert "policy" not in resolved("random", policy="aug")
    with pytest.raises(params.ParamsError, match="policy = 'none': allowed are aug, imagenet_code, imagenet_paper"):
        resolved("simclr", policy="none")


def test_another_rate_leaves_a_row_that_does_not_train() -> None:
    assert resolved("random", optimizer__base_lr=0.1, studies__embedded__epochs=3) == resolved("random")
    assert resolved("random", seed=1) != resolved("random")


@pytest.mark.parametrize("change", [{"checkpoint_every": 1}, {"data_placement": "stream"}, {"rows": ["cifar_aug"]}])
def test_what_shapes_no_weight_is_in_no_recipe(change: dict[str, Any]) -> None:
    assert resolved("cifar_aug", **change) == resolved("cifar_aug")


@pytest.mark.parametrize(
    "change", [{"threads": 1}, {"precision": "float32"}, {"aug__flip": 0.4}, {"protocol": "standard"}]
)
def test_what_shapes_weights_is_in_the_recipe(change: dict[str, Any]) -> None:
    assert resolved("cifar_aug", **change) != resolved("cifar_aug")


def test_a_written_recipe_reads_back_as_it_was(tmp_path: Path) -> None:
    p = params.load(FILE)
    for row in p.rows:
        one = recipe.resolve(p, row)
        recipe.write(one.values(), tmp_path / f"{row}.yaml")
        assert recipe.Recipe.model_validate(yaml.load(tmp_path / f"{row}.yaml")) == one


def test_the_code_of_a_row_is_what_it_runs_through() -> None:
    trained = code_digest.reached(["vicreg.jobs.trainer", "vicreg.methods.vicreg", "vicreg.backbones.resnet"])
    expected = "engine.loop engine.loader engine.optimizers augment.views augment.operators nn.mlp nn.encoder"
    assert {f"vicreg.{name}" for name in expected.split()} <= trained.keys()
    names = " ".join(trained)
    assert not any(word in names for word in ("tracking", "reporting", "data.sources", "random_init", "resnet50"))
    untrained = code_digest.reached(["vicreg.study.builders", "vicreg.methods.random_init"])
    assert not any(name.startswith(("vicreg.augment", "vicreg.engine")) for name in untrained)


def test_the_published_encoder_waits_for_its_weights() -> None:
    assert "methods.pretrained.weights" in resolved("resnet50_paper")["not_run"]
    assert "not_run" not in resolved("resnet50_paper", methods__pretrained__weights="resnet50.pth")


def test_an_unknown_row_is_an_error_that_lists_the_others() -> None:
    with pytest.raises(params.ParamsError, match=r"no encoder 'typo' .* choose from random, imagenet_aug"):
        recipe.resolve(params.load(FILE), "typo")


def test_a_stage_depends_on_what_it_reads_alone() -> None:
    def settings(**changes: Any) -> dict[str, Any]:
        return recipe.stage_settings(params.validate({**copy.deepcopy(VALUES), **changes}))

    def evaluated_by(of: dict[str, Any]) -> dict[str, str]:
        return of["report"]["evaluated_by"]

    before, after = settings(), settings(probes={"linear": VALUES["probes"]["linear"]})
    assert evaluated_by(before)["linear_eval"] != evaluated_by(after)["linear_eval"]
    assert {"download-primary", "split", "features"} <= evaluated_by(before).keys()
    assert {name for name in before if before[name] != after[name]} == {"linear_eval", "report"}
    after = settings(pair_loss={"num_pairs": 3, "num_negatives": 2})
    assert {name for name in before if before[name] != after[name]} == {"pair_loss", "report"}
    assert evaluated_by(before) == evaluated_by(after)
