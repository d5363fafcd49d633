"""Readers: each lists the images and labels of one dataset, in the layout that its authors' archives unpack to.

They check every list before an image is read, and compare counts with the published ones. Layouts and counts: the
datasets' authors, VISSL (vissl/data/README.md) and mmselfsup. Not by torchvision, whose Places365 has other classes and
another split, and whose INaturalist mixes both parts of 2018.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from vicreg.data.image_files import shown
from vicreg.io.errors import reason

UNPACK = "unpack the archives of its authors again"
# fmt: off
VOC = {  # class: images that show it, not only as a difficult one, of trainval and test
    "aeroplane": [238, 204], "bicycle": [243, 239], "bird": [330, 282], "boat": [181, 172],
    "bottle": [244, 212], "bus": [186, 174], "car": [713, 721], "cat": [337, 322],
    "chair": [445, 417], "cow": [141, 127], "diningtable": [200, 190], "dog": [421, 418],
    "horse": [287, 274], "motorbike": [245, 222], "person": [2008, 2007], "pottedplant": [245, 224],
    "sheep": [96, 97], "sofa": [229, 223], "train": [261, 259], "tvmonitor": [256, 229],
}
# fmt: on
VOC_COUNTS: dict[str, Any] = {"classes": 20, "train": 5011, "test": 4952, "positives": VOC}
PLACES_COUNTS: dict[str, Any] = {"classes": 205, "train": 2_448_873, "test": 20_500}
INAT_COUNTS: dict[str, Any] = {"classes": 8142, "train": 437_513, "test": 24_426}
VOC_LAYOUT = "VOCdevkit/VOC2007/JPEGImages/<id>.jpg and VOCdevkit/VOC2007/ImageSets/Main/<class>_{trainval,test}.txt"
PLACES_LAYOUT = (
    "data/vision/torralba/deeplearning/images256/<letter>/<class>/*.jpg and "
    "trainvalsplit_places205/{train,val}_places205.csv"
)
INAT_LAYOUT = "train_val2018/<group>/<number>/*.jpg, train2018.json and val2018.json"


@dataclass(frozen=True)
class Part:
    """N images: names of files below the dataset's folder, and `source`, which lists them.

    labels: (N,) int64, positions in the dataset's classes. Of VOC07 (N, 20) int64: 1 where an image shows the class,
    -1 where it does not, 0 where it shows it only as a difficult one.
    """

    source: Path
    names: Sequence[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Dataset:
    """A dataset with its parts to train and to test on; ValueError where they share an image or lack one."""

    title: str
    folder: Path
    classes: tuple[str, ...]
    train: Part
    test: Part
    published: dict[str, Any]  # its counts as published

    def __post_init__(self) -> None:
        for part in (self.train, self.test):
            if not part.names:
                raise ValueError(f"{part.source} lists no images: {UNPACK}")
            repeated, folder = Counter(part.names), self.folder
            problems = {
                "what is no path of an image in the dataset": (name for name in part.names if not proper(name)),
                "images more than once": (name for name, count in repeated.items() if count > 1),
                f"images that are not in {folder}": (name for name in part.names if not (folder / name).is_file()),
            }
            for problem, names in problems.items():
                if listed := list(names):
                    raise ValueError(f"{part.source} lists {problem}: {some(listed)}; {UNPACK}")
        if shared := sorted({*self.train.names} & {*self.test.names}):
            sources = f"{self.train.source} and {self.test.source}"
            raise ValueError(f"{sources} share images, so a test would be of what was trained on: {some(shared)}")

    @property
    def multi_label(self) -> bool:
        """Whether an image may show several classes."""
        return self.train.labels.ndim == 2

    @property
    def counts(self) -> dict[str, Any]:
        """Its classes, its images and, where an image may show several, of each class those of both parts."""
        labels = (self.train.labels, self.test.labels)
        counts: dict[str, Any] = {"classes": len(self.classes), "train": len(labels[0]), "test": len(labels[1])}
        if self.multi_label:
            positives = np.stack([(flags == 1).sum(axis=0) for flags in labels], axis=1).tolist()
            counts["positives"] = dict(zip(self.classes, positives, strict=True))
        return counts

    @property
    def genuine(self) -> bool:
        """Whether all counts are the published ones."""
        return self.counts == self.published

    @property
    def name(self) -> str:
        """What results call it: by its title alone only if it is genuine."""
        return self.title if self.genuine else f"{self.title} (subset or altered)"


def voc07(root: Path) -> Dataset:
    """PASCAL VOC 2007 (Everingham et al.): trainval trains, test tests."""
    base = root / "VOCdevkit" / "VOC2007"
    main = base / "ImageSets" / "Main"
    lists = {split: [main / f"{name}_{split}.txt" for name in VOC] for split in ("trainval", "test")}
    require("VOC07", VOC_LAYOUT, [base / "JPEGImages", *lists["trainval"], *lists["test"]])
    for split, files in lists.items():
        if unknown := sorted(file.name for file in {*main.glob(f"*_{split}.txt")} - {*files}):
            raise ValueError(f"{main} has lists of classes that VOC07 does not have: {some(unknown)}; remove them")
    train, test = (voc_part(files) for files in lists.values())
    return Dataset("VOC07", base / "JPEGImages", tuple(VOC), train, test, VOC_COUNTS)


def voc_part(files: Sequence[Path]) -> Part:
    """The images that the lists of all classes name, in the same order, with their flags."""
    tables = [table(file, (1, -1, 0)) for file in files]
    for file, (ids, _) in zip(files, tables, strict=True):
        if ids != tables[0][0]:
            raise ValueError(f"{file} lists other images than {files[0]}, or in another order: {UNPACK}")
    return Part(files[0], [f"{name}.jpg" for name in tables[0][0]], np.array([flags for _, flags in tables]).T)


def places205(root: Path) -> Dataset:
    """Places205 (Zhou et al., NeurIPS 2014): train trains, val tests."""
    folder, lists = root / "data/vision/torralba/deeplearning/images256", root / "trainvalsplit_places205"
    files = [lists / f"{split}_places205.csv" for split in ("train", "val")]
    require("Places205", PLACES_LAYOUT, [folder, *files])
    parts, folders = [(file, *table(file, range(PLACES_COUNTS["classes"]))) for file in files], dict[int, str]()
    for file, names, labels in parts:
        for name, label in zip(names, labels, strict=True):
            above = name.rpartition("/")[0]
            if above != (first := folders.setdefault(label, above)):
                raise ValueError(f"{file} has the number {label} for {shown(above)} and for {shown(first)}: {UNPACK}")
    return single_label("Places205", folder, parts, PLACES_COUNTS)


def inat18(root: Path) -> Dataset:
    """iNaturalist 2018 (Van Horn et al., CVPR 2018): images that each file lists, labeled by the folder's number."""
    files, parts = [root / "train2018.json", root / "val2018.json"], []
    require("iNaturalist 2018", INAT_LAYOUT, [root / "train_val2018", *files])
    for file in files:
        try:
            names = [image["file_name"] for image in json.loads(file.read_bytes())["images"]]
            labels = [int(class_of(name, r"train_val2018/[^/]+/([0-9]{1,4})/[^/]+", file)) for name in names]
        except (OSError, LookupError, TypeError, RecursionError, json.JSONDecodeError, UnicodeError) as error:
            raise ValueError(f"{file} does not list `images` by `file_name` ({reason(error)}): {UNPACK}") from error
        if max(labels, default=0) >= INAT_COUNTS["classes"]:
            raise ValueError(f"{file} has the class {max(labels)}; iNaturalist 2018 has 0 to 8141: {UNPACK}")
        parts.append((file, names, labels))
    return single_label("iNaturalist 2018", root, parts, INAT_COUNTS)


