"""A download that goes on where it was cut off, and gets its name only when its checksum is right."""

import hashlib
import http.client
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock
from tqdm import tqdm

BLOCK = 1 << 18  # bytes
TIMEOUT = 60  # seconds without a byte


def fetch(url: str, target: Path, *, md5: str, alternative: str) -> Path:
    """Return `target`, downloaded from `url` unless it is already there with the right `md5`.

    Raises ConnectionError when the transfer fails (what came so far stays in `<target>.part`), ValueError when the
    checksum is wrong (the file is removed); `alternative` is a sentence for both: what else to do.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with FileLock(target.with_name(target.name + ".lock")):  # queued experiments may want the same file at once
        if target.exists() and checksum(target) == md5:
            return target
        if not (part.exists() and checksum(part) == md5):
            try:
                _transfer(url, part)
            except (OSError, http.client.HTTPException) as error:
                size = part.stat().st_size if part.exists() else 0
                rest = f"The first {size:,} bytes are in {part}; running again goes on from there. " if size else ""
                raise ConnectionError(f"could not download {url}: {error}. {rest}{alternative}") from error
        if (actual := checksum(part)) != md5:
            part.unlink()
            raise ValueError(f"{url} gave a file with MD5 {actual}, not {md5}; it was removed. {alternative}")
        return part.replace(target)


def checksum(path: Path) -> str:
    """Return the hex MD5 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _transfer(url: str, part: Path) -> None:
    """Append to `part` what it lacks, or start over where the server sends no ranges; OSError if it is still short."""
    size = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={size}-"} if size else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {size}-"):
                size = 0
            total = None if answer.length is None else size + answer.length  # None when the server does not say
            progress = tqdm.wrapattr(answer, "read", total=total, initial=size, desc=part.stem)
            with part.open("ab" if size else "wb") as stream, progress as blocks:
                shutil.copyfileobj(blocks, stream, BLOCK)
            if total is not None and part.stat().st_size < total:
                raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not size:  # 416: the part is longer than the file, so it is something else
            raise
        part.unlink()
        _transfer(url, part)
