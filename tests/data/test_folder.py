"""Any folder of pictures is a dataset: with classes or without, of any size, and larger than memory."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vicreg.data.cifar import recognize
from vicreg.data.images import Images
from vicreg.data.sources.folder import Folder


def draw(path: Path, value: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (value, 0, 0)).save(path)


def read(folder: Path, **params: Any) -> Images:
    source = Folder(Folder.Params(folder=str(folder), **{"image_size": 8, **params}))
    return recognize(source.load("photos", scratch=folder.parent / "scratch", fraction=0.5, seed=3), "photos")


def test_sub_folders_are_classes_and_a_part_is_held_out(tmp_path: Path) -> None:
    for value in range(60):
        draw(tmp_path / "in" / ("dog" if value % 3 else "cat") / "deep" / f"{value}.png", value)
    images = read(tmp_path / "in", test_fraction=0.2)
    assert (images.classes, images.name, images.genuine, images.synthetic) == (("cat", "dog"), "photos", False, False)
    assert images.pixels.shape == (60, 8, 8, 3)
    assert [(value % 3 > 0) for value in images.pixels[:, 0, 0, 0]] == images.labels.tolist()
    test = images.official == "test"
    assert np.bincount(images.labels[test]).tolist() == [4, 8] and images.totals == {"train": 48, "test": 12}


def test_the_held_out_part_depends_on_content_alone(tmp_path: Path) -> None:
    for value in range(30):
        draw(tmp_path / "a" / "cat" / f"{value}.png", value)
        draw(tmp_path / "b" / "cat" / f"{(value * 7) % 30}x.bmp", value)
    one, other = (read(tmp_path / name) for name in "ab")
    held_out = [set(images.pixels[images.official == "test", 0, 0, 0].tolist()) for images in (one, other)]
    assert held_out[0] == held_out[1] and len(held_out[0]) == 5


def test_train_and_test_above_the_classes_are_kept(tmp_path: Path) -> None:
    for index, name in enumerate(["train/cat/1", "train/dog/2", "test/dog/3", "other/cat/4", "train/5"]):
        draw(tmp_path / "in" / f"{name}.png", index)
    images = read(tmp_path / "in")
    assert images.official.tolist() == ["test", "train", "train"] and images.labels.tolist() == [1, 0, 1]
    assert images.pixels[:, 0, 0, 0].tolist() == [2, 0, 1]


@pytest.mark.parametrize("folder", ["", "train/"])
def test_without_sub_folders_there_are_no_labels(tmp_path: Path, folder: str) -> None:
    for value in range(3):
        draw(tmp_path / "in" / folder / f"{value}.png", value)
    if folder:
        draw(tmp_path / "in" / "test" / "9.png", 9)
    images = read(tmp_path / "in")
    assert images.classes == () and set(images.labels.tolist()) == {-1}
    assert images.totals == ({"train": 3, "test": 1} if folder else {"train": 3, "test": 0})


def test_sub_folders_need_not_be_classes(tmp_path: Path) -> None:
    for year in (2024, 2025):
        draw(tmp_path / "in" / str(year) / "x.png", 1)
    assert read(tmp_path / "in").classes == ("2024", "2025")
    assert read(tmp_path / "in", labeled=False).classes == ()


def test_what_is_no_picture_is_passed_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path / "in" / "cat" / "1.png", 1)
    (tmp_path / "in" / "cat" / "notes.txt").write_text("x")
    (tmp_path / "in" / "dog").mkdir()
    (tmp_path / "in" / "dog" / "broken.png").write_bytes(b"x")
    os.mkfifo(tmp_path / "in" / "cat" / "pipe.png")
    images = read(tmp_path / "in")
    assert images.classes == ("cat",) and len(images) == 1
    assert "photos: passed over 3 of its files: cat/notes.txt (it is no image" in capsys.readouterr().err
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(("name", "message"), [("empty", "holds no image"), ("gone", "is no folder of images")])
def test_a_folder_without_pictures_is_an_error(tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=rf"{name} {message}"):
        read(tmp_path / name)


def test_a_hostile_class_name_is_shown_harmlessly(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "<script>\x1b[2J" / "1.png", 1)
    with pytest.raises(ValueError, match="no name: 1 to 100 characters") as caught:
        read(tmp_path / "in")
    assert str(caught.value).isprintable()


LARGE = """
import resource, sys
from pathlib import Path
from vicreg.data import images
from vicreg.data.sources.folder import Folder
folder = Path(sys.argv[1])
data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (data + 60_000_000,) * 2)
source = Folder(Folder.Params(folder=str(folder / "in"), image_size=512))  # 94 MB of pixels
loaded = source.load("photos", scratch=folder / "scratch", fraction=1, seed=0)
images.save(loaded, folder / "out", images.canonical_order(loaded))
assert len(images.load(folder / "out")) == 120
"""


def test_a_folder_larger_than_memory_is_read(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the limit on memory is Linux's")
    for value in range(120):
        draw(tmp_path / "in" / "cat" / f"{value}.bmp", value, (16, 16))
    subprocess.run([sys.executable, "-c", LARGE, str(tmp_path)], check=True)
