"""What tests of hostile and damaged files share; honest files are tested beside the others of their kind."""

import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def examples(count: int) -> settings:
    """The same examples on every run, and nothing kept between runs."""
    calm = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    return settings(max_examples=count, derandomize=True, deadline=None, database=None, suppress_health_check=calm)


class HangsError(BaseException):
    """No `Exception`, which a reader could take for damage."""


@pytest.fixture(autouse=True)
def no_reader_waits_for_ever() -> Iterator[None]:
    def give_up(*_: Any) -> None:
        raise HangsError

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@contextmanager
def nothing_written(folder: Path) -> Iterator[None]:
    """The files in `folder` and their bytes are afterwards what they were before."""

    def content() -> dict[Path, bytes | None]:
        return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}

    before = content()
    yield
    assert content() == before


@contextmanager
def little_memory(most: int = 50_000_000) -> Iterator[None]:
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < most


@st.composite
def damage(draw: st.DrawFn, whole: bytes) -> bytes:
    """Return `whole` with bytes flipped, cut off, left out, or with others over, between or after its own."""
    place, source = (draw(st.integers(0, max(0, len(whole) - 1))) for _ in range(2))
    before, after = whole[:place], whole[place:]
    some = draw(st.just(whole[source : source + draw(st.integers(0, 60))]) | st.binary(max_size=60))
    flipped = bytes(byte ^ draw(st.integers(1, 255)) for byte in after[:1])
    changes = {
        "cut": before,
        "flip": before + flipped + after[1:],
        "leave out": before + after[len(some) :],
        "overwrite": before + some + after[len(some) :],
        "insert": before + some + after,
        "append": whole + some,
    }
    return changes[draw(st.sampled_from(sorted(changes)))]
