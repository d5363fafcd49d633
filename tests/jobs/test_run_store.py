"""Checkpoints that are damaged, hostile or half written are never taken for good ones."""

import os
import pickle
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import torch

from vicreg.jobs import run_store
from vicreg.jobs.run_store import RunStore

ROOT = Path(run_store.__file__).parents[2]


def new_store(folder: Path, **options: Any) -> RunStore:
    return RunStore(folder, "embedded-cifar_aug", {"seed": 0}, **{"interval": 0.0, **options})


def saved(folder: Path, lines: list[str], epochs: int = 3) -> tuple[RunStore, list[Path]]:
    store = new_store(folder, log=lines.append)
    for epoch in range(1, epochs + 1):
        store.write({"epoch": epoch, "step": 0, "weights": torch.full((100,), float(epoch))})
    return store, store.files()


def test_two_checkpoints_are_kept_and_the_newest_is_used(tmp_path: Path) -> None:
    store, files = saved(tmp_path, [])
    assert [int(file.name[:6]) for file in files] == [3, 2]
    assert (store.load_latest() or {})["epoch"] == 3
    assert sorted(store.folder.iterdir()) == sorted(files)


@pytest.mark.parametrize("damage", ["flipped", "cut short", "empty", "noise"])
def test_where_the_newest_is_damaged_the_one_before_is_used(damage: str, tmp_path: Path) -> None:
    lines: list[str] = []
    store, files = saved(tmp_path, lines)
    content = bytearray(files[0].read_bytes())
    content[len(content) // 2] ^= 1
    cut = {"flipped": bytes(content), "cut short": bytes(content[:-7]), "empty": b"", "noise": os.urandom(500)}
    files[0].write_bytes(cut[damage])
    assert (store.load_latest() or {})["epoch"] == 2
    assert f"{files[0]} is passed over: it is damaged" in lines[0]
    files[1].unlink()
    assert store.load_latest() is None


def damage(files: list[Path]) -> None:
    for file in files:
        file.write_bytes(file.read_bytes()[:-1])


def test_damaged_checkpoints_are_put_aside(tmp_path: Path) -> None:
    store, files = saved(tmp_path, [], epochs=9)
    damage(files)
    store.mark_resume(store.load_latest())
    for epoch in (1, 2, 3):
        store.write({"epoch": epoch, "step": 0})
    assert (store.load_latest() or {})["epoch"] == 3
    assert [int(file.name[:6]) for file in store.files()] == [3, 2]
    damage(store.files()[:1])
    store.mark_resume(latest := store.load_latest())
    assert (latest or {})["epoch"] == 2
    assert [int(file.name[:6]) for file in store.files()] == [2]
    assert len(list(store.folder.glob("*.damaged"))) == 3


def test_a_damaged_finish_does_not_outlive_the_next_one(tmp_path: Path) -> None:
    for attempt in range(10):  # names sort by digest
        store = new_store(tmp_path / str(attempt))
        store.finish({"epoch": 4, "step": 0, "method": {"weight": torch.tensor(float(attempt))}, "result": {}})
        damage(store.files())
        store.finish(
            {"epoch": 4, "step": 0, "method": {"weight": torch.tensor(float(attempt))}, "result": {"again": 1}}
        )
        assert (store.load_latest() or {})["result"] == {"again": 1}


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    store, _ = saved(tmp_path, [])
    with run_store.atomic.writing(store.folder / "x.ckpt") as stream:
        stream.write(b"half")
        [half] = store.folder.glob(".x.ckpt*")
        half.with_name(".000009-00000000-f.ckpt.abc.part").write_bytes(b"half a checkpoint")
    with store.lock():
        assert not list(store.folder.glob(".*"))


def test_a_checkpoint_that_carries_code_is_not_run(tmp_path: Path) -> None:
    store = new_store(tmp_path)

    class Hostile:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "entered"),)

    store.write({"epoch": 1, "step": 0, "hostile": Hostile()})
    with pytest.raises(pickle.UnpicklingError, match="Weights only load failed"):
        store.load_latest()
    assert not (tmp_path / "entered").exists()


FULL = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import torch
from vicreg.jobs.run_store import RunStore
store = RunStore(Path(sys.argv[2]), "embedded-cifar_aug", {"seed": 0}, interval=0.0)
store.write({"epoch": 4, "step": 0, "weights": torch.zeros(10)})
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
store.write({"epoch": 5, "step": 0, "weights": torch.zeros(100_000)})
"""


def test_a_full_disk_is_an_error_and_the_last_one_stays_good(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL, str(ROOT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    last_line = done.stderr.strip().splitlines()[-1]
    assert re.search(r"OSError: .*000005-.*\.ckpt cannot be written: File too large\..*free some space", last_line)
    store = new_store(tmp_path)
    assert (store.load_latest() or {})["epoch"] == 4
    assert len(list(store.folder.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("a file, where a folder should be")
    with (
        pytest.raises(OSError, match=r"cannot be written: .*make the folder writable, and run again"),
        new_store(tmp_path / "scratch").lock(),
    ):
        pytest.fail("no work may begin")


def test_a_second_process_waits_and_says_who_has_the_run(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from vicreg.jobs.run_store import RunStore\n"
        "with RunStore(Path(sys.argv[1]), 'embedded-cifar_aug', {'seed': 0}).lock():\n"
        "    print('held', flush=True); sys.stdin.read(1); Path(sys.argv[1], 'left').touch()"
    )
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    lines: list[str] = []
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, **pipes) as first:
        asked, said = first.stdin, first.stdout
        assert asked is not None and said is not None and said.readline() == "held\n"

        def log(line: str) -> None:
            lines.append(line)
            Timer(0.5, asked.close).start()  # when this process waits

        with new_store(tmp_path, log=log).lock():
            assert (tmp_path / "left").exists()
    assert f"under way in process {first.pid} on " in lines[0] and "waiting" in lines[0]


def test_finished_runs_are_forgotten_after_a_week(tmp_path: Path) -> None:
    old, unfinished = new_store(tmp_path), RunStore(tmp_path, "unfinished", {})
    for store in (old, unfinished):
        store.write({"epoch": 1, "step": 0, "method": {}})
    old.finish({"epoch": 2, "step": 0, "method": {}, "optimizer": "much", "result": {}})
    assert (old.load_latest() or {}).keys() == {"epoch", "step", "method", "result", "environment"}
    present = RunStore(tmp_path, "present", {})
    with present.lock():
        assert old.folder.exists()
    os.utime(old.folder / "finished", (0, time.time() - 8 * 24 * 3600))
    with run_store.FileLock(old.folder / "lock"), present.lock():
        assert old.folder.exists()  # somebody has it
    with present.lock():
        assert not old.folder.exists() and unfinished.folder.exists()


def test_a_checkpoint_is_due_after_the_interval(tmp_path: Path) -> None:
    store = new_store(tmp_path, interval=1000.0)
    assert store.is_due
    store.write({"epoch": 1, "step": 1})
    assert not store.is_due and new_store(tmp_path, interval=1000.0).is_due
    store.saved -= 1000
    assert store.is_due


def test_where_a_process_goes_on_is_recorded(tmp_path: Path) -> None:
    store, _ = saved(tmp_path, [], epochs=2)
    store.mark_resume(None)
    store.mark_resume({"epoch": 2, "step": 5})
    starts = (store.folder / "starts").read_text().splitlines()
    assert [line.split(" process ")[1].split(" ", 1)[1] for line in starts] == ["epoch 1 step 0", "epoch 2 step 5"]
