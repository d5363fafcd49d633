"""How much of what the device can do a step reaches: its arithmetic against a large matrix product, its memory traffic
against a large copy.

Traffic counts what each layer reads and writes once forward and twice backward, as if no cache kept anything between
layers; arithmetic counts multiplications and additions of convolutions and matrix products. A step can be no faster
than the slower of the two.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor, nn

from bench import interleave, report
from bench.step import engine, sized
from vicreg.engine import devices, loop
from vicreg.engine.loader import Loader
from vicreg.study import builders


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def best_rate(work: Any, amount: float, device: torch.device, repeats: int = 10) -> float:
    """Amount per second of the fastest of some repeats."""
    fastest = float("inf")
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        work()
        wait(device)
        fastest = min(fastest, time.perf_counter() - start)
    return amount / fastest


def matmul_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second of a large matrix product."""
    n = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    return best_rate(lambda: a @ b, 2 * n**3, device)


def copy_rate(device: torch.device) -> float:
    """Bytes per second, read and written, of a large copy."""
    a = torch.zeros(2**28, device=device, dtype=torch.uint8)
    b = torch.empty_like(a)
    return best_rate(lambda: b.copy_(a), 2 * a.numel(), device)


def read_rate(images: int = 200_000) -> float:
    """Images of 32 x 32 pixels per second, read at random from a memory-mapped file that the system may have cached."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "pixels.npy"
        pixels = np.lib.format.open_memmap(file, "w+", np.uint8, (images, 32, 32, 3))
        for start in range(0, images, 10_000):
            pixels[start : start + 10_000] = start % 256
        loader = Loader(np.load(file, mmap_mode="r"), np.arange(images), torch.device("cpu"), "stream")
        order = torch.randperm(images)
        chosen = order[:51_200].split(256)
        return best_rate(lambda: [loader.read(part) for part in chosen], 51_200, loader.device, 3)


def operations(method: nn.Module, views: Tensor, dtype: torch.dtype) -> float:
    """Floating-point operations of one forward and backward pass."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, loop.autocast(views.device, dtype):
        method(views)["loss"].backward()
    return counter.get_total_flops()


def traffic(method: nn.Module, views: Tensor, dtype: torch.dtype) -> float:
    """Bytes that the layers of one pass read and write: inputs, outputs and weights, three times."""
    total, size = 0, torch.finfo(dtype).bits // 8

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        tensors = [*inputs, output, *module.parameters(recurse=False)]
        total += sum(tensor.numel() for tensor in tensors) * size

    leaves = [module for module in method.modules() if not list(module.children())]
    hooks = [module.register_forward_hook(count) for module in leaves]
    with torch.no_grad(), loop.autocast(views.device, dtype):
        method(views)
    for hook in hooks:
        hook.remove()
    return 3 * total


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    rounds: int = 5,
    widths: Annotated[str, typer.Option(help="Widths of ResNet-18, with commas between.")] = "8,16",
    batch_size: int = 256,
) -> None:
    """Tell which part of the device's limit a step of pretraining reaches."""
    device = devices.choose_device("auto")
    dtype = devices.choose_dtype("auto", device)
    peak, bandwidth = matmul_rate(device, dtype), copy_rate(device)
    pixels = np.random.default_rng(0).integers(0, 256, (4 * batch_size, 32, 32, 3), dtype=np.uint8)
    views = torch.rand(2 * batch_size, 3, 32, 32, device=device)
    rows, reached = [], {}
    for width in map(int, widths.split(",")):
        row = sized(width, batch_size, rounds + 1)
        method: Any = builders.build_method(row, pixels, np.arange(len(pixels))).to(device)
        method = method.to(memory_format=torch.channels_last)
        seconds = {
            "arithmetic": operations(method, views, dtype) / peak,
            "traffic": traffic(method, views, dtype) / bandwidth,
        }
        rate = interleave({"ours": engine(row, pixels, device)}, rounds)["ours"]
        step = batch_size / rate.median
        reached[str(width)] = round(max(seconds.values()) / step, 3)
        bounds = [f"{1000 * value:.1f}" for value in seconds.values()]
        rows.append([str(width), *bounds, f"{1000 * step:.1f}", f"{reached[str(width)]:.0%}"])
    figures = {
        "n": rounds,
        "precision": str(dtype).removeprefix("torch."),
        "matmul_gflops": round(peak / 1e9),
        "copy_gbytes_per_second": round(bandwidth / 1e9, 1),
        "random_reads_per_second": round(read_rate()),
        "part_of_limit": reached,
    }
    headers = ["width", "arithmetic, ms", "traffic, ms", "a step, ms", "part of the limit"]
    report(f"A step of {batch_size} image pairs", headers, rows, figures, json)


if __name__ == "__main__":
    typer.run(main)
