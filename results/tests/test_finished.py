import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_results.finished import is_cut, is_finished

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), values, min_size=1), st.booleans(), st.data())
def test_a_file_is_cut_wherever_it_ends_early(content, escaped, data):
    whole = json.dumps(content, ensure_ascii=escaped, indent=2).encode()
    assert not is_cut(whole)
    assert is_cut(whole[: data.draw(st.integers(0, len(whole) - 1))])


@pytest.mark.parametrize(
    "content", [b"\xff", b"[1]", b'{"a" 1}', b'{"a": tru}', b"{}}", b"[" * 10**5]
)
def test_what_is_wrong_in_another_way_is_not_cut(content):
    assert not is_cut(content)


def test_a_folder_without_a_record_is_not_finished(tmp_path):
    assert not is_finished(tmp_path)
    (tmp_path / "run.json").write_text("{}")
    assert is_finished(tmp_path)
