"""Arrays and files from Python: the same samples as the command's, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_paper.paper import PAPER
from tiny_songs import RATE, demo_recipe, noise

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.cli import run
from mss_shared.front import Front, LoadedSeparator
from mss_shared.recipe import to_yaml
from mss_shared.recipe_sections import InferenceConfig
from mss_shared.separation import separate

FRONT = Front(PAPER)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A weights file of the tiny paper."""
    loaded = demo_recipe()
    torch.manual_seed(0)
    header = {"paper": "tiny_paper", "recipe": to_yaml(loaded.recipe), "recipe_name": "demo"}
    header |= {"verbatim": "true", "leaf_sources": "{}", "training": "null"}
    save_model(tmp_path / "weights.safetensors", PAPER.build_model(loaded.recipe), header)
    return tmp_path / "weights.safetensors"


@pytest.fixture
def separator(weights: Path) -> LoadedSeparator[Any]:
    return FRONT.load(weights, device="cpu")


@pytest.fixture
def song(tmp_path: Path) -> Path:
    audio.write(tmp_path / "song.wav", noise(0, samples=13_001), 11_025, "FLOAT")
    return tmp_path / "song.wav"


def command(song: Path, weights: Path, out: Path, *words: str) -> dict[str, Any]:
    """The stems that the command writes."""
    inputs = ["separate", str(song), "--checkpoint", str(weights), "--device", "cpu"]
    run(PAPER, [*inputs, "--out", str(out), "--filename", "{stem}", *words])
    return {path.stem: audio.read(path) for path in out.glob("*.wav")}


def test_what_a_separator_is(separator: LoadedSeparator[Any]) -> None:
    assert (separator.stems, separator.sample_rate, separator.channels) == (
        ("vocals", "drums"),
        RATE,
        2,
    )
    assert separator.recipe == demo_recipe().recipe
    assert type(separator.model).__name__ == "TinyMask" and not separator.model.training
    assert separator.model(torch.zeros(1, 2, 100)).shape == (1, 2, 2, 100)
    assert any("recipe demo" in note for note in separator.notes)


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ((), {}),
        (("--overlap", "0", "--batch", "2"), {"overlap": 0.0, "batch": 2}),
        (("--chunk_seconds", "0"), {"chunk_seconds": 0}),
    ],
)
def test_an_array_a_file_and_the_command_give_the_same_samples(
    separator: LoadedSeparator[Any],
    song: Path,
    weights: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    expected = command(song, weights, tmp_path / "out", *words)
    of_file = separator.separate(song, **options)
    of_array = separator.separate(audio.read(song), 11_025, **options)
    assert tuple(of_file) == ("vocals", "drums") and set(expected) == set(of_file)
    for stem, values in expected.items():
        assert values.shape == (2, 13_001) and values.any()
        assert np.array_equal(values, of_file[stem]) and np.array_equal(values, of_array[stem])
        assert of_array[stem].dtype == np.float32


def test_the_settings_of_loading_are_those_of_the_command(
    weights: Path, song: Path, tmp_path: Path
) -> None:
    flags = ("--tta", "--shifts", "2")
    expected = command(song, weights, tmp_path / "out", *flags)
    plain = FRONT.load(weights, device="cpu").separate(song)
    better = FRONT.load(weights, device="cpu", tta=True, shifts=2).separate(song)
    assert np.array_equal(better["drums"], expected["drums"])
    assert not np.array_equal(better["drums"], plain["drums"])


def test_integers_are_taken_at_full_scale(separator: LoadedSeparator[Any]) -> None:
    floats = noise(1, samples=4_000)
    for scale, kind in ((2**15, np.int16), (2**31, np.int32)):
        integers = np.rint(floats.astype(np.float64) * scale).astype(kind)
        for sound in (integers, torch.from_numpy(integers)):
            found = separator.separate(sound)
            for stem, values in separator.separate(floats).items():
                assert np.array_equal(np.asarray(found[stem]), values)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64, torch.bfloat16])
