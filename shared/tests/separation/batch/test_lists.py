"""Lists of songs: lines, names that end with NUL, encodings."""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.separation.batch.lists import read_list, read_listed


def lines(content: bytes) -> list[str]:
    return read_list(content, "the list")


def test_a_list_has_a_word_a_line() -> None:
    assert lines(b"a b.wav\n\n# not this\n  c.wav  \n") == ["a b.wav", "c.wav"]
    assert lines(b"\xef\xbb\xbfa.wav\r\nb.wav\r\n") == ["a.wav", "b.wav"]
    assert lines("caf\u00e9\u2028x.wav\x0b".encode()) == ["caf\u00e9\u2028x.wav"]


def test_files_are_taken_by_their_names_whatever_these_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    odd = ["#1.wav", " outer .wav ", "\tb.wav"]
    for name in odd:
        Path(name).touch()
    assert lines("\n".join([*odd, "#2.wav", " c.wav "]).encode()) == [*odd, "c.wav"]


@given(st.lists(st.binary(min_size=1).filter(lambda name: b"\0" not in name)))
def test_names_that_end_with_nul_are_taken_as_they_are(names: list[bytes]) -> None:
    content = b"".join(name + b"\0" for name in names)
    try:
        words = read_list(content, "the list", ends_with_nul=True)
    except ValueError as error:
        assert "is not in UTF-8" in str(error)
        return
    expected = [
        name.removeprefix(b"\xef\xbb\xbf") if not n else name for n, name in enumerate(names)
    ]
    assert [os.fsencode(word) for word in words] == [name for name in expected if name]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a.wav\n".encode("utf-16"), "the list is in UTF-16: save it in UTF-8"),
        ("a.wav\n".encode("utf-16-le"), "the list is in UTF-16: save it in UTF-8"),
        ("a.wav\n".encode("utf-16-be"), "the list is in UTF-16: save it in UTF-8"),
        ("a.wav\n".encode("utf-32"), "the list is in UTF-32: save it in UTF-8"),
        (b"a.wav\nthe caf\xe9.wav\n", r"the byte 0xe9\).* if it is in Latin-1, save it in UTF-8"),
        (b"a.wav\0b.wav\0", "the list has NUL characters: .* use --list0"),
    ],
)
def test_another_encoding_is_named(content: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        lines(content)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are text there")
def test_a_name_that_is_not_text_is_taken_if_there_is_such_a_file(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/caf\xe9.wav"
    Path(os.fsdecode(name)).touch()
    assert [os.fsencode(word) for word in lines(name + b"\n")] == [name]


@given(st.binary())
def test_no_list_is_more_than_a_sentence(content: bytes) -> None:
    try:
        words = lines(content)
    except ValueError as error:
        assert str(error).startswith("the list ")
    else:
        assert all(words)


def test_a_closed_stdin_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(ValueError, match="stdin is closed, so there is no list to read: name file"):
        read_listed("-")


def test_a_list_may_come_through_a_pipe(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a.wav\n")
    os.close(writing)
    try:
        assert read_listed(f"/dev/fd/{reading}") == ["a.wav"]
    finally:
        os.close(reading)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no device without an end")
def test_a_list_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="the list /dev/zero is longer than"):
        read_listed("/dev/zero")
    with open("/dev/zero", encoding="utf-8") as endless:
        monkeypatch.setattr("sys.stdin", endless)
        with pytest.raises(ValueError, match="the list on stdin is longer than"):
            read_listed("-")
