"""Downloads from a server on this machine: resumed, checked, and never left half done under their name."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cifar_fakes import made_up, write_archive

from vicreg.data import cifar_files
from vicreg.data.download import fetch
from vicreg.data.images import fingerprints
from vicreg.data.sources.official import Official

CONTENT = bytes(range(256)) * 4000


@dataclass
class Behavior:
    """What the server sends, and what it was asked for."""

    content: bytes = CONTENT
    ranges: bool = True
    stop_after: int | None = None
    status: int = 200
    asked: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    def __init__(self, behavior: Behavior, *arguments: object) -> None:
        self.behavior = behavior
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        behavior, asked = self.behavior, self.headers.get("Range")
        behavior.asked.append(asked)
        if behavior.status != 200:
            return self.send_error(behavior.status)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and behavior.ranges else 0
        if start >= len(behavior.content):
            return self.send_error(416)
        body = behavior.content[start:]
        self.send_response(206 if start else 200)
        if start:
            total = len(behavior.content)
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: behavior.stop_after])
        return None

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[Behavior, str]]:
    behavior = Behavior()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, behavior)) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield behavior, f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()
        thread.join()


@pytest.fixture
def get(server: tuple[Behavior, str], tmp_path: Path) -> Callable[[], Path]:
    md5 = hashlib.md5(CONTENT).hexdigest()
    return partial(fetch, server[1] + "data.bin", tmp_path / "scratch" / "data.bin", md5=md5, alternative="Do else.")


def files(tmp_path: Path) -> dict[str, bytes]:
    found = (path for path in (tmp_path / "scratch").iterdir() if path.suffix != ".lock")
    return {path.name: path.read_bytes() for path in found}


def test_a_file_is_downloaded_once(server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path) -> None:
    assert get().read_bytes() == CONTENT
    assert get().read_bytes() == CONTENT
    assert server[0].asked == [None]
    assert files(tmp_path).keys() == {"data.bin"}


def test_a_cut_off_download_says_where_it_lies_and_goes_on_there(
    server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path
) -> None:
    server[0].stop_after = 300_000
    with pytest.raises(ConnectionError, match=r"300,000 bytes are in .*data\.bin\.part.*again.*Do else"):
        get()
    assert files(tmp_path) == {"data.bin.part": CONTENT[:300_000]}
    server[0].stop_after = None
    assert get().read_bytes() == CONTENT
    assert server[0].asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_starts_over(
    server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "data.bin.part").write_bytes(CONTENT[:1000])
    server[0].ranges = False
    assert get().read_bytes() == CONTENT


def test_a_complete_part_needs_no_server(server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "data.bin.part").write_bytes(CONTENT)
    assert get().read_bytes() == CONTENT
    assert server[0].asked == []


def test_a_part_longer_than_the_file_is_dropped(get: Callable[[], Path], tmp_path: Path) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "data.bin.part").write_bytes(CONTENT + b"more")
    assert get().read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path) -> None:
    server[0].content = b"something else"
    with pytest.raises(ValueError, match=r"MD5 6c7ba9c5a141421e1c03cb9807c97c74, not .*Do else"):
        get()
    assert files(tmp_path) == {}


def test_a_damaged_file_is_fetched_again(get: Callable[[], Path], tmp_path: Path) -> None:
    get().write_bytes(b"damaged")
    assert get().read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_refusal_names_the_address_and_the_reason(
    server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path, status: int
) -> None:
    server[0].status = status
    with pytest.raises(ConnectionError, match=rf"data\.bin.*{status}.*Do else"):
        get()
    assert files(tmp_path) == {}


def test_a_refusal_keeps_what_came_before(
    server: tuple[Behavior, str], get: Callable[[], Path], tmp_path: Path
) -> None:
    (tmp_path / "scratch").mkdir()
    (tmp_path / "scratch" / "data.bin.part").write_bytes(CONTENT[:1000])
    server[0].status = 503
    with pytest.raises(ConnectionError, match="1,000 bytes are in"):
        get()
    assert files(tmp_path) == {"data.bin.part": CONTENT[:1000]}


def test_no_network_is_an_error_that_says_what_else_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Official, "ADDRESS", "http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"could not download.*source: local"):
        Official(None).load("cifar10", scratch=tmp_path, fraction=1, seed=0)


def test_the_official_source_reads_what_it_fetched(
    server: tuple[Behavior, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = made_up()
    server[0].content = write_archive(images, tmp_path).read_bytes()
    monkeypatch.setattr(Official, "ADDRESS", server[1])
    load = partial(Official(None).load, "cifar10", fraction=1, seed=0)
    with pytest.raises(ValueError, match="c58f30108f718f92721af3b95e74349a"):
        load(scratch=tmp_path / "scratch")
    md5 = hashlib.md5(server[0].content).hexdigest()
    layouts = {"cifar10": cifar_files.LAYOUTS["cifar10"]._replace(md5=md5)}
    monkeypatch.setattr("vicreg.data.sources.official.LAYOUTS", layouts)
    assert fingerprints(load(scratch=tmp_path / "scratch")) == fingerprints(images)
