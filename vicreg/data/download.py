"""A download that goes on where it was cut off, and gets its name only when its checksum is right."""

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from filelock import FileLock
from tqdm import tqdm

BLOCK = 1 << 18  # bytes
TIMEOUT = 60  # seconds without a byte


def fetch(url: str, target: Path, *, md5: str, alternative: str) -> Path:
    """Return `target`, downloaded from `url` unless it is already there with the right `md5`.

    alternative: a sentence for the error: what to do when there is no network.

    Raises ConnectionError when the transfer fails (what came so far stays in `<target>.part`) and ValueError
    when the checksum is wrong (the file is removed).
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.with_name(target.name + ".lock")):  # queued experiments may want the same file at once
        if not (target.exists() and checksum(target) == md5):
            _fetch(url, target, md5, alternative)
    return target


def _fetch(url: str, target: Path, md5: str, alternative: str) -> None:
    part = target.with_name(target.name + ".part")
    if not (part.exists() and checksum(part) == md5):
        _transfer_or_explain(url, part, alternative)
    found = checksum(part)
    if found != md5:
        part.unlink()
        raise ValueError(
            f"{url} gave a file with MD5 {found}, not {md5}; it was removed. Run this again; if that "
            f"does not help, the address serves something else. {alternative}"
        )
    part.replace(target)


def checksum(path: Path) -> str:
    """Return the hex MD5 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _transfer_or_explain(url: str, part: Path, alternative: str) -> None:
    """Transfer; any failure of network or server becomes one error that says how to go on."""
    try:
        _transfer(url, part)
    except (OSError, http.client.HTTPException) as error:
        size = part.stat().st_size if part.exists() else 0
        kept = f"The first {size:,} bytes are in {part}; running again goes on from there. " if size else ""
        raise ConnectionError(f"could not download {url}: {error}. {kept}{alternative}") from error


def _transfer(url: str, part: Path) -> None:
    """Append to `part` what it lacks, or start over where the server does not send ranges."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            goes_on = answer.status == 206 and _first_byte(answer) == have
            with part.open("ab" if goes_on else "wb") as stream:
                _copy(answer, stream, have if goes_on else 0, part.name.removesuffix(".part"))
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not have:  # 416: the part is longer than the file, so it is something else
            raise
        part.unlink()
        _transfer(url, part)


def _first_byte(answer: http.client.HTTPResponse) -> int:
    """Return where the sent range begins, from `Content-Range: bytes 100-199/200`; else -1."""
    begin = answer.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(begin) if begin.isdigit() else -1


def _copy(answer: http.client.HTTPResponse, stream: IO[bytes], have: int, title: str) -> None:
    """Copy an answer's body with a progress bar; a body shorter than announced is an OSError."""
    announced = answer.length  # bytes still to come, None when the server does not say
    total = None if announced is None else have + announced
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=title) as bar:
        while block := answer.read(BLOCK):
            stream.write(block)
            bar.update(len(block))
            have += len(block)
    if total is not None and have < total:
        raise OSError(f"the connection ended after {have:,} of {total:,} bytes")
