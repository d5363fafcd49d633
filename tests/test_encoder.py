"""Encoders: normalisation, frozen representations, and the file that holds them."""

from typing import Any

import numpy as np
import pytest
import torch

from vicreg import encoder, lookup, params, recipe
from vicreg.methods import published
from vicreg.projectors import mlp

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
    return values, recipe.build(values, name, pixels), pixels


def test_channel_statistics_are_numpys_over_all_pixels():
    pixels = np.random.default_rng(0).integers(0, 200, (7, 5, 4, 3), dtype=np.uint8)
    mean, std = encoder.channel_statistics(pixels)
    np.testing.assert_allclose(mean, (pixels / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (pixels / 255).std(axis=(0, 1, 2)))


def test_an_encoder_normalises_uint8_and_floats_alike():
    class Same(torch.nn.Module):
        dimension = 3

        def forward(self, x):
            return x

    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    frozen = encoder.Encoder(Same(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    expected = (images / 255 - torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1)) / torch.tensor([0.2, 0.3, 0.4]).view(
        3, 1, 1
    )
    torch.testing.assert_close(frozen(images), expected)
    torch.testing.assert_close(frozen(images / 255), expected)


def test_representations_do_not_depend_on_the_batch_an_image_is_in_and_leave_the_encoder_as_it_was():
    _, method, pixels = small()
    before = {key: value.clone() for key, value in method.state_dict().items()}
    whole = encoder.represent(method.encoder, pixels, torch.device("cpu"))
    parts = encoder.represent(method.encoder, pixels, torch.device("cpu"), batch_size=7)
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert whole.dtype == np.float32 and whole.shape == (40, 16)
    for key, value in method.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} changed while it was frozen"


def test_the_same_seed_gives_every_encoder_of_a_backbone_the_same_initial_weights():
    (_, learned, _), (_, untrained, _) = small("cifar_aug"), small("random")
    for (key, one), other in zip(
        learned.encoder.state_dict().items(), untrained.encoder.state_dict().values(), strict=True
    ):
        assert torch.equal(one, other), key


@pytest.mark.parametrize("name", ["cifar_aug", "random"])
def test_a_saved_encoder_loads_with_every_weight_and_its_projector(tmp_path, name):
    values, method, pixels = small(name)
    encoder.save(tmp_path / "x.safetensors", method, recipe.describe(values, name))
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
        encoder.save(file, method, recipe.describe(values, "cifar_aug"))
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("content", [b"", b"not weights", bytes(8), b"\xff" * 100])
def test_a_file_that_holds_no_encoder_is_a_clear_error(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.safetensors is not an encoder of this project"):
        encoder.load(tmp_path / "x.safetensors")


def test_an_encoder_that_did_not_run_says_why(tmp_path):
    encoder.save_not_run(tmp_path / "x.safetensors", "not run: no weights")
    assert encoder.describe(tmp_path / "x.safetensors") == {"not_run": "not run: no weights"}


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
    backbone = lookup.member("backbones", "resnet50").build(width=4, image_size=64)
    method: Any = published.build(encoder.Encoder(backbone), width=4, weights=str(tmp_path / "resnet50.pth"))
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    from torchvision.transforms.v2.functional import normalize, resize

    network.fc = torch.nn.Identity()
    x = normalize(images / 255, published.IMAGENET_MEAN, published.IMAGENET_STD)
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
    backbone = lookup.member("backbones", "resnet50").build(width=4, image_size=32)
    with pytest.raises(ValueError, match=r"published\.weights = .*w\.pth"):
        published.build(encoder.Encoder(backbone), width=4, weights=str(tmp_path / "w.pth"))
    assert "code ran" not in capsys.readouterr().out


def test_published_weights_that_are_not_there_are_a_clear_error(tmp_path):
    with pytest.raises(ValueError, match="Download the file by hand"):
        published.read(str(tmp_path / "nothing.pth"))
