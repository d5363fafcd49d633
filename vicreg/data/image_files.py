"""Image files of any kind become what encoders see: 32 x 32 pixels in RGB."""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from tqdm import tqdm

from vicreg.data.images import SIDE, reason

MOST_PIXELS = 50_000_000  # of an image before it is resized: 8,000 x 6,000 fit, and a bomb does not
# By name, since Pillow knows more of them, and hands EPS to a program that runs what is in it.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000", "ICO", "TGA")
DIRECT = ("1", "L", "P", "CMYK", "YCbCr")  # modes that Pillow makes RGB without a choice that is ours


class Unreadable(ValueError):
    """A file that is no image, or none that can be shown in 8 bits; `why` is the reason alone."""

    def __init__(self, path: Path, why: str):
        super().__init__(f"{shown(path)} cannot be used as an image: {why}")
        self.why = why


def read(path: Path) -> np.ndarray:
    """Return (32, 32, 3) uint8 of an image file; one that is 32 x 32 RGB already stays as it is, bit for bit.

    Of an animation the first frame counts; a photo is turned as its camera noted; transparency lies on white; grey,
    palettes, CMYK and 16 bits become 8 bits of RGB; other sizes are squeezed to the square by bicubic interpolation
    with antialiasing. Raises Unreadable. Nothing is decoded of a file that announces more than MOST_PIXELS.
    """
    if not path.is_file():  # to open a named pipe would wait for ever
        raise Unreadable(path, absence(path))
    if not path.stat().st_size:
        raise Unreadable(path, "it is empty")
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=known_formats()) as image:
            if image.width * image.height > MOST_PIXELS:
                raise ValueError(
                    f"{image.width:,} x {image.height:,} pixels are more than {MOST_PIXELS:,}; make it smaller"
                )
            return pixels(image)
    except UnidentifiedImageError:
        raise Unreadable(path, "it is no image, or of a kind that is not read here") from None
    except Image.DecompressionBombError:  # Pillow's own limit, which lies above ours
        raise Unreadable(path, f"it has more than {MOST_PIXELS:,} pixels; make it smaller") from None
    except Exception as error:  # of damaged files Pillow raises errors of a dozen kinds
        raise Unreadable(path, reason(error)) from None


def absence(path: Path) -> str:
    """Why there is no file at `path`, in words."""
    if path.is_dir():
        return "it is a folder; name images, such as its *.png"
    return "it is no ordinary file" if path.exists() else "it does not exist"


def known_formats() -> list[str]:
    """Those of FORMATS that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def pixels(image: Image.Image) -> np.ndarray:
    """An open image as (32, 32, 3) uint8; raises ValueError for a mode that has no obvious 8 bits."""
    upright = rgb(ImageOps.exif_transpose(image))
    return np.asarray(
        upright if upright.size == (SIDE, SIDE) else upright.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    )


def rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        image = Image.fromarray(np.round(np.asarray(image) / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    if image.mode == "RGB":
        return image
    if image.mode in DIRECT:
        return image.convert("RGB")
    raise ValueError(f"its mode is {image.mode}, whose values have no known range; save it as 8 bits of RGB")


def read_folder(folder: Path) -> tuple[np.ndarray, list[str], dict[str, str]]:
    """Read all images in `folder` and the folders in it, sorted by path.

    Returns their pixels (N, 32, 32, 3) uint8, their paths in the folder, and by path what was passed over, and why.
    Raises ValueError for what is no folder, and for one without any image.
    """
    if not folder.is_dir():
        raise ValueError(
            f"{shown(folder)} is {'no folder' if folder.exists() else 'not there'}; name a folder of images"
        )
    files = sorted(visible(folder))
    found = np.empty((len(files), SIDE, SIDE, 3), np.uint8)
    names: list[str] = []
    passed_over: dict[str, str] = {}
    for file in tqdm(files, desc="reading", unit="file", disable=None):
        name = file.relative_to(folder).as_posix()
        try:
            found[len(names)] = read(file)
            names.append(name)
        except Unreadable as error:
            passed_over[name] = error.why
    if not names:
        raise ValueError(f"{shown(folder)} holds no image that can be read; {summary(passed_over) or 'it is empty'}")
    return found[: len(names)], names, passed_over


def visible(folder: Path) -> Iterator[Path]:
    """Everything in `folder` that is no folder, and not hidden: programs keep their own things under such names."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and not path.is_dir():
            yield path


def summary(passed_over: dict[str, str], most: int = 5) -> str:
    """One line on the files that were passed over; empty where there are none."""
    if not passed_over:
        return ""
    told = [f"{shown(name)} ({why})" for name, why in list(passed_over.items())[:most]]
    more = f" and {len(passed_over) - most:,} more" if len(passed_over) > most else ""
    return f"passed over {len(passed_over):,} of its files: {', '.join(told)}{more}"


def shown(path: Path | str) -> str:
    """A path in a message: without what could steer a terminal, and what no terminal can show."""
    return "".join(character if character.isprintable() else "?" for character in str(path))
