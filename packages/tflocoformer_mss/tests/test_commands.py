"""The flags of the music fork and of the speech code."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.cli import run
from mss_shared.recipe import find_recipe, load_recipe
from mss_shared.training.fit import Machine
from tflocoformer_mss import TFLocoformerSeparator, configs
from tflocoformer_mss.__main__ import main
from tflocoformer_mss.commands import translate
from tflocoformer_mss.paper import PAPER
from tflocoformer_mss.recipe import Recipe


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would be trained."""
    found: list[dict[str, Any]] = []

    def fit(paper: Any, loaded: Any, dataset: Any, out: Path, machine: Any, **more: Any) -> None:
        found.append({"loaded": loaded, "out": out, "machine": machine, **more})

    monkeypatch.setattr("mss_shared.training.fit.fit", fit)
    monkeypatch.setattr("mss_shared.cli.train.open_data", lambda root, reading: root)
    return found


def run_main(words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["tflocoformer-mss", *words.split()])
    main()


def test_train_is_fit_with_other_words(
    fits: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = f"--batch_size 6 --num_epochs=7 --output_dir {tmp_path} --resume --micro_batch 2"
    others = "--device cpu --workers 3 --save_top_k 4 --seed 5 --logger wandb --dev_mode"
    values = "--deterministic --num_nodes 2 --devices 1 --recipe.training.lr 1.0e-5"
    words = f"train --recipe musdb18 --data_root songs {words} {others} {values}"
    run_main(words, monkeypatch)
    [made] = fits
    training, machine = made["loaded"].recipe.training, made["machine"]
    assert (training.batch, training.epochs, training.lr) == (6, 7, 1.0e-5)
    assert made["loaded"].verbatim is False
    assert made["out"] == tmp_path and made["resume"] is True and made["seed"] == 5
    assert machine == Machine(
        device="cpu",
        devices=1,
        num_nodes=2,
        workers=3,
        micro_batch=2,
        logger="wandb",
        save_top_k=4,
        dev_mode=True,
        deterministic=True,
        ignore_memory=False,
    )
    assert made["command"].startswith("tflocoformer-mss fit --recipe musdb18")


def test_train_without_flags_keeps_the_recipe(
    fits: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_main("train --recipe musdb18_small --data_root songs", monkeypatch)
    [made] = fits
    path = find_recipe("tflocoformer_mss", "musdb18_small")
    assert made["loaded"].recipe == load_recipe(Recipe, path).recipe
    assert made["loaded"].verbatim is True
    assert made["out"] == Path("runs/musdb18_small")


def test_train_takes_the_configuration_and_the_gpu_as_the_fork_does(
    fits: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    words = "train --config configs/musdb18_rtx5090_xlarge.yaml --gpu 0 --data_root songs"
    run_main(words, monkeypatch)
    [made] = fits
    assert made["loaded"].name == "musdb18_xlarge" and made["loaded"].verbatim is True
    assert (made["machine"].devices, made["machine"].device) == (1, "cuda")
    said = "no file configs/musdb18_rtx5090_xlarge.yaml: taking the recipe musdb18_xlarge"
    assert said in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--config musdb18 --gpu 3", "--gpu 3 is not the first GPU: set CUDA_VISIBLE_DEVICES=3"),
        ("--config musdb18 --gpu 0", "there is no CUDA device: choose --device cpu"),
        ("--config elsewhere/musdb18.yaml", "there is no recipe file elsewhere/musdb18.yaml"),
        ("--config musdb18.yaml", "there is no recipe file musdb18.yaml: check --recipe"),
        ("--config configs/mine.yaml", "there is no recipe file configs/mine.yaml"),
        ("--recipe musdb18 --batch_size four", "training.batch is four: give a whole number"),
        ("--recipe musdb18 --config", "argument --recipe: expected at least one argument"),
        ("--recipe musdb18 --prefetch 3", "unrecognized argument: --prefetch"),
        ("--config {fork}", "fork.yaml has dataset.random_chunks False, here it is True: the"),
    ],
)
def test_what_train_cannot_do_is_refused_before_anything_is_trained(
    words: str,
    message: str,
    fits: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (tmp_path / "fork.yaml").write_text("dataset:\n  random_chunks: false\n")
    with pytest.raises(SystemExit) as stopped:
        run_main(
            f"train {words} --data_root songs".format(fork=tmp_path / "fork.yaml"), monkeypatch
        )
    assert stopped.value.code == 2 and not fits
    assert message in capsys.readouterr().err


FORK = """dataset:
  name: musdb18hq
  root_dir: songs
  sample_rate: 44100
  segment_length: 132300
  sources: [vocals, drums, bass, other]
  augmentation: false
  random_chunks: true
model: {n_fft: 2048, n_sources: 4, n_layers: 4, pos_enc: nope, ffn_hidden_dim: [384, 384]}
loss: {loss_type: si_sdr, si_sdr_weight: 2.0, l1_weight: 0.1, eps: 1.0e-8}
training:
  batch_size: 3
  gradient_accumulation_steps: 2
  num_epochs: 7
  num_workers: 4
  pin_memory: true
  optimizer: {type: adamw, lr: 0.0005, betas: [0.9, 0.99]}
  scheduler: {type: reducelronplateau, mode: min, patience: 8}
  use_amp: false
  early_stopping: {enabled: true, patience: 20, min_delta: 0.0001}
seed: 43
device: cuda
"""


def test_a_configuration_of_the_fork_is_a_recipe_with_its_values(
    fits: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "mine.yaml").write_text(FORK)
    run_main(f"train --num_epochs 9 --config {tmp_path}/mine.yaml", monkeypatch)
    [made] = fits
    found, base = (
        made["loaded"].recipe,
        load_recipe(Recipe, find_recipe("tflocoformer_mss", "musdb18")).recipe,
    )
    assert made["loaded"].verbatim is False and made["machine"].workers == 4
    sizes = {"n_fft": 2048, "n_layers": 4, "pos_enc": "nope", "ffn_hidden_dim": (384, 384)}
    assert found.model == replace(base.model, **sizes)
    quiet = {"gain_range": (1.0, 1.0), "channel_swap_prob": 0.0, "polarity_prob": 0.0}
    assert found.data == replace(base.data, chunk_seconds=3.0, **quiet)
    changes: dict[str, Any] = {"si_sdr_weight": 2.0, "l1_weight": 0.0, "spectral_weight": 0.0}
    changes |= {"batch": 6, "epochs": 9, "lr": 0.0005, "betas": (0.9, 0.99), "seed": 43}
    changes |= {"plateau_patience": 8, "precision": "32-true", "early_stop_epochs": 20}
    assert found.training == replace(base.training, **changes)
    said = " ".join("".join(capsys.readouterr()).split())
    assert "read as the recipe musdb18 with" in said and "training.pin_memory" in said


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("model: {depth: 3}", "has the key model.depth, which is not read: the README"),
        ("model: {n_sources: 2}", "model.n_sources is 2, dataset.sources has 1"),
        ("loss: {loss_type: mae}", "loss.loss_type is 'mae': choose from combined"),
        ("training: {use_amp: true, amp_dtype: fp8}", "training.amp_dtype is 'fp8': choose"),
        ("training: {optimizer: {type: sgd}}", "has training.optimizer.type sgd, here it is"),
    ],
)
def test_what_a_configuration_of_the_fork_says_and_is_not_to_be_had_is_refused(
    line: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.yaml").write_text(f"dataset: {{sources: [vocals]}}\n{line}\n")
    with pytest.raises(ValueError, match=re.escape(message)):
        translate("tflocoformer_mss", ["train", "--config", f"{tmp_path}/mine.yaml"])


def test_evaluate_refuses_a_configuration_of_the_fork(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(FORK)
    with pytest.raises(ValueError, match="which only train reads: give the run folder"):
        translate("tflocoformer_mss", ["evaluate", "--config", f"{tmp_path}/mine.yaml"])


def test_the_forks_words_become_ours_where_no_file_has_that_name(tmp_path: Path) -> None:
    def translated(words: str) -> str:
        return " ".join(translate("tflocoformer_mss", words.split()))

    assert translated("evaluate --config configs/musdb18.yaml --output_dir results") == (
        "evaluate --recipe musdb18 --scores results"
    )
    assert translated("separate --config=configs/musdb18.yaml --output_dir out") == (
        "separate --config musdb18 --output_dir out"
    )
    (tmp_path / "musdb18.yaml").write_text("data: 1")
    for word in (f"{tmp_path}/musdb18.yaml", "configs/mine.yaml", "other/musdb18.yaml", "musdb18"):
        assert translated(f"train --config {word}") == f"fit --recipe {word}"
    assert translated("") == ""


def test_evaluate_takes_the_words_of_the_music_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        "mss_shared.cli.evaluate.evaluate", lambda _paper, given, _: seen.append(given)
    )
    words = "evaluate --config configs/musdb18.yaml --checkpoint best_model.pth --output_dir out"
    monkeypatch.setattr("sys.argv", ["tflocoformer-mss", *words.split(), "--data_root", "songs"])
    main()
    [given] = seen
    assert (given.recipe, given.scores, given.checkpoint) == (
        ["musdb18"],
        Path("out"),
        ["best_model.pth"],
    )


def save_untrained(path: Path, name: str) -> None:
    """Weights of a recipe's model as it starts, with their recipe."""
    loaded = load_recipe(Recipe, find_recipe("tflocoformer_mss", name))
    header = {"paper": PAPER.name, "recipe": loaded.text, "recipe_name": name}
    header |= {"verbatim": "true", "leaf_sources": "null", "training": "null"}
    save_model(path, PAPER.build_model(loaded.recipe), header)


def test_separate_takes_the_words_of_the_music_fork_and_names_files_as_it_did(
    tmp_path: Path,
) -> None:
    save_untrained(tmp_path / "best.safetensors", "demo")
    song = 0.1 * np.random.default_rng(0).standard_normal((2, 4_000))
    audio.write(tmp_path / "music.wav", song.astype(np.float32), 44_100)
    words = f"--input {tmp_path}/music.wav --output_dir {tmp_path}/out --config demo"
    run(PAPER, ["separate", *words.split(), "--checkpoint", f"{tmp_path}/best.safetensors"])
    written = {path.name for path in (tmp_path / "out").glob("*.wav")}
    assert written == {f"music_{stem}.wav" for stem in ("vocals", "drums", "bass", "other")}


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("whamr", "the recipe whamr has kind='tf'"),
        ("musdb19", "there is no recipe 'musdb19'"),
    ],
)
def test_a_configuration_that_is_not_the_checkpoints_is_refused(
    config: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_untrained(tmp_path / "best.safetensors", "demo")
    audio.write(tmp_path / "music.wav", np.zeros((2, 4_000), np.float32), 44_100)
    words = f"separate {tmp_path}/music.wav --out {tmp_path}/out --config {config}"
    with pytest.raises(SystemExit):
        run(PAPER, [*words.split(), "--checkpoint", f"{tmp_path}/best.safetensors"])
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("out/*.wav"))


def test_separate_takes_the_words_of_the_speech_code(tmp_path: Path) -> None:
    separator = TFLocoformerSeparator(**configs["whamr_small"])
    state = {f"separator.{key}": value for key, value in separator.state_dict().items()}
    torch.save(state, tmp_path / "valid.loss.ave_5best.pth")
    talk = 0.1 * np.random.default_rng(0).standard_normal((1, 1_500))
    audio.write(tmp_path / "talk.wav", talk.astype(np.float32), 8_000)
    words = f"--model_path {tmp_path}/valid.loss.ave_5best.pth --audio_path {tmp_path}/talk.wav"
    words += f" --audio_output_dir {tmp_path}/out --recipe whamr_small"
    run(PAPER, ["separate", *words.split()])
    files = sorted((tmp_path / "out").glob("*.wav"))
    assert [file.name for file in files] == ["talk_speaker1.wav", "talk_speaker2.wav"]
    sounds = [audio.read(file) for file in files]
    assert all(sound.shape == (1, 1_500) and abs(sound).max() > 0.0 for sound in sounds)
