"""Image files of any kind become 8 bits of RGB in one size: squeezed to a square, or cropped to its middle."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from vicreg.io.errors import reason

MAX_PIXELS = 50_000_000  # of an image before it is resized: 8,000 x 6,000 fit, and a bomb does not
# By name, since Pillow knows more of them, and hands EPS to a program that runs what is in it.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA")
DIRECT = ("RGB", "1", "L", "P", "CMYK", "YCbCr")  # modes that Pillow makes RGB without a choice that is ours


class Unreadable(ValueError):
    """A file that is no image, or none that can be shown in 8 bits; `why` is the reason alone."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{shown(path)} cannot be used as an image: {why}")
        self.why = why


def read(path: Path, size: int = 32, *, crop: bool = False) -> np.ndarray:
    """Return (size, size, 3) uint8 of an image file; one of this size in RGB already stays as it is, bit for bit.

    Others are squeezed to the square, or with `crop` the shorter side becomes `size` and the middle of the other
    remains; by bicubic interpolation with antialiasing. Of an animation the first frame counts; a photo is
    turned as its camera noted; transparency lies on white; all become 8 bits of RGB. Raises Unreadable.
    """
    if not path.is_file():  # to open a named pipe would wait for ever
        kind = "is a folder; name images, such as its *.png" if path.is_dir() else "is no ordinary file"
        raise Unreadable(path, f"it {kind}" if path.exists() else "it does not exist")
    if not path.stat().st_size:
        raise Unreadable(path, "it is empty")
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]  # those that this Pillow was built with
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=formats) as image:
            if image.width * image.height > MAX_PIXELS:  # before anything is decoded
                raise ValueError(f"{image.width:,} x {image.height:,} pixels are more than {MAX_PIXELS:,}")
            if crop:
                image.draft("RGB", (2 * size, 2 * size))  # a JPEG decodes to no more than it takes
            resize = ImageOps.fit if crop else Image.Image.resize
            return np.asarray(resize(rgb(ImageOps.exif_transpose(image)), (size, size), Image.Resampling.BICUBIC))
    except Exception as error:  # of damaged files Pillow raises errors of a dozen kinds
        unknown = isinstance(error, UnidentifiedImageError)
        raise Unreadable(path, "it is no image, or of a kind not read here" if unknown else reason(error)) from None


def rgb(image: Image.Image) -> Image.Image:
    """The image in 8 bits of RGB; raises ValueError for a mode that has no obvious ones."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode in DIRECT:
        return image.convert("RGB")
    raise ValueError(f"its mode is {image.mode}, whose values have no known range; save it as 8 bits of RGB")


def read_folder(folder: Path, size: int = 32) -> tuple[np.ndarray, list[str], dict[str, str]]:
    """All images in `folder` and below, squeezed to (N, size, size, 3) uint8, and what `read_files` returns."""
    files = list_files(folder)
    pixels = np.empty((len(files), size, size, 3), np.uint8)
    names, passed_over = read_files(files, folder, pixels)
    return pixels[: len(names)], names, passed_over


def list_files(folder: Path) -> list[Path]:
    """All in `folder` and below that is no folder, sorted, without what is hidden; ValueError for what is no folder."""
    if not folder.is_dir():
        raise ValueError(f"{shown(folder)} is no folder of images")
    paths = (path for path in folder.rglob("*") if not path.is_dir())
    return sorted(path for path in paths if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def read_files(
    files: Sequence[Path], folder: Path, pixels: np.ndarray, *, crop: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Read images into the first rows of `pixels` (N, S, S, 3); ValueError where there is none.

    Returns their paths in `folder`, and by path why others were passed over.
    """
    names, passed_over = list[str](), dict[str, str]()
    for file in tqdm(files, desc="reading", unit="file", disable=None):
        name = file.relative_to(folder).as_posix()
        try:
            pixels[len(names)] = read(file, pixels.shape[1], crop=crop)
            names.append(name)
        except Unreadable as error:
            passed_over[name] = error.why
    if not names:
        raise ValueError(f"{shown(folder)} holds no image that can be read; {summary(passed_over) or 'it is empty'}")
    return names, passed_over


def summary(passed_over: dict[str, str]) -> str:
    """One line on the files that were passed over; empty where there are none."""
    examples = [f"{shown(name)} ({why})" for name, why in list(passed_over.items())[:5]]
    more = f" and {len(passed_over) - 5:,} more" if len(passed_over) > 5 else ""
    return f"passed over {len(passed_over):,} of its files: {', '.join(examples)}{more}" if passed_over else ""


def shown(path: Path | str) -> str:
    """A path in a message, without what could steer a terminal."""
    return "".join(character if character.isprintable() else "?" for character in str(path))
