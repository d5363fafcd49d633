"""The authors' archive, from a server on this machine: fetched once, checked, and nothing half done is left."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cifar_fakes import made_up, write_archive

from vicreg.data.cifar_files import LAYOUTS
from vicreg.data.images import Images, fingerprints
from vicreg.data.sources.official import Official

IMAGES = made_up()
Load = Callable[[], Images]


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the authors' address offers, with its MD5 as the one that is known."""
    (tmp_path / "web").mkdir()
    file = write_archive(IMAGES, tmp_path / "web")
    layouts = {"cifar10": LAYOUTS["cifar10"]._replace(md5=hashlib.md5(file.read_bytes()).hexdigest())}
    monkeypatch.setattr("vicreg.data.sources.official.LAYOUTS", layouts)
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        monkeypatch.setattr(Official, "ADDRESS", f"http://127.0.0.1:{running.server_port}/")
        yield file
        running.shutdown()
        thread.join()


@pytest.fixture
def load(tmp_path: Path) -> Load:
    return partial(Official(None).load, "cifar10", scratch=tmp_path / "scratch", fraction=1, seed=0)


def test_it_is_fetched_once_and_read(archive: Path, load: Load) -> None:
    assert fingerprints(load()) == fingerprints(IMAGES)
    archive.unlink()
    assert fingerprints(load()) == fingerprints(IMAGES)


def test_another_file_is_refused_and_not_kept(archive: Path, load: Load, tmp_path: Path) -> None:
    content = archive.read_bytes()
    archive.write_bytes(content[:-1])
    with pytest.raises(ConnectionError, match=r"could not download .*MD5 hash .* does not match"):
        load()
    assert list((tmp_path / "scratch").iterdir()) == []
    archive.write_bytes(content)
    assert fingerprints(load()) == fingerprints(IMAGES)


def test_a_damaged_copy_is_fetched_again(archive: Path, load: Load, tmp_path: Path) -> None:
    load()
    (tmp_path / "scratch" / archive.name).write_bytes(b"damaged")
    assert fingerprints(load()) == fingerprints(IMAGES)


def test_a_refusal_names_the_address_and_what_else_to_do(archive: Path, load: Load) -> None:
    archive.unlink()
    with pytest.raises(ConnectionError, match=rf"{archive.name}: 404 .*set `source: local`"):
        load()


def test_no_network_is_an_error_that_says_what_else_to_do(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Official, "ADDRESS", "http://127.0.0.1:9/")
    with pytest.raises(ConnectionError, match=r"could not download.*source: local"):
        load()
