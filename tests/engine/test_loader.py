"""Batches are the same wherever the images lie."""

import pytest
import torch

from vicreg.engine import loader

CPU = torch.device("cpu")


def some_images(n: int = 10) -> torch.Tensor:
    return torch.randint(0, 256, (n, 32, 32, 3), dtype=torch.uint8).permute(0, 3, 1, 2)


@pytest.mark.parametrize("memory", ["auto", "device", "host"])
def test_images_are_placed_unchanged_and_contiguous(memory):
    images = some_images()
    placed = loader.place(images, CPU, memory)
    assert torch.equal(placed, images) and placed.is_contiguous()


def test_batches_follow_the_order_and_the_last_may_be_smaller():
    images, order = some_images(), torch.tensor([3, 1, 4, 9, 5])
    parts = list(loader.batches(images, order, 2, CPU))
    assert [len(part) for part in parts] == [2, 2, 1]
    assert torch.equal(torch.cat(parts), images[order])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="streaming needs a second device")
def test_streamed_batches_equal_those_on_the_device():
    device, images, order = torch.device("cuda"), some_images(64), torch.randperm(64, device="cuda")
    on_device = loader.batches(loader.place(images, device, "device"), order, 16, device)
    streamed = loader.batches(loader.place(images, device, "host"), order, 16, device)
    assert all(torch.equal(a, b) for a, b in zip(on_device, streamed, strict=True))


def test_a_device_other_than_the_images_own_gets_every_batch():
    parts = list(loader.batches(some_images(), torch.arange(10), 4, torch.device("meta")))
    assert [tuple(part.shape) for part in parts] == [(4, 3, 32, 32), (4, 3, 32, 32), (2, 3, 32, 32)]
    assert {part.device.type for part in parts} == {"meta"}
