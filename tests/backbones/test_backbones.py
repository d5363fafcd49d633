"""Backbones against torchvision's and their papers, and a contract for every one: a new file is tested as it is."""

from typing import Any

import numpy as np
import pytest
import tiny
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from vicreg.backbones.resnet import BasicBlock, Bottleneck, ResNet, basic, bottleneck
from vicreg.backbones.revnet import ReversibleUnit, RevNet, Transition
from vicreg.backbones.vgg19 import VGG19
from vicreg.io import plugins
from vicreg.methods import cmc, cpc
from vicreg.methods.vicreg import VICReg
from vicreg.nn.backbone import Backbone
from vicreg.nn.encoder import Encoder
from vicreg.nn.staged import StagedBackbone

SMALL = {"width": 4, "image_size": 32}  # values of members' parameters, by their names
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {  # a member and changes of its parameters
    "resnet-50": ("resnet", {"depth": 50}),
    "resnet-version-2": ("resnet", {"version": 2}),
    "resnet-version-2-50": ("resnet", {"depth": 50, "version": 2}),
    "resnet-without-relu": ("resnet", {"version": 2, "relu": False, "stem": "imagenet"}),
    "resnet-blocks": ("resnet", {"blocks": [1, 2, 1], "stem": "strided"}),
    "resnet-size": ("resnet", {"size": 6}),
    "revnet-without-relu": ("revnet", {"relu": False, "stem": "imagenet"}),
    "revnet-size": ("revnet", {"size": 6}),
    "vgg19-fully-connected": ("vgg19", {"fully_connected": True}),
    "vgg19-size": ("vgg19", {"fully_connected": True, "size": 6}),
}
NAMES = [*plugins.names("backbones"), *VARIANTS]


def built(name: str, seed: int = 0, **changes: Any) -> Any:
    name, own = VARIANTS.get(name, (name, {}))
    member = plugins.member_class("backbones", name, Backbone)
    values = {key: value for key, value in SMALL.items() if key in member.Params.model_fields}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return member(member.Params(**(values | own | changes)))


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=tiny.generator(seed))


def is_staged(name: str) -> bool:
    return issubclass(plugins.member_class("backbones", VARIANTS.get(name, (name, {}))[0], Backbone), StagedBackbone)


every = pytest.mark.parametrize("name", NAMES)
staged = pytest.mark.parametrize("name", [name for name in NAMES if is_staged(name)])
modes = pytest.mark.parametrize("training", [True, False])


@every
@pytest.mark.parametrize("size", [(48, 40), (9, 12)])
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


@every
def test_a_backbone_trains(name: str) -> None:
    made = VICReg(Encoder(built(name)), tiny.member_params("vicreg"), num_images=48)
    made.initialize()
    before = {key: value.clone() for key, value in made.encoder.named_parameters()}
    records = tiny.run(tiny.state(made, lr=0.003), tiny.loader(tiny.pixels(48)), tiny.config(1))
    assert np.isfinite(records[0]["loss"])
    assert all(value.isfinite().all() for value in made.state_dict().values())
    assert all(not torch.equal(value, before[key]) for key, value in made.encoder.named_parameters())


@every
def test_methods_reach_every_batch_norm(name: str) -> None:
    backbone = built(name)
    cpc.norms_per_sample(backbone)
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in backbone.modules())
    assert backbone(noise(2, 3, 8, 8)).isfinite().all()


@staged
def test_backbones_of_one_and_two_channels_have_half_the_width(name: str) -> None:
    networks = cmc.TwoNetworks(built(name))
    assert networks(noise(2, 3, 32, 32)).shape == (2, networks.num_features)
    assert networks.lightness.network.params.width == 2


# --- Stages --------------------------------------------------------------------------------------------------------


class Stageless(Backbone):
    """A backbone that has no stages."""


def test_a_backbone_may_have_no_stages() -> None:
    assert Stageless(Stageless.Params()).stages(noise(1, 3, 8, 8)) == []


@pytest.mark.parametrize(
    ("name", "channels", "sides"),
    [
        ("resnet", (4, 8, 16, 32), (32, 16, 8, 4)),
        ("resnet-50", (16, 32, 64, 128), (32, 16, 8, 4)),
        ("resnet-version-2-50", (16, 32, 64, 128), (32, 16, 8, 4)),
        ("resnet-without-relu", (4, 8, 16, 32), (8, 4, 2, 1)),
        ("revnet", (4, 8, 16, 32), (32, 16, 8, 4)),
        ("revnet-without-relu", (4, 8, 16, 32), (8, 4, 2, 1)),
        ("vgg19", (8, 16, 32, 32), (16, 8, 4, 2)),
        ("resnet50", (256, 512, 1024, 2048), (8, 4, 2, 1)),
    ],
)
def test_stages_are_maps_of_these_shapes(name: str, channels: tuple[int, ...], sides: tuple[int, ...]) -> None:
    maps = built(name).stages(noise(2, 3, 32, 32))
    assert [tuple(x.shape) for x in maps] == [(2, c, side, side) for c, side in zip(channels, sides, strict=True)]


