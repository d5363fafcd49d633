"""Views equal torchvision's operators, image by image, and are drawn from torchvision's distributions."""

import dataclasses
import warnings
from collections import Counter
from itertools import permutations
from typing import Any

import pytest
import tiny
import torch
from scipy import stats
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as F

from vicreg.augment import operators, views
from vicreg.augment.batch import Batch
from vicreg.augment.policy import Policy, ViewParams, sample, sample_boxes
from vicreg.augment.views import apply, make_views

ALL_ON = Policy(
    scale_min=0.2,
    interpolation="bicubic",
    flip=0.5,
    jitter=0.8,
    brightness=0.4,
    contrast=0.4,
    saturation=0.2,
    hue=0.1,
    grayscale=0.2,
    blur=(1.0, 0.1),
    blur_kernel=5,
    solarize=(0.0, 0.2),
)
JITTER = (F.adjust_brightness, F.adjust_contrast, F.adjust_saturation, F.adjust_hue)
MANY = 20_000


def changed(policy: Policy, **changes: Any) -> Policy:
    return Policy.model_validate(policy.model_dump() | changes)


def draw(n: int, policy: Policy, view: int = 0, generator: torch.Generator | None = None) -> Any:
    """Draw for images of 32 x 32 pixels; not typed, because here every operator in question is on."""
    return sample(n, (32, 32), policy, view, generator or tiny.generator())


def random_images(n: int, height: int = 32, width: int = 32) -> Tensor:
    """Half noise, half smooth, and some that are gray, black, white or of pure colors."""
    images = torch.randint(0, 256, (n, 3, height, width), dtype=torch.uint8, generator=tiny.generator(n))
    smooth = torch.rand((n, 3, 4, 4), generator=tiny.generator(n + 1))
    smooth = torch.nn.functional.interpolate(smooth, size=(height, width), mode="bilinear")
    images[::2] = (smooth[::2] * 255).byte()
    images[3] = images[3, :1]
    images[5], images[7] = 0, 255
    images[9] = (images[9] > 127) * 255
    return images


def one_by_one(operator, images: Tensor, *parameters) -> Tensor:
    """Apply a torchvision operator to each image with its own parameters."""
    rows = zip(images, *(parameter.tolist() for parameter in parameters), strict=True)
    return torch.stack([operator(image, *row) for image, *row in rows])


