"""From a recipe to a method, to its file of weights, and back."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import digest
from safetensors.torch import load_file, save_file

from vicreg.io import weights
from vicreg.nn.method import Method
from vicreg.study import builders, params, recipe
from vicreg.study.recipe import Recipe

PARAMS = params.load(Path(__file__).parents[2] / "params.yaml")
PIXELS = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)


def small(row: str = "cifar_aug", **changes: Any) -> Recipe:
    sizes = PARAMS.sizes.model_copy(update={"width": 2, "projector_width": 6})
    return recipe.resolve(PARAMS.model_copy(update={"studies": {"embedded": sizes}, **changes}), row)


def built(row: str = "cifar_aug") -> Method:
    return builders.build_method(small(row), PIXELS, np.arange(40))


def saved(folder: Path, row: str = "cifar_aug") -> Path:
    builders.save_method(folder / "x.safetensors", built(row), small(row))
    return folder / "x.safetensors"


def test_the_same_seed_gives_all_rows_the_same_initial_encoder() -> None:
    one, other = (built(row).encoder.state_dict() for row in ("cifar_aug", "random"))
    assert all(torch.equal(value, other[key]) for key, value in one.items())


def test_the_encoder_normalizes_by_the_images_that_pretrain() -> None:
    method = builders.build_method(small(), PIXELS, np.array([3, 5]))
    expected = (PIXELS[[3, 5]] / 255).mean(axis=(0, 1, 2))
    np.testing.assert_allclose(method.encoder.mean.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("row", ["cifar_aug", "random"])
def test_a_saved_method_loads_with_every_weight(tmp_path: Path, row: str) -> None:
    method, images = built(row).eval(), torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    loaded = builders.load_method(saved(tmp_path, row))
    assert torch.equal(loaded.encoder(images), method.encoder(images))
    assert not loaded.training
    z, expected = loaded.embed(images), method.embed(images)
    assert (z is None) == (row == "random")
    assert z is None or (expected is not None and torch.equal(z, expected))


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    assert digest(saved(tmp_path / "one")) == digest(saved(tmp_path / "two"))


def test_the_file_carries_the_recipe_and_digests(tmp_path: Path) -> None:
    path = saved(tmp_path)
    method, about = builders.load_method(path), builders.describe(path)
    parts = {"encoder": method.encoder, "projector": method.get_submodule("projector")}
    assert about.pop("digest") == {name: weights.digest(module) for name, module in parts.items()}
    assert Recipe.model_validate(about) == small()


def test_an_encoder_that_did_not_run_says_why(tmp_path: Path) -> None:
    weights.save_not_run(tmp_path / "x.safetensors", "not run: no weights")
    assert builders.describe(tmp_path / "x.safetensors") == {"not_run": "not run: no weights"}


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(8), b"\xff" * 100])
def test_a_file_without_an_encoder_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder of this project.*`dvc repro pretrain`"):
        builders.load_method(tmp_path / "x.safetensors")


@pytest.mark.parametrize("name", ["encoder.backbone.layer2.0.conv1.weight", "encoder.mean", "projector.6.weight"])
def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path)
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + json.loads(content[8:start])[name]["data_offsets"][0]] ^= 1
    path.write_bytes(content)
    part = name.partition(".")[0]
    with pytest.raises(
        ValueError, match=rf"the {part} in .*x\.safetensors .*not those that were saved.*`dvc repro pre"
    ):
        builders.load_method(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": None}, "it has no digest to compare its weights by"),
        ({"digest": {"encoder": "0"}}, "not those that were saved"),
        ({"backbone": {"name": "resnet", "width": 3, "stem": "cifar"}}, "size mismatch"),
        ({"backbone": {"name": "resnet50", "image_size": 32}}, "does not hold"),
        ({"backbone": {"name": "resnet7"}}, "no 'resnet7'"),
        ({"backbone": None}, "backbone"),
        ({"backbone": {"name": "resnet", "depth": 3}}, "depth"),
    ],
)
def test_a_file_that_describes_something_else_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    path = saved(tmp_path)
    about = {key: value for key, value in (builders.describe(path) | changes).items() if value is not None}
    save_file(load_file(path), path, {"description": json.dumps(about)})
    with pytest.raises(ValueError, match=rf"(?s)x\.safetensors.*{message}.*run `dvc repro pretrain` again"):
        builders.load_method(path)


@pytest.mark.parametrize("length", [0, 5, 1000, -1])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, length: int) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder.*run `dvc repro pretrain` again"):
        builders.load_method(path)


def test_a_digest_tells_values_names_types_and_shapes() -> None:
    method = built()
    before = weights.digest(method)
    assert before == weights.digest(method.to(memory_format=torch.channels_last))
    layer = torch.nn.Linear(2, 2, bias=False)
    others = [torch.nn.Linear(2, 2), torch.nn.Linear(4, 1, bias=False), torch.nn.Linear(2, 2, bias=False).half()]
    assert len({weights.digest(module) for module in (layer, torch.nn.Sequential(layer), *others)}) == 5
    method.encoder.state_dict()["backbone.bn1.num_batches_tracked"] += 1
    assert weights.digest(method) != before
