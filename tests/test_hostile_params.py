"""Hostile and damaged parameter files: one clear message, and nothing that was there before is touched."""

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import damage, examples, little_memory, nothing_written
from hostile import no_reader_waits_for_ever as no_reader_waits_for_ever
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from vicreg.study import params
from vicreg.study.params import Params, ParamsError

PARAMS = Path(__file__).parent.parent / "params.yaml"
VALUES = YAML(typ="safe").load(PARAMS.read_text())


def put(values: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    *parents, last = key.split(".")
    values = inner = copy.deepcopy(values)
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return values


NAMES = ["..", ".", "-x", "a/b", "a\\b", "a..b", "x\n", "", "a" * 101, "\u202ex", "a b", ".git", "<b>", "a."]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["studies", "encoders"])
def test_a_name_that_leads_elsewhere_is_refused(key: str, name: str) -> None:
    values = VALUES | {key: {name: next(iter(VALUES[key].values()))}, "study": name if key == "studies" else "cifar"}
    with pytest.raises(ParamsError, match=r"string should (match pattern|have at most 100 characters)") as caught:
        params.validate(values)
    assert str(caught.value).isascii() and len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["aug..", "aug/../..", "aug\n", "aug b", "aug" + "x" * 100])
def test_a_policy_whose_name_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ParamsError, match=r"string should (match pattern|have at most 100 characters)"):
        params.validate(VALUES | {name: {}})


def chain(link: str) -> str:
    """Seven lines, each of which names the one before many times."""
    return "".join(f"{n}: &{n} {link.replace('*', '*' + p)}\n" for p, n in zip("abcdefg", "bcdefgh", strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("study: !!python/object/apply:os.mkdir [victim]", "line 1: .*os.mkdir.* is a tag; only plain values"),
        ("seed: 0\nstudy: !study x", "line 2: .*is a tag"),
        ("study: !!str x", "is a tag"),
        ("a: &a [1, 1, 1]\n" + chain("[*, *, *, *, *]"), "more than 10,000 values"),
        ("a: &a {x: 1}\n" + chain("{<<: [*, *, *, *, *]}"), "more than 10,000 values"),
        ("a: &a [*a]", "more than 10,000 values"),
        ("a: &x 1\nb: &x 2", "line 2: the anchor 'x' is there twice"),
        ("[" * 5000, "line 1: it is nested more than 20 levels deep"),
        ("- " * 5000, "nested more than 20"),
        ("? " * 5000, "nested more than 20"),
        ("seed: 1\nseed: 2", "line 2: found duplicate key .seed."),
        ("seed: 2020-99-99", "line 1: '2020-99-99': month must be"),
        ("a: 1\nseed: ._", r"line 2: '\._': could not convert"),
        ("seed: " + "1" * 5000, "line 1: '1111.*limit"),
        ("seed: \0", "#x0000"),
        ("\x1b[2J", "unacceptable character #x001b"),
        ("seed: [", "line 1: "),
        ("%YAML 9.9\n---\nseed: 1", "incompatible YAML"),
        ("seed: 1\n---\nseed: 2", "another document"),
        ("#" * 100_001, "more than 100,000 bytes"),
        ("", "the file = None: must be a valid dictionary"),
        ("null", "the file = None"),
        ("- 1\n- 2", r"the file = \[1, 2\]"),
        ("hello " * 100, "the file = 'hello"),
        ("1: 2", "1"),
        ("? [a, b]\n: 2", "a"),
        ('"\\e[2J": 1', r"\\x1b\[2J: unknown key"),
        ('"\\ud800": 1', "params.yaml"),
        ("seed: .inf", "seed = inf"),
        ("seed: .nan", "seed = nan"),
        ("seed: 0x" + "f" * 9000, "seed = a number of more than 40 digits"),
        ("optimizer: {base_lr: 0x" + "f" * 9000 + "}", "optimizer.base_lr = a number of more than 40 digits"),
        ("study: '" + "x" * 5000 + "'", r"study = 'xxxxx.*\.\.\.xxx"),
        ("study: 2020-01-01", r"study = datetime.date\(2020, 1, 1\)"),
        ("policies: {}", "policies: unknown key"),
        ("pretrained: {weights: \"a\\0b\"}", r"pretrained.weights = 'a\\x00b'"),
        ("\n".join(f"x{n}: 1" for n in range(2000)), r"and 20\d\d more"),
    ],
)  # fmt: skip
def test_a_hostile_parameter_file_is_one_short_message(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with nothing_written(tmp_path), little_memory(), pytest.raises(ParamsError, match=f"(?s){says}") as caught:
        params.load(path)
    assert str(path) in str(caught.value) and len(str(caught.value)) < 5000
    assert str(caught.value).replace("\n", "").isprintable()


def test_a_parameter_file_that_is_no_text_or_no_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"study: \xff\xfe")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, says in (("bytes", "can't decode byte 0xff"), ("folder", "not a file"), ("pipe", "not a file")):
        with pytest.raises(ParamsError, match=rf"{name}\.yaml cannot be read as parameters: .*{says}"):
            params.load(tmp_path / f"{name}.yaml")


