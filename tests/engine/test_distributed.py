"""Several processes take the steps of one, and batch norm sees the batches of all."""

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from vicreg.engine import batch_norm, ddp, distributed
from vicreg.nn.method import Method


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each of the functions below returns in each of two processes."""
    folder = tmp_path_factory.mktemp("results")
    spawn(one_of_two, (str(folder),), nprocs=2)
    both = [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in (0, 1)]
    return {name: [result[name] for result in both] for name in both[0]}


def one_of_two(rank: int, folder: str) -> None:
    with tiny.one_of_two(rank, folder):
        torch.save({f.__name__: f() for f in (normalized, trained_locally, gathered)}, Path(folder) / f"{rank}.pt")


def test_without_other_processes_nothing_is_gathered() -> None:
    z = torch.randn(3, 2)
    assert distributed.gather(z) is z and distributed.all_reduce_sum(z) is z and distributed.all_reduce_mean(z) is z
    assert distributed.local_rows(12) == slice(0, 12)
    assert ddp.wrap_ddp(method := nn.Linear(2, 2), tiny.CPU) is method


def test_a_batch_that_cannot_be_shared_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(ValueError, match="a batch of 16 images cannot be shared evenly by 3 processes"):
        tiny.run(tiny.state(tiny.method()))


KINDS: list[dict[str, Any]] = [
    {},
    {"affine": False},
    {"momentum": None},
    {"affine": False, "track_running_stats": False},
]


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_batch_norm_is_torchs_own_where_there_is_one_process(options: dict[str, Any]) -> None:
    x = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    theirs = nn.BatchNorm2d(4, **options).double()
    if theirs.affine:
        nn.init.normal_(theirs.weight)
    ours = batch_norm.SyncBatchNorm.like(nn.BatchNorm2d(4, **options).double())
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours.state_dict(), theirs.state_dict())
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def normalized() -> list[dict[str, Any]]:
    """Of each kind of batch norm: outputs, gradients and statistics of this process's rows of a batch."""
    results = []
    for options in KINDS:
        torch.manual_seed(0)
        layer = nn.Sequential(nn.BatchNorm1d(4, **options)).double()
        batches = torch.randn(3, 8, 4, dtype=torch.float64) * 2 + 1
        if distributed.world_size() > 1:
            batch_norm.convert_sync_batchnorm(layer, tiny.CPU)
        rows, outputs, gradients = distributed.local_rows(8), [], []
        for batch in batches:
            x = batch[rows].requires_grad_()
            y = layer(x)
            (y**3 + y * torch.arange(4)).sum().backward()
            outputs.append(y.detach())
            gradients.append(x.grad)
        results.append({"y": torch.stack(outputs), "gradients": torch.stack(gradients), "state": layer.state_dict()})
    return results


def test_batch_norm_over_processes_is_torchs_on_the_whole_batch(results: dict[str, list[Any]]) -> None:
    first, second = results["normalized"]
    for one, other, whole in zip(first, second, normalized(), strict=True):
        for key in ("y", "gradients"):
            torch.testing.assert_close(torch.cat([one[key], other[key]], dim=1), whole[key], rtol=1e-9, atol=1e-9)
        for state in (one["state"], other["state"]):
            torch.testing.assert_close(state, dict(whole["state"]), rtol=1e-9, atol=1e-9)


class Local(Method):
    """A method whose loss and terms are means over its own rows, with a buffer that another process has otherwise."""

    own: Tensor

    def __init__(self) -> None:
        super().__init__(tiny.encoder(), None, num_images=19)
        self.head = nn.Linear(self.encoder.num_features, 1)
        self.register_buffer("own", torch.tensor(0.0))

    def inputs(self, batch: Any) -> Any:
        return batch.views(1).double(), batch.rand().double()

    def forward(self, inputs: Any) -> dict[str, Tensor]:
        views, targets = inputs
        z = self.head(self.encoder(views))
        return {"loss": (z.squeeze(1) - targets).square().mean(), "target": targets.mean(), "own": self.own.double()}

    def after_step(self, outputs: dict[str, Tensor], progress: float) -> None:
        self.own.fill_(distributed.rank())


def trained_locally() -> dict[str, Any]:
    begun = tiny.state(Local().double(), "sgd", 0.1)
    half: list[Any] = []
    settings = tiny.config(2, 8)
    records = tiny.run(begun, tiny.loader(tiny.pixels(19)), settings, lambda state: half.append(state.state_dict()))
    keys = ("loss", "target", "own")
    return {
        "records": [[record[key] for key in keys] for record in records],
        "own": begun.method.own,
        "metrics": half[0]["metrics"],
        "weights": {name: value for name, value in begun.method.state_dict().items() if name != "own"},
    }


def test_terms_of_own_rows_are_averaged_over_processes(results: dict[str, list[Any]]) -> None:
    first, second = results["trained_locally"]
    whole = trained_locally()
    assert first["records"] == second["records"] and torch.equal(first["metrics"], second["metrics"])
    for record, of_one in zip(first["records"], whole["records"], strict=True):
        assert record[:2] == pytest.approx(of_one[:2], abs=1e-9)
    assert [record[2] for record in first["records"]] == [0.25, 0.5]  # of two steps an epoch, and of ranks 0 and 1
    torch.testing.assert_close(first["weights"], whole["weights"], rtol=0, atol=1e-9)
    tiny.assert_same(first["weights"], second["weights"])


def test_buffers_are_not_broadcast(results: dict[str, list[Any]]) -> None:
    assert [result["own"].item() for result in results["trained_locally"]] == [0, 1]


def gathered() -> dict[str, Any]:
    rank = distributed.rank()
    z = (torch.arange(6.0).reshape(3, 2) + 10 * rank).requires_grad_()
    rows = distributed.gather(z)
    (rows * torch.arange(12.0).reshape(6, 2) * (rank + 1)).sum().backward()
    return {"rows": rows.detach(), "gradient": z.grad, "equal": torch.tensor(distributed.all_equal(rank))}


def test_rows_are_gathered_by_rank_and_gradients_summed(results: dict[str, list[Any]]) -> None:
    blocks = torch.cat([torch.arange(6.0).reshape(3, 2) + 10 * rank for rank in (0, 1)])
    weights = 3 * torch.arange(12.0).reshape(6, 2)  # 1 + 2: of the losses of both processes
    for rank, result in enumerate(results["gathered"]):
        assert torch.equal(result["rows"], blocks) and not result["equal"]
        assert torch.equal(result["gradient"], weights[3 * rank : 3 * rank + 3])
