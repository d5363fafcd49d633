"""Backbones against torchvision's, and a contract that every backbone keeps."""

import numpy as np
import pytest
import torch
from torch import nn

from vicreg.backbones import resnet18
from vicreg.io import plugins
from vicreg.study import params

SECTIONS = params.load()


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_resnet18_of_width_64_computes_what_torchvisions_does_with_the_same_weights(stem):
    from torchvision.models import resnet18 as torchvision_resnet18

    theirs = torchvision_resnet18()
    theirs.fc = nn.Identity()
    if stem == "cifar":
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    ours = resnet18.build(width=64, stem=stem)
    ours.load_state_dict(theirs.state_dict())  # the same names and shapes
    x = torch.randn(3, 3, 32, 32)
    for mode in (True, False):
        torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=1e-4, atol=1e-5)


def test_initial_weights_have_he_s_variance():
    weight = resnet18.build(width=32).state_dict()["layer3.0.conv2.weight"]
    assert float(weight.std()) == pytest.approx(np.sqrt(2 / (9 * weight.shape[0])), rel=0.02)


@pytest.mark.parametrize("name", sorted(plugins.names("backbones")))
def test_every_backbone_keeps_the_contract(name):
    section = SECTIONS.section(name)
    section |= {"image_size": 32} if "image_size" in section else {}
    backbone = plugins.member("backbones", name).build(width=4, **section)
    y = backbone.eval()(torch.randn(2, 3, 32, 32))
    assert y.shape == (2, backbone.dimension)
    assert y.isfinite().all()


def test_an_unknown_member_is_an_error_that_lists_the_choices():
    with pytest.raises(LookupError, match="choose from resnet18, resnet50"):
        plugins.member("backbones", "resnet19")