def close(ours: Tensor, theirs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


def crop_by_torchvision(image: Tensor, box: list[int], interpolation: str, side: int | None = None) -> Tensor:
    mode = InterpolationMode(interpolation)
    size = [side, side] if side else list(image.shape[1:])
    return F.resized_crop(image, *box, size=size, interpolation=mode, antialias=True).clamp(0, 1)


def view_by_torchvision(image: Tensor, drawn: Any, i: int, policy: Policy) -> Tensor:
    """Make view `i` as torchvision's pipelines do, one image and one operator after the other."""
    x = F.to_dtype(image, torch.float32, scale=True)
    x = crop_by_torchvision(x, drawn.box[i].tolist(), policy.interpolation)
    if drawn.flip[i]:
        x = F.horizontal_flip(x)
    if drawn.jitter[i]:
        for operator in drawn.order[i].tolist():
            x = JITTER[operator](x, drawn.factors[i, operator].item())
    if drawn.grayscale[i]:
        x = F.rgb_to_grayscale(x, num_output_channels=3)
    if drawn.blur[i]:
        x = F.gaussian_blur(x, [policy.blur_kernel] * 2, [drawn.sigma[i].item()] * 2)
    return F.solarize(x, policy.solarize_threshold) if drawn.solarize[i] else x


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_a_crop_equals_resized_crop(interpolation, size):
    images = random_images(100, *size)
    policy = Policy(scale_min=0.02, interpolation=interpolation)
    boxes = sample_boxes(len(images), size, policy, tiny.generator())
    x = images / 255
    theirs = torch.stack(
        [crop_by_torchvision(image, box.tolist(), interpolation) for image, box in zip(x, boxes, strict=True)]
    )
    close(apply(images, ViewParams(box=boxes), policy), theirs)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("side", [7, 18, 40])
def test_a_view_of_another_size_equals_resized_crop(interpolation, side):
    images = random_images(60, 32, 32)
    boxes = sample_boxes(60, (32, 32), Policy(scale_min=0.05), tiny.generator())  # some shrink, some grow
    x = images / 255
    pairs = zip(x, boxes, strict=True)
    theirs = torch.stack([crop_by_torchvision(image, box.tolist(), interpolation, side) for image, box in pairs])
    close(apply(images, ViewParams(box=boxes), Policy(interpolation=interpolation), side), theirs)
    whole = torch.stack([crop_by_torchvision(image, [0, 0, 32, 32], interpolation, side) for image in x])
    close(apply(images, ViewParams(), Policy(interpolation=interpolation), side), whole)  # no crop is drawn


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_every_box_along_an_axis_equals_resized_crop(interpolation):
    side = 8
    boxes = [(top, 0, height, side) for height in range(1, side + 1) for top in range(side - height + 1)]
    images = random_images(len(boxes), side, side)
    rows = torch.tensor([box[0] for box in boxes]), torch.tensor([box[2] for box in boxes])
    weights = operators.resize_weights(*rows, side, side, interpolation)
    columns = torch.eye(side).expand(len(boxes), side, side)
    ours = operators.separable(images / 255, weights, columns).clamp(0, 1)
    pairs = zip(images / 255, boxes, strict=True)
    close(ours, torch.stack([crop_by_torchvision(x, list(box), interpolation) for x, box in pairs]))


def test_an_unknown_interpolation_is_an_error():
    with pytest.raises(ValueError, match="not 'nearest'"):
        operators.resize_weights(torch.zeros(1), torch.ones(1), 4, 4, "nearest")


@pytest.mark.parametrize(
    ("ours", "theirs", "low", "high"),
    [
        (operators.brightness, F.adjust_brightness, 0.0, 2.0),
        (operators.contrast, F.adjust_contrast, 0.0, 2.0),
        (operators.saturation, F.adjust_saturation, 0.0, 2.0),
        (operators.hue, F.adjust_hue, -0.5, 0.5),
    ],
)
def test_a_color_operator_equals_torchvisions(ours, theirs, low, high):
    x = random_images(150) / 255
    factors = torch.rand(len(x), generator=tiny.generator()) * (high - low) + low
    factors[:3] = torch.tensor([low, (low + high) / 2, high])
    close(ours(x, factors), one_by_one(theirs, x, factors))


def test_hue_equals_torchvisions_on_every_kind_of_color():
    levels = torch.tensor([0.0, 1e-6, 0.25, 0.5, 0.75, 1 - 1e-6, 1.0])
    colors = torch.cartesian_prod(levels, levels, levels).T.reshape(1, 3, 49, 7)
    shifts = torch.linspace(-0.5, 0.5, 61)
    x = colors.repeat(len(shifts), 1, 1, 1)
    close(operators.hue(x, shifts), one_by_one(F.adjust_hue, x, shifts))


def test_grayscale_equals_torchvisions():
    x = random_images(20) / 255
    close(operators.grayscale(x), F.rgb_to_grayscale(x, num_output_channels=3))


@pytest.mark.parametrize("kernel", [1, 3, 5, 23])
def test_blur_equals_torchvisions_gaussian_blur(kernel):
    x = random_images(60, 24, 32) / 255
    sigma = torch.rand(len(x), generator=tiny.generator()) * 1.9 + 0.1
    theirs = one_by_one(lambda image, s: F.gaussian_blur(image, [kernel, kernel], [s, s]), x, sigma)
    close(operators.blur(x, sigma, kernel), theirs)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 1.0])
def test_solarize_equals_torchvisions(threshold):
    x = random_images(20) / 255
    close(operators.solarize(x, threshold), F.solarize(x, threshold))


@pytest.fixture(params=["gathered", "selected"])
def path(request, monkeypatch):
    """Both ways to apply an operator to some images: as on a CPU, and as where the host must not wait."""
    if request.param == "selected":
        monkeypatch.setattr(views, "_on_cpu", lambda x: False)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_whole_view_equals_torchvisions_pipeline(path, interpolation):
    images, policy = random_images(150), changed(ALL_ON, interpolation=interpolation, solarize=(0.5, 0.5))
    drawn = draw(len(images), changed(policy, blur=(0.3, 0.3)))
    ours = apply(images, drawn, policy)
    close(ours, torch.stack([view_by_torchvision(x, drawn, i, policy) for i, x in enumerate(images)]))
    assert ours.dtype == torch.float32
    assert ours.min() >= 0 and ours.max() <= 1


