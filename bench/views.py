"""Views per second: ours against torchvision's PIL and tensor pipelines, with the CIFAR policy, one core and all."""

from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer

from bench import interleave, ratio, report
from vicreg.augment.policy import Policy
from vicreg.augment.views import make_views
from vicreg.study import params


def pipeline(policy: Policy, view: int, kind: str, size: int = 32) -> Callable:
    """torchvision's transforms for one view of a policy, on PIL images or tensors, ending in a float tensor."""
    from torchvision.transforms import InterpolationMode, v2

    jitter = v2.ColorJitter(policy.brightness, policy.contrast, policy.saturation, policy.hue)
    scale, ratio_ = (policy.scale_min, policy.scale_max), (policy.ratio_min, policy.ratio_max)
    steps = [
        v2.RandomResizedCrop(size, scale, ratio_, InterpolationMode(policy.interpolation)),
        v2.RandomHorizontalFlip(policy.flip),
        v2.RandomApply([jitter], policy.jitter),
        v2.RandomGrayscale(policy.grayscale),
    ]
    if policy.blur[view]:
        steps.append(v2.RandomApply([v2.GaussianBlur(policy.blur_kernel, policy.blur_sigma)], policy.blur[view]))
    if policy.solarize[view]:
        steps.append(v2.RandomSolarize(128, policy.solarize[view]))
    convert = [v2.PILToTensor()] if kind == "pil" else []
    return v2.Compose([*steps, *convert, v2.ToDtype(torch.float32, scale=True)])


def draw_with_torchvision(pixels: np.ndarray, policy: Policy, kind: str) -> int:
    """Two views of each image (N, H, W, 3) uint8, one image at a time, as a DataLoader's worker draws them."""
    from PIL import Image

    torch.set_num_threads(1)
    pipelines = [pipeline(policy, view, kind) for view in (0, 1)]
    images = [Image.fromarray(image) if kind == "pil" else torch.from_numpy(image).permute(2, 0, 1) for image in pixels]
    torch.stack([draw(image) for draw in pipelines for image in images])
    return 2 * len(pixels)


def main(
    json: Annotated[Path | None, typer.Option(help="Where to write the figures.")] = None,
    rounds: int = 15,
    images: Annotated[int, typer.Option(help="Images per round for torchvision; ours draws 8 times as many.")] = 256,
) -> None:
    """Compare views per second, one core and all cores."""
    policy = params.load().aug
    pixels = np.random.default_rng(0).integers(0, 256, (8 * images, 32, 32, 3), dtype=np.uint8)
    batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    generator = torch.Generator().manual_seed(0)
    cores = torch.get_num_threads()

    def ours(threads: int) -> int:
        torch.set_num_threads(threads)
        for part in batch.split(256):
            make_views(part, policy, generator)
        return 2 * len(batch)

    one = interleave(
        {
            "ours": lambda: ours(1),
            "PIL": lambda: draw_with_torchvision(pixels[:images], policy, "pil"),
            "tensor": lambda: draw_with_torchvision(pixels[:images], policy, "tensor"),
        },
        rounds,
    )
    with get_context("spawn").Pool(cores) as pool:
        parts = np.array_split(pixels[: images * cores], cores)

        def workers(kind: str) -> int:
            return sum(pool.starmap(draw_with_torchvision, [(part, policy, kind) for part in parts]))

        everything = interleave(
            {"ours": lambda: ours(cores), "PIL": lambda: workers("pil"), "tensor": lambda: workers("tensor")},
            max(3, rounds // 3),
        )
    rows = [[name, str(one[name]), str(everything[name])] for name in one]
    figures = {
        "n": rounds,
        "views_per_second": round(one["ours"].median),
        "views_per_second_all_cores": round(everything["ours"].median),
        "ratio_pil_per_core": round(ratio(one["ours"], one["PIL"]), 2),
        "ratio_tensor_per_core": round(ratio(one["ours"], one["tensor"]), 2),
        "ratio_pil_all_cores": round(ratio(everything["ours"], everything["PIL"]), 2),
        "rounds": {name: [round(rate) for rate in rates.rounds] for name, rates in one.items()},
    }
    headers = ["pipeline", "views per second, one core", f"{cores} cores"]
    report("Views of the CIFAR policy, 32 x 32 pixels", headers, rows, figures, json)


if __name__ == "__main__":
    typer.run(main)
