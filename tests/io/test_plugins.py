"""A member of a family is found by its file's name."""

import sys
from pathlib import Path

import pytest

from vicreg.io import plugins
from vicreg.io.section import Section
from vicreg.nn.backbone import Backbone
from vicreg.nn.method import Method

BASES = {"methods": Method, "backbones": Backbone}


def test_every_family_has_members() -> None:
    for family in plugins.FAMILIES:
        assert plugins.names(family) == sorted(plugins.names(family)) != []


@pytest.mark.parametrize("family", sorted(BASES))
def test_every_member_is_one_class_with_its_parameters(family: str) -> None:
    for name in plugins.names(family):
        member = plugins.member_class(family, name, BASES[family])
        assert member.__module__ == plugins.module_name(family, name)
        assert issubclass(member.Params, Section)


def test_an_unknown_member_is_an_error_that_lists_the_choices() -> None:
    with pytest.raises(
        LookupError, match=r"no 'resnet18' in vicreg/backbones/; choose from resnet, resnet50, revnet, vgg19"
    ):
        plugins.member("backbones", "resnet18")
    with pytest.raises(LookupError):
        plugins.member("backbones", "../methods/vicreg")


MEMBERS = [("x = 1", 0), ("from vicreg.backbones.resnet import ResNet", 0), ("class B(Backbone): ...\n" * 1, 1)]


@pytest.mark.parametrize(("text", "count"), [*MEMBERS, ("class B(Backbone): ...\nclass C(B): ...", 2)])
def test_a_member_has_exactly_one_class(text: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "backbones").mkdir()
    (tmp_path / "backbones" / "toy.py").write_text(f"from vicreg.nn.backbone import Backbone\n{text}\n")
    (tmp_path / "backbones" / "_helper.py").write_text("")
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path)
    assert plugins.names("backbones") == ["toy"]
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(plugins, "module_name", lambda family, name: f"{family}.{name}")
    for name in ("backbones", "backbones.toy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    if count == 1:
        assert plugins.member_class("backbones", "toy", Backbone).__name__ == "B"
    else:
        with pytest.raises(TypeError, match=f"must define one subclass of Backbone, not {count}"):
            plugins.member_class("backbones", "toy", Backbone)


def test_a_member_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "broken_member.py").write_text("weight: Positive = Positif\n")
    monkeypatch.setattr(plugins, "PACKAGE", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "methods"))
    monkeypatch.setattr(plugins, "module_name", lambda family, name: name)
    with pytest.raises(ImportError, match=r"vicreg/methods/broken_member\.py cannot be imported: NameError: name 'Pos"):
        plugins.member("methods", "broken_member")