READERS: dict[str, Callable[[Path], Dataset]] = {"voc07": voc07, "places205": places205, "inat18": inat18}


def single_label(title: str, folder: Path, parts: Sequence[tuple], published: dict[str, Any]) -> Dataset:
    """A dataset of one class per image; parts: (source, names, what tells classes apart) of train and of test."""
    (source, names, keys), (test_source, test_names, test_keys) = parts
    if unknown := sorted({*test_keys} - {*keys}):
        raise ValueError(f"{test_source} has classes of which {source} has no image: {some(unknown)}; {UNPACK}")
    classes, labels = np.unique(keys, return_inverse=True)
    test = Part(test_source, test_names, np.searchsorted(classes, test_keys))
    return Dataset(title, folder, tuple(map(str, classes)), Part(source, names, labels), test, published)


def require(title: str, layout: str, paths: Iterable[Path]) -> None:
    """Raise ValueError that names what is missing of these files and folders; a folder, rather than all in it."""
    lineage = {path for it in paths for path in (it, *it.parents)}
    if missing := sorted(str(path) for path in lineage if not path.exists() and path.parent.exists()):
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(f"{title}: {verb} missing: {', '.join(missing)}; this dataset is laid out as {layout}")


def table(file: Path, allowed: Container[int]) -> tuple[list[str], list[int]]:
    """The names and numbers in a file of lines "name number"; ValueError, with the line, for any other."""
    names, numbers = [], []
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ValueError(f"{file} cannot be read ({reason(error)}): {UNPACK}") from error
    for count, line in enumerate(lines, 1):
        try:
            name, number = line.split()
            if int(number) not in allowed:
                raise ValueError
        except ValueError:
            what = f"a name and a number in {allowed}"
            raise ValueError(f"{file}, line {count}: {shown(line[:80])!r} should be {what}; {UNPACK}") from None
        names.append(name)
        numbers.append(int(number))
    return names, numbers


def class_of(name: str, pattern: str, source: Path) -> str:
    """The class in an image's name, by a pattern; ValueError for a name of another form."""
    if not (match := re.fullmatch(pattern, name)):
        raise ValueError(f"{source}: {shown(name)[:80]!r} is no image in a class's folder: {UNPACK}")
    return match[1]


def proper(name: str) -> bool:
    """Whether a name leads to a file below a folder, and is written in the one way that others can be compared with."""
    path = PurePosixPath(name)
    return name == str(path) and not path.is_absolute() and ".." not in path.parts


def some(names: Sequence[Any]) -> str:
    """The first of many names for a message, and how many there are."""
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    return ", ".join(shown(str(name))[:80] for name in names[:5]) + more
