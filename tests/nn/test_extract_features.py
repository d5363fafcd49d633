"""Frozen features: normalization, batches, and encoders that are not frozen or not finite."""

import numpy as np
import pytest
import tiny
import torch
from tiny import CPU
from torch import Tensor, nn

from vicreg.data.images import Images
from vicreg.evaluation import pair_loss
from vicreg.jobs import online_eval
from vicreg.nn.encoder import Encoder, channel_statistics, extract_features
from vicreg.nn.method import Method

PIXELS = tiny.pixels(40)
IMAGES = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)


class Convolution(nn.Module):
    """A backbone with batch norm."""

    num_features = 6

    def __init__(self, trains: bool = False):
        super().__init__()
        self.conv, self.norm, self.trains = nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), trains

    def forward(self, x: Tensor) -> Tensor:
        norm = self.norm.train() if self.trains else self.norm
        return norm(self.conv(x)).relu().mean(dim=(2, 3))


class Same(nn.Module):
    num_features = 3

    def forward(self, x: Tensor) -> Tensor:
        return x


class Projected(Method):
    """A method whose projector changes nothing."""

    def __init__(self, encoder: nn.Module):
        super().__init__(encoder, None, num_images=40)  # type: ignore[arg-type]
        self.projector = nn.Identity()


def test_channel_statistics_are_numpys():
    pixels = np.random.default_rng(0).integers(0, 200, (7, 5, 4, 3), dtype=np.uint8)
    positions = np.array([6, 0, 2])
    mean, std = channel_statistics(pixels, positions, chunk=2)
    np.testing.assert_allclose(mean, (pixels[positions] / 255).mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(std, (pixels[positions] / 255).std(axis=(0, 1, 2)))


def test_an_encoder_normalizes_uint8_and_floats_alike():
    encoder = Encoder(Same(), (0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    mean, std = (torch.tensor(it).view(3, 1, 1) for it in ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)))
    torch.testing.assert_close(encoder(IMAGES), (IMAGES / 255 - mean) / std)
    torch.testing.assert_close(encoder(IMAGES / 255), (IMAGES / 255 - mean) / std)


def test_features_depend_on_no_batch_and_change_nothing():
    encoder = Encoder(Convolution())
    before = {key: value.clone() for key, value in encoder.state_dict().items()}
    whole, parts = (extract_features(encoder, PIXELS, CPU, batch_size=size) for size in (1000, 7))
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-5)
    assert whole.dtype == np.float32 and whole.shape == (40, 6)
    for key, value in encoder.state_dict().items():
        assert torch.equal(value, before[key]), f"{key} changed while it was frozen"


def test_features_of_some_positions_are_those_of_a_subset(tmp_path):
    encoder, positions = Encoder(Convolution()), np.random.default_rng(1).permutation(40)[:25]
    np.save(tmp_path / "pixels.npy", PIXELS)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    some = extract_features(encoder, mapped, CPU, positions=positions, batch_size=10)
    np.testing.assert_array_equal(some, extract_features(encoder, PIXELS[positions], CPU, batch_size=10))


def test_an_encoder_that_changes_while_frozen_is_an_error():
    learning = Encoder(Convolution(trains=True))
    changed = r"backbone\.norm\.num_batches_tracked, (encoder\.)?backbone\.norm\.running_mean"
    message = rf"changed while it was frozen, in 3 of \d+ tensors: (encoder\.)?{changed}"
    with pytest.raises(RuntimeError, match=message):
        extract_features(learning, PIXELS, CPU)
    known = Images(PIXELS, np.arange(40) % 4, np.full(40, "train"), tuple("abcd"), "made up", False)
    with pytest.raises(RuntimeError, match=message):
        online_eval.evaluate(learning, known, 0, CPU)
    with pytest.raises(RuntimeError, match=message):
        pair_loss.embeddings(Projected(learning), IMAGES, CPU)


def test_features_that_are_not_finite_are_counted_and_an_error():
    encoder = Encoder(Convolution())
    threshold = IMAGES[:, 0, 0, 0].median()

    class Overflowing(nn.Module):
        num_features = 6

        def forward(self, x: Tensor) -> Tensor:
            return torch.where(x[:, 0, :1, 0] > threshold, torch.inf, encoder(x))

    bad = int((IMAGES[:, 0, 0, 0] > threshold).sum())
    message = rf"{bad} of 40 representations are not finite: the weights diverged.*`optimizer.base_lr`.*`precision: flo"
    with pytest.raises(ValueError, match=message):
        extract_features(Overflowing(), PIXELS, CPU)
    with pytest.raises(ValueError, match=message):
        pair_loss.embeddings(Projected(Overflowing()), IMAGES, CPU)
