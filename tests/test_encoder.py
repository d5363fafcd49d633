"""Encoders: normalisation, frozen representations, and the file that holds them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import digest
from safetensors.torch import load_file, save_file

from vicreg.io import plugins, weights
from vicreg.methods import pretrained
from vicreg.nn import encoder
from vicreg.nn.mlp import mlp
from vicreg.study import builders, params

PARAMS = params.load()


def small(name="cifar_aug", width=2):
    values = PARAMS.model_copy(
        update={
            "studies": {
                "embedded": PARAMS.studies["embedded"].model_copy(update={"width": width, "projector_width": 6})
            }
        }
    )
    pixels = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    return values, builders.build(values, name, pixels), pixels


def test_the_same_seed_gives_every_encoder_of_a_backbone_the_same_initial_weights():
    (_, learned, _), (_, untrained, _) = small("cifar_aug"), small("random")
    for (key, one), other in zip(
        learned.encoder.state_dict().items(), untrained.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), key


@pytest.mark.parametrize("name", ["cifar_aug", "random"])
def test_a_saved_encoder_loads_with_every_weight_and_its_projector(tmp_path, name):
    values, method, pixels = small(name)
    encoder.save(tmp_path / "x.safetensors", method, builders.describe(values, name))
    frozen = encoder.load(tmp_path / "x.safetensors")
    head = encoder.load_projector(tmp_path / "x.safetensors", frozen.dimension)
    device = torch.device("cpu")
    np.testing.assert_array_equal(
        encoder.represent(frozen, pixels, device), encoder.represent(method.encoder, pixels, device)
    )
    assert (head is None) == (name == "random")
    if head is not None:
        z = torch.randn(3, 16)
        assert torch.equal(head.eval()(z), method.projector.eval()(z))


def test_the_same_weights_give_the_same_bytes(tmp_path):
    values, method, _ = small()
    files = [tmp_path / f"{i}.safetensors" for i in range(2)]
    for file in files:
        encoder.save(file, method, builders.describe(values, "cifar_aug"))
    assert digest(files[0]) == digest(files[1])


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(8), b"\xff" * 100])
def test_a_file_that_holds_no_encoder_is_a_clear_error(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder of this project"):
        encoder.load(tmp_path / "x.safetensors")


def test_an_encoder_that_did_not_run_says_why(tmp_path):
    weights.save_not_run(tmp_path / "x.safetensors", "not run: no weights")
    assert encoder.describe(tmp_path / "x.safetensors") == {"not_run": "not run: no weights"}


def saved(folder: Path) -> Path:
    values, method, _ = small()
    encoder.save(folder / "x.safetensors", method, builders.describe(values, "cifar_aug"))
    return folder / "x.safetensors"


def load_both(path: Path) -> None:
    encoder.load_projector(path, encoder.load(path).dimension)


@pytest.mark.parametrize("name", ["encoder.backbone.layer2.0.conv1.weight", "encoder.mean", "projector.6.weight"])
def test_one_flipped_bit_of_a_weight_is_noticed(tmp_path, name):
    path = saved(tmp_path)
    load_both(path)
    content = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    content[start + json.loads(content[8:start])[name]["data_offsets"][0]] ^= 1
    path.write_bytes(content)
    part = name.partition(".")[0]
    with pytest.raises(
        ValueError, match=rf"the {part} in .*x\.safetensors .*not those that were saved.*`dvc repro pre"
    ):
        load_both(path)


def rewritten(path: Path, **changes: Any) -> None:
    """Write the file again with another description, and the same tensors."""
    about = encoder.describe(path) | changes
    kept = {key: value for key, value in about.items() if value is not None}
    save_file(load_file(path), path, {"description": json.dumps(kept)})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"digest": None}, "no digest"),
        ({"digest": {}}, "no digest"),
        ({"parameters": {"width": 3, "stem": "cifar"}}, "not what the file describes.*size mismatch"),
        ({"backbone": "resnet50", "parameters": {"width": 4, "image_size": 32}}, "not what the file describes"),
        ({"backbone": "resnet7"}, "no 'resnet7'"),
        ({"backbone": None}, "backbone"),
        ({"parameters": {"depth": 3}}, "depth"),
    ],
)
def test_a_file_without_digest_or_of_another_architecture_is_refused(tmp_path, changes, message):
    path = saved(tmp_path)
    rewritten(path, **changes)
    with pytest.raises(ValueError, match=rf"x\.safetensors.*{message}.*run `dvc repro pretrain` again"):
        encoder.load(path)


@pytest.mark.parametrize("kept", [0, 5, 1000, -1])
def test_a_file_that_is_cut_short_or_gone_is_refused(tmp_path, kept):
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder.*run `dvc repro pretrain` again"):
        encoder.load(path)
    path.unlink()
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder.*run `dvc repro pretrain` again"):
        encoder.load(path)


def test_the_description_carries_the_digests_of_what_the_file_holds(tmp_path):
    path = saved(tmp_path)
    frozen = encoder.load(path)
    head = encoder.load_projector(path, frozen.dimension)
    assert head is not None
    assert encoder.describe(path)["digest"] == {"encoder": weights.digest(frozen), "projector": weights.digest(head)}


def test_a_digest_tells_values_names_types_and_shapes_apart_and_not_how_they_lie_in_memory():
    _, method, pixels = small()
    before = weights.digest(method)
    assert before == weights.digest(method.to(memory_format=torch.channels_last))
    encoder.represent(method.encoder, pixels, torch.device("cpu"))
    assert before == weights.digest(method)
    layer = torch.nn.Linear(2, 2, bias=False)
    others = [torch.nn.Linear(2, 2), torch.nn.Linear(4, 1, bias=False), torch.nn.Linear(2, 2, bias=False).half()]
    found = {weights.digest(module) for module in (layer, torch.nn.Sequential(layer), *others)}
    assert len(found) == 5
    method.encoder.backbone.bn1.num_batches_tracked += 1
    assert weights.digest(method) != before


def published_file(path, full):
    from torchvision.models import resnet50

    network = resnet50()
    del network.fc
    tensors = {key: value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    if full:
        head = mlp(2048, 32, 3)
        tensors = {f"module.backbone.{key}": value for key, value in tensors.items()}
        tensors |= {f"module.projector.{key}": value for key, value in head.state_dict().items()}
        tensors = {"epoch": 1, "model": tensors}
    torch.save(tensors, path)
    return network


@pytest.mark.parametrize("full", [False, True])
def test_published_weights_of_either_kind_give_torchvisions_resnet50_on_enlarged_images(tmp_path, full):
    network = published_file(tmp_path / "resnet50.pth", full)
    backbone = plugins.member("backbones", "resnet50").build(width=4, image_size=64)
    method: Any = pretrained.build(encoder.Encoder(backbone), width=4, weights=str(tmp_path / "resnet50.pth"))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    from torchvision.transforms.v2.functional import normalize, resize

    network.fc = torch.nn.Identity()
    x = normalize(images / 255, pretrained.IMAGENET_MEAN, pretrained.IMAGENET_STD)
    expected = network.eval()(resize(x, [64, 64], antialias=True))
    torch.testing.assert_close(method.encoder.eval()(images), expected, rtol=1e-3, atol=1e-4)
    assert isinstance(method.projector, torch.nn.Module) == full
    encoder.save(
        tmp_path / "y.safetensors", method, {"backbone": "resnet50", "parameters": {"width": 4, "image_size": 64}}
    )
    frozen = encoder.load(tmp_path / "y.safetensors")
    head = encoder.load_projector(tmp_path / "y.safetensors", frozen.dimension)
    torch.testing.assert_close(frozen.eval()(images), expected, rtol=1e-3, atol=1e-4)
    assert (head is not None) == full


class Evil:
    def __reduce__(self):
        return (print, ("code ran",))


@pytest.mark.parametrize("content", [Evil(), {"conv1.weight": torch.zeros(1)}, [1, 2]])
def test_published_weights_that_are_something_else_are_refused(tmp_path, content, capsys):
    torch.save(content, tmp_path / "w.pth")
    backbone = plugins.member("backbones", "resnet50").build(width=4, image_size=32)
    with pytest.raises(ValueError, match=r"published\.weights = .*w\.pth"):
        pretrained.build(encoder.Encoder(backbone), width=4, weights=str(tmp_path / "w.pth"))
    assert "code ran" not in capsys.readouterr().out


def test_published_weights_that_are_not_there_are_a_clear_error(tmp_path):
    with pytest.raises(ValueError, match="Download the file by hand"):
        pretrained.read(str(tmp_path / "nothing.pth"))