@pytest.mark.parametrize(
    "policy",
    [
        Policy(flip=0.5),
        Policy(scale_min=0.5),
        Policy(jitter=0.5, brightness=0.4),
        Policy(jitter=0.5, contrast=0.4, hue=0.5),
        Policy(jitter=1.0, saturation=1.5),
        Policy(grayscale=0.5),
        Policy(blur=(0.5, 0.5)),
        Policy(solarize=(0.5, 0.5), solarize_threshold=0.2),
    ],
)
def test_operators_work_alone(path, policy):
    images, n = random_images(40), 40
    drawn = draw(n, policy)
    never, whole = torch.zeros(n, dtype=torch.bool), torch.tensor([[0, 0, 32, 32]]).expand(n, -1)
    off = ViewParams(whole, never, never, None, None, never, never, torch.ones(n), never)
    complete = dataclasses.replace(off, **{k: v for k, v in vars(drawn).items() if v is not None})
    theirs = torch.stack([view_by_torchvision(x, complete, i, policy) for i, x in enumerate(images)])
    close(apply(images, drawn, policy), theirs)


def test_a_policy_that_is_off_gives_the_images(path):
    images = random_images(20)
    assert torch.equal(make_views(images, Policy(), tiny.generator()), (images / 255).repeat(2, 1, 1, 1))


def test_jitter_without_strength_gives_the_images(path):
    images = random_images(20)
    assert torch.equal(make_views(images, Policy(jitter=1.0), tiny.generator()), (images / 255).repeat(2, 1, 1, 1))


def test_a_policy_that_is_off_draws_nothing():
    generator = tiny.generator()
    drawn = draw(8, Policy(), 0, generator)
    assert drawn == ViewParams()
    assert torch.equal(generator.get_state(), tiny.generator().get_state())


def test_first_views_come_first_and_each_has_its_own_draws():
    images = random_images(30)
    policy = changed(ALL_ON, jitter=0.0, solarize=(0.0, 1.0), blur=(0.0, 0.0))
    both = make_views(images, policy, tiny.generator())
    generator = tiny.generator()
    drawn = [draw(len(images), policy, view, generator) for view in (0, 1)]
    assert torch.equal(both, torch.cat([apply(images, d, policy) for d in drawn]))
    assert not torch.equal(drawn[0].box, drawn[1].box)


def test_channels_last_images_give_the_same_views(path):
    images = random_images(20)
    last = images.contiguous(memory_format=torch.channels_last)
    close(make_views(last, ALL_ON, tiny.generator()), make_views(images, ALL_ON, tiny.generator()))


@pytest.mark.parametrize("n", [0, 1])
def test_small_batches_are_batches(path, n):
    assert make_views(random_images(20)[:n], ALL_ON, tiny.generator()).shape == (2 * n, 3, 32, 32)


def test_the_images_stay_as_they_are(path):
    images = random_images(20)
    before = images.clone()
    make_views(images, ALL_ON, tiny.generator())
    assert torch.equal(images, before)


def test_the_generator_is_the_only_randomness():
    images, untouched = random_images(20), torch.get_rng_state()
    generator = tiny.generator(1)
    first, second = make_views(images, ALL_ON, generator), make_views(images, ALL_ON, generator)
    assert torch.equal(torch.get_rng_state(), untouched)
    assert not torch.equal(first, second)
    torch.manual_seed(99)
    again = tiny.generator(1)
    assert torch.equal(make_views(images, ALL_ON, again), first)
    assert torch.equal(make_views(images, ALL_ON, again), second)


