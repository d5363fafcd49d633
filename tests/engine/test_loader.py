"""Batches are the same wherever the images lie."""

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from vicreg.engine import loader
from vicreg.engine.loader import Loader

PLACEMENTS = ["auto", "device", "stream"]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_batches_follow_order_and_positions(placement: str) -> None:
    pixels, positions = tiny.pixels(20, side=8), np.array([11, 3, 5, 7, 2, 19])
    images = Loader(pixels, positions, tiny.CPU, placement)
    assert len(images) == 6
    order = torch.tensor([3, 1, 4, 0, 5])
    parts = list(images.batches(order, 2, slice(0, 2)))
    assert [len(part) for part, _ in parts] == [2, 2, 1]
    assert torch.equal(torch.cat([indices for _, indices in parts]), order)
    expected = torch.from_numpy(pixels[positions[order]]).permute(0, 3, 1, 2)
    assert torch.equal(torch.cat([part for part, _ in parts]), expected)
    assert all(part.is_contiguous() and part.dtype == torch.uint8 for part, _ in parts)


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_rows_of_each_batch_are_this_processs(placement: str) -> None:
    images, order = Loader(tiny.pixels(8, side=4), np.arange(8), tiny.CPU, placement), torch.randperm(8)
    whole = list(images.batches(order, 4, slice(0, 4)))
    for rows in (slice(0, 2), slice(2, 4)):
        for (part, indices), (images_of_all, all_indices) in zip(images.batches(order, 4, rows), whole, strict=True):
            assert torch.equal(part, images_of_all[rows]) and torch.equal(indices, all_indices[rows])


def test_memory_mapped_pixels_train_to_the_same_weights(tmp_path: Path) -> None:
    np.save(tmp_path / "pixels.npy", tiny.pixels())
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    states = []
    for pixels, placement in (
        (tiny.pixels(), "device"),
        (tiny.pixels(), "stream"),
        (mapped, "device"),
        (mapped, "stream"),
    ):
        begun = tiny.state(tiny.method())
        tiny.run(begun, tiny.loader(pixels, placement), tiny.config(2))
        states.append(begun.method.state_dict())
    for state in states[1:]:
        tiny.assert_same(states[0], state)


def test_auto_streams_what_takes_more_than_half_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = tiny.pixels(10, side=8)
    for free, placed in ((2 * pixels.nbytes, True), (2 * pixels.nbytes - 2, False)):
        monkeypatch.setattr(loader, "free_memory", lambda device, free=free: free)
        assert (Loader(pixels, np.arange(10), tiny.CPU).images is not None) == placed
    assert loader.free_memory(tiny.CPU) > 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="streaming needs a second device")
def test_streamed_batches_equal_those_on_the_device() -> None:
    device, order = torch.device("cuda"), torch.randperm(64, device="cuda")
    placed, streamed = (Loader(tiny.pixels(64), np.arange(64), device, kind) for kind in ("device", "stream"))
    pairs = zip(placed.batches(order, 16, slice(0, 16)), streamed.batches(order, 16, slice(0, 16)), strict=True)
    for one, other in pairs:
        tiny.assert_same(one, other)


def test_a_device_other_than_the_images_own_gets_every_batch() -> None:
    images = Loader(tiny.pixels(10), np.arange(10), torch.device("meta"), "stream")
    parts = [part for part, _ in images.batches(torch.arange(10), 4, slice(0, 4))]
    assert [tuple(part.shape) for part in parts] == [(4, 3, 32, 32), (4, 3, 32, 32), (2, 3, 32, 32)]
    assert {part.device.type for part in parts} == {"meta"}
