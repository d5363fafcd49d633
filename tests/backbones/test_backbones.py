"""Backbones against torchvision's, and a contract that every backbone keeps: a new file is tested as it is."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from vicreg.backbones.resnet18 import Params, ResNet18
from vicreg.io import plugins
from vicreg.nn.backbone import Backbone
from vicreg.nn.encoder import Encoder

SMALL = {"width": 4, "image_size": 32}  # values of members' parameters, by their names


def built(name: str, seed: int = 0) -> Any:
    member = plugins.member_class("backbones", name, Backbone)
    values = {key: value for key, value in SMALL.items() if key in member.Params.model_fields}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return member(member.Params(**values))


every = pytest.mark.parametrize("name", plugins.names("backbones"))


@every
@pytest.mark.parametrize("size", [(32, 32), (48, 40)])
def test_representations_are_finite_and_of_one_shape(name: str, size: tuple[int, int]) -> None:
    backbone = built(name).eval()
    x = torch.randn(3, 3, *size)
    with torch.no_grad():
        y = backbone(x)
        assert y.shape == (3, backbone.num_features) and y.dtype == torch.float32 and y.isfinite().all()
        torch.testing.assert_close(backbone(x[:1]), y[:1], rtol=1e-3, atol=1e-4)  # not of others in its batch
        close = backbone(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(close, y, rtol=1e-3, atol=1e-4)


@every
def test_a_seed_decides_the_weights_and_nothing_else_is_drawn(name: str) -> None:
    one, two, other = (built(name, seed) for seed in (0, 0, 1))
    tiny.assert_same(dict(one.state_dict()), dict(two.state_dict()))
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    before, x = torch.get_rng_state(), torch.randn(2, 3, 32, 32, generator=tiny.generator())
    assert torch.equal(one(x), two(x)) and torch.equal(torch.get_rng_state(), before)


@every
def test_a_gradient_reaches_every_parameter(name: str) -> None:
    backbone = built(name).train()
    backbone(torch.randn(4, 3, 32, 32, generator=tiny.generator())).square().mean().backward()
    for key, parameter in backbone.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, key


@every
def test_all_state_is_in_the_state_dict(name: str) -> None:
    trained, other = built(name).train(), built(name, seed=1)
    trained(torch.randn(4, 3, 32, 32))
    other.load_state_dict(trained.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for mode in (False, True):
        assert torch.equal(trained.train(mode)(x), other.train(mode)(x))
    before = {key: value.clone() for key, value in trained.eval().state_dict().items()}
    trained(x)
    tiny.assert_same(dict(trained.state_dict()), before)


@every
def test_a_backbone_computes_in_float64(name: str) -> None:
    encoder = Encoder(built(name)).double().eval()
    assert encoder(torch.rand(2, 3, 32, 32)).dtype == torch.float64


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_resnet18_of_width_64_computes_what_torchvisions_does(stem: Any) -> None:
    from torchvision.models import resnet18 as torchvision_resnet18

    theirs: Any = torchvision_resnet18()
    theirs.fc = nn.Identity()
    if stem == "cifar":
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    ours = ResNet18(Params(width=64, stem=stem))
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    x = torch.randn(3, 3, 32, 32)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=1e-4, atol=1e-5)


def test_initial_weights_have_he_s_variance() -> None:
    weight = ResNet18(Params(width=32)).state_dict()["layer3.0.conv2.weight"]
    assert float(weight.std()) == pytest.approx(np.sqrt(2 / (9 * weight.shape[0])), rel=0.02)
