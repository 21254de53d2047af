"""The flags of the music fork and of the speech code."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mss_shared import audio
from mss_shared.checkpoint import save_model
from mss_shared.cli import run
from mss_shared.recipe import find_recipe, load_recipe
from tflocoformer_mss.__main__ import PAPER
from tflocoformer_mss.recipe import Recipe


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be trained."""
    found: list[dict[str, Any]] = []

    def fit(paper: Any, loaded: Any, dataset: Any, out: Path, machine: Any, **more: Any) -> None:
        found.append({"loaded": loaded, "out": out, "machine": machine, **more})

    monkeypatch.setattr("mss_shared.fit.fit", fit)
    monkeypatch.setattr("mss_shared.verbs._open", lambda root: root)
    return found


def test_train_is_fit_with_other_words(fits: list[dict[str, Any]], tmp_path: Path) -> None:
    flags = ["--batch_size", "6", "--num_epochs", "7", "--output_dir", str(tmp_path), "--resume"]
    machine = ["--micro_batch", "2", "--device", "cpu"]
    run(PAPER, ["train", "--recipe", "musdb18", "--data_root", "songs", *flags, *machine])
    [made] = fits
    training = made["loaded"].recipe.training
    assert (training.batch, training.epochs) == (6, 7)
    assert made["loaded"].verbatim is False
    assert made["out"] == tmp_path and made["resume"] is True
    assert (made["machine"].micro_batch, made["machine"].device) == (2, "cpu")
    assert made["command"].startswith("tflocoformer-mss fit --recipe musdb18")


def test_train_without_flags_keeps_the_recipe(fits: list[dict[str, Any]]) -> None:
    run(PAPER, ["train", "--recipe", "musdb18_small", "--data_root", "songs"])
    [made] = fits
    path = find_recipe("tflocoformer_mss", "musdb18_small")
    assert made["loaded"].recipe == load_recipe(Recipe, path).recipe
    assert made["loaded"].verbatim is True
    assert made["out"] == Path("runs/musdb18_small")


def test_a_batch_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "--recipe", "demo", "--data_root", "demo", "--batch_size", "four"]
    with pytest.raises(SystemExit) as stopped:
        run(PAPER, words)
    assert stopped.value.code == 2 and "batch_size" in capsys.readouterr().err


def test_separate_takes_the_words_of_the_music_fork_and_names_files_as_it_did(
    tmp_path: Path,
) -> None:
    loaded = load_recipe(Recipe, find_recipe("tflocoformer_mss", "demo"))
    header = {"paper": PAPER.name, "recipe": loaded.text, "recipe_name": "demo"}
    header |= {"verbatim": "true", "leaf_sources": "null", "training": "null"}
    save_model(tmp_path / "best.safetensors", PAPER.build_model(loaded.recipe), header)
    song = 0.1 * np.random.default_rng(0).standard_normal((2, 4_000))
    audio.write(tmp_path / "music.wav", song.astype(np.float32), 44_100)
    words = f"--input {tmp_path}/music.wav --output_dir {tmp_path}/out --config demo"
    run(PAPER, ["separate", *words.split(), "--checkpoint", f"{tmp_path}/best.safetensors"])
    written = {path.name for path in (tmp_path / "out").glob("*.wav")}
    assert written == {f"music_{stem}.wav" for stem in ("vocals", "drums", "bass", "other")}


def test_separate_takes_the_words_of_the_speech_code(tmp_path: Path, capsys: Any) -> None:
    words = "--model_path nowhere.pth --audio_path talk.wav --audio_output_dir out"
    with pytest.raises(SystemExit):
        run(PAPER, ["separate", *words.split()])
    assert "there is no checkpoint nowhere.pth" in capsys.readouterr().err