def test_tensors_come_back_as_tensors(separator: LoadedSeparator[Any], kind: torch.dtype) -> None:
    sound = torch.from_numpy(noise(2, samples=3_000)).to(kind)
    found = separator.separate(sound)
    expected = separator.separate(sound.double().numpy().astype(np.float32))
    for stem, values in found.items():
        assert isinstance(values, torch.Tensor) and values.device == sound.device
        assert torch.allclose(values, torch.from_numpy(expected[stem]), atol=1e-6)


def test_blocks_put_together_are_the_stems(separator: LoadedSeparator[Any], song: Path) -> None:
    blocks = [*separator.stream(song, lossless=True)]
    whole = separator.separate(song, lossless=True)
    assert len(blocks) > 1
    for stem, values in whole.items():
        assert np.array_equal(np.concatenate([b[stem] for b in blocks], axis=-1), values)
    total = sum(value.astype(np.float64) for value in whole.values())
    assert np.allclose(total, audio.read(song), atol=1e-6)


def test_a_single_stem_is_followed_by_the_residual(tmp_path: Path) -> None:
    loaded = demo_recipe(model={"stems": ("vocals",)})
    path = tmp_path / "recipe.yaml"
    path.write_text(loaded.text)
    separator = FRONT.load(None, recipe=path, device="cpu")
    sound = noise(3, samples=2_000)
    stems = separator.separate(sound, lossless="mask")
    assert [*stems] == ["vocals", "residual"]
    assert np.allclose(sum(stems.values()), sound, atol=1e-6)


@pytest.mark.parametrize(
    ("sound", "sentence"),
    [
        (noise(0)[0], r"one axis of 8000 samples: pass \(channel, sample\) audio.*array\[None\]"),
        (noise(0).T, "has 8000 channels of 2 samples: pass"),
        (noise(0)[None], r"is \(1, 2, 8000\): pass \(channel, sample\) audio, one at a time"),
        (np.full((2, 9), np.nan), "holds NaN or infinity, first at sample 0"),
        (np.zeros((2, 9), np.uint8), "has dtype uint8: pass floats with full scale 1.0"),
        (np.zeros((2, 9), bool), "has dtype bool"),
        (np.zeros((2, 0)), r"is \(2, 0\): pass"),
        ([[0.0, 0.1], [0.2]], "is no array"),
        (torch.zeros(9), "one axis of 9 samples"),
        (1000 * 1000 * np.full((1, 9), 9.0), "times full scale at sample 0"),
    ],
)
def test_what_is_no_song_is_refused_in_a_sentence(
    separator: LoadedSeparator[Any], sound: Any, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence) as error:
        separator.separate(sound, sample_rate=RATE)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=sentence):
        next(separator.stream(sound, sample_rate=RATE))


@pytest.mark.parametrize("rate", [0, -1, 44_100.5, True])
def test_a_rate_is_a_positive_whole_number(separator: LoadedSeparator[Any], rate: Any) -> None:
    with pytest.raises(ValueError, match="sample_rate is .*: pass a positive whole number of Hz"):
        separator.separate(noise(0), sample_rate=rate)


def test_a_file_has_its_own_rate(separator: LoadedSeparator[Any], song: Path) -> None:
    with pytest.raises(ValueError, match="song.wav is a file, which has its own rate: leave out"):
        separator.separate(song, sample_rate=RATE)
    with pytest.raises(FileNotFoundError, match="nothing.wav"):
        separator.separate(song.with_name("nothing.wav"))


def test_a_setting_out_of_range_names_the_keyword(separator: LoadedSeparator[Any]) -> None:
    with pytest.raises(ValueError, match="overlap: 1.5 is out of range") as error:
        separator.separate(noise(0), overlap=1.5)
    assert "--" not in str(error.value)
    with pytest.raises(ValueError, match="lossless is 'best': choose from mask, rerun"):
        separator.separate(noise(0), lossless="best")


