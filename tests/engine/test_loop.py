"""The training loop: repeatable, stopped where it cannot go on, with records that say what happened."""

import io
import itertools
import math
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import nn
from tqdm import tqdm

from vicreg.augment.policy import Policy
from vicreg.engine import loop
from vicreg.engine.loop import CollapseError, TrainingError, check_finite_weights, loss_of, reraise_oom
from vicreg.nn.method import Method
from vicreg.nn.mlp import mlp


def learnable() -> np.ndarray:
    """48 images of 4 colors, each with noise."""
    colors = np.random.default_rng(1).integers(0, 200, (4, 1, 1, 3), dtype=np.uint8).repeat(12, axis=0)
    return colors + tiny.pixels(48) // 8


def test_same_seed_same_weights_another_seed_others() -> None:
    one, two, other = (tiny.state(tiny.method(), seed=seed) for seed in (0, 0, 1))
    first, _, second = (tiny.run(state) for state in (one, two, other))
    tiny.assert_same(one.method.state_dict(), two.method.state_dict())
    assert first[-1]["loss"] != second[-1]["loss"]


def test_training_lowers_the_loss_and_records_every_epoch() -> None:
    history = tiny.run(tiny.state(tiny.method(width=4)), tiny.loader(learnable()), tiny.config(epochs=6))
    assert [record["epoch"] for record in history] == list(range(1, 7))
    assert history[-1]["loss"] < history[0]["loss"]
    for record in history:
        weighted = 25 * record["invariance"] + 25 * record["variance"] + record["covariance"]
        assert record["loss"] == pytest.approx(weighted, rel=1e-4)
        assert record["embedding_std"] > 0 and 0 <= record["embedding_correlation"] <= 1
        assert 1 <= record["effective_rank"] <= 8
        assert record["seconds"] * record["images_per_second"] == pytest.approx(48)


def test_the_bar_names_row_and_epoch_and_shows_the_loss_of_each_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(loop, "tqdm", lambda **options: tqdm(**options | {"file": terminal, "disable": False}))
    history = tiny.run(tiny.state(tiny.method()), settings=tiny.config(epochs=2, title="my_row"))
    lines = terminal.getvalue().split("\r")
    for epoch, record in enumerate(history, 1):
        assert any(line.startswith(f"my_row, epoch {epoch} of 2:") for line in lines)
        assert any(line.rstrip().endswith(f"loss={record['loss']:.4g}]") for line in lines)


class Scripted(Method):
    """A method whose terms are what a test says, step by step."""

    def __init__(self, steps: Any):
        super().__init__(tiny.encoder(), None, num_images=8)
        self.weight, self.steps = nn.Parameter(torch.ones(1)), iter(steps)
        self.calls: list[Any] = []

    def inputs(self, batch: Any) -> Any:
        self.calls += ["inputs", batch.indices.tolist(), torch.is_grad_enabled()]
        return batch.views(1)

    def forward(self, inputs: Any) -> dict[str, torch.Tensor]:
        self.calls.append("forward")
        loss, variance, spread = next(self.steps)
        z = torch.cat([torch.eye(3), -torch.eye(3)]) * spread + 1 - spread
        return {"loss": self.weight.sum() * loss, "variance": torch.tensor(variance), "embeddings": z}

    def before_step(self, progress: float) -> None:
        assert self.weight.grad is not None
        self.calls += ["before_step", progress, self.weight.item()]

    def after_step(self, outputs: dict[str, torch.Tensor], progress: float) -> None:
        assert outputs["embeddings"].shape == (6, 3) and not torch.is_grad_enabled()
        self.calls += ["after_step", progress, self.weight.item()]


def run_scripted(steps: Any, epochs: int = 1, lr: float = 0.0) -> tuple[Scripted, list[dict[str, float]]]:
    method = Scripted(steps)
    begun = tiny.state(method, "sgd", 1.0)
    begun.optimizer = torch.optim.SGD([method.weight], lr=lr)
    settings = tiny.config(epochs, 4, Policy())
    return method, tiny.run(begun, tiny.loader(tiny.pixels(8)), settings)


def test_hooks_come_in_order_with_progress() -> None:
    method, _ = run_scripted([(1.0, 0.1, 1.0)] * 4, epochs=2, lr=0.25)
    calls = [call for call in method.calls if not isinstance(call, list)]
    expected = [
        ["inputs", False, "forward", "before_step", step / 4, 1 - step / 4, "after_step", step / 4, 0.75 - step / 4]
        for step in range(4)
    ]
    assert calls == list(itertools.chain.from_iterable(expected))
    indices = [call for call in method.calls if isinstance(call, list)]
    assert sorted(indices[0] + indices[1]) == sorted(indices[2] + indices[3]) == list(range(8))


def test_a_term_that_becomes_nan_stops_the_run() -> None:
    with pytest.raises(TrainingError, match=r"epoch 2, step 2 of 2: not finite: variance") as error:
        run_scripted([(1.0, 0.1, 1.0)] * 3 + [(1.0, math.nan, 1.0)], epochs=2)
    assert "optimizer.base_lr" in str(error.value)


