"""The contract of `vicreg.nn.method`, kept by every method: a new file in vicreg/methods/ is tested as it is."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn
from torch.utils._pytree import tree_map

from vicreg.augment.batch import Batch
from vicreg.engine.train_state import TrainState
from vicreg.io import description, plugins, weights
from vicreg.jobs.run_store import RunStore
from vicreg.nn.encoder import Encoder, extract_features
from vicreg.nn.method import Method

MEMBERS = plugins.names("methods")
NAMES = [*MEMBERS, *tiny.VARIANTS]
BATCH, IMAGES = 16, 51  # three steps an epoch, and images that remain


def trains(name: str) -> bool:
    return name in tiny.VARIANTS or plugins.member_class("methods", name, Method).trains


training = pytest.mark.parametrize("name", [name for name in NAMES if trains(name)])


def begin(name: str, **options: Any) -> TrainState:
    return tiny.state(tiny.method(name, num_images=IMAGES), **options)


def run(state: TrainState, epochs: int = 2, **options: Any) -> list[dict[str, float]]:
    return tiny.run(state, tiny.loader(tiny.pixels(IMAGES)), tiny.config(epochs, BATCH), **options)


def copies(state: dict[str, Any]) -> dict[str, Any]:
    return {name: value.clone() for name, value in state.items()}


@pytest.mark.parametrize("name", MEMBERS)
def test_a_method_is_one_class_with_parameters_of_its_own(name: str) -> None:
    member = plugins.member_class("methods", name, Method)
    params = tiny.member_params(name)
    assert member.Params.model_validate(params.model_dump()) == params
    assert member.not_run(params) is None or not member.trains
    assert all(isinstance(part, str) and "." not in part for part in member.kept)


@functools.cache
def undisturbed(name: str) -> tuple[list[float], dict[str, Any]]:
    """The losses of a training that nothing cuts, and its end."""
    state = begin(name)
    return [record["loss"] for record in run(state)], state.state_dict()


@training
@pytest.mark.parametrize("steps", [2, 4])
def test_training_in_two_pieces_equals_one(name: str, steps: int, tmp_path: Path) -> None:
    store = RunStore(tmp_path, name, {})

    def after_step(state: TrainState) -> None:
        if (state.epoch - 1) * 3 + state.step == steps:
            store.write(state.state_dict())
            raise tiny.Cut

    with pytest.raises(tiny.Cut):
        run(begin(name), after_step=after_step)
    checkpoint = store.load_latest()
    assert checkpoint is not None
    state = tiny.state(tiny.method(name, num_images=IMAGES, seed=5), seed=5)
    state.load_state_dict(checkpoint)
    losses, whole = undisturbed(name)
    assert [record["loss"] for record in run(state)] == losses[checkpoint["epoch"] - 1 :]
    tiny.assert_same(state.state_dict(), whole)


def doubled(name: str) -> Any:
    """The method in float64, in which different orders of summation differ by 1e-16 and not by 1e-7."""
    method = tiny.method(name, num_images=IMAGES).double()
    inputs = method.inputs

    def in_double(batch: Batch) -> Any:
        return tree_map(lambda x: x.double() if torch.is_tensor(x) and x.is_floating_point() else x, inputs(batch))

    method.inputs = in_double
    return method


def trained_in_double(name: str) -> dict[str, Any]:
    method = doubled(name)
    state = tiny.state(method, "sgd", 0.05)
    records = run(state, epochs=1)
    timing = ("images_per_second", "seconds")
    kept = [{key: value for key, value in record.items() if key not in timing} for record in records]
    return {"records": kept, "state": method.state_dict()}


def one_of_two(rank: int, folder: str) -> None:
    with tiny.one_of_two(rank, folder):
        for name in filter(trains, NAMES):
            torch.save(trained_in_double(name), Path(folder) / f"{name}-{rank}.pt")


@pytest.fixture(scope="module")
def by_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what `trained_in_double` returns of each method in each of two processes."""
    folder = tmp_path_factory.mktemp("two")
    spawn(one_of_two, (str(folder),), nprocs=2)
    return folder


@training
def test_two_processes_take_the_steps_of_one(name: str, by_two_processes: Path) -> None:
    alone = trained_in_double(name)
    before = tiny.method(name, num_images=IMAGES).double().state_dict()
    for rank in (0, 1):
        together = torch.load(by_two_processes / f"{name}-{rank}.pt", weights_only=True)
        for one, other in zip(together["records"], alone["records"], strict=True):
            ranks = [record.get("effective_rank", 0) for record in (one, other)]  # from roots of numbers near 0
            assert ranks[0] == pytest.approx(ranks[1], rel=1e-6)
            assert one == pytest.approx(other | {"effective_rank": ranks[0]} if ranks[0] else other, abs=1e-9, rel=1e-9)
        torch.testing.assert_close(together["state"], dict(alone["state"]), atol=1e-8, rtol=0)
    weight = next(key for key, value in before.items() if key.startswith("encoder.backbone") and value.ndim > 1)
    assert (alone["state"][weight] - before[weight]).abs().max() > 1e-5  # the weights moved


@training
def test_torchs_global_generator_changes_nothing(name: str) -> None:
    states = []
    for seed in (0, 999):
        state = begin(name)
        torch.manual_seed(seed)
        untouched = torch.get_rng_state()
        run(state, epochs=1)
        assert torch.equal(torch.get_rng_state(), untouched)
        states.append(state.method.state_dict())
    tiny.assert_same(*states)


