"""The verb from the command line: batches, choices, what is printed, exit codes, faults."""

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_paper.model import TinyMask
from tiny_paper.paper import PAPER, TinyPaper
from tiny_songs import RATE, demo_recipe, noise

from mss_shared import audio
from mss_shared.checkpoints.checkpoint import save_model
from mss_shared.cli import run
from mss_shared.cli import separate as verb
from mss_shared.paper import Alias
from mss_shared.recipe import to_yaml
from mss_shared.separation.output.options import Delivery, Separated

SECONDS = 1.0


def save(path: Path, seed: int = 0, stems: tuple[str, ...] = ("vocals", "drums")) -> Path:
    """A weights file of the tiny paper."""
    loaded = demo_recipe(model={"stems": stems})
    torch.manual_seed(seed)
    header = {"paper": "tiny_paper", "recipe": to_yaml(loaded.recipe), "recipe_name": "demo"}
    header |= {"verbatim": "true", "leaf_sources": "{}", "training": "null"}
    save_model(path, PAPER.build_model(loaded.recipe), header)
    return path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return save(tmp_path / "weights.safetensors")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    audio.write(tmp_path / "album" / "a.wav", noise(0, samples=RATE), RATE, "FLOAT")
    audio.write(tmp_path / "album" / "live" / "b.wav", noise(1, samples=RATE), RATE)
    return tmp_path / "album"


def separate(*words: Any) -> None:
    run(PAPER, ["separate", *map(str, words)])


