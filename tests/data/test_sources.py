"""Sources of CIFAR: every layout gives the same images, and complete CIFAR is recognized by its content."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cifar_fakes import CLASSES, made_up, write_archive, write_pickles, write_png

from vicreg.data import cifar, cifar_files, source
from vicreg.data.cifar import recognize
from vicreg.data.images import Images, canonical_order, fingerprints
from vicreg.data.sources.local import Local
from vicreg.data.sources.synthetic import Synthetic
from vicreg.io import plugins


def read(folder: Path, dataset: str = "cifar10") -> Images:
    return Local(Local.Params(folder=str(folder))).load(dataset, scratch=folder / "scratch", fraction=1, seed=0)


def layouts(images: Images, root: Path, dataset: str) -> dict[str, Path]:
    """Write every layout in a folder of its own."""
    names = cifar_files.LAYOUTS[dataset]
    for name in ("archive", "deep archive"):
        (root / name / dataset).mkdir(parents=True)
    write_archive(images, root / "archive", dataset)
    write_archive(images, root / "deep archive" / dataset, dataset)
    write_pickles(images, root / "pickles", dataset)
    write_pickles(images, root / "pickles in folder" / names.folder, dataset)
    write_pickles(images, root / "deep pickles" / dataset / names.folder, dataset)
    write_png(images, root / "png")
    write_png(images, root / "deep png" / dataset)
    return {path.name: path for path in root.iterdir()}


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100"])
def test_every_local_layout_gives_the_same_images(tmp_path: Path, dataset: str) -> None:
    images = made_up(dataset, train=2, test=1)
    images = images.subset(canonical_order(images))
    folders = layouts(images, tmp_path, dataset)
    assert len(folders) == 7
    for name, folder in folders.items():
        again = read(folder, dataset)
        again = again.subset(canonical_order(again))
        for array in ("pixels", "labels", "official"):
            assert np.array_equal(getattr(again, array), getattr(images, array)), name
        assert again.classes == images.classes, name


def test_one_folder_serves_both_datasets(tmp_path: Path) -> None:
    ten, hundred = made_up("cifar10"), made_up("cifar100", train=1)
    write_png(ten, tmp_path)
    write_png(hundred, tmp_path / "cifar100")
    assert fingerprints(read(tmp_path, "cifar10")) == fingerprints(ten)
    assert fingerprints(read(tmp_path, "cifar100")) == fingerprints(hundred)


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cifar-10-python\.tar\.gz.*png"):
        read(tmp_path)


@pytest.mark.parametrize("name", plugins.names("sources"))
def test_every_source_keeps_the_contract(name: str, tmp_path: Path) -> None:
    member = plugins.member_class("sources", name, source.Source)
    assert issubclass(member, source.Source) and member.__doc__
    fields = member.Params.model_fields.items()
    needed = {name: {} if name == "parts" else str(tmp_path) for name, field in fields if field.is_required()}
    datasets = member.DATASETS or ("any name",)
    assert isinstance(source.make(name, datasets[0], needed), member)
    if member.DATASETS is not None:
        with pytest.raises(ValueError, match=f"`{name}` has no 'other'; choose from {', '.join(datasets)}"):
            source.make(name, "other", needed)


def test_an_unknown_source_is_an_error_that_lists_the_choices() -> None:
    with pytest.raises(LookupError, match="folder, joined, local, official, synthetic"):
        source.make("other", "photos", {})


def test_other_images_are_refused_with_counts_and_fingerprints() -> None:
    images = made_up()
    with pytest.raises(ValueError) as caught:
        recognize(images, "cifar10")
    text = str(caught.value)
    assert "30 of 50,000" in text and "10 of 10,000" in text and "allow_subset: true" in text
    assert fingerprints(images)["train"] in text and "6a3b2c04" in text
    assert "classes: fingerprint 66c673d6" in text and text.count("as expected") == 1


def test_a_deliberate_subset_says_so_in_its_name() -> None:
    images = recognize(made_up("cifar100", 1, 1), "cifar100", allow_subset=True)
    assert images.name == "CIFAR-100 (subset)"
    assert not images.genuine


def test_genuine_images_are_recognized_under_any_name(monkeypatch: pytest.MonkeyPatch) -> None:
    images = made_up()
    prints = fingerprints(images) | {"classes": cifar.GENUINE["cifar10"]["classes"]}
    monkeypatch.setattr(cifar, "GENUINE", {"cifar10": prints, "cifar100": {}})
    monkeypatch.setattr(cifar, "COUNTS", images.totals)
    for dataset in ("cifar10", "photos"):
        genuine = recognize(images, dataset)
        assert (genuine.name, genuine.genuine) == ("CIFAR-10", True)
    with pytest.raises(ValueError, match="not the complete, genuine CIFAR-100"):
        monkeypatch.setattr(cifar, "GENUINE", cifar.GENUINE | {"cifar100": {"train": "x"}})
        recognize(images, "cifar100")
    other = replace(images, classes=tuple(reversed(CLASSES["cifar10"])))
    assert not recognize(other, "photos").genuine
    assert not recognize(replace(images, labels=(images.labels + 1) % 10), "photos").genuine


def test_drawn_images_are_not_held_against_cifar() -> None:
    drawn = Synthetic(None).load("shapes10", scratch=Path(), fraction=0.001, seed=0)
    assert recognize(drawn, "shapes10") is drawn


def test_joined_datasets_are_one_without_labels_and_without_copies(tmp_path: Path) -> None:
    from vicreg.data.sources.joined import Joined
    from vicreg.data.splits import split_study

    ten, hundred = made_up("cifar10", train=6, test=3), made_up("cifar100", train=2, test=1)
    hundred.pixels[:3] = ten.pixels[:3]  # as CIFAR-10 and CIFAR-100 share three images
    write_pickles(ten, tmp_path, "cifar10")
    write_pickles(hundred, tmp_path, "cifar100")
    local = {"source": "local", "folder": str(tmp_path), "allow_subset": True}
    joined = Joined(Joined.Params(parts={"cifar10": local, "cifar100": local}))
    images = joined.load("both", scratch=tmp_path, fraction=1, seed=0)
    assert (images.name, images.labeled, images.genuine) == ("CIFAR-10 (subset) + CIFAR-100 (subset)", False, False)
    assert np.array_equal(np.sort(images.keys), np.unique(np.concatenate([ten.keys, hundred.keys])))
    split = split_study({"primary": images, "transfer": ten}, "standard", fractions={"pretrain": 1, "probe": 1}, seed=0)
    seen, tested = images.keys[split["primary/pretrain"]], ten.keys[split["transfer/probe_test"]]
    assert len(tested) == (ten.official == "test").sum() and not np.isin(seen, tested).any()


def test_joined_images_have_one_size(tmp_path: Path) -> None:
    from vicreg.data.sources.joined import Joined

    parts = {name: {"source": "synthetic"} for name in ("shapes10", "shapes100")}
    small = Joined(Joined.Params(parts=parts)).load("both", scratch=tmp_path, fraction=0.01, seed=0)
    assert small.synthetic and small.name.count("Shapes") == 2 and small.labels.max() == -1
    with pytest.raises(ValueError, match=r"datasets\.both\.parts: there must be some, with images of one size"):
        Joined(Joined.Params(parts={})).load("both", scratch=tmp_path, fraction=1, seed=0)
