"""A training that was cut off goes on as if it had not been, and takes no checkpoint for what it is not."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vicreg.engine import loop, optimizers
from vicreg.io import code_digest
from vicreg.jobs import run_store
from vicreg.study import builders, params

CPU = torch.device("cpu")
PARAMS = params.load()
PIXELS = np.random.default_rng(0).integers(0, 256, (50, 32, 32, 3), dtype=np.uint8)


class Cut(Exception):
    """Stands in for whatever ends a process."""


def tiny(optimizer: str = "adamw", **study: Any) -> params.Params:
    sizes = {"width": 2, "projector_width": 8, "epochs": 3, "batch_size": 16, **study}
    studies = {"embedded": PARAMS.studies["embedded"].model_copy(update=sizes)}
    chosen = PARAMS.optimizer.model_copy(update={"name": optimizer})
    return PARAMS.model_copy(update={"studies": studies, "precision": "float32", "optimizer": chosen})


def train(p: params.Params, resumed: Any = None, offer: Callable[[loop.State], None] = lambda state: None) -> Any:
    """Return the weights and the losses of the epochs that this call trained."""
    method = builders.build(p, "cifar_aug", PIXELS)
    records = builders.train(p, "cifar_aug", method, PIXELS, CPU, resumed=resumed, offer=offer)
    return method.state_dict(), {int(record["epoch"]): record["loss"] for record in records}


def train_in_pieces(p: params.Params, kept: run_store.Checkpoints, steps: int) -> tuple[Any, int]:
    """Return the weights, and in how many pieces: the process is cut off whenever it has made `steps` steps more."""
    for pieces in range(1, 100):
        left = iter(range(steps))

        def offer(state: loop.State, left: Any = left) -> None:
            kept.offer(state)
            if next(left, None) is None:
                raise Cut

        try:
            return train(p, kept.newest(), offer)[0], pieces
        except Cut:
            continue
    raise AssertionError("it never came to an end")


def checkpoints(folder: Path, **options: Any) -> run_store.Checkpoints:
    return run_store.Checkpoints(folder, "embedded-cifar_aug", {"seed": 0}, **{"every": 0.0, **options})


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "lars"])
def test_a_training_in_pieces_ends_with_the_same_weights_bit_for_bit(optimizer: str, tmp_path: Path) -> None:
    whole, _ = train(tiny(optimizer))
    weights, pieces = train_in_pieces(tiny(optimizer), checkpoints(tmp_path), steps=2)
    assert pieces >= 4
    for name, value in whole.items():
        assert torch.equal(value, weights[name]), name


def test_a_checkpoint_in_the_middle_of_an_epoch_keeps_what_the_epoch_recorded(tmp_path: Path) -> None:
    _, losses = train(tiny())
    kept = checkpoints(tmp_path)

    def offer(state: loop.State) -> None:
        kept.offer(state)
        if state()["epoch"] == 2 and state()["step"] == 2:
            raise Cut

    with pytest.raises(Cut):
        train(tiny(), offer=offer)
    resumed = kept.newest()
    assert resumed is not None and (resumed["epoch"], resumed["step"], len(resumed["recorded"])) == (2, 2, 2)
    _, found = train(tiny(), resumed)
    assert found == {2: losses[2], 3: losses[3]}


def test_moments_of_the_optimizer_keep_the_layout_of_the_weights_in_memory(tmp_path: Path) -> None:
    p = tiny()
    method = builders.build(p, "cifar_aug", PIXELS).to(memory_format=torch.channels_last)
    optimizer = optimizers.build(method, name="adamw", lr=0.1, weight_decay=0, momentum=0, trust_coefficient=0)
    for parameter in method.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    kept = checkpoints(tmp_path)
    kept.write({**run_store.capture(method, optimizer, torch.Generator()), "epoch": 1, "step": 0})
    state = kept.newest()
    assert state is not None
    run_store.restore(state, method, optimizer, torch.Generator())
    for parameter in method.parameters():
        assert optimizer.state[parameter]["exp_avg"].stride() == parameter.stride()


def saved(folder: Path, said: list[str], epochs: int = 3) -> tuple[run_store.Checkpoints, list[Path]]:
    kept = checkpoints(folder, say=said.append)
    for epoch in range(1, epochs + 1):
        kept.write({"epoch": epoch, "step": 0, "weights": torch.full((100,), float(epoch))})
    return kept, kept.files()


def test_the_last_two_checkpoints_are_kept_and_the_newest_is_used(tmp_path: Path) -> None:
    kept, files = saved(tmp_path, [])
    assert [int(file.name[:6]) for file in files] == [3, 2]
    assert (kept.newest() or {})["epoch"] == 3
    assert sorted(kept.folder.iterdir()) == sorted(files)


@pytest.mark.parametrize("damage", ["flipped", "cut short", "empty", "noise"])
def test_where_the_newest_is_damaged_the_one_before_is_used_and_a_person_is_told(damage: str, tmp_path: Path) -> None:
    said: list[str] = []
    kept, files = saved(tmp_path, said)
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 1
    cut = {"flipped": bytes(content), "cut short": bytes(content[:-7]), "empty": b"", "noise": os.urandom(500)}
    files[0].write_bytes(cut[damage])
    assert (kept.newest() or {})["epoch"] == 2
    assert f"{files[0]} is passed over: it is damaged" in said[0]
    files[1].unlink()
    assert kept.newest() is None


def damage(files: list[Path]) -> None:
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])


def test_damaged_checkpoints_are_put_aside_and_no_new_one_gives_way_to_them(tmp_path: Path) -> None:
    kept, files = saved(tmp_path, [], epochs=9)
    damage(files)
    kept.note(kept.newest())
    for epoch in (1, 2, 3):
        kept.write({"epoch": epoch, "step": 0})
    assert (kept.newest() or {})["epoch"] == 3
    assert [int(file.name[:6]) for file in kept.files()] == [3, 2]
    damage(kept.files()[:1])
    kept.note(found := kept.newest())
    assert (found or {})["epoch"] == 2
    assert [int(file.name[:6]) for file in kept.files()] == [2]
    assert len(list(kept.folder.glob("*.damaged"))) == 3


def test_a_damaged_finish_does_not_outlive_the_next_one(tmp_path: Path) -> None:
    for attempt in range(10):  # names sort by digest
        kept = checkpoints(tmp_path / str(attempt))
        kept.finish({"epoch": 4, "step": 0, "method": {"weight": torch.tensor(float(attempt))}, "result": {}})
        damage(kept.files())
        kept.finish({"epoch": 4, "step": 0, "method": {"weight": torch.tensor(float(attempt))}, "result": {"again": 1}})
        assert (kept.newest() or {})["result"] == {"again": 1}


def test_weights_that_are_not_finite_never_replace_a_good_checkpoint(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    method = builders.build(tiny(), "cifar_aug", PIXELS)
    for record in (records := builders.train(tiny(), "cifar_aug", method, PIXELS, CPU, offer=kept.offer)):
        if record["epoch"] == 2:
            with torch.no_grad():
                next(method.parameters()).fill_(float("nan"))
            break
    with pytest.raises(loop.TrainingError, match=r"weights are not finite. The last good checkpoint is kept"):
        next(records)
    good = kept.newest()
    assert good is not None and (good["epoch"], good["step"]) == (2, 2)
    assert all(value.isfinite().all() for value in good["method"].values())


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    kept, _ = saved(tmp_path, [])
    with run_store.atomic.writing(kept.folder / "x.ckpt") as stream:
        stream.write(b"half")
        [half] = kept.folder.glob(".x.ckpt*")
        half.with_name(".000009-00000000-f.ckpt.abc.part").write_bytes(b"half a checkpoint")
    with kept.held():
        assert not list(kept.folder.glob(".*"))


def test_another_runs_checkpoint_is_never_used(tmp_path: Path) -> None:
    said: list[str] = []
    _, files = saved(tmp_path, [])
    other = run_store.Checkpoints(tmp_path, "embedded-cifar_aug", {"seed": 1}, say=said.append)
    assert other.newest() is None
    other.folder.mkdir()
    (other.folder / files[0].name).write_bytes(files[0].read_bytes())
    assert other.newest() is None
    assert "it is another run's" in said[0]


def test_a_checkpoint_that_carries_code_is_not_run(tmp_path: Path) -> None:
    said: list[str] = []
    kept = checkpoints(tmp_path, say=said.append)

    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "entered"),)

    kept.write({"epoch": 1, "step": 0, "hostile": Hostile()})
    assert kept.newest() is None
    assert "it is no checkpoint" in said[0]
    assert not (tmp_path / "entered").exists()


def test_a_checkpoint_of_another_architecture_is_a_clear_error(tmp_path: Path) -> None:
    kept = checkpoints(tmp_path)
    train_in_pieces(tiny(), kept, steps=50)
    with pytest.raises(run_store.CheckpointError, match=r"(?s)not of this architecture: .*size mismatch"):
        train(tiny(width=4), kept.newest())


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from vicreg.jobs.run_store import Checkpoints
kept = Checkpoints(Path(sys.argv[2]), "embedded-cifar_aug", {"seed": 0}, every=0.0)
kept.write({"epoch": 4, "step": 0, "weights": torch.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
kept.write({"epoch": 5, "step": 0, "weights": torch.zeros(100_000)})
"""


