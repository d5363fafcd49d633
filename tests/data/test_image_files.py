"""Image files: whatever people have becomes RGB in one size, and what is no image says so."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from PIL import Image

from vicreg.data import image_files

SIDE = 32
RNG = np.random.default_rng(0)
SMALL = RNG.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
LARGE = RNG.integers(0, 256, (45, 80, 3), dtype=np.uint8)


def saved(image: Image.Image, path: Path, **options: object) -> Path:
    image.save(path, **options)  # type: ignore[arg-type]
    return path


def header(width: int, height: int) -> bytes:
    """A PNG file that announces a size, and holds no pixels."""
    content = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + content + struct.pack(">I", zlib.crc32(content))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.webp"])
def test_an_image_of_the_right_size_and_mode_stays_as_it_is(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    assert np.array_equal(image_files.read(saved(Image.fromarray(SMALL), tmp_path / name, **options)), SMALL)


def test_another_size_is_squeezed_to_the_square(tmp_path):
    expected = Image.fromarray(LARGE).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    assert np.array_equal(image_files.read(saved(Image.fromarray(LARGE), tmp_path / "a.png")), np.asarray(expected))
    stripes = np.zeros((320, 320, 3), np.uint8)
    stripes[:, ::2] = 255
    even = image_files.read(saved(Image.fromarray(stripes), tmp_path / "stripes.png"))
    assert even.min() >= 120 and even.max() <= 136, "finer than 32 pixels, stripes are even grey, not a pattern"


def test_any_size_can_be_asked_for(tmp_path):
    path = saved(Image.fromarray(LARGE), tmp_path / "a.png")
    expected = Image.fromarray(LARGE).resize((48, 48), Image.Resampling.BICUBIC)
    assert np.array_equal(image_files.read(path, 48), np.asarray(expected))
    assert image_files.read_folder(tmp_path, 24)[0].shape == (1, 24, 24, 3)


def test_a_crop_is_the_middle_with_the_shorter_side_resized(tmp_path):
    path = saved(Image.fromarray(LARGE[:, :79]), tmp_path / "a.png")
    assert np.array_equal(image_files.read(path, 45, crop=True), LARGE[:, 17:62])
    halves = np.zeros((64, 160, 3), np.uint8)
    halves[:, 80:] = 255
    small = image_files.read(saved(Image.fromarray(halves), tmp_path / "b.png"), 16, crop=True)
    assert (small[:, :6] == 0).all() and (small[:, 10:] == 255).all()
    tall = image_files.read(saved(Image.fromarray(halves.transpose(1, 0, 2)), tmp_path / "c.png"), 16, crop=True)
    assert np.array_equal(tall, small.transpose(1, 0, 2))
    photo = saved(Image.fromarray(halves).resize((1600, 640)), tmp_path / "d.jpg")
    assert np.abs(image_files.read(photo, 16, crop=True).astype(int) - small).mean() < 5


def test_grey_and_palettes_become_rgb(tmp_path):
    grey = image_files.read(saved(Image.fromarray(SMALL[..., 0]), tmp_path / "grey.png"))
    assert np.array_equal(grey, np.repeat(SMALL[..., :1], 3, axis=2))
    palette = Image.fromarray(SMALL).convert("P")
    found = image_files.read(saved(palette, tmp_path / "palette.png"))
    assert np.array_equal(found, np.asarray(palette.convert("RGB")))
    black_or_white = Image.fromarray(SMALL).convert("1")
    assert set(image_files.read(saved(black_or_white, tmp_path / "1.png")).ravel().tolist()) == {0, 255}


def test_transparency_lies_on_white(tmp_path):
    alpha = np.zeros((SIDE, SIDE), np.uint8)
    alpha[:16] = 255
    found = image_files.read(saved(Image.fromarray(np.dstack([SMALL, alpha])), tmp_path / "a.png"))
    assert np.array_equal(found[:16], SMALL[:16]) and (found[16:] == 255).all()
    one_colour = np.full((SIDE, SIDE, 3), 7, np.uint8)
    found = image_files.read(saved(Image.fromarray(one_colour), tmp_path / "t.png", transparency=(7, 7, 7)))
    assert (found == 255).all()
    empty = Image.fromarray(np.zeros((SIDE, SIDE, 2), np.uint8), "LA")
    assert (image_files.read(saved(empty, tmp_path / "la.png")) == 255).all()


def test_16_bits_of_grey_become_8_and_keep_their_order(tmp_path):
    values = np.linspace(0, 65535, SIDE * SIDE).astype(np.uint16).reshape(SIDE, SIDE)
    found = image_files.read(saved(Image.fromarray(values), tmp_path / "deep.png"))[..., 0].ravel().astype(int)
    assert (found[0], found[-1]) == (0, 255) and (np.diff(found) >= 0).all() and len(set(found.tolist())) == 256


def test_cmyk_becomes_rgb(tmp_path):
    flat = Image.new("RGB", (SIDE, SIDE), (200, 40, 90)).convert("CMYK")
    found = image_files.read(saved(flat, tmp_path / "print.jpg", quality=100)).astype(int)
    assert np.abs(found - [200, 40, 90]).max() <= 6


@pytest.mark.parametrize("name", ["a.gif", "a.png", "a.webp"])
def test_of_an_animation_the_first_frame_counts(tmp_path, name):
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
    assert np.abs(image_files.read(tmp_path / name).astype(int) - [255, 0, 0]).max() <= 3


def test_a_photo_is_turned_as_its_camera_noted(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: a quarter turn clockwise shows it upright
    path = saved(Image.fromarray(SMALL), tmp_path / "photo.png", exif=exif)
    assert np.array_equal(image_files.read(path), np.rot90(SMALL, -1))


HOSTILE = {
    "text.png": (b"this is no image", "it is no image, or of a kind not read here"),
    "empty.png": (b"", "it is empty"),
    "bomb.png": (header(30_000, 30_000), "decompression bomb"),
    "large.png": (header(10_000, 9_000), "10,000 x 9,000 pixels are more than 50,000,000"),
    "nothing.png": (header(32, 32), ""),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\nshowpage\n", "it is no image"),
    "vector.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "it is no image"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_image_is_an_error_that_names_the_file(tmp_path, name):
    content, why = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(image_files.Unreadable, match=rf"{name} cannot be used as an image: .*{why}"):
        image_files.read(tmp_path / name)


@pytest.mark.parametrize("name", ["cut.jpg", "cut.png", "cut.webp", "cut.gif"])
def test_a_truncated_image_is_a_clear_error(tmp_path, name):
    path = saved(Image.fromarray(LARGE), tmp_path / name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(image_files.Unreadable, match=rf"{name} cannot be used as an image: \w+"):
        image_files.read(path)


def test_values_without_a_known_range_are_refused(tmp_path):
    path = saved(Image.fromarray(RNG.random((SIDE, SIDE)).astype(np.float32)), tmp_path / "height.tiff")
    with pytest.raises(image_files.Unreadable, match=r"its mode is F, .*save it as 8 bits of RGB"):
        image_files.read(path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for name, why in {"pipe.png": "no ordinary file", ".": "a folder", "gone.png": "does not exist"}.items():
        with pytest.raises(image_files.Unreadable, match=why):
            image_files.read(tmp_path / name)


def test_a_name_cannot_steer_the_terminal(tmp_path):
    for name in ("\x1b[31mred.png", "line\nbreak.png", os.fsdecode(b"bytes\xff.png")):
        (tmp_path / name).write_text("no image")
        with pytest.raises(image_files.Unreadable) as caught:
            image_files.read(tmp_path / name)
        assert str(caught.value).isprintable()


def test_a_folder_is_read_in_sorted_order_without_hidden_files(tmp_path):
    places = ["b/2.png", "b/10.png", "a.png", "c/d/e.png", ".hidden.png", ".git/f.png"]
    for value, place in enumerate(places):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        saved(Image.new("RGB", (SIDE, SIDE), (value, 0, 0)), tmp_path / place)
    pixels, names, passed_over = image_files.read_folder(tmp_path)
    assert names == ["a.png", "b/10.png", "b/2.png", "c/d/e.png"] and not passed_over
    assert pixels[:, 0, 0, 0].tolist() == [2, 1, 0, 3]
    assert pixels.shape == (4, SIDE, SIDE, 3) and pixels.dtype == np.uint8


def test_what_is_no_image_is_passed_over_and_named(tmp_path):
    saved(Image.fromarray(SMALL), tmp_path / "image.png")
    for name, (content, _) in HOSTILE.items():
        (tmp_path / name).write_bytes(content)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "gone.png")
    pixels, names, passed_over = image_files.read_folder(tmp_path)
    assert names == ["image.png"] and np.array_equal(pixels[0], SMALL)
    assert passed_over.keys() == {*HOSTILE, "pipe", "dangling.png"}
    line = image_files.summary(passed_over)
    assert line.startswith("passed over 9 of its files: bomb.png (") and line.endswith(" and 4 more")


@pytest.mark.parametrize(
    ("content", "message"),
    [({}, "it is empty"), ({"notes.txt": b"x"}, r"passed over 1 of its files: notes.txt \(it is no image")],
)
def test_a_folder_without_an_image_is_an_error(tmp_path, content, message):
    for name, data in content.items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=f"holds no image that can be read; {message}"):
        image_files.read_folder(tmp_path)


def test_what_is_no_folder_is_an_error(tmp_path):
    saved(Image.fromarray(SMALL), tmp_path / "image.png")
    for name in ("image.png", "gone"):
        with pytest.raises(ValueError, match=rf"{name} is no folder of images"):
            image_files.read_folder(tmp_path / name)
