"""Views are made where the batch lies: a whole batch at a time, every image with its own parameters.

`make_views` draws and applies; `apply` alone is a pure function of images and drawn parameters. The operators
and their sequence are those of BYOL and VICReg: crop, flip, color jitter, grayscale, blur, solarize. A CPU
gathers the images that an operator is due for; any other device computes it for all images and selects,
because the host would have to wait to learn how many they are. The results are the same.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial

import torch
from torch import Tensor

from vicreg.augment import operators
from vicreg.augment.policy import BRIGHTNESS, CONTRAST, HUE, SATURATION, Policy, ViewParams, sample

CHUNK = 64  # images at a time on a CPU: 64 x 12 KiB, at 32 x 32 pixels, stay in its cache
JITTER = {
    BRIGHTNESS: operators.brightness,
    CONTRAST: operators.contrast,
    SATURATION: operators.saturation,
    HUE: operators.hue,
}


def make_views(
    images: Tensor,
    policy: Policy,
    generator: torch.Generator,
    *,
    count: int = 2,
    size: int | None = None,
    of: int | None = None,
    rows: slice = slice(None),
    compiled: bool = False,
) -> Tensor:
    """Draw `count` views of each image.

    Args:
        images: (N, 3, H, W) uint8.
        size: pixels of a view's sides; by default those of the images.
        policy: the numbers to draw with; of its pairs, the first is for views 0, 2, ..., the second for views 1, 3, ...
        generator: the only source of randomness, on the device of the images.
        of, rows: the images are these rows of a batch of so many. Parameters are drawn for the whole batch, so that
            several processes that share one get the views that one process would.
        compiled: whether `torch.compile` translates the operators; the drawing stays as it is.

    Returns (count * N, 3, H, W) float32 in [0, 1]: the first view of each image, then the second of each, ...
    """
    n, _, height, width = images.shape
    first, *others = [
        sample(of or n, (height, width), policy, view % 2, generator).select(rows) for view in range(count)
    ]
    function = _compiled_apply() if compiled else apply
    return function(images.repeat(count, 1, 1, 1), first.concat(*others), policy, size)


@cache
def _compiled_apply() -> Callable[..., Tensor]:
    return torch.compile(apply, dynamic=False)  # for each size of views anew


def apply(images: Tensor, drawn: ViewParams, policy: Policy, size: int | None = None) -> Tensor:
    """Make one view (N, 3, H, W) float32 in [0, 1] of each image (N, 3, H, W) uint8 from parameters on its device.

    policy: for what is not drawn: interpolation, size of the blur, threshold. size: of the sides, those of the images
    by default.
    """
    d = drawn
    x = _crop_and_flip(images, d, policy.interpolation, (size, size) if size else images.shape[2:])
    if d.jitter is not None and d.order is not None and d.factors is not None:
        jitter = _jitter_by_order if _on_cpu(x) else partial(_jitter_by_turn, with_hue=policy.hue > 0)
        x = jitter(x, d.jitter, d.order, d.factors)
    if d.grayscale is not None:
        x = apply_masked(d.grayscale, operators.grayscale, x)
    if d.blur is not None and d.sigma is not None:
        x = apply_masked(d.blur, partial(operators.blur, kernel=policy.blur_kernel), x, d.sigma)
    if d.solarize is not None:
        x = apply_masked(d.solarize, partial(operators.solarize, threshold=policy.solarize_threshold), x)
    return x


def _crop_and_flip(images: Tensor, drawn: ViewParams, interpolation: str, size: Sequence[int]) -> Tensor:
    box = drawn.box
    if box is None and tuple(size) == images.shape[2:]:
        x = images.float().div_(255)
        return x if drawn.flip is None else apply_masked(drawn.flip, lambda y: y.flip(3), x)
    if box is None:
        box = torch.tensor([0, 0, *images.shape[2:]], device=images.device).expand(len(images), 4)
    if not _on_cpu(images):
        return _crop(images, box, drawn.flip, interpolation, size)
    x = torch.empty(*images.shape[:2], *size)
    for start in range(0, len(images), CHUNK):
        part = slice(start, start + CHUNK)
        flip = None if drawn.flip is None else drawn.flip[part]
        x[part] = _crop(images[part], box[part], flip, interpolation, size)
    return x


def _crop(images: Tensor, box: Tensor, flip: Tensor | None, interpolation: str, size: Sequence[int]) -> Tensor:
    top, left, height, width = box.unbind(1)
    rows = operators.resize_weights(top, height, images.shape[2], size[0], interpolation).div_(255)
    columns = operators.resize_weights(left, width, images.shape[3], size[1], interpolation, flip)
    # Bicubic overshoots; torchvision leaves that on float tensors, but every operator after it needs [0, 1].
    return operators.separable(images.float(), rows, columns).clamp_(0, 1)


def _jitter_by_order(x: Tensor, mask: Tensor, order: Tensor, factors: Tensor) -> Tensor:
    """Gather the images that share an order, which costs a CPU exactly the work that is due."""
    positions = mask.nonzero().squeeze(1)
    digits = len(JITTER) ** torch.arange(order.shape[1])
    names, by_name = (order[positions] * digits).sum(1).sort()  # one number per order
    counts = names.unique_consecutive(return_counts=True)[1].tolist()
    for group in positions[by_name].split(counts):
        x = apply_at(group, partial(_in_turn, order[group[0]].tolist()), x, factors)
    return x


def _in_turn(operators: list[int], x: Tensor, factors: Tensor) -> Tensor:
    for i in operators:
        x = JITTER[i](x, factors[:, i])
    return x


def _jitter_by_turn(x: Tensor, mask: Tensor, order: Tensor, factors: Tensor, with_hue: bool) -> Tensor:
    """Take turns: in each, every image undergoes its own operator, without waiting for the device.

    All but hue are one blend, with black, the mean gray or gray; a factor of 1 leaves an image as it is.
    """
    for turn in order.unbind(1):
        factor = factors.gather(1, turn.unsqueeze(1)).squeeze(1)
        factor = torch.where(mask & (turn != HUE), factor, 1.0)
        gray, flat = (operators.per_image((turn == i).float()) for i in (SATURATION, CONTRAST))
        target = operators.luma(x) * gray + operators.mean_luma(x) * flat
        x = operators.blend(x, target, factor)
        if with_hue:
            x = apply_masked(mask & (turn == HUE), operators.hue, x, factors[:, HUE])
    return x


def apply_masked(mask: Tensor, operator: Callable[..., Tensor], x: Tensor, *parameters: Tensor) -> Tensor:
    """Apply an operator to the images of the mask: to them alone on a CPU, to all and select elsewhere.

    Only a CPU knows at once how many they are; a GPU would have to be waited for.
    """
    if not _on_cpu(x):
        return torch.where(operators.per_image(mask), operator(x, *parameters), x)
    return apply_at(mask.nonzero().squeeze(1), operator, x, *parameters)


def apply_at(positions: Tensor, operator: Callable[..., Tensor], x: Tensor, *parameters: Tensor) -> Tensor:
    """Apply an operator in place to the images at `positions`, as many at a time as stay in the cache."""
    for some in positions.split(CHUNK):
        if len(some):  # splitting nothing gives one empty part
            x.index_copy_(0, some, operator(*(tensor.index_select(0, some) for tensor in (x, *parameters))))
    return x


def _on_cpu(x: Tensor) -> bool:
    return x.device.type == "cpu" and not torch.compiler.is_compiling()