@every
@modes
def test_the_last_stage_is_what_is_pooled(name: str, training: bool) -> None:
    backbone, x = built(name).train(training), noise(4, 3, 32, 32)
    with torch.no_grad():
        last = backbone.stages(x)[-1]
        if isinstance(backbone, VGG19):
            last = backbone.fully_connected(nn.functional.max_pool2d(last, 2))
        y = last.mean(dim=(2, 3))
        torch.testing.assert_close(backbone(x), backbone.linear(y) if hasattr(backbone, "linear") else y)


@every
def test_later_stages_leave_earlier_maps_alone(name: str) -> None:
    backbone, kept = built(name).eval(), []
    for module in backbone.modules():  # as the modules return them, before anything else runs
        module.register_forward_hook(lambda module, args, output: kept.append((output, output.clone())))
    with torch.no_grad():
        maps = backbone.stages(noise(2, 3, 32, 32))
    before = {id(output): copy for output, copy in kept}
    for x in maps:
        assert torch.equal(x, before[id(x)])


@staged
def test_a_size_of_its_own_is_a_linear_layer_after_the_pooling(name: str) -> None:
    plain, sized = built(name, size=None), built(name, size=5)
    assert sized.num_features == 5
    added = {key: tuple(value.shape) for key, value in sized.state_dict().items() if key not in plain.state_dict()}
    assert added == {"linear.weight": (5, plain.num_features), "linear.bias": (5,)}
    tiny.assert_same({key: sized.state_dict()[key] for key in plain.state_dict()}, dict(plain.state_dict()))
    x = noise(2, 3, 32, 32)
    torch.testing.assert_close(sized.eval()(x), sized.linear(plain.eval()(x)))


# --- Numbers of parameters -----------------------------------------------------------------------------------------

PARAMETERS: dict[tuple[type[StagedBackbone], tuple[Any, ...]], dict[int, int]] = {  # by width; without a linear layer
    (ResNet, ()): {16: 700_176, 48: 6_284_592, 64: 11_168_832},
    (ResNet, (("version", 2),)): {16: 699_728, 48: 6_283_248, 64: 11_167_040},
    (RevNet, ()): {16: 197_488, 48: 1_767_504, 64: 3_140_032},
    (VGG19, ()): {16: 1_254_256, 48: 11_269_200, 64: 20_029_888},
    (VGG19, (("fully_connected", True),)): {16: 2_438_000, 48: 21_898_320, 64: 38_920_640},
}


@pytest.mark.parametrize(("member", "values"), PARAMETERS)
def test_numbers_of_parameters(member: Any, values: tuple[Any, ...]) -> None:
    with torch.device("meta"):
        for width, expected in PARAMETERS[member, values].items():
            backbone = member(member.Params(width=width, **dict(values)))
            assert sum(parameter.numel() for parameter in backbone.parameters()) == expected


# --- ResNet --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("depth", "stem"), [(18, "cifar"), *((depth, "imagenet") for depth in (18, 34, 50, 101))])
def test_version_1_of_width_64_computes_what_torchvisions_does(depth: Any, stem: Any) -> None:
    from torchvision import models

    theirs = getattr(models, f"resnet{depth}")()
    theirs.fc = nn.Identity()
    if stem == "cifar":
        theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    ours = ResNet(ResNet.Params(width=64, depth=depth, stem=stem))
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = noise(3, 3, 40, 40)
    with torch.no_grad():
        for mode in (True, False):
            torch.testing.assert_close(ours.train(mode)(x), theirs.train(mode)(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("stem", "first", "last", "total"),
    [
        ("cifar", 0.32685411, -0.14816627, 3736.294151),
        ("imagenet", 3.01981819, -0.06783830, 3762.041358),
    ],
)
def test_a_seed_draws_the_weights_that_it_always_drew(stem: Any, first: float, last: float, total: float) -> None:
    """As the class ResNet18 of an earlier version drew them, of which files of weights exist."""
    state = built("resnet", stem=stem).state_dict()
    assert float(state["conv1.weight"].sum()) == pytest.approx(first, rel=1e-4)
    assert float(state["layer4.1.conv2.weight"][0, 0, 0, 0]) == pytest.approx(last, rel=1e-5)
    weights = [value.double() for key, value in state.items() if key.endswith(("weight", "bias"))]
    assert sum(float(value.abs().sum()) for value in weights) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "resnet50"])
def test_initial_weights_have_he_s_variance(name: str) -> None:
    convolutions = [module for module in built(name, width=32).modules() if isinstance(module, nn.Conv2d)]
    for weight in (module.weight.detach() for module in convolutions if module.weight.numel() > 50_000):
        fan_out = weight.shape[0] * weight[0, 0].numel()
        assert float(weight.std()) == pytest.approx(np.sqrt(2 / fan_out), rel=0.02)


