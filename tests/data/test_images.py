"""Images: identity by content, one order, one folder of files."""

import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cifar_fakes import made_up
from conftest import digest

from vicreg.data import images as module
from vicreg.data.images import Images, canonical_order, digests, fingerprint, fingerprints, load, pixel_digests, save


def shuffled(images: Images, seed: int = 1) -> Images:
    return images.subset(np.random.default_rng(seed).permutation(len(images)))


def test_a_digest_is_that_of_the_pixel_bytes_and_one_label_byte() -> None:
    images = made_up()
    by_hand = hashlib.sha256(images.pixels[5].tobytes() + bytes([int(images.labels[5])])).digest()
    assert digests(images.pixels, images.labels)[5].tobytes() == by_hand
    assert pixel_digests(images.pixels)[5].tobytes() == hashlib.sha256(images.pixels[5].tobytes()).digest()


def test_digests_do_not_depend_on_how_the_array_lies_in_memory() -> None:
    images = made_up()
    turned = np.asfortranarray(images.pixels)
    assert np.array_equal(digests(turned, images.labels), digests(images.pixels, images.labels))


def test_a_fingerprint_is_the_hash_of_the_sorted_digests() -> None:
    images = made_up()
    parts = sorted(
        hashlib.sha256(p.tobytes() + bytes([int(n)])).digest()
        for p, n in zip(images.pixels, images.labels, strict=True)
    )
    expected = hashlib.sha256(b"".join(parts)).hexdigest()
    other = shuffled(images)
    assert fingerprint(images.pixels, images.labels) == fingerprint(other.pixels, other.labels) == expected


def test_each_official_split_has_its_own_fingerprint() -> None:
    images = made_up()
    test = images.subset(images.official == "test")
    assert fingerprints(images)["test"] == fingerprint(test.pixels, test.labels)
    assert fingerprints(test).keys() == {"test"}


def test_labels_of_two_bytes_and_none_have_digests_too() -> None:
    pixels = made_up().pixels[:3]
    expected = [
        hashlib.sha256(p.tobytes() + tail).digest() for p, tail in zip(pixels, (b"\xff", b"\1\0", b""), strict=True)
    ]
    assert [key.tobytes() for key in digests(pixels, np.array([255, 256, -1]))] == expected


def test_every_order_ends_in_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 10_000)  # bytes: three images at a time
    images = made_up()
    images = images.subset(np.array([*range(len(images)), 0, 0, 7]))
    for name, some in (("a", images), ("b", shuffled(images))):
        save(some, tmp_path / name, canonical_order(some))
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["about.json", "labels.npy", "official.npy", "pixels.npy"]
    assert [digest(tmp_path / "a" / name) for name in files] == [digest(tmp_path / "b" / name) for name in files]


def test_canonical_order_puts_train_first_and_keeps_every_image() -> None:
    images = made_up()
    ordered = images.subset(canonical_order(images))
    assert ordered.official.tolist() == ["train"] * 30 + ["test"] * 10
    assert fingerprints(ordered) == fingerprints(images)
    keys = [key.tobytes() for key in digests(ordered.pixels, ordered.labels)]
    assert keys[:30] == sorted(keys[:30]) and keys[30:] == sorted(keys[30:])


def test_images_come_back_from_a_folder_as_they_were(tmp_path: Path) -> None:
    images = replace(made_up(), genuine=True, synthetic=True, totals={"train": 50, "test": 10})
    save(images, tmp_path / "deep" / "images")
    again = load(tmp_path / "deep" / "images")
    for name in ("pixels", "labels", "official"):
        assert np.array_equal(getattr(again, name), getattr(images, name))
    for name in ("classes", "name", "genuine", "synthetic", "totals"):
        assert getattr(again, name) == getattr(images, name)


def test_a_part_can_be_saved(tmp_path: Path) -> None:
    images = made_up()
    save(images, tmp_path, np.array([7, 2]))
    assert np.array_equal(load(tmp_path).pixels, images.pixels[[7, 2]])


def test_a_digest_is_of_the_content_in_its_order_and_is_saved(tmp_path: Path) -> None:
    images = made_up()
    save(images, tmp_path)
    assert load(tmp_path).digest == images.digest == images.subset(np.arange(len(images))).digest
    assert images.digest != shuffled(images).digest
    other = replace(images, labels=(images.labels + 1) % 10)
    assert other.digest != images.digest
    facts = json.loads((tmp_path / "about.json").read_text())
    (tmp_path / "about.json").write_text(json.dumps(facts | {"digest": "as it says"}))
    assert load(tmp_path).digest == "as it says"
    save(images, tmp_path, np.arange(len(images))[::-1])
    assert load(tmp_path).digest == images.subset(np.arange(len(images))[::-1]).digest