def test_apply_compiles_to_one_graph():
    images, drawn = random_images(20), draw(20, ALL_ON, 1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
        compiled = torch.compile(apply, backend="eager", fullgraph=True)(images, drawn, ALL_ON)
    close(compiled, apply(images, drawn, ALL_ON))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_a_gpu_is_never_waited_for_and_gives_the_same_views():
    images, drawn = random_images(150), draw(150, ALL_ON, 1)
    moved = ViewParams(**{name: value.cuda() for name, value in vars(drawn).items()})
    on_gpu, generator = images.cuda(), torch.Generator("cuda").manual_seed(0)
    try:
        torch.cuda.set_sync_debug_mode("error")
        ours = apply(on_gpu, moved, ALL_ON)
        make_views(on_gpu, ALL_ON, generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    close(ours.cpu(), apply(images, drawn, ALL_ON))


# --- What is drawn. Seeds are fixed; a threshold of 0.001 on a p-value would fail one seed in a thousand.


def same_distribution(ours: Tensor, theirs: Tensor) -> bool:
    return stats.ks_2samp(ours.numpy(), theirs.numpy()).pvalue > 0.001


def is_uniform(values: Tensor, low: float, high: float) -> bool:
    inside = low <= values.min() and values.max() <= high + 1e-6
    return bool(inside) and stats.kstest(values.numpy(), stats.uniform(low, high - low).cdf).pvalue > 0.001


def has_rate(chosen: Tensor, probability: float) -> bool:
    return stats.binomtest(int(chosen.sum()), len(chosen), probability).pvalue > 0.001


def boxes_by_torchvision(n: int, size: tuple[int, int], policy: Policy) -> Tensor:
    scale, ratio = [policy.scale_min, policy.scale_max], [policy.ratio_min, policy.ratio_max]
    image = torch.empty(3, *size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return torch.tensor([RandomResizedCrop.get_params(image, scale, ratio) for _ in range(n)])


@pytest.mark.parametrize(("size", "scale_min"), [((32, 32), 0.2), ((32, 32), 0.08), ((32, 32), 0.9), ((24, 60), 0.6)])
def test_crops_are_distributed_as_torchvisions(size, scale_min):
    policy = Policy(scale_min=scale_min)
    theirs = boxes_by_torchvision(4000, size, policy)
    ours = sample_boxes(MANY, size, policy, tiny.generator())
    for column in range(4):
        assert same_distribution(ours[:, column], theirs[:, column])
    assert same_distribution(ours[:, 2] * ours[:, 3], theirs[:, 2] * theirs[:, 3])
    assert same_distribution(ours[:, 3] / ours[:, 2], theirs[:, 3] / theirs[:, 2])


def test_crops_lie_inside_the_image():
    box = sample_boxes(MANY, (24, 40), Policy(scale_min=0.01), tiny.generator())
    assert (box[:, :2] >= 0).all() and (box[:, 2:] > 0).all()
    assert (box[:, :2] + box[:, 2:] <= torch.tensor([24, 40])).all()


@pytest.mark.parametrize("size", [(20, 64), (64, 20), (31, 33)])
def test_where_no_candidate_fits_the_crop_is_central(size):
    policy = Policy.model_construct(scale_min=1.5, scale_max=2.0)
    assert torch.equal(sample_boxes(3, size, policy, tiny.generator()), boxes_by_torchvision(3, size, policy))


@pytest.mark.parametrize("view", [0, 1])
def test_operators_apply_at_their_rates(view):
    drawn = draw(MANY, ALL_ON, view, tiny.generator(view))
    assert has_rate(drawn.flip, ALL_ON.flip)
    assert has_rate(drawn.jitter, ALL_ON.jitter)
    assert has_rate(drawn.grayscale, ALL_ON.grayscale)
    assert has_rate(drawn.blur, ALL_ON.blur[view])
    assert has_rate(drawn.solarize, ALL_ON.solarize[view])


def test_operators_apply_independently_of_each_other():
    drawn = draw(MANY, changed(ALL_ON, blur=(0.5, 0.5), solarize=(0.5, 0.5)))
    chosen = torch.stack([drawn.flip, drawn.jitter, drawn.grayscale, drawn.blur, drawn.solarize]).float()
    correlations = torch.corrcoef(chosen) - torch.eye(len(chosen))
    assert correlations.abs().max() < 4 / MANY**0.5


def test_factors_are_uniform_in_their_ranges():
    policy = changed(ALL_ON, saturation=1.5)
    factors = draw(MANY, policy).factors
    for column, (low, high) in enumerate([(0.6, 1.4), (0.6, 1.4), (0.0, 2.5), (-0.1, 0.1)]):
        assert is_uniform(factors[:, column], low, high)


def test_the_blur_is_uniform_in_its_range():
    assert is_uniform(draw(MANY, ALL_ON).sigma, *ALL_ON.blur_sigma)


@pytest.mark.parametrize("off", [(), ("contrast",), ("brightness", "hue")])
def test_every_order_of_the_jitter_in_use_is_as_likely(off):
    names = ("brightness", "contrast", "saturation", "hue")
    changes: dict[str, Any] = dict.fromkeys(off, 0.0)
    policy = changed(ALL_ON, **changes)
    order = draw(MANY, policy).order
    counts = Counter(map(tuple, order.tolist()))
    possible = list(permutations(i for i, name in enumerate(names) if name not in off))
    assert set(counts) == set(possible)
    assert stats.chisquare([counts[p] for p in possible]).pvalue > 0.001


# --- A batch, and the policy that draws for it.


def batch_of(images: Tensor, rows: slice, generator: torch.Generator) -> Batch:
    return Batch(images[rows], torch.arange(len(images))[rows], rows, len(images), ALL_ON, generator)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_views_of_a_part_of_a_batch_are_those_of_the_whole(path, count):
    images = random_images(20)
    whole = batch_of(images, slice(0, 20), tiny.generator()).views(count).view(count, 20, 3, 32, 32)
    for rows in (slice(0, 10), slice(10, 20), slice(5, 6)):
        part = batch_of(images, rows, tiny.generator()).views(count)
        close(part.view(count, -1, 3, 32, 32), whole[:, rows])


def test_numbers_of_a_part_of_a_batch_are_those_of_the_whole():
    images, generators = random_images(20), [tiny.generator(), tiny.generator()]
    whole, part = (batch_of(images, rows, g) for rows, g in zip((slice(0, 20), slice(8, 12)), generators, strict=True))
    for shape in ((), (3,), (2, 5)):
        numbers = whole.rand(*shape)
        assert numbers.shape == (20, *shape) and numbers.min() >= 0 and numbers.max() < 1
        assert torch.equal(part.rand(*shape), numbers[8:12])
    whole.views(2)
    part.views(2)
    assert torch.equal(generators[0].get_state(), generators[1].get_state())


def test_views_by_another_policy():
    images = random_images(20)
    batch = batch_of(images, slice(0, 20), tiny.generator())
    assert torch.equal(batch.views(1, policy=Policy()), images / 255)


def test_the_third_view_is_drawn_as_the_first():
    images = random_images(20)
    policy = Policy(solarize=(1.0, 0.0), solarize_threshold=0.0)
    first, second, third = make_views(images, policy, tiny.generator(), count=3).chunk(3)
    assert torch.equal(second, images / 255) and torch.equal(first, third) and not torch.equal(first, second)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"scale_min": 0.5, "scale_max": 0.4}, "scale_min = 0.5 must not exceed scale_max = 0.4"),
        ({"ratio_min": 2}, "ratio_min = 2.0 must not exceed"),
        ({"blur_sigma": [2.0, 0.1]}, "blur_sigma"),
        ({"blur_kernel": 4}, "blur_kernel = 4 must be odd"),
        ({"hue": 0.6}, "hue"),
        ({"flip": float("nan")}, "flip"),
        ({"flips": 0.5}, "flips"),
        ({"blur": [0.5]}, "blur"),
        ({"interpolation": "nearest"}, "interpolation"),
        (3, "valid dictionary"),
        ([1, 2], "valid dictionary"),
        (None, "valid dictionary"),
    ],
)
def test_an_impossible_policy_is_an_error_that_names_it(values, message):
    with pytest.raises(ValueError, match=message):
        Policy.model_validate(values)


