"""Several processes take the steps of one; if one of them dies, all end, and nothing listens to the outside."""

import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from conftest import Repository, digest
from torch import nn
from torch.multiprocessing.spawn import spawn

from vicreg.augment.policy import Policy
from vicreg.engine import devices, distributed
from vicreg.engine.loop import pretrain
from vicreg.study import builders, params

CPU = torch.device("cpu")
PARAMS = params.load()
STEPS, BATCH = 4, 16


class Double(nn.Module):
    """A method in float64, in which different orders of summation differ by 1e-16 and not by 1e-7."""

    def __init__(self, method: nn.Module):
        super().__init__()
        self.method = method.double()

    def forward(self, views: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.method(views.double())


def trained() -> dict[str, Any]:
    """Losses of each step and the state after them, of a training in float64 with a step per epoch."""
    sizes = {"width": 2, "projector_width": 8, "batch_size": BATCH}
    studies = {"embedded": PARAMS.studies["embedded"].model_copy(update=sizes)}
    pixels = torch.randint(
        0, 256, (BATCH + 3, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )
    p = PARAMS.model_copy(update={"studies": studies})
    method = Double(builders.build(p, "cifar_aug", pixels.permute(0, 2, 3, 1).numpy()))
    records = list(
        pretrain(
            method,
            pixels,
            Policy(**PARAMS.policies["aug_imagenet"].model_dump()),
            torch.optim.SGD(method.parameters(), lr=0.05),
            lambda step: 1.0 - 0.1 * step,
            epochs=STEPS,
            batch_size=BATCH,
            generator=torch.Generator().manual_seed(0),
        )
    )
    return {"losses": [record["loss"] for record in records], "state": method.state_dict()}


def one_of_two(rank: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "GLOO_SOCKET_IFNAME": "lo"}
    os.environ["VICREG_RENDEZVOUS"] = f"file://{folder}/meeting"
    torch.set_num_threads(1)
    warnings.simplefilter("error")
    with distributed.joined(CPU):
        assert distributed.share(BATCH) == slice(8 * rank, 8 * rank + 8)
        torch.save(trained(), Path(folder) / f"{rank}.pt")


def test_two_processes_take_the_steps_of_one(tmp_path: Path) -> None:
    spawn(one_of_two, (str(tmp_path),), nprocs=2)
    alone = trained()
    for rank in (0, 1):
        together = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert together["losses"] == pytest.approx(alone["losses"], abs=1e-9, rel=0)
        assert together["state"].keys() == alone["state"].keys()
        for name, value in alone["state"].items():
            torch.testing.assert_close(together["state"][name], value, atol=1e-9, rtol=0, msg=name)
    assert max(alone["losses"]) - min(alone["losses"]) > 1e-3  # the weights moved


def test_without_other_processes_nothing_is_gathered() -> None:
    z = torch.randn(3, 2)
    assert distributed.gathered(z) is z and distributed.summed(z) is z
    assert distributed.share(12) == slice(0, 12)
    assert distributed.wrapped(method := nn.Linear(2, 2), CPU) is method


def test_batch_norm_over_processes_is_torchs_own_where_there_is_one() -> None:
    x = torch.randn(6, 4, 3, 3, dtype=torch.float64)
    theirs = nn.BatchNorm2d(4).double()
    nn.init.normal_(theirs.weight)
    ours = distributed.BatchNorm.like(nn.BatchNorm2d(4).double())
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        torch.testing.assert_close(ours(x), theirs(x))
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value)
    torch.testing.assert_close(ours.eval()(x), theirs.eval()(x))


def test_as_many_processes_as_gpus_that_share_a_batch_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.choose_processes("auto", CPU, 256) == 1
    assert devices.choose_processes(2, CPU, 256) == 2
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 6)
    assert devices.choose_processes("auto", torch.device("cuda"), 256) == 4
    assert devices.choose_processes("auto", torch.device("cuda", 1), 256) == 1
    with pytest.raises(ValueError, match=r"processes = 8, but `device: cuda` has 6 of them"):
        devices.choose_processes(8, torch.device("cuda"), 256)


def test_a_batch_that_cannot_be_shared_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "count", lambda: 3)
    with pytest.raises(ValueError, match="a batch of 16 images cannot be shared evenly by 3 processes"):
        trained()


@pytest.fixture
def pair(finished_study: Repository, tmp_path: Path) -> Repository:
    """A study whose pretrainings run as two processes."""
    repository = finished_study.copy(tmp_path / "repository")
    file = repository.folder / "params.yaml"
    file.write_text(file.read_text().replace("processes: auto", "processes: 2").replace("every: 60", "every: 0"))
    return repository


def test_processes_only_this_machine_can_reach_end_when_one_dies_and_go_on_to_the_same_weights(
    pair: Repository,
) -> None:
    command = [sys.executable, "-m", "stages.pretrain", "cifar_aug"]
    weights = pair.folder / "models" / "embedded" / "cifar_aug.safetensors"
    assert "warning" not in pair.run(*command).lower()
    undisturbed = digest(weights)
    weights.unlink()
    pair.run("rm", "-r", ".vicreg/pretrain")
    with pair.begin(*command) as started:
        second = worker(started.pid, "1")
        tree = [psutil.Process(started.pid), *psutil.Process(started.pid).children(recursive=True)]
        listening = {c.laddr.ip for one in tree for c in one.net_connections() if c.status == psutil.CONN_LISTEN}
        while not list(pair.folder.glob(".vicreg/pretrain/*/*.ckpt")):
            assert started.poll() is None
            time.sleep(0.01)
        second.send_signal(signal.SIGKILL)
        said, _ = started.communicate(timeout=90)
    assert listening <= {"127.0.0.1", "::1"} and listening
    assert started.returncode == 1
    assert "process 1 of 2 was killed by SIGKILL, and the others were stopped" in said
    assert not weights.exists()
    assert "going on in epoch " in pair.run(*command)
    assert digest(weights) == undisturbed


def worker(launcher: int, rank: str) -> psutil.Process:
    """The process of this rank, once it has met the others."""
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        for child in psutil.Process(launcher).children(recursive=True):
            try:
                met = any(c.status == psutil.CONN_ESTABLISHED for c in child.net_connections())
                if met and child.environ().get("RANK") == rank:
                    return child
            except psutil.Error:
                continue
        time.sleep(0.1)
    raise TimeoutError("the processes never met")
