"""A training that was cut off goes on from its checkpoint as if it had not been."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import nn

from vicreg.engine.train_state import TrainState
from vicreg.jobs.run_store import RunStore
from vicreg.nn.method import Method


def run_store(folder: Path) -> RunStore:
    return RunStore(folder, "tiny", {"seed": 0}, interval=0.0)


def begin(
    optimizer: str = "adamw", checkpoint: dict[str, Any] | None = None, method: Method | None = None
) -> TrainState:
    """A state before its first step, or where a checkpoint left off; its weights are others until it is loaded."""
    begun = tiny.state(method or tiny.method(seed=7 if checkpoint else 0), optimizer, seed=7 if checkpoint else 0)
    if checkpoint:
        begun.load_state_dict(checkpoint)
    return begun


def resumed(store: RunStore) -> dict[str, Any]:
    state = store.load_latest()
    assert state is not None
    return state


def cut_after(steps: int, store: RunStore) -> Any:
    """A callback that saves at each step and ends the process after so many."""
    left = iter(range(1, steps))

    def after_step(state: TrainState) -> None:
        store.write(state.state_dict())
        if next(left, None) is None:
            raise tiny.Cut

    return after_step


def run_in_pieces(optimizer: str, store: RunStore, steps: int) -> tuple[TrainState, int]:
    """Return the state at the end, and in how many pieces: each process makes `steps` steps at most."""
    for pieces in range(1, 100):
        state = begin(optimizer, store.load_latest())
        try:
            tiny.run(state, after_step=cut_after(steps, store))
            return state, pieces
        except tiny.Cut:
            continue
    raise AssertionError("it never came to an end")


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "lars", "muon"])
def test_a_training_in_pieces_ends_bit_for_bit_the_same(optimizer: str, tmp_path: Path) -> None:
    whole = begin(optimizer)
    tiny.run(whole)
    end, pieces = run_in_pieces(optimizer, run_store(tmp_path), steps=2)
    assert pieces >= 4
    tiny.assert_same(end.state_dict(), whole.state_dict())


def test_seconds_of_an_epoch_count_those_before_a_cut(tmp_path: Path) -> None:
    store = run_store(tmp_path)
    with pytest.raises(tiny.Cut):
        tiny.run(begin(), after_step=cut_after(1, store))
    record, *_ = tiny.run(begin(checkpoint={**resumed(store), "seconds": 1000.0}))
    assert 1000 < record["seconds"] < 1100


def test_moments_keep_the_layout_of_the_weights_in_memory(tmp_path: Path) -> None:
    state = begin()
    for parameter in state.method.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimizer.step()
    store = run_store(tmp_path)
    store.write(state.state_dict())
    after = begin(checkpoint=resumed(store))
    strided = 0
    for parameter in after.method.parameters():
        assert after.optimizer.state[parameter]["exp_avg"].stride() == parameter.stride()
        strided += not parameter.is_contiguous()
    assert strided


def test_a_checkpoint_of_another_architecture_is_a_clear_error(tmp_path: Path) -> None:
    store = run_store(tmp_path)
    store.write(begin().state_dict())
    with pytest.raises(ValueError, match=r"(?s)of another architecture: .*size mismatch"):
        begin(checkpoint=resumed(store), method=tiny.method(width=4))
    with pytest.raises(ValueError, match="of another architecture"):
        begin("sgd").load_state_dict({**resumed(store), "optimizer": {"state": {}, "param_groups": []}})


def test_a_finished_training_is_taken_as_it_is(tmp_path: Path) -> None:
    state = begin()
    tiny.run(state)
    store = run_store(tmp_path)
    store.finish({**state.state_dict(), "result": {}})
    again = begin(checkpoint=resumed(store))
    assert tiny.run(again) == []
    tiny.assert_same(again.method.state_dict(), state.method.state_dict())


class Dropping(Method):
    """A layer that draws by itself, as dropout does, from torch's own generator."""

    def __init__(self, encoder: Any, params: Any, *, num_images: int):
        super().__init__(encoder, params, num_images=num_images)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(encoder.num_features, 1))

    def forward(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.head(self.encoder(views)).square().mean()}


def test_dropout_goes_on_where_it_stopped(tmp_path: Path) -> None:
    def new() -> TrainState:
        torch.manual_seed(5)
        return begin(method=Dropping(tiny.encoder(), None, num_images=50))

    whole, store = new(), run_store(tmp_path)
    tiny.run(whole)
    with pytest.raises(tiny.Cut):
        tiny.run(new(), after_step=cut_after(2, store))
    after = new()
    torch.manual_seed(99)
    after.load_state_dict(resumed(store))
    tiny.run(after)
    tiny.assert_same(after.method.state_dict(), whole.method.state_dict())
