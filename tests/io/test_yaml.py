"""YAML as DVC writes it, read as YAML 1.2 and written so that everyone reads the same."""

import math
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml as pyyaml
from hostile import examples
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from vicreg.io import yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-05", 1e-05),
        ("1E5", 1e5),
        ("-1.5e+3", -1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("-7", -7),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2026-11-25", "2026-11-25"),
        ("'1e-05'", "1e-05"),
        ("0b1", "0b1"),
        ("1e", "1e"),
    ],
)
def test_numbers_and_words_are_those_of_yaml_1_2(text: str, value: Any) -> None:
    result = yaml.loads(f"key: {text}\n")["key"]
    assert result == value and type(result) is type(value)


def test_nan_is_a_number() -> None:
    assert math.isnan(yaml.loads(".nan"))


WORDS = ["1e-05", "1e5", "0o7", "010", "0x1F", ".5", "1.", "yes", "no", "on", "null", "~", "true", ".inf", "<<", "="]
WORDS += ["2026-11-25", "1:30", "1_000", "12", "-1.5e+3", "0b1"]


@pytest.mark.parametrize("word", [*WORDS, "", "- a", "a: b", "# a", " a ", "ä — é", "1\n", "a\nb"])
def test_text_stays_text_for_all_readers(word: str) -> None:
    text = yaml.dumps({"key": word, word: 1})
    assert yaml.loads(text) == {"key": word, word: 1}
    assert pyyaml.safe_load(text)["key"] == word
    assert YAML(typ="safe").load(StringIO(text))["key"] == word


@pytest.mark.parametrize("number", [1e-05, 1e20, 0.1, 1.0, -0.0, 5e-324, 1 / 3, math.inf, 10**30, 0, -7])
def test_numbers_come_back_as_they_were(number: float) -> None:
    result = yaml.loads(yaml.dumps([number]))[0]
    assert result == number and type(result) is type(number) and math.copysign(1, result) == math.copysign(1, number)


TEXT = st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs")))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@examples(100)
@given(PLAIN)
def test_plain_values_come_back_as_they_were(value: Any) -> None:
    assert yaml.loads(yaml.dumps(value)) == value


def test_keys_keep_their_order_and_lists_are_indented() -> None:
    assert yaml.dumps({"b": [1, 2], "a": {"c": "d"}}) == "b:\n  - 1\n  - 2\na:\n  c: d\n"


def test_merges_and_aliases_are_read() -> None:
    assert yaml.loads("a: &a {x: 1}\nb: {<<: *a, y: 2}\n")["b"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\nb: [1, 2\nc: 3\n", r"params\.yaml cannot be read as YAML: line 3"),
        (b"a: 1\n\tb: 2\n", r"params\.yaml cannot be read as YAML: line 2"),
        (b"a: !!python/object/apply:os.getcwd []\n", r"params\.yaml cannot be read as YAML: line 1"),
        (b"a: \xff\xfe\n", r"params\.yaml cannot be read as YAML"),
        (b"a: 1\x00\n", r"params\.yaml cannot be read as YAML"),
        (b"a: " + b"[" * 5000, r"params\.yaml cannot be read as YAML"),
        (b"a: " + b"9" * 5000, r"params\.yaml cannot be read as YAML"),
    ],
)
def test_an_error_names_the_file_and_the_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "params.yaml").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        yaml.load(tmp_path / "params.yaml")


def test_a_missing_file_is_an_oserror(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        yaml.load(tmp_path / "params.yaml")