def test_collapsed_embeddings_stop_the_run() -> None:
    with pytest.raises(CollapseError, match="epoch 1: the embeddings collapsed") as error:
        run_scripted([(1.0, 0.99, 0.5), (1.0, 0.99, 0.001)])
    assert "keeps embeddings apart" in str(error.value)


def test_without_the_variance_term_embeddings_collapse() -> None:
    state = tiny.state(tiny.method(variance=0.0, covariance=0.0), lr=0.1)
    with pytest.raises(CollapseError):
        tiny.run(state, tiny.loader(tiny.pixels(48)), tiny.config(epochs=40))


class WithoutEmbeddings(Method):
    """Predicts the mean color: a method that has no embeddings and one view."""

    def __init__(self, encoder: Any, params: Any, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.head = mlp(encoder.num_features, [3])

    def inputs(self, batch: Any) -> Any:
        return {"view": batch.views(1), "mean": batch.images.float().mean(dim=(2, 3)) / 255}

    def forward(self, inputs: Any) -> dict[str, torch.Tensor]:
        return {"loss": (self.head(self.encoder(inputs["view"])) - inputs["mean"]).square().mean()}


def test_a_method_without_embeddings_trains() -> None:
    method = WithoutEmbeddings(tiny.encoder(), None, num_images=48)
    history = tiny.run(tiny.state(method), tiny.loader(learnable()), tiny.config(epochs=4))
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[0]) == {"epoch", "loss", "lr", "images_per_second", "seconds"}


def test_means_are_over_the_steps_of_an_epoch() -> None:
    _, (record,) = run_scripted([(1.0, 0.2, 1.0), (3.0, 0.4, 1.0)])
    assert record["loss"] == pytest.approx(2.0) and record["variance"] == pytest.approx(0.3)


def test_fewer_images_than_a_batch_are_a_clear_error() -> None:
    with pytest.raises(ValueError, match="batch_size is 64, but there are only 50 images"):
        tiny.run(tiny.state(tiny.method()), settings=tiny.config(batch_size=64))


@pytest.mark.parametrize("message", ["CUDA error: out of memory", "CUDNN_STATUS_ALLOC_FAILED", None])
def test_running_out_of_memory_names_the_batch(message: str | None) -> None:
    with pytest.raises(TrainingError, match=r"memory ran out with batch_size = 4 ") as error, reraise_oom(4):
        if message:
            raise RuntimeError(message)
        torch.zeros(1 << 50, dtype=torch.float64)
    assert "smaller `batch_size`" in str(error.value)


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), reraise_oom(4):
        raise RuntimeError("shapes differ")


def test_weights_that_are_not_finite_are_found() -> None:
    state = tiny.state(tiny.method())
    check_finite_weights(state)
    with torch.no_grad():
        next(state.method.parameters())[0] = math.nan
    with pytest.raises(TrainingError, match=r"weights are not finite. The last good checkpoint is kept"):
        check_finite_weights(state)


def test_the_schedule_is_asked_for_each_step_of_all_epochs() -> None:
    steps: list[int] = []

    def schedule(step: int) -> float:
        steps.append(step)
        return 1 / (1 + step)

    records = tiny.run(tiny.state(tiny.method(), lr=0.006), settings=tiny.config(2, schedule=schedule))
    assert steps == list(range(6))
    assert [record["lr"] for record in records] == pytest.approx([0.006 / 3, 0.006 / 6])


def test_bfloat16_trains_close_to_float32() -> None:
    losses = [
        tiny.run(tiny.state(tiny.method()), settings=tiny.config(1, dtype=dtype))[0]["loss"]
        for dtype in (torch.float32, torch.bfloat16)
    ]
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("outputs", "got"),
    [
        ({"contrast": torch.ones((), requires_grad=True)}, "a dictionary of contrast"),
        (torch.ones((), requires_grad=True), "Tensor"),
    ],
)
def test_a_forward_without_a_loss_is_one_clear_error(outputs: Any, got: str) -> None:
    with pytest.raises(TrainingError, match=rf"Method\.forward returned {got}; it must return one that has a `loss`"):
        loss_of(outputs, Method(tiny.encoder(), None, num_images=1))


def test_views_have_the_size_of_their_share_of_the_training() -> None:
    class Sized(Scripted):
        def forward(self, inputs: Any) -> dict[str, torch.Tensor]:
            self.calls = [*self.calls, inputs.shape[-1]]
            return {"loss": self.weight.sum()}

        def before_step(self, progress: float) -> None: ...

        def after_step(self, outputs: dict[str, torch.Tensor], progress: float) -> None: ...

    method = Sized([])
    settings = tiny.config(3, 4, Policy(sizes=((0.0, 8), (0.5, 16), (0.8, 32))))
    tiny.run(tiny.state(method, "sgd", 0.1), tiny.loader(tiny.pixels(8)), settings)
    assert [c for c in method.calls if isinstance(c, int) and not isinstance(c, bool)] == [8, 8, 8, 16, 16, 32]