MAPPED = """
import resource, sys
from pathlib import Path
import numpy as np
from vicreg.data import images, split_checks, splits
folder = Path(sys.argv[1])
data = int(next(line for line in open("/proc/self/status") if line.startswith("VmData")).split()[1]) * 1024
resource.setrlimit(resource.RLIMIT_DATA, (data + 60_000_000,) * 2)
try:
    np.ones(100_000_000, np.uint8)
    raise SystemExit("the limit does not hold")
except MemoryError:
    pass
pixels = np.lib.format.open_memmap(folder / "raw.npy", "w+", np.uint8, (120, 512, 512, 3))  # 94 MB
random = np.random.default_rng(0)
for image in pixels:
    image[:] = random.integers(0, 256, image.shape, np.uint8)
raw = images.Images(np.asarray(pixels), np.arange(120) % 4, np.repeat(["train", "test"], 60), tuple("abcd"), "large")
images.save(raw, folder / "primary", images.canonical_order(raw))
data = {role: images.load(folder / "primary") for role in ("primary", "transfer")}
assert images.fingerprints(raw) == images.fingerprints(data["primary"])
for protocol in ("report", "standard"):
    drawn = splits.split_images(raw, protocol, "primary", fractions={"pretrain": 1, "probe": 1}, seed=0)
    assert len(drawn["pretrain"]) == {"report": 48, "standard": 60}[protocol]
"""


def test_images_larger_than_memory_pass_through(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("the limit on memory is Linux's")
    subprocess.run([sys.executable, "-c", MAPPED, str(tmp_path)], check=True)


def test_a_failed_save_leaves_no_images(tmp_path: Path) -> None:
    save(made_up(), tmp_path)
    with pytest.raises(IndexError):
        save(made_up(), tmp_path, np.array([400]))
    with pytest.raises(ValueError, match=rf"{tmp_path.name} holds no images .*`dvc repro download`"):
        load(tmp_path)


@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "text", "other", "facts"])
@pytest.mark.parametrize("name", ["pixels.npy", "labels.npy", "official.npy", "about.json"])
def test_a_damaged_or_wrong_folder_names_itself(tmp_path: Path, damage: str, name: str) -> None:
    save(made_up(), tmp_path / "primary")
    path = tmp_path / "primary" / name
    if damage == "missing":
        path.unlink()
    elif damage == "other":
        with path.open("wb") as stream:
            np.save(stream, np.arange(3))
    elif damage == "facts":
        (tmp_path / "primary" / "about.json").write_text('{"digest": "", "classes": ["a"], "name": "x", "size": 3}')
    else:
        path.write_bytes({"empty": b"", "cut": path.read_bytes()[:60], "text": b"hello"}[damage])
    with pytest.raises(ValueError, match=r"primary holds no images .*run `dvc repro download`"):
        load(tmp_path / "primary")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("pixels", np.zeros((40, 32, 32), np.uint8), r"\(40, 32, 32\)"),
        ("pixels", np.zeros((40, 32, 32, 1), np.uint8), "32, 1"),
        ("pixels", np.zeros((40, 32, 32, 3), np.float32), "float32"),
        ("labels", np.full(40, 10, np.int64), r"0\.\.9"),
        ("labels", np.full(40, -1, np.int64), r"0\.\.9"),
        ("labels", np.zeros(39, np.int64), "39"),
        ("official", np.full(40, "valid", "<U5"), "official"),
        ("classes", (), r"-1\.\.-1"),
        ("classes", ("a",) * 10, "same name"),
        ("classes", tuple("abcdefghi\n"), r"no name"),
        ("name", "", "no name"),
        ("name", "\x1b[2J", "no name"),
    ],
)
def test_arrays_that_are_not_such_images_are_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(made_up(), **{field: value})


def test_images_of_any_size_with_and_without_labels(tmp_path: Path) -> None:
    pixels, official = np.ones((2, 5, 7, 3), np.uint8), np.array(["train", "test"])
    images = Images(pixels, np.array([-1, -1]), official, (), "photos")
    save(images, tmp_path)
    assert not load(tmp_path).labeled and load(tmp_path).pixels.shape == (2, 5, 7, 3)
    assert load(tmp_path).totals == {"train": 1, "test": 1}


def test_a_part_of_genuine_images_is_not_genuine() -> None:
    images = replace(made_up(), genuine=True)
    assert shuffled(images).genuine
    assert not images.subset(np.arange(39)).genuine
    assert not images.subset(np.zeros(40, np.int64)).genuine
