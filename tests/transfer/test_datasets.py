"""Readers of VOC07, Places205 and iNaturalist 2018: what they list, when it is genuine, and each bad input."""

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import trees
from trees import IMAGES, JPEGS, MAIN

from vicreg.transfer.datasets import READERS, VOC, Dataset, Part

CSV = "trainvalsplit_places205/{}_places205.csv"
MAKE: dict[str, Callable[[Path], Path]] = {key: getattr(trees, key) for key in READERS}

PUBLISHED = {
    "voc07": {"classes": 20, "train": 5011, "test": 4952, "positives": VOC},
    "places205": {"classes": 205, "train": 2_448_873, "test": 20_500},
    "inat18": {"classes": 8142, "train": 437_513, "test": 24_426},
}


def replace(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))


def test_voc07_has_flags_of_twenty_classes(tmp_path):
    dataset = READERS["voc07"](trees.voc07(tmp_path))
    assert dataset.classes == tuple(VOC) and dataset.train.names[0] == "000001.jpg" and dataset.multi_label
    for part, split in ((dataset.train, "trainval"), (dataset.test, "test")):
        assert np.array_equal(part.labels, trees.voc_flags(split))
    assert dataset.counts["positives"]["aeroplane"] == [7, 3] and dataset.counts["positives"]["bicycle"] == [8, 4]


def test_places205_has_the_labels_of_its_lists(tmp_path):
    dataset = READERS["places205"](trees.places205(tmp_path))
    assert dataset.classes == ("0", "3", "204") and dataset.test.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert (dataset.folder, dataset.train.names[0]) == (tmp_path / IMAGES, "a/abbey/train0.jpg")
    assert dataset.counts == {"classes": 3, "train": 12, "test": 6}


def test_inat18_is_split_by_its_files_and_labeled_by_its_folders(tmp_path):
    dataset = READERS["inat18"](trees.inat18(tmp_path))
    assert dataset.classes == ("17", "8141") and dataset.train.labels.tolist() == [0] * 4 + [1] * 4
    assert dataset.test.names[-1] == "train_val2018/Plantae/8141/val1.jpg"


@pytest.mark.parametrize(("key", "published"), PUBLISHED.items())
def test_only_published_counts_are_genuine(tmp_path, key, published):
    dataset = READERS[key](MAKE[key](tmp_path))
    assert dataset.published.items() >= published.items()
    assert not dataset.genuine and dataset.name == f"{dataset.title} (subset or altered)"
    whole = dataclasses.replace(dataset, published=dataset.counts)
    assert whole.genuine and whole.name == dataset.title


def test_one_positive_more_is_not_genuine(tmp_path):
    counts = READERS["voc07"](trees.voc07(tmp_path)).counts
    replace(tmp_path / MAIN / "cow_test.txt", " -1", "  1")
    assert not dataclasses.replace(READERS["voc07"](tmp_path), published=counts).genuine


def test_the_published_positives_are_of_twenty_classes_and_seven_percent():
    shares = np.array(list(VOC.values())) / [5011, 4952]
    assert shares.shape == (20, 2) and np.allclose(shares.mean(axis=0), 0.073, atol=0.003)


MISSING = [
    ("voc07", [JPEGS]),
    ("voc07", ["VOCdevkit"]),
    ("voc07", [f"{MAIN}/cat_test.txt", f"{MAIN}/dog_trainval.txt"]),
    ("places205", [CSV.format("val")]),
    ("places205", ["data", "trainvalsplit_places205"]),
    ("inat18", ["train_val2018", "val2018.json"]),
]


@pytest.mark.parametrize(("key", "missing"), MISSING)
def test_exactly_what_is_missing_is_named(tmp_path, key, missing):
    MAKE[key](tmp_path)
    for name in missing:
        path = tmp_path / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    verb, names = "is" if len(missing) == 1 else "are", ", ".join(str(tmp_path / name) for name in missing)
    with pytest.raises(ValueError, match=rf"{verb} missing: {re.escape(names)}; this dataset is laid out as \w+"):
        READERS[key](tmp_path)


@pytest.mark.parametrize("key", READERS)
def test_a_folder_that_is_not_there_is_named_itself(tmp_path, key):
    with pytest.raises(ValueError, match=rf"is missing: {tmp_path}/nowhere; this dataset is laid out as"):
        READERS[key](tmp_path / "nowhere")