def test_a_full_disk_is_a_clear_error_and_the_last_checkpoint_stays_good(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(Path(loop.__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    said = done.stderr.strip().splitlines()[-1]
    assert re.search(r"OSError: .*000005-.*\.ckpt cannot be written: File too large\..*Free some space", said)
    kept = checkpoints(tmp_path)
    assert (kept.newest() or {})["epoch"] == 4
    assert len(list(kept.folder.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_a_clear_error_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file, where a folder should be")
    with (
        pytest.raises(OSError, match=r"cannot be written: .*make the folder writable, and run again"),
        checkpoints(tmp_path / "scratch").held(),
    ):
        pytest.fail("no work may begin")


def test_a_second_process_waits_and_says_who_has_the_run(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from vicreg.jobs.run_store import Checkpoints\n"
        "with Checkpoints(Path(sys.argv[1]), 'embedded-cifar_aug', {'seed': 0}).held():\n"
        "    print('held', flush=True); time.sleep(3)"
    )
    package = str(Path(loop.__file__).parents[1])
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=package
    )
    assert first.stdout is not None and first.stdout.readline() == "held\n"
    said: list[str] = []
    began = time.monotonic()
    with checkpoints(tmp_path, say=said.append).held():
        assert time.monotonic() - began > 1
        assert first.wait(timeout=10) == 0
    first.stdout.close()
    assert f"under way by process {first.pid} on " in said[0] and "waiting" in said[0]


def test_runs_that_finished_are_forgotten_after_a_week_and_others_are_not(tmp_path: Path) -> None:
    old, unfinished = checkpoints(tmp_path), run_store.Checkpoints(tmp_path, "unfinished", {})
    for kept in (old, unfinished):
        kept.write({"epoch": 1, "step": 0, "method": {}})
    old.finish({"epoch": 2, "step": 0, "method": {}, "optimizer": "much", "result": {}})
    assert (old.newest() or {}).keys() == {"epoch", "step", "method", "result", "run", "surroundings"}
    present = run_store.Checkpoints(tmp_path, "present", {})
    with present.held():
        assert old.folder.exists()
    os.utime(old.folder / "finished", (0, time.time() - 8 * 24 * 3600))
    with run_store.FileLock(old.folder / "lock"), present.held():
        assert old.folder.exists()  # somebody has it
    with present.held():
        assert not old.folder.exists() and unfinished.folder.exists()


def test_a_finished_training_is_taken_as_it_is(tmp_path: Path) -> None:
    weights, _ = train(tiny())
    kept = checkpoints(tmp_path)
    kept.finish({"method": weights, "epoch": 4, "step": 0, "result": {}})
    again, losses = train(tiny(), kept.newest())
    assert losses == {}
    assert all(torch.equal(value, again[name]) for name, value in weights.items())


def test_everything_that_shapes_a_run_is_in_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros(50, np.int64)

    def shape(p: params.Params | None = None, pixels: np.ndarray = PIXELS) -> Any:
        return builders.shape(p or tiny(), "cifar_aug", [pixels, labels], CPU)

    first = shape()
    assert first == shape()
    aug = PARAMS.policies | {"aug": PARAMS.policies["aug"].model_copy(update={"flip": 0.4})}
    others = [shape(tiny("sgd")), shape(tiny(epochs=4)), shape(tiny(online_every=3)), shape(pixels=PIXELS[::-1])]
    others += [shape(tiny().model_copy(update=change)) for change in ({"seed": 1}, {"policies": aug})]
    assert all(other != first for other in others)
    assert shape(tiny().model_copy(update={"checkpoint_every": 5.0, "probes": None})) == first
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert shape() != first


def test_a_digest_of_code_follows_imports_and_overlooks_comments_and_docstrings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"vicreg.one": "from vicreg import two\nx = 1\n", "vicreg.two": "y = 2\n", "vicreg.three": "z = 3\n"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(code_digest, "source", lambda module: tmp_path / module if module in files else None)
    first = code_digest.digest("vicreg.one")
    (tmp_path / "vicreg.three").write_text("z = 4\n")
    (tmp_path / "vicreg.two").write_text('"""A docstring."""\n# a comment\ny  =  2\n')
    assert code_digest.digest("vicreg.one") == first
    (tmp_path / "vicreg.two").write_text("y = 3\n")
    assert code_digest.digest("vicreg.one") != first


def test_a_digest_of_code_reaches_what_a_training_runs_through() -> None:
    reached: set[str] = set()

    def source(module: str) -> Path | None:
        reached.add(module)
        return version_source(module)

    version_source, patched = code_digest.source, pytest.MonkeyPatch()
    with patched.context() as patch:
        patch.setattr(code_digest, "source", source)
        builders.shape(tiny(), "cifar_aug", [PIXELS], CPU)
    names = "recipe training views policy image_ops feed optimizers encoder online evaluation probes.linear"
    names += " methods.vicreg backbones.resnet18 projectors parallel checkpoint"
    assert {f"vicreg.{name}" for name in names.split()} <= reached
    assert not reached & {"vicreg.data.sources.official", "vicreg.tracking.runs", "vicreg.reporting.tables"}
