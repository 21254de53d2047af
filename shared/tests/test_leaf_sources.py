"""The source comments of recipes."""

from __future__ import annotations

from mss_shared.leaf_sources import LEAF_SOURCES, count_sources, leaf_comments
from mss_shared.recipe import find_recipe

TEXT = """\
a: 1  # paper, sec. 2
b:  # code
  c: [x, "#"]  # code: y
  d:
    e: "a # b"  # code
f: 2
g: 3  # papers
h: {i: 1}  # paper
j:  # paper
  - 1
  - 2  # ours
k:
  # code
  - 1
l: [  # code: long
  1, 2,
  3]
# ours
"""


def test_a_value_has_the_comment_behind_it() -> None:
    assert leaf_comments(TEXT) == {
        "a": "paper, sec. 2",
        "b.c": "code: y",
        "b.d.e": "code",
        "f": "",
        "g": "papers",
        "h": "paper",
        "j": "paper",
        "k": "",
        "l": "code: long",
    }
    assert leaf_comments("") == {} and leaf_comments("- 1") == {}


def test_values_without_a_source_and_changed_ones_are_ours() -> None:
    found = {"paper": 3, "code": 3, "second-hand": 0, "ours": 3}
    assert count_sources(TEXT) == found
    changed = {"paper": 1, "code": 2, "second-hand": 0, "ours": 6}
    assert count_sources(TEXT, ["a", "f", "b.d", "h.i"]) == changed
    assert count_sources("a: 1\nb: 2\n") == dict.fromkeys(LEAF_SOURCES, 0) | {"ours": 2}


def test_second_hand_values_are_counted_as_such() -> None:
    text = "a: 1  # second-hand: [D] marks it as the paper's\nb: 2  # second hand\nc: 3  # second\n"
    assert count_sources(text) == {"paper": 0, "code": 0, "second-hand": 1, "ours": 2}
    assert count_sources(text, ["a"])["second-hand"] == 0


def test_every_value_of_a_recipe_is_counted() -> None:
    text = find_recipe("tiny_paper", "demo").read_text(encoding="utf-8")
    assert count_sources(text) == {"paper": 2, "code": 1, "second-hand": 0, "ours": 39}