def test_files_are_written_as_by_the_command(
    separator: LoadedSeparator[Any], song: Path, weights: Path, tmp_path: Path
) -> None:
    first, again = (
        separator.separate_files(
            [song], tmp_path / "out", lossless=True, aggregate={"all": "vocals+drums"}
        )[0]
        for _ in range(2)
    )
    assert (first.song, first.state, again.state) == ("song", "done", "skipped")
    assert first.sum_is_exact and first.null_depth_dbfs is None
    assert first.paths == again.paths and [*first.paths] == ["vocals", "drums", "all"]
    words = ["--lossless", "--aggregate", "all=vocals+drums"]
    expected = command(song, weights, tmp_path / "command", *words)
    for stem, path in first.paths.items():
        assert np.array_equal(audio.read(path), expected[stem])


def test_the_command_goes_on_where_python_ended(
    separator: LoadedSeparator[Any], song: Path, weights: Path, tmp_path: Path, capsys: Any
) -> None:
    separator.separate_files(song, tmp_path / "out")
    assert capsys.readouterr().out == ""
    words = ["separate", str(song), "--checkpoint", str(weights), "--out", str(tmp_path / "out")]
    run(PAPER, words)
    assert "already finished" in capsys.readouterr().out


def test_a_bad_file_does_not_stop_the_others(
    separator: LoadedSeparator[Any], song: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with pytest.raises(ValueError, match="1 of 2 songs failed: .*bad.wav"):
        separator.separate_files([tmp_path / "bad.wav", song], tmp_path / "out")
    assert (tmp_path / "out" / "song" / "vocals.wav").is_file()


def test_names_that_look_like_flags_are_files(
    separator: LoadedSeparator[Any], song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    song.rename(tmp_path / "--out=x.wav")
    [done] = separator.separate_files("--out=x.wav", "out")
    assert done.song == "--out=x" and not (tmp_path / "x.wav").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"stems": ["piano"]}, "there is no stem 'piano': choose stems from vocals, drums"),
        ({"format": "ogg"}, "argument format: invalid choice: 'ogg'"),
        ({"duration": -1.0}, "argument duration: -1.0 is out of range"),
        ({"aggregate": {"x": "vocals+piano"}}, "the sum 'x' has the unknown part 'piano'"),
        ({"lossless": True, "format": "mp3"}, "stems in mp3 can't add up to the song"),
    ],
)
def test_options_are_checked_before_anything_is_written(
    separator: LoadedSeparator[Any],
    song: Path,
    tmp_path: Path,
    options: dict[str, Any],
    sentence: str,
) -> None:
    with pytest.raises(ValueError, match=sentence):
        separator.separate_files(song, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_song_too_long_for_one_pass_is_cut_unless_that_is_asked_for(
    song: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "whole.yaml").write_text(demo_recipe(inference={"chunk_seconds": 0.0}).text)
    separator = FRONT.load(None, recipe=tmp_path / "whole.yaml", device="cpu")
    cut: list[float] = []
    in_pieces = separate._in_pieces

    def counted(inference: InferenceConfig) -> InferenceConfig:
        cut.append(inference.chunk_seconds)
        return in_pieces(inference)

    monkeypatch.setattr(separate, "_in_pieces", counted)
    monkeypatch.setattr("mss_shared.front.separator.LONGEST_SECONDS", 1.0)
    separator.separate(song)
    assert cut == [0.0]
    separator.separate(song, chunk_seconds=0)
    assert cut == [0.0]


def test_a_separator_says_what_it_is_and_where(separator: LoadedSeparator[Any]) -> None:
    assert separator.device == next(separator.model.parameters()).device == torch.device("cpu")
    assert repr(separator) == f"<tiny_paper separator: vocals, drums; {RATE} Hz, on cpu>"


def test_a_folder_is_for_separate_files(separator: LoadedSeparator[Any], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder: separate the songs in it by separate_files"):
        separator.separate(tmp_path)
    with pytest.raises(ValueError, match="is a folder: separate the songs in it by separate_files"):
        next(separator.stream(tmp_path))