def test_a_network_of_fewer_blocks_is_a_part_of_torchvisions() -> None:
    from torchvision import models

    theirs = models.resnet18()
    theirs.conv1, theirs.maxpool = nn.Conv2d(3, 64, 3, 2, 1, bias=False), nn.Identity()
    theirs.fc = theirs.layer4 = nn.Identity()
    ours = ResNet(ResNet.Params(width=64, blocks=[2, 2, 2], stem="strided"))
    ours.load_state_dict(theirs.state_dict())
    assert ours.num_features == 256
    x = noise(2, 3, 24, 24)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_version_1_without_its_relu_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"`relu: false` needs `version: 2`; in version 1 the last ReLU is part"):
        ResNet.Params(width=4, relu=False)


@pytest.mark.parametrize(("block", "outputs"), [(basic, 8), (bottleneck, 32)])
@modes
def test_a_block_of_version_2_whose_last_convolution_is_0_is_the_identity(
    block: Any, outputs: int, training: bool
) -> None:
    made, x = block(outputs, 8, 1).train(training), noise(3, outputs, 6, 6)
    assert made.downsample is None
    nn.init.zeros_(made.residual[-1].weight)
    assert torch.equal(made(x), x)


@pytest.mark.parametrize("block", [BasicBlock, Bottleneck, basic, bottleneck])
def test_a_block_halves_the_sides(block: Any) -> None:
    outputs = 32 if block in (Bottleneck, bottleneck) else 8
    assert block(6, 8, 2)(noise(2, 6, 8, 8)).shape == (2, outputs, 4, 4)


def test_the_shortcut_of_version_2_sees_the_activated_input_and_has_no_norm() -> None:
    made: Any = basic(4, 8, 2).train()
    x = noise(3, 4, 8, 8)
    nn.init.zeros_(made.residual[-1].weight)
    activated = nn.functional.batch_norm(x, None, None, training=True).relu()
    torch.testing.assert_close(made(x), nn.functional.conv2d(activated, made.downsample.weight, stride=2))


@pytest.mark.parametrize(("name", "changes"), [("resnet", {"version": 2}), ("revnet", {})])
def test_representations_are_negative_only_without_the_last_relu(name: str, changes: dict[str, Any]) -> None:
    with_relu, without = (built(name, relu=relu, **changes).train() for relu in (True, False))
    x = noise(4, 3, 32, 32)
    assert with_relu(x).min() >= 0 and with_relu.stages(x)[-1].min() >= 0
    assert without(x).min() < 0 and without.stages(x)[-1].min() < 0
    assert torch.equal(without.stages(x)[-1].relu(), with_relu.stages(x)[-1])


# --- RevNet --------------------------------------------------------------------------------------------------------


@modes
def test_a_unit_of_a_revnet_has_an_inverse(training: bool) -> None:
    unit, x = ReversibleUnit(8).train(training), noise(5, 8, 6, 6)
    with torch.no_grad():
        torch.testing.assert_close(unit.inverse(unit(x)), x, rtol=0, atol=1e-5)


@modes
def test_the_units_of_a_revnet_undo_each_other(training: bool) -> None:
    backbone = built("revnet", width=16).train(training)
    with torch.no_grad():
        x = backbone.conv1(noise(5, 3, 32, 32))
        for layers in backbone.layers:
            units = [layer for layer in layers if isinstance(layer, ReversibleUnit)]
            assert len(units) == 2
            x = layers[0](x) if isinstance(layers[0], Transition) else x
            y = units[1](units[0](x))
            torch.testing.assert_close(units[0].inverse(units[1].inverse(y)), x, rtol=0, atol=1e-5)
            x = y


@modes
def test_a_unit_whose_residual_is_0_swaps_the_halves(training: bool) -> None:
    unit: Any = ReversibleUnit(8).train(training)
    x = noise(3, 8, 6, 6)
    nn.init.zeros_(unit.residual[-1].weight)
    assert torch.equal(unit(x), torch.cat([x[:, 4:], x[:, :4]], dim=1))


def test_two_units_are_the_papers() -> None:
    """Gomez et al., NeurIPS 2017, equation 6: y1 = x1 + F(x2), y2 = x2 + G(y1)."""
    f, g, x = ReversibleUnit(8).eval(), ReversibleUnit(8).eval(), noise(3, 8, 6, 6)
    x1, x2 = x.chunk(2, dim=1)
    y1 = x1 + f.residual(x2)
    torch.testing.assert_close(g(f(x)), torch.cat([y1, x2 + g.residual(y1)], dim=1))


def test_between_stages_pixels_are_averaged_and_channels_are_zeros_on_both_sides() -> None:
    y = Transition()(torch.arange(2 * 4 * 3, dtype=torch.float32).reshape(1, 2, 4, 3))
    assert y.shape == (1, 4, 2, 2)
    assert y[0, 0].abs().max() == 0 == y[0, 3].abs().max()
    assert y[0, 1].tolist() == [[2.0, 3.5], [8.0, 9.5]]  # an odd edge has fewer pixels


def test_a_revnet_needs_halves() -> None:
    with pytest.raises(ValidationError, match="multiple of 2"):
        RevNet.Params(width=5)
    with pytest.raises(ValidationError, match="multiple of 2"):
        cmc.TwoNetworks(built("revnet", width=6))


def test_fully_connected_layers_of_a_vgg_have_64_widths() -> None:
    assert built("vgg19").num_features == 32 and built("vgg19-fully-connected").num_features == 256