@training
def test_the_encoder_gets_a_gradient(name: str) -> None:
    method = tiny.method(name, num_images=IMAGES).train()
    outputs = method(method.inputs(tiny.batch(BATCH)))
    assert outputs["loss"].ndim == 0
    assert all(not value.requires_grad for value in outputs.values() if value.ndim)
    outputs["loss"].backward()
    for key, parameter in method.encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), key
    assert any(parameter.grad.abs().max() > 0 for parameter in method.encoder.parameters())


def learnable(seed: int = 0) -> np.ndarray:
    """48 images in 4 kinds, in turn: a color with a stripe at its own place, and noise."""
    images = tiny.pixels(48, seed=seed) // 8
    for kind in range(4):
        images[kind::4] += np.array([40 * kind, 120 - 40 * kind, 30 * (kind % 2)], np.uint8)
        images[kind::4, :, 8 * kind : 8 * kind + 8] += 60
    return images


@training
def test_the_loss_falls_and_a_probe_is_above_chance(name: str) -> None:
    state = tiny.state(tiny.method(name, width=4, num_images=48), lr=0.003)
    losses = [record["loss"] for record in tiny.run(state, tiny.loader(learnable()), tiny.config(12, BATCH))]
    assert np.mean(losses[-3:]) < np.mean(losses[1:3])  # in the first epoch a queue is still full of random rows
    assert probed(state.method.encoder) > 0.5


def probed(encoder: Encoder) -> float:
    """The accuracy of a probe that tells the 4 kinds of new images."""
    train, test = (extract_features(encoder, learnable(seed), tiny.CPU) for seed in (0, 1))
    kinds = np.arange(48) % 4
    return make_pipeline(StandardScaler(), LogisticRegression()).fit(train, kinds).score(test, kinds)


def test_a_collapsed_encoder_is_at_chance() -> None:
    encoder = tiny.encoder(width=4)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.zero_()
    assert probed(encoder) == pytest.approx(0.25)


@training
def test_half_precision_trains_with_losses_in_full(name: str) -> None:
    method = tiny.method(name, num_images=IMAGES).train()
    inputs = method.inputs(tiny.batch(BATCH))
    with torch.autocast("cpu", torch.bfloat16):
        outputs = method(inputs)
    assert outputs["loss"].dtype == torch.float32
    outputs["loss"].backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in method.parameters())
    exact = method.double()(tree_map(lambda x: x.double() if x.is_floating_point() else x, inputs))["loss"]
    assert outputs["loss"].item() == pytest.approx(exact.item(), rel=0.05, abs=0.05)


@training
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_computes_the_loss_of_a_cpu(name: str) -> None:
    made = tiny.method(name, num_images=IMAGES).train()
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        inputs = made.inputs(tiny.batch(BATCH))
        expected = made(inputs)["loss"]
        loss = made.cuda()(tree_map(lambda x: x.cuda() if isinstance(x, Tensor) else x, inputs))["loss"]
    torch.testing.assert_close(loss.cpu(), expected, rtol=1e-4, atol=1e-5)


@training
def test_forward_moves_batch_norm_statistics_alone(name: str) -> None:
    method = tiny.method(name, num_images=IMAGES).train()
    inputs = method.inputs(tiny.batch(BATCH))
    before = copies(method.state_dict())
    method(inputs)
    changed = {key for key, value in method.state_dict().items() if not torch.equal(value, before[key])}
    norms = [key for key, module in method.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    assert changed <= {f"{norm}.{name}" for norm in norms for name, _ in method.get_submodule(norm).named_buffers()}
    method.eval()
    before = copies(method.state_dict())
    method.embed(tiny.batch(BATCH).images)
    tiny.assert_same(dict(method.state_dict()), before)


def parts(method: Method) -> dict[str, nn.Module]:
    modules = {part: getattr(method, part) for part in ("encoder", *method.kept)}
    return {part: module for part, module in modules.items() if module is not None}


@training
def test_a_saved_method_loads_with_the_same_embeddings(name: str, tmp_path: Path) -> None:
    state = begin(name)
    run(state, epochs=1)
    method, path = state.method.eval(), tmp_path / "row.safetensors"
    weights.save(path, parts(method), {"row": name})
    digests = description.describe(path, "an encoder", "again")["digest"]
    again = tiny.method(name, num_images=1, seed=5).eval().to(memory_format=torch.channels_last)
    weights.load_parts(again, path, digests, "again")
    images = tiny.batch(BATCH).images
    with torch.no_grad():
        assert torch.equal(again.representation(images), method.representation(images))
        assert method.representation(images).shape == (BATCH, method.representation.num_features)
    one, other = method.embed(images), again.embed(images)
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert torch.equal(one, other) and len(one) == BATCH
        terms = again.pair_terms(one[0], one[1])
        assert method.pair_term in terms and all(value.ndim == 0 for value in terms.values())
        assert float(again.pair_terms(one[0], one[0])[method.pair_term]) == pytest.approx(0, abs=1e-6)


def test_pair_terms_are_by_default_distances_on_the_sphere() -> None:
    method = Method(tiny.encoder(), None, num_images=1)
    a, b = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 0.1])
    assert float(method.pair_terms(a, b)["distance"]) == pytest.approx(2)
    assert float(method.pair_terms(a, -a)["distance"]) == pytest.approx(4)
    assert float(method.pair_terms(a, 7 * a)["distance"]) == pytest.approx(0)


def test_a_method_that_does_not_train_says_so() -> None:
    with pytest.raises(TypeError, match="RandomInit does not train"):
        tiny.method("random_init")(torch.zeros(1))


def test_methods_of_one_seed_begin_with_the_same_encoder() -> None:
    own = ("pretrained", "cmc", "cpc")  # with networks of their own
    encoders = [tiny.method(name).encoder.state_dict() for name in NAMES if not name.startswith(own)]
    for other in encoders[1:]:
        tiny.assert_same(dict(other), dict(encoders[0]))
