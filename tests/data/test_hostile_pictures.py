"""Hostile and damaged image files: an image or one clear error, and no memory is taken."""

import io
import struct
import zlib

import numpy as np
import pytest
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vicreg.data import image_files

SMALL = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, *chunks: bytes) -> bytes:
    start = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = zlib.compress(b"".join(b"\0" + bytes(range(96)) for _ in range(32)))
BOMB = zlib.compress(bytes(60_000_000), 1)


@pytest.mark.parametrize(
    "content",
    [
        png(30_000, chunk(b"IDAT", BOMB)),
        png(32, chunk(b"zTXt", b"a\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"IDAT", PIXELS)).replace(b"IDAT", b"IDAU"),
        png(0, chunk(b"IDAT", PIXELS)),
    ],
    ids=["bomb", "zTXt", "iTXt", "other", "nothing"],
)
def test_a_hostile_png_takes_no_memory(tmp_path, content):
    (tmp_path / "x.png").write_bytes(content)
    with little_memory(), pytest.raises(image_files.Unreadable, match=r"x\.png cannot be used as an image: \w+"):
        image_files.read(tmp_path / "x.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
@examples(60)
@given(data=st.data())
def test_a_damaged_image_is_an_image_or_one_clear_error(tmp_path, kind, data):
    stream = io.BytesIO()
    Image.fromarray(SMALL).save(stream, kind)
    path = tmp_path / "x.png"
    path.write_bytes(data.draw(damage(stream.getvalue())))
    with nothing_written(tmp_path):
        try:
            assert image_files.read(path, crop=data.draw(st.booleans())).shape == (32, 32, 3)
        except image_files.Unreadable as error:
            assert str(path) in str(error) and len(str(error)) < len(str(path)) + 400
