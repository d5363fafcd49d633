"""CMC: each network sees its channels alone, finds the other's bank, and both are judged together or apart."""

import math
from types import SimpleNamespace

import pytest
import tiny
import torch

from vicreg.augment.policy import Policy
from vicreg.io.section import Section
from vicreg.methods.cmc import ChannelNetwork, LabEncoder
from vicreg.nn.lab import rgb_to_lab
from vicreg.nn.memory_bank import softmax_contrast


def test_networks_have_half_the_width_and_representations_the_whole() -> None:
    method = tiny.method("cmc", width=8)
    networks = [getattr(method.encoder.backbone, part).network for part in ("lightness", "color")]
    assert [network.conv1.weight.shape[:2] for network in networks] == [(4, 1), (4, 2)]
    assert method.representation.num_features == tiny.encoder(8).num_features
    assert method.encoder.mean.tolist() == [0, 0, 0]


def test_what_srgb_has_of_lab_becomes_minus_one_to_one() -> None:
    corners = torch.cartesian_prod(*[torch.linspace(0, 1, 17)] * 3).T.reshape(1, 3, 17, 289)
    values = tiny.method("cmc").encoder.normalize(corners)
    for channel in range(3):
        assert float(values[0, channel].min()) == pytest.approx(-1, abs=0.01)
        assert float(values[0, channel].max()) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("part", ["lightness", "color"])
def test_each_part_alone_sees_only_its_channels(part: str) -> None:
    method = tiny.method("cmc", representation=part).eval()
    encoder = method.representation
    assert isinstance(encoder, LabEncoder) and encoder is not method.encoder
    images = (0.4 + 0.2 * torch.rand(2, 3, 16, 16)).double().requires_grad_()
    encoder.double()(images).sum().backward()
    assert images.grad is not None
    jacobian = torch.autograd.functional.jacobian(rgb_to_lab, images.detach()[:1, :, :1, :1])[0, :, 0, 0, 0, :, 0, 0]
    by_lab = torch.linalg.solve(jacobian.T, images.grad[0, :, 0, 0])  # the gradient by L, a, b of one pixel
    unseen = by_lab[1:] if part == "lightness" else by_lab[:1]
    assert unseen.abs().max() < 1e-9 * by_lab.abs().max()


def test_both_are_one_after_the_other() -> None:
    method, images = tiny.method("cmc").eval(), tiny.batch(6).images
    parts = [tiny.method("cmc", representation=part).eval().representation(images) for part in ("lightness", "color")]
    torch.testing.assert_close(method.representation(images), torch.cat(parts, dim=1))


def test_equal_scores_cost_the_log_twice() -> None:
    method = tiny.method("cmc", num_images=50)
    with torch.no_grad():
        for bank in method.banks.values():
            bank.rows.copy_(bank.rows[:1].expand_as(bank.rows))
        loss = method(method.inputs(tiny.batch(6)))["loss"]
    assert float(loss) == pytest.approx(2 * math.log(50), rel=1e-5)


def test_each_part_moves_its_own_bank_and_reads_the_other() -> None:
    method = tiny.method("cmc", bank_momentum=0.0)
    inputs = method.inputs(tiny.batch(6))
    outputs = method(inputs)
    lightness, color, indices = outputs["lightness"], outputs["color"], inputs["indices"]
    for term, z, bank in (("lightness_loss", lightness, "color"), ("color_loss", color, "lightness")):
        expected = softmax_contrast(z, method.banks[bank].rows, indices, 0.07)["loss"]
        assert float(outputs[term]) == pytest.approx(float(expected))
    assert outputs["loss"].item() == pytest.approx(float(outputs["lightness_loss"] + outputs["color_loss"]))
    method.after_step(outputs, 0.0)
    for part in ("lightness", "color"):
        torch.testing.assert_close(method.banks[part].rows[indices], outputs[part])


def test_a_network_without_a_width_cannot_be_halved() -> None:
    with pytest.raises(ValueError, match="needs a backbone with a `width`"):
        ChannelNetwork(SimpleNamespace(params=Section()), "color")


def test_views_keep_their_colors() -> None:
    gray = Policy(flip=1.0, jitter=1.0, brightness=0.4, hue=0.2, grayscale=1.0)
    views = tiny.method("cmc").inputs(tiny.batch(6, policy=gray))["views"]
    torch.testing.assert_close(views, tiny.batch(6).images.flip(3) / 255)