def test_a_policy_comes_back_from_plain_values():
    assert Policy.model_validate(ALL_ON.model_dump(mode="json")) == ALL_ON
    assert Policy.model_validate(ALL_ON) == ALL_ON


def test_views_grow_with_the_training() -> None:
    policy = Policy(scale_min=0.2, sizes=((0.25, 16), (0.5, 24)))
    assert [policy.size_at(progress) for progress in (0.0, 0.2, 0.25, 0.49, 0.5, 1.0)] == [None, None, 16, 16, 24, 24]
    images, n = random_images(10), 10

    def views(policy: Policy, progress: float, **options: Any) -> Tensor:
        batch = Batch(images, torch.arange(n), slice(0, n), n, policy, tiny.generator(), progress=progress)
        return batch.views(2, **options)

    plain = policy.model_copy(update={"sizes": ()})
    assert torch.equal(views(policy, 0.1), views(plain, 0.0))
    assert torch.equal(views(policy, 0.3), views(plain, 0.0, size=16))
    assert torch.equal(views(policy, 0.7), views(plain, 0.0, size=24))
    assert views(policy, 0.7, size=12).shape == (20, 3, 12, 12)


@pytest.mark.parametrize("sizes", [[[0.5, 16], [0.2, 24]], [[0, 16], [0, 24]], [[0, 2]], [[2, 16]], [[0]]])
def test_sizes_that_are_no_steps_of_a_training_are_refused(sizes: Any) -> None:
    with pytest.raises(ValueError, match="sizes"):
        Policy.model_validate({"sizes": sizes})
