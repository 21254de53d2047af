"""Words of the command line, old and new, as argparse takes them; sums of stems."""

from typing import Any

import pytest
from tiny_paper.paper import TinyPaper

from mss_shared.cli import run
from mss_shared.cli.separate_flags import check_sums, device_name, read_sums, rewrite
from mss_shared.paper import Alias


class OldFlags(TinyPaper):
    aliases = (
        Alias("--input_folder", ("{}",)),
        Alias("--output_folder", ("--out", "{}")),
        Alias("--gpu", ("--device", "cuda:{}")),
        Alias("--use_tta", ("--tta",)),
        Alias("--kind", (), choices=("a", "b")),
        Alias("--no-lossless", ()),
    )


OLD = OldFlags()


@pytest.mark.parametrize(
    ("words", "rewritten"),
    [
        ("--input_folder in --output_folder out", "in --out out"),
        ("--output_folder=out --input_folder=in", "in --out out"),
        ("a.wav --gpu 1 --use_tta", "a.wav --device cuda:1 --tta=both"),
        ("a.wav --kind b --no-lossless", "a.wav"),
        ("--lossless a.wav", "a.wav --lossless=mask"),
        ("--lossless rerun a.wav", "a.wav --lossless=rerun"),
        ("a.wav --lossless=rerun", "a.wav --lossless=rerun"),
        ("folder --tta polarity --lossless", "folder --tta=polarity --lossless=mask"),
        ("--checkpoint X a.wav b.FLAC", "a.wav b.FLAC --checkpoint X"),
        ("a.wav --out x b.wav", "a.wav b.wav --out x"),
        ("a.wav --list -0 --out x", "a.wav --list0 - --out x"),
        ("--out x --list -0", "--out x --list0 -"),
        ("--list songs -0 --out x", "--list0 songs --out x"),
        ("-0 --list - --out x", "--list0 - --out x"),
        ("--out my.wav --list songs.mp3 a.wav", "a.wav --out my.wav --list songs.mp3"),
        ("--stems vocals *.wav -", "*.wav --stems vocals -"),
        ("--stems vocals -- a.wav -b --lossless", "a.wav ./-b ./--lossless --stems vocals"),
    ],
)
def test_words_are_put_as_they_are_taken(words: str, rewritten: str) -> None:
    assert rewrite(words.split(), OLD) == rewritten.split()


@pytest.mark.parametrize(
    "words",
    [
        *("--start -1", "--start inf", "--start nan", "--duration 0", "--duration inf"),
        *("--batch 0", "--shifts 0", "--overlap 1", "--overlap nan", "--chunk_seconds -1"),
        *("--chunk_seconds inf", "--context_seconds -0.5", "--context_seconds nan"),
    ],
)
def test_numbers_out_of_range_are_refused_once(words: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as end:
        run(OLD, ["separate", "a.wav", "b.wav", *words.split()])
    flag, value = words.split()
    said = capsys.readouterr().err
    assert end.value.code == 2 and said.count("\n") == 1
    assert f"argument {flag}: {value} is out of range: give at least" in said


def test_a_word_that_is_no_number_is_said(capsys: Any) -> None:
    with pytest.raises(SystemExit):
        run(OLD, ["separate", "a.wav", "--batch", "many"])
    assert "argument --batch: invalid int value: 'many'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gpu"], "--gpu has the value '': give one"),
        (["--kind", "c"], "--kind has the value 'c': give a or b"),
        (["--kind"], "--kind has the value '': give a or b"),
    ],
)
def test_an_old_flag_without_a_legal_value_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rewrite(words, OLD)


def test_a_value_with_a_percent_or_brace_stays_as_it_is() -> None:
    assert rewrite(["--output_folder", "100% {new}"], OLD) == ["--out", "100% {new}"]


@pytest.mark.parametrize(
    ("words", "accompaniment", "sums", "alone"),
    [
        ([], False, {}, False),
        (["k=drums+bass"], False, {"k": ("drums", "bass")}, False),
        (["k = mixture - vocals"], False, {"k": ("mixture", "-vocals")}, False),
        ([], True, {"accompaniment": ("mixture", "-vocals")}, False),
        (["a=b", "c=-d+e"], False, {"a": ("b",), "c": ("-d", "e")}, False),
        (['{"k": ["drums", "back-vocals"]}'], False, {"k": ("drums", "back-vocals")}, True),
    ],
)
def test_sums_are_read(words: list[str], accompaniment: bool, sums: Any, alone: bool) -> None:
    assert read_sums(words, accompaniment) == (sums, alone)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["karaoke"], "--aggregate karaoke is not a sum: write it as"),
        (["=a"], "is not a sum"),
        (["k="], "is not a sum"),
        (["k=a++b"], "is not a sum"),
        (['{"": ["a"]}'], "has an empty name: name each sum"),
        (["a/=b"], "has an empty name: name each sum"),
        (["k=a", "k=b"], "--aggregate gives k twice"),
        (["{"], "--aggregate { is not valid JSON"),
        (['{"a": "drums"}'], "is not an object of lists"),
        (['{"a": []}'], "is not an object of lists"),
        (['{"a": [1]}'], "is not an object of lists"),
    ],
)
def test_what_is_no_sum_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_sums(words, False)


def test_stems_and_parts_must_be_the_models() -> None:
    stems = ("vocals", "drums")
    check_sums({"rest": ("mixture", "-vocals")}, stems, ["drums"])
    with pytest.raises(ValueError, match="no stem 'piano': choose --stems from vocals, drums"):
        check_sums({}, stems, ["piano"])
    with pytest.raises(ValueError, match="sum 'k' has the unknown part 'piano': choose from mix"):
        check_sums({"k": ("drums", "-piano")}, stems, None)
    with pytest.raises(ValueError, match="sum 'drums' has the name of a stem"):
        check_sums({"drums": ("vocals",)}, stems, None)


@pytest.mark.parametrize("word", ["auto", "cpu", "mps", "cuda", "cuda:12"])
def test_devices_have_names(word: str) -> None:
    assert device_name(word) == word


@pytest.mark.parametrize("word", ["gpu", "cuda:", "cuda:x", "cpu:0", ""])
def test_other_names_are_no_devices(word: str) -> None:
    with pytest.raises(Exception, match="invalid choice: .*choose from auto, cpu"):
        device_name(word)