def refused(capsys: Any, *words: Any, code: int = 2, paper: Any = PAPER) -> str:
    """Run, expect an exit code, return what was said on stderr by the command."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run(paper, ["separate", *map(str, words)])
    assert end.value.code == code
    [line] = [line for line in capsys.readouterr().err.splitlines() if "tiny-paper" in line]
    return str(line)


def files(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())


def test_compiling_is_announced_and_its_warning_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    def compiled(model: Any) -> Any:
        def call(mixture: torch.Tensor) -> torch.Tensor:
            warnings.warn(
                "Torchinductor does not support code generation for complex", stacklevel=1
            )
            found: torch.Tensor = model(mixture)
            return found

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    separate(album / "a.wav", "--checkpoint", weights, "--out", tmp_path / "out", "--compile")
    assert "compiling: the first chunk may take minutes" in capsys.readouterr().out


@pytest.mark.parametrize(("device", "kept"), [("cpu", 1), ("meta", 0)])
def test_memory_that_the_model_frees_is_kept_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, weights: Path, album: Path, device: str, kept: int
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(verb, "keep_freed_memory", lambda: calls.append("kept"))
    monkeypatch.setattr(verb, "pick_device", lambda _: torch.device(device))
    monkeypatch.setattr(verb, "with_passes", lambda model, *_: model)
    monkeypatch.setattr(verb, "run_batch", lambda *_, **__: [])
    separate(album, "--checkpoint", weights, "--out", album.parent / "out")
    assert len(calls) == kept


def test_the_command_starts_without_packages_that_take_seconds_to_import(tmp_path, weights, album):
    slow = ("torch._dynamo", "sympy", "scipy", "lightning", "matplotlib", "pandas")
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        f"from tiny_paper.paper import PAPER; from mss_shared.cli import run\n"
        f"run(PAPER, sys.argv[1:])\n"
        f"found = [name for name in {slow!r} if name in sys.modules]\n"
        f"assert not found, found"
    )
    words = ["separate", album, "--checkpoint", weights, "--out", tmp_path / "out"]
    command = [sys.executable, "-c", code, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert len(files(tmp_path / "out")) > 3


def vocals(out: Path, song: str = "a") -> Any:
    return audio.read(out / song / "vocals.wav")


def test_a_folder_is_separated_with_its_folders_and_not_twice(
    weights: Path, album: Path, capsys: Any
) -> None:
    words = (album, "--checkpoint", weights, "--out", album / "stems")
    separate(*words)
    wanted = [f"{s}/{stem}.wav" for s in ("a", "live/b") for stem in ("drums", "vocals")]
    assert files(album / "stems") == sorted([*wanted, "separated.jsonl"])
    times = [(album / "stems" / name).stat().st_mtime_ns for name in wanted]
    capsys.readouterr()
    separate(*words)
    assert capsys.readouterr().out.count("already finished") == 2
    assert times == [(album / "stems" / name).stat().st_mtime_ns for name in wanted]
    separate(*words, "--overwrite")
    assert times != [(album / "stems" / name).stat().st_mtime_ns for name in wanted]


@pytest.mark.parametrize(
    "words",
    [
        ["--overlap", "0.25"],
        ["--chunk_seconds", "0.3"],
        ["--context_seconds", "0.1"],
        ["--start", "0.5"],
        ["--duration", "0.5"],
        ["--tta"],
        ["--shifts", "2"],
        ["--precision", "bf16"],
    ],
    ids=lambda words: words[0],
)
def test_another_setting_separates_again_and_changes_the_sound(
    words: list[str], weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    common = (album / "a.wav", "--checkpoint", weights, "--out", tmp_path / "out")
    separate(*common)
    before = vocals(tmp_path / "out")
    separate(*common, *words)
    assert "already finished" not in capsys.readouterr().out
    after = vocals(tmp_path / "out")
    assert before.shape != after.shape or not np.array_equal(before, after)


def test_the_same_command_writes_the_same_bytes(weights: Path, album: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        words = (album, "--checkpoint", weights, "--out", tmp_path / name)
        separate(*words, "--tta", "--shifts", "3", "--batch", "2")
    one, two = tmp_path / "one", tmp_path / "two"
    for name in files(one):
        if name.endswith(".wav"):
            assert (one / name).read_bytes() == (two / name).read_bytes()
    assert len(files(one)) == 5


def test_json_has_stdout_to_itself(weights: Path, album: Path, tmp_path: Path, capsys: Any) -> None:
    (album / "c.wav").write_text("no sound")
    words = (album, "--checkpoint", weights, "--out", tmp_path / "out", "--json")
    said = refused(capsys, *words)
    assert said.startswith("tiny-paper: error: 1 of 3 songs failed: ") and "c.wav" in said
    with pytest.raises(SystemExit):
        separate(*words)
    a, c, b = map(json.loads, capsys.readouterr().out.splitlines())
    assert (a["song"], a["state"], b["song"], b["state"]) == ("a", "skipped", "live/b", "skipped")
    assert a["outputs"]["vocals"]["path"] == "a/vocals.wav"
    assert (c["state"], c["cause"]) == ("failed", "user") and "not a readable" in c["error"]


def test_quiet_prints_errors_alone(weights: Path, album: Path, tmp_path: Path, capsys: Any) -> None:
    words = ("--checkpoint", weights, "--out", tmp_path / "out", "--quiet")
    separate(album, *words)
    assert capsys.readouterr() == ("", "")
    assert "there is no file nope.wav" in refused(capsys, "nope.wav", *words)


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("container", ["same", "flac", "mp3", "mp4"])
@pytest.mark.parametrize("flag", ["--quiet", "--json"])
def test_a_name_that_is_not_text_goes_through(
    flag: str, container: str, weights: Path, album: Path, capfd: Any
) -> None:
    name = os.fsdecode(b"caf\xe9")
    (album / "a.wav").rename(album / f"{name}.wav")
    out = album.parent / os.fsdecode(b"st\xe9ms")
    words = (album / f"{name}.wav", "--checkpoint", weights, "--out", out, "--format", container)
    separate(*words, flag)
    said = capfd.readouterr().out
    assert len(files(out)) == (2 if container == "mp4" else 3)
    if flag == "--json":
        assert said.isascii() and json.loads(said)["song"] == name
    separate(*words, "--json")
    assert json.loads(capfd.readouterr().out)["state"] == "skipped"
    assert "caf\\udce9.wav lasts 1.0 s" in refused(capfd, *words, "--start", "9")


def test_a_song_is_one_line_whatever_its_name(
    weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    song = (album / "a.wav").rename(tmp_path / "a\nb: failed.wav")
    separate(song, "--checkpoint", weights, "--out", tmp_path / "out")
    (line,) = capsys.readouterr().out.splitlines()[-1:]
    assert line.startswith(r"a\nb: failed: 2 files in ") and line.endswith(r"/a\nb: failed")


def test_a_name_too_long_for_its_stems_is_refused_before_the_work(
    weights: Path, album: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(TinyMask, "forward", None)
    (album / "a.wav").rename(album / f"{'a' * 245}.wav")
    words = ("--checkpoint", weights, "--out", album / "out", "--filename", "{song}_{stem}")
    assert "has 256 bytes" in refused(capsys, album / f"{'a' * 245}.wav", *words)
    assert not (album / "out").exists()


@pytest.mark.parametrize("outs", [(".", "."), ("stems", "stems"), ("one", "two", "sub/three")])
@pytest.mark.parametrize("filename", ["{song}/{stem}", "{song}_{stem}"])
def test_a_folder_has_as_many_songs_as_before(
    filename: str, outs: tuple[str, ...], weights: Path, album: Path, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(album)
    for out in outs:
        words = ("--checkpoint", weights, "--out", out, "--filename", filename, "--json")
        for inputs in (["."], ["**/*.wav"], [*Path().rglob("*.wav")]):
            capsys.readouterr()
            separate(*inputs, *words)
            songs = [json.loads(line)["song"] for line in capsys.readouterr().out.splitlines()]
            assert len(songs) == 2


def test_lists_come_from_a_file_or_from_stdin(
    weights: Path, album: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    words = ("--checkpoint", weights, "--out")
    (tmp_path / "list.txt").write_text(f"# songs\n{album / 'a.wav'}\n\n{album}/live/*\n")
    separate("--list", tmp_path / "list.txt", *words, tmp_path / "file")
    for name, given in (("dash", ["-"]), ("flag", ["--list", "-"])):
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{album / 'a.wav'}\n"))
        separate(*given, *words, tmp_path / name)
        assert (tmp_path / name / "a" / "vocals.wav").is_file()
    assert (tmp_path / "file" / "b" / "drums.wav").is_file()
    (tmp_path / "list0").write_bytes(os.fsencode(album / "a.wav") + b"\0")
    separate("--list0", tmp_path / "list0", *words, tmp_path / "nul")
    assert (tmp_path / "nul" / "a" / "vocals.wav").is_file()
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin is closed" in refused(capsys, "-", *words, tmp_path / "o")
    assert "there is no list nope" in refused(capsys, "--list", "nope", *words, tmp_path / "o")


def test_without_a_verb_files_folders_and_flags_are_to_separate(
    weights: Path, album: Path, tmp_path: Path
) -> None:
    class OldFlags(TinyPaper):
        default_checkpoint = str(weights)
        aliases = (
            Alias("--input_folder", ("{}",)),
            Alias("--output_folder", ("--out", "{}")),
            Alias("--short", ("--duration", "0.5")),
        )

    old = OldFlags()
    outs = [tmp_path / name for name in "1234"]
    run(old, [str(album / "a.wav"), "--out", str(outs[0])])
    run(old, [str(album), "--out", str(outs[1])])
    run(old, ["--tta", str(album / "a.wav"), "--out", str(outs[2])])
    run(old, ["--input_folder", str(album), "--output_folder", str(outs[3]), "--short"])
    assert all((out / "a" / "vocals.wav").is_file() for out in outs)
    assert audio.info(outs[3] / "live" / "b" / "drums.wav").samples == RATE // 2


def test_checkpoints_of_the_same_stems_are_an_ensemble(
    album: Path, tmp_path: Path, capsys: Any
) -> None:
    models = [save(tmp_path / f"{n}.safetensors", seed=n) for n in range(3)]
    common = ("--chunk_seconds", "0")
    for number, model in enumerate(models):
        out = tmp_path / str(number)
        separate(album / "a.wav", "--checkpoint", model, "--out", out, *common)
    alone = np.stack([vocals(tmp_path / str(number)) for number in range(3)])
    words = (album / "a.wav", *common, "--checkpoint", *models, "--out")
    separate(*words, tmp_path / "mean")
    assert "ensemble of 3 models of vocals, drums" in capsys.readouterr().out
    separate(*words, tmp_path / "median", "--ensemble", "median")
    assert np.allclose(vocals(tmp_path / "mean"), alone.mean(axis=0), atol=1e-6)
    assert np.allclose(vocals(tmp_path / "median"), np.median(alone, axis=0), atol=1e-6)
    other = save(tmp_path / "other.safetensors", stems=("vocals",))
    said = refused(capsys, album, "--checkpoint", models[0], other, "--out", tmp_path / "x")
    assert "the checkpoints give vocals, drums and vocals: give one checkpoint per stem" in said
    said = refused(capsys, album, "--checkpoint", other, "--ensemble", "mean", "--out", "x")
    assert "--ensemble mean of one model" in said


def asked_for(monkeypatch: Any, *words: Any) -> dict[str, Any]:
    """What ``separate_file`` is called with."""
    seen: dict[str, Any] = {}

    def record(
        model: Any, path: Path, out: Path, inference: Any, delivery: Any, **more: Any
    ) -> Any:
        seen.update(more, delivery=delivery, inference=inference, out=out)
        return Separated({}, -42.0, 0.0, ("a note",))

    monkeypatch.setattr(verb, "separate_file", record)
    separate(*words)
    return seen


def test_flags_say_what_is_written(weights: Path, album: Path, monkeypatch: Any) -> None:
    common = (album / "a.wav", "--checkpoint", weights, "--out", album / "o", "--overwrite")
    plain = asked_for(monkeypatch, *common)
    assert plain["delivery"] == Delivery() and plain["out"] == album / "o"
    assert (plain["part_seconds"], plain["batch"]) == ((0.0, None), 1)
    assert plain["longest_seconds"] == 600.0
    assert asked_for(monkeypatch, *common, "--chunk_seconds", "0")["longest_seconds"] == math.inf
    words = "--stems drums --aggregate karaoke=mixture-vocals --accompaniment --lossless "
    words += "--format flac --subtype PCM_24 --filename {song}_{stem}"
    assert asked_for(monkeypatch, *common, *words.split())["delivery"] == Delivery(
        "flac",
        "PCM_24",
        ("drums",),
        {"karaoke": ("mixture", "-vocals"), "accompaniment": ("mixture", "-vocals")},
        "mask",
        "{song}_{stem}",
    )
    sums = asked_for(monkeypatch, *common, "--aggregate", '{"k": ["vocals", "drums"]}')
    assert sums["delivery"] == Delivery(stems=(), aggregates={"k": ("vocals", "drums")})


def test_what_was_measured_is_printed(
    weights: Path, album: Path, monkeypatch: Any, capsys: Any
) -> None:
    asked_for(monkeypatch, album / "a.wav", "--checkpoint", weights, "--out", album / "o")
    out = capsys.readouterr().out
    assert "song minus their sum peaks at -42.0 dBFS" in out and "\n  a note\n" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stems", "piano"], "there is no stem 'piano': choose --stems from vocals, drums"),
        (["--aggregate", "k=piano"], "has the unknown part 'piano': choose from mixture, vocals"),
        (["--format", "mp3", "--lossless"], "stems in mp3 can't add up"),
        (["--filename", "{song}"], "is invalid or lacks {stem}"),
        (["--shifts", "0"], "--shifts: 0 is out of range: give at least 1"),
        (["--device", "gpu"], "invalid choice: 'gpu' (choose from auto, cpu, cuda"),
        (["--lossless=all"], "invalid choice: 'all'"),
        (["--overlap", "1.5"], "1.5 is out of range: give at least 0.0 and below 1.0"),
        (["--config_path", "x.yaml"], "unrecognized argument: --config_path"),
    ],
)
def test_what_the_user_got_wrong_is_one_sentence(
    words: list[str], message: str, weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    common = (album / "a.wav", "--checkpoint", weights, "--out", tmp_path / "out")
    assert message in refused(capsys, *common, *words)
    assert not list((tmp_path / "out").rglob("*.wav"))


def test_flags_name_what_a_single_stem_leaves(album: Path, tmp_path: Path, capsys: Any) -> None:
    common = [album / "a.wav", "--checkpoint", save(tmp_path / "one.safetensors", 0, ("vocals",))]
    common += ["--out", tmp_path / "out", "--stems", "residual"]
    assert "there is no stem 'residual': choose --stems from vocals" in refused(capsys, *common)
    separate(*common, "--lossless", "--aggregate", "song=vocals+residual")
    made = {path.name for path in (tmp_path / "out" / "a").iterdir()}
    assert made == {"residual.wav", "song.wav"}


def test_a_pattern_that_mixes_songs_up_is_refused(
    weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    audio.write(album / "c.wav", noise(2, samples=100), RATE)
    words = ("--checkpoint", weights, "--filename", "{stem}")
    said = refused(capsys, album, *words, "--out", tmp_path / "out")
    assert "--filename {stem} gives files of 3 songs the same name: add {song} to it" in said
    separate(album / "c.wav", *words, "--out", tmp_path / "one")
    assert (tmp_path / "one" / "vocals.wav").is_file()


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["--filename", "../{song}-{stem}"], "../song-stem"),
        (["--filename", "/{song}/{stem}"], "/song/stem"),
        (["--aggregate", "../../evil=drums"], "song/../../evil"),
    ],
    ids=["up", "absolute", "aggregate"],
)
def test_files_outside_the_output_folder_are_refused(
    words: list[str], place: str, weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    common = (album / "a.wav", "--checkpoint", weights, "--out", tmp_path / "o" / "ut")
    assert f"{place} is not below the output folder" in refused(capsys, *common, *words)
    assert not (tmp_path / "o").exists()


def test_a_song_named_upwards_stays_in_the_output_folder(
    weights: Path, tmp_path: Path, capsys: Any
) -> None:
    audio.write(tmp_path / "in" / "...wav", noise(0, samples=100), RATE)
    words = (tmp_path / "in" / "...wav", "--checkpoint", weights, "--out", tmp_path / "o" / "ut")
    assert "../vocals.wav is not below the output folder" in refused(capsys, *words)
    assert not (tmp_path / "o").exists()


def test_files_that_are_not_the_songs_own_are_kept(
    weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    words = ("--checkpoint", weights, "--out", tmp_path)
    mine = tmp_path / "a" / "vocals.wav"
    audio.write(mine, noise(3, samples=50), RATE)
    before = mine.read_bytes()
    said = refused(capsys, album / "a.wav", *words)
    assert f"{mine} exists and was not written from {album / 'a.wav'}: choose another" in said
    assert mine.read_bytes() == before and files(tmp_path / "a") == ["vocals.wav"]
    separate(album / "a.wav", *words, "--overwrite")
    assert mine.read_bytes() != before
    separate(album / "a.wav", *words, "--start", "0.5")  # its own by now


def test_a_folder_may_hold_the_stems_of_its_songs(weights: Path, album: Path, capsys: Any) -> None:
    words = (album, "--checkpoint", weights, "--out", album)
    separate(*words)
    separate(*words, "--stems", "vocals")
    capsys.readouterr()
    separate(*words)
    said = capsys.readouterr().out
    assert "drums: " not in said and "vocals: " not in said and "a: 2 files" in said


def test_an_output_folder_at_home_is_found(
    weights: Path, album: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    separate(album / "a.wav", "--checkpoint", weights, "--out", "~/stems")
    assert (tmp_path / "home" / "stems" / "a" / "vocals.wav").is_file()
    assert not (tmp_path / "~").exists()


def test_a_terminated_batch_leaves_nothing_begun(slow: Any, tmp_path: Path) -> None:
    process = slow()
    assert process.stdout.readline() and process.stdout.readline() == "piece\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143, said
    left = [path.name for path in (tmp_path / "out").rglob("*")]
    assert not [name for name in left if name.startswith(".")]


def test_a_mistake_of_the_program_costs_one_song_and_ends_with_1(
    weights: Path, album: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    plain = verb.separate_file

    def fail(model: Any, path: Path, *more: Any, **others: Any) -> Any:
        if path.stem == "a":
            raise RuntimeError("shapes differ")
        return plain(model, path, *more, **others)

    monkeypatch.setattr(verb, "separate_file", fail)
    words = (album, "--checkpoint", weights, "--out", tmp_path / "out")
    said = refused(capsys, *words, code=1)
    assert "1 of 2 songs failed: " in said and "a.wav: RuntimeError: shapes differ" in said
    assert (tmp_path / "out" / "live" / "b" / "drums.wav").is_file()


def test_pieces_too_long_for_the_memory_are_halved_and_it_is_said(
    weights: Path, album: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    audio.write(album / "long.wav", noise(9, samples=8 * RATE), RATE)
    plain = TinyMask.forward

    def forward(self: TinyMask, mixture: torch.Tensor) -> torch.Tensor:
        if len(mixture) * mixture.shape[-1] > limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, mixture)

    monkeypatch.setattr(TinyMask, "forward", forward)
    limit = 3 * RATE
    words = ("--checkpoint", weights, "--out", tmp_path / "out", "--chunk_seconds", "0")
    separate(album / "long.wav", *words, "--batch", "4")
    assert "out of memory: chunks of 2.00 s instead" in capsys.readouterr().out
    assert audio.info(tmp_path / "out" / "long" / "vocals.wav").samples == 8 * RATE
    limit = RATE // 2
    said = refused(capsys, album / "long.wav", *words, "--overwrite")
    assert "of 1.0 s does not fit in the memory of cpu: choose a smaller --chunk_seconds" in said


SLOW = """
import sys, time
from tiny_paper.paper import PAPER
from tiny_paper.model import TinyMask
from mss_shared.cli import run
plain = TinyMask.forward
def forward(self, mixture):
    print("piece", flush=True)
    time.sleep(0.05)
    return plain(self, mixture)