BAD_LISTS = [  # dataset, file, old text, new text, what the error says
    ("voc07", f"{MAIN}/cat_test.txt", "000101 -1", "000101 2", "cat_test.txt, line 1: '000101 2' should be a name and"),
    ("voc07", f"{MAIN}/cat_test.txt", "000101 -1", "000101", "cat_test.txt, line 1: '000101' should be"),
    ("voc07", f"{MAIN}/cat_test.txt", "000101", "000102", "cat_test.txt lists other images than"),
    ("places205", CSV.format("train"), "train0.jpg 0", "train0.jpg 205", "line 1: 'a/abbey/train0.jpg 205' should be"),
    ("places205", CSV.format("train"), "train0.jpg 0", "train0.jpg abbey", "number in range(0, 205); unpack"),
    (
        "places205",
        CSV.format("train"),
        "train0.jpg 0",
        "train0.jpg 3",
        "has the number 3 for b/bow_window/indoor and for",
    ),
    ("places205", CSV.format("train"), "y/yard/train0.jpg", "y/yard/nope.jpg", "lists images that are not in "),
    ("places205", CSV.format("train"), "train0.jpg 0", "train1.jpg 0", "images more than once: a/abbey/train1.jpg"),
    ("places205", CSV.format("val"), "a/abbey/val0", "a/abbey/train0", "share images, so a test would be of what was"),
    ("places205", CSV.format("train"), "a/abbey/train0", "../a/abbey/train0", "has the number 0 for a/abbey and for"),
    ("places205", CSV.format("val"), "val0.jpg 0", "../abbey/val0.jpg 0", "has the number 0 for a/abbey/../abbey"),
    ("inat18", "train2018.json", '"images"', '"pictures"', "does not list `images` by `file_name` ('images')"),
    ("inat18", "train2018.json", '"file_name"', '"file"', "does not list `images` by `file_name` ('file_name')"),
    ("inat18", "train2018.json", "[", "", "does not list `images` by `file_name`"),
    ("inat18", "train2018.json", "Aves/17", "Aves/seventeen", "seventeen/train0.jpg' is no image in a class's folder"),
    ("inat18", "train2018.json", "Aves/17", "Aves/8142", "has the class 8142; iNaturalist 2018 has 0 to 8141"),
    ("inat18", "train2018.json", "Aves/17", "../17", "lists what is no path of an image in the dataset"),
    ("inat18", "train2018.json", '"train_val2018/Aves/17/train0.jpg"', "7", "does not list `images` by `file_name`"),
    ("inat18", "val2018.json", "Aves/17/val0", "Aves/18/val0", "has classes of which "),
    ("inat18", "val2018.json", "Aves/17/val0", "Aves/17/train0", "share images"),
]


@pytest.mark.parametrize(("key", "file", "old", "new", "says"), BAD_LISTS)
def test_a_bad_list_is_one_clear_error(tmp_path, key, file, old, new, says):
    replace(MAKE[key](tmp_path) / file, old, new)
    with pytest.raises(ValueError, match=re.escape(says)) as error:
        READERS[key](tmp_path)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "file"), [("voc07", f"{MAIN}/cow_test.txt"), ("places205", CSV.format("val")), ("inat18", "val2018.json")]
)
def test_a_list_of_bytes_or_a_folder_in_its_place_is_one_clear_error(tmp_path, key, file):
    path = MAKE[key](tmp_path) / file
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ValueError, match=re.escape(str(path))):
        READERS[key](tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=re.escape(str(path))):
        READERS[key](tmp_path)


@pytest.mark.parametrize(("key", "file"), [("places205", CSV.format("train")), ("places205", CSV.format("val"))])
def test_an_empty_list_is_one_clear_error(tmp_path, key, file):
    path = MAKE[key](tmp_path) / file
    path.write_text("")
    with pytest.raises(ValueError, match="has classes of which" if "train" in path.name else "lists no images"):
        READERS[key](tmp_path)


def test_a_class_that_voc07_does_not_have_is_named(tmp_path):
    trees.write(trees.voc07(tmp_path) / MAIN / "zebra_test.txt", ["000101 1"])
    with pytest.raises(
        ValueError, match=r"Main has lists of classes that VOC07 does not have: zebra_test\.txt; remove"
    ):
        READERS["voc07"](tmp_path)


def test_images_of_both_parts_of_voc07_are_an_error(tmp_path):
    trees.voc07(tmp_path)
    for file in (tmp_path / MAIN).glob("*_test.txt"):
        replace(file, "000101", "000001")
    with pytest.raises(ValueError, match=r"share images, so a test would be of what was trained on: 000001\.jpg"):
        READERS["voc07"](tmp_path)


def test_many_absent_images_are_counted_and_some_are_named(tmp_path):
    shutil.rmtree(trees.voc07(tmp_path) / JPEGS)
    (tmp_path / JPEGS).mkdir()
    with pytest.raises(ValueError, match=r"000001\.jpg, .*000005\.jpg and 11 more; unpack the archives"):
        READERS["voc07"](tmp_path)


@pytest.mark.parametrize("name", ["/etc/x.jpg", "a/../x.jpg", "./x.jpg", "a//x.jpg", ""])
def test_names_lead_to_files_in_the_dataset_in_one_way(tmp_path, name):
    part = Part(tmp_path / "list", [name], np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="list lists what is no path of an image in the dataset"):
        Dataset("X", tmp_path, ("a",), part, part, {})
