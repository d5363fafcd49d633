"""Hostile and damaged PNG files, and class folders: one clear message, and nothing that was there before is touched."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from cifar_fakes import made_up, write_png
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vicreg.data.png_files import read_png
from vicreg.data.sources import local


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(side: int, *chunks: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


PIXELS = zlib.compress(b"".join(b"\0" + bytes(range(96)) for _ in range(32)))
BOMB = zlib.compress(bytes(200_000_000), 1)


def test_an_honest_png_is_read_whatever_else_it_says_of_itself(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png(32, chunk(b"tEXt", b"Title\0x"), chunk(b"IDAT", PIXELS)))
    assert read_png(tmp_path / "x.png")[5, 3].tolist() == [9, 10, 11]


@pytest.mark.parametrize(
    "content",
    [
        png(30_000, chunk(b"IDAT", zlib.compress(bytes(90_001) * 30))),
        png(30_000, chunk(b"IDAT", BOMB)),
        png(32, chunk(b"zTXt", b"a\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"iTXt", b"a\0\1\0\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"iCCP", b"a\0\0" + BOMB), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"tEXt", b"a\0" + b"x" * 2_000_000), chunk(b"IDAT", PIXELS)),
        png(32, chunk(b"IDAT", PIXELS))[:-12],
        png(32, chunk(b"IDAT", PIXELS)).replace(b"IDAT", b"IDAU"),
        png(32, chunk(b"IDAT", PIXELS), struct.pack(">I", 2**31 - 1) + b"tEXt"),
        png(32, chunk(b"acTL", b"\xff" * 8), chunk(b"IDAT", PIXELS)),
        png(0, chunk(b"IDAT", PIXELS)),
    ],
    ids=["30,000", "bomb", "zTXt", "iTXt", "iCCP", "long", "no end", "other", "endless", "frames", "nothing"],
)
def test_a_hostile_png_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with (
        nothing_written(tmp_path),
        little_memory(),
        pytest.raises(ValueError, match=r"x\.png is not a readable CIFAR image: .*; re"),
    ):
        read_png(tmp_path / "x.png")


def test_a_png_that_is_no_file_is_one_clear_error(tmp_path: Path) -> None:
    write_png(made_up(), tmp_path)
    place = tmp_path / "train" / "cat" / "x.png"
    for make in (
        place.mkdir,
        lambda: os.mkfifo(place),
        lambda: place.symlink_to("x.png"),
        lambda: place.symlink_to("no"),
    ):
        make()
        with pytest.raises(ValueError, match=r"cat/x\.png is not a readable CIFAR image: it is not a file"):
            local.load("cifar10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)
        place.rmdir() if place.is_dir() else place.unlink()


def test_a_class_folder_with_a_hostile_name_is_shown_harmlessly(tmp_path: Path) -> None:
    write_png(made_up(), tmp_path)
    (tmp_path / "train" / "<script>\x1b[2J").mkdir()
    with pytest.raises(ValueError, match=r"'<script>\\x1b\[2J' is not one of the classes") as caught:
        local.load("cifar10", folder=tmp_path, scratch=tmp_path, fraction=1, seed=0)
    assert str(caught.value).isprintable()


@examples(300)
@given(st.data())
def test_a_damaged_png_gives_the_same_pixels_or_one_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    known = made_up().pixels[0] if data.draw(st.booleans()) else np.full((32, 32, 3), 7, np.uint8)
    stream = io.BytesIO()
    Image.fromarray(known).save(stream, "PNG")
    path = tmp_path / "x.png"
    path.write_bytes(data.draw(damage(stream.getvalue())))
    with nothing_written(tmp_path):
        try:
            found = read_png(path)
        except ValueError as error:
            assert str(path) in str(error) and len(str(error)) < len(str(path)) + 400
        else:
            assert np.array_equal(found, known)


@examples(150)
@given(st.data())
def test_a_png_damaged_before_its_checksums_gives_an_image_or_one_clear_error(
    tmp_path: Path, data: st.DataObject
) -> None:
    kind = data.draw(
        st.sampled_from([b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"zTXt", b"acTL", b"fcTL", b"eXIf", b"pHYs", b"gAMA"])
    )
    more = chunk(kind, data.draw(st.binary(max_size=40)))
    path = tmp_path / "x.png"
    path.write_bytes(png(32, more, chunk(b"IDAT", data.draw(damage(PIXELS)))))
    try:
        assert read_png(path).shape == (32, 32, 3)
    except ValueError as error:
        assert str(path) in str(error)