TinyMask.forward = forward
run(PAPER, sys.argv[1:])
"""


@pytest.fixture
def slow(weights: Path, album: Path, tmp_path: Path) -> Iterator[Any]:
    """Starts processes that separate the album slowly; ends what is left of them."""
    started: list[Any] = []

    def start() -> Any:
        words = ["separate", album, "--checkpoint", weights, "--out", tmp_path / "out"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def check_stems(out: Path, expected: Path) -> None:
    """Every stem is there, whole, and nothing besides the manifest."""
    assert files(out) == files(expected)
    for name in files(expected):
        if name.endswith(".wav"):
            assert (out / name).read_bytes() == (expected / name).read_bytes()


def test_a_killed_batch_leaves_whole_stems_alone_and_is_finished_by_the_next(
    slow: Any, weights: Path, album: Path, tmp_path: Path, capsys: Any
) -> None:
    out = tmp_path / "out"
    separate(album, "--checkpoint", weights, "--out", tmp_path / "expected")
    process = slow()
    for _ in range(4):  # the second song's first piece
        assert process.stdout.readline()
        if (out / "a" / "vocals.wav").exists():
            break
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for name in files(out):
        if name.endswith(".wav") and ".part-" not in name:
            assert (out / name).read_bytes() == (tmp_path / "expected" / name).read_bytes()
    assert list((out / ".separated").glob("*.lock"))
    capsys.readouterr()
    separate(album, "--checkpoint", weights, "--out", out)
    assert "left to" not in capsys.readouterr().out
    check_stems(out, tmp_path / "expected")


def test_two_processes_on_one_folder_share_its_songs(
    slow: Any, weights: Path, album: Path, tmp_path: Path
) -> None:
    separate(album, "--checkpoint", weights, "--out", tmp_path / "expected")
    processes = [slow(), slow()]
    said = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    check_stems(tmp_path / "out", tmp_path / "expected")
    lines = (tmp_path / "out" / "separated.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    assert sorted(r["song"] for r in records if r["state"] == "done") == ["a", "live/b"]


def test_progress_says_the_real_time_factor_and_the_time_left(monkeypatch: Any) -> None:
    clock = iter([100.0, 102.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    told: list[Any] = []
    report = verb._with_speed(lambda *words: told.append(words), seconds=40.0)
    report("", 1, 4)
    assert told == [("0.20 x real time, 6 s left", 1, 4)]