def test_an_alias_that_does_not_multiply_is_welcome(tmp_path: Path) -> None:
    lines = PARAMS.read_text().replace("aug:  ", "aug: &aug  ") + "\naug_strong: {<<: *aug, scale_min: 0.08}\n"
    (tmp_path / "params.yaml").write_text(lines)
    p = params.load(tmp_path / "params.yaml")
    assert p.policies["aug_strong"] == p.policies["aug"].model_copy(update={"scale_min": 0.08})


@pytest.mark.parametrize("key", ["studies.embedded.width", "studies.embedded.batch_size", "schedule.switch_epoch"])
def test_a_number_beyond_what_torch_counts_is_refused(key: str) -> None:
    with pytest.raises(ParamsError, match=rf"{key} = 1000000000000: must be less than"):
        params.validate(put(VALUES, key, 10**12))


def test_an_encoder_may_be_called_like_one_of_our_own_words() -> None:
    with pytest.raises(ParamsError, match=r"encoders\.policies\.method = 1"):
        params.validate(put(VALUES, "encoders.policies", VALUES["encoders"]["random"] | {"method": 1}))


def keys(values: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield before + key
        if isinstance(value, dict):
            yield from keys(value, f"{before}{key}.")


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.binary(max_size=5)
)
KEYS = SCALARS | st.sampled_from(["aug", "seed"])
ANYTHING = st.recursive(
    SCALARS | st.sampled_from([10**400, -(10**400), 2**64, "..", "\ud800", "x" * 3000, "aug", ()]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)


def expect_params_or_error(read: Callable[[], Params]) -> None:
    try:
        assert isinstance(read(), Params)
    except ParamsError as error:
        assert "params.yaml" in str(error) and len(str(error)) < 5000
        assert str(error).replace("\n", "").isprintable()


@examples(300)
@given(st.sampled_from(sorted(keys(VALUES))), ANYTHING, st.none() | ANYTHING)
def test_arbitrary_values_are_parameters_or_one_clear_error(key: str, value: Any, new_key: Any) -> None:
    values = put(VALUES, key, value)
    if new_key.__hash__ and not isinstance(new_key, tuple):
        values[new_key] = value
    expect_params_or_error(lambda: params.validate(values))


@examples(100)
@given(ANYTHING)
def test_an_arbitrary_document_is_one_clear_error(value: Any) -> None:
    expect_params_or_error(lambda: params.validate(value))


ODD = [
    "a: ",
    "\n",
    "  ",
    "- ",
    "? ",
    "! ",
    "!!int ",
    "!<x>",
    "&a ",
    "*a",
    "<<: ",
    "{",
    "}",
    "[",
    "]",
    "|2\n",
    ">-\n",
    "'",
    '"',
]
ODD += [
    "\\x",
    "%YAML 1.1\n",
    "%TAG ! x:\n",
    "---\n",
    "...\n",
    "2001-12-14t21:59:43.10-99:99",
    "0x_",
    "._",
    "=",
    "~",
    "\t",
    "#",
]


@examples(200)
@given(st.text(max_size=50) | st.lists(st.sampled_from(ODD), max_size=12).map("".join), st.binary(max_size=3))
def test_arbitrary_text_is_parameters_or_one_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str, tail: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "params.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass") + tail)
    expect_params_or_error(lambda: params.load(path))


@examples(30)
@given(damage(PARAMS.read_bytes()))
def test_a_damaged_parameter_file_is_parameters_or_one_clear_error(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "params.yaml").write_bytes(data)
    with nothing_written(tmp_path):
        expect_params_or_error(lambda: params.load(tmp_path / "params.yaml"))
