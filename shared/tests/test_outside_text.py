"""JSON and YAML from outside: parsed within limits, refused in one sentence."""

import json
import random
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.json_text import MOST_DEPTH, parse_json, read_json, read_json_object
from mss_shared.names import one_line
from mss_shared.testing_mutations import count_escapes, mutate_bytes, mutate_json, mutate_value
from mss_shared.yaml_text import MOST_YAML_BYTES, parse_yaml, read_text

BOMB = "a: &a [1]\n" + "".join(
    f"{new}: &{new} [{', '.join(f'*{old}' for _ in range(9))}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
VALUE = {"name": "a", "sizes": [1, 2.5, None], "inner": {"flag": True, "text": "b"}}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "anchors and aliases"),
        ("a: &x 1", "anchors and aliases"),
        ("a: *x", "anchors and aliases"),
        ("a: !!set [a]", "the tag"),
        ("a: !!bool x", "the tag"),
        ("a: !!timestamp x", "the tag"),
        ("a: !!python/name:os.system", "the tag"),
        ("a: 2024-13-45", "month"),
        ("a: " + "[" * 100_000, "levels"),
        ("a: " + "9" * 5_000, "digits"),
        ("a: " + "9" * 30, "integer"),
        ("a: 1\na: 2", "duplicate key a"),
        ("? [a]\n: 1", "unhashable"),
        ("a: \x1b[31m", "forbids"),
        ("a: [1", "line"),
        (" " * (MOST_YAML_BYTES + 1), "longer"),
    ],
)
def test_yaml_that_is_not_plain_is_refused_in_one_sentence(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_yaml(text, "x.yaml")
    message = str(caught.value)
    assert message.startswith("x.yaml") and message.isprintable() and len(message) < 700


def test_plain_yaml_is_read_as_by_the_safe_loader() -> None:
    text = "a: 1\nb: [1.5, !!str 2, '3', null, yes]\nc: {d: .nan}\n"
    assert repr(parse_yaml(text, "x")) == repr(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "deep"),
        ("[" * (MOST_DEPTH + 2) + "]" * (MOST_DEPTH + 2), "levels"),
        ("9" * 400, "integer"),
        ("9" * 5_000, "digits"),
        (b"\xff", "not text, byte 0 is not UTF-8"),
        ("{}".encode("utf-16"), "in UTF-16, not in UTF-8"),
        ("{", "property name"),
        ('"\x1b"', "control"),
    ],
)
def test_json_that_is_odd_is_refused_in_one_sentence(text: str | bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        parse_json(text, "x.json", "delete it")
    message = str(caught.value)
    assert message.startswith("x.json is not valid JSON") and message.endswith(": delete it")
    assert message.isprintable() and len(message) < 700


def test_only_an_object_is_one(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[1]")
    assert read_json(path) == [1]
    with pytest.raises(ValueError, match="not a JSON object: fix it"):
        read_json_object(path)


def test_a_text_that_is_not_utf8_or_endless_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"a: \xe9")
    with pytest.raises(ValueError, match="byte 3 is not UTF-8"):
        read_text(path)
    with path.open("wb") as file:
        file.truncate(MOST_YAML_BYTES + 1)
    with pytest.raises(ValueError, match="longer"):
        read_text(path)


@given(st.integers(0, 2**32))
def test_whatever_the_bytes_parsing_ends_in_a_value_or_one_sentence(seed: int) -> None:
    def odd_yaml(choose: random.Random) -> bytes:
        return mutate_bytes(yaml.safe_dump(VALUE).encode(), choose)

    def yaml_reader(content: bytes) -> object:
        return parse_yaml(content.decode("latin-1"), "x")

    assert not count_escapes(
        lambda content: parse_json(content, "x"), lambda c: mutate_json(VALUE, c), 1, seed
    )
    assert not count_escapes(yaml_reader, odd_yaml, 1, seed)


def test_mutations_differ_and_leave_the_original_alone() -> None:
    before = json.dumps(VALUE)
    texts = {repr(mutate_value(VALUE, random.Random(seed))) for seed in range(200)}
    assert len(texts) > 100
    assert json.dumps(VALUE) == before


def test_an_escaped_error_is_counted() -> None:
    def fail(content: bytes) -> None:
        raise KeyError("x") if content else ValueError("two\nlines")

    assert count_escapes(fail, lambda _: b"a", 3) == {"KeyError: \"'x'\" (seed 0)": 3}
    assert count_escapes(fail, lambda _: b"", 2) == {
        "ValueError that is no plain sentence (seed 0)": 2
    }


@given(st.text())
def test_one_line_is_one(text: str) -> None:
    line = one_line(text * 20)
    assert line.isprintable() and len(line) <= 500
