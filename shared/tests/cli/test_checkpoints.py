"""Lists of published weights, fetching, and third-party weights turned into ours."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from tiny_paper.paper import PAPER, TinyPaper
from tiny_songs import RATE, demo_recipe, noise

from mss_shared import audio
from mss_shared.checkpoints import checkpoint, fitting
from mss_shared.checkpoints.checkpoint import load_checkpoint
from mss_shared.checkpoints.published import Published
from mss_shared.checkpoints.third_party import WeightsFile
from mss_shared.cli import checkpoints, run
from mss_shared.cli.checkpoints import key_map
from mss_shared.interfaces import Checkpoint
from mss_shared.paper import override

MODEL = PAPER.build_model(demo_recipe().recipe)
STATE = MODEL.state_dict()


def refused(capsys: Any, *words: Any) -> str:
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        run(PAPER, [*map(str, words)])
    assert end.value.code == 2
    return str(capsys.readouterr().err)


@pytest.fixture
def published(tmp_path: Path, monkeypatch: Any) -> dict[str, tuple[Published, ...]]:
    """Two names, the second of two files; the cache holds one of them."""
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: tmp_path / "cache" / name)
    one = Published("https://x.org/one.pth", 3_000_000, "ab" * 32, "MIT", "demo", "one stem")
    two = Published(
        "https://x.org/two.pth", None, None, "unknown", None, config_url="https://x.org/two.yaml"
    )
    found = {"one": (one,), "two": (two, replace(two, url="https://x.org/three.pth"))}
    monkeypatch.setattr(checkpoints, "read_published", lambda name: found)
    monkeypatch.setattr(checkpoints, "find_published", lambda name, word: found.get(word, ()))
    cached = tmp_path / "cache" / "mss" / "checkpoints" / "two.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"weights")
    return found


def test_the_list_says_what_each_is_and_whether_it_is_here(published: Any, capsys: Any) -> None:
    run(PAPER, ["checkpoints"])
    out = capsys.readouterr().out
    assert "one\n  one stem: 3.0 MB, not cached\n" in out
    assert "    licence: MIT; SHA-256 abababababababab; recipe: demo\n" in out
    assert "two\n  two.pth: size unknown, cached\n" in out
    assert (
        "unknown; nothing known to check it by; recipe: none" in out
        and "https://x.org/three" in out
    )
    assert "    YAML for --config_path: https://x.org/two.yaml\n" in out
    run(PAPER, ["checkpoints", "one"])
    assert capsys.readouterr().out.startswith("one\n  one stem")
    run(PAPER, ["checkpoints", "list", "one", "--json"])
    [found] = json.loads(capsys.readouterr().out)
    assert (found["name"], found["bytes"], found["cached"]) == ("one", 3_000_000, False)
    assert found["sha256"] == "ab" * 32 and found["path"].endswith("mss/checkpoints/one.pth")


def test_all_files_of_a_name_are_fetched(published: Any, monkeypatch: Any, capsys: Any) -> None:
    agreed = []

    def fetch(entry: Published, agreed_to: bool) -> Path:
        agreed.append(agreed_to)
        return Path("/cache") / entry.file_name

    monkeypatch.setattr(checkpoints, "fetch", lambda entry, agreed: fetch(entry, agreed))
    run(PAPER, ["checkpoints", "fetch", "two", "--yes"])
    assert agreed == [True, True]
    assert capsys.readouterr().out == "/cache/two.pth\n/cache/three.pth\n"
    assert "fetch has no name: choose from one, two" in refused(capsys, "checkpoints", "fetch")
    assert "no published weights 'six': choose from one, two" in refused(
        capsys, "checkpoints", "fetch", "six"
    )


class Configured(TinyPaper):
    @override
    def open_configured(self, source: str, config_path: Path) -> Checkpoint:
        raise AssertionError("nothing needs it")


@pytest.mark.parametrize("configured", [False, True])
def test_a_name_without_a_recipe_is_refused_before_it_is_downloaded(
    configured: bool, published: Any, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    fetched: list[Published] = []
    monkeypatch.setattr(checkpoint, "find_published", lambda name, word: published.get(word, ()))
    monkeypatch.setattr(checkpoint, "fetch", fetched.append)
    audio.write(tmp_path / "song.wav", noise(0), RATE)
    paper = Configured() if configured else PAPER
    with pytest.raises(SystemExit):
        run(paper, ["separate", str(tmp_path / "song.wav"), "--checkpoint", "two"])
    said = capsys.readouterr().err
    way = "as --config_path, from https://x.org/two.yaml" if configured else "with --recipe"
    assert way in said and not fetched


def test_a_package_without_weights_says_so(capsys: Any) -> None:
    run(PAPER, ["checkpoints"])
    assert capsys.readouterr().out == "this package has no published weights\n"
    run(PAPER, ["checkpoints", "--json"])
    assert json.loads(capsys.readouterr().out) == []


def test_imported_weights_need_no_further_option(tmp_path: Path, capsys: Any) -> None:
    theirs = {f"module.model.{key}": value for key, value in STATE.items()}
    torch.save({"state_dict": {**theirs, "n_averaged": torch.ones(1)}}, tmp_path / "theirs.ckpt")
    run(PAPER, ["import-weights", str(tmp_path / "theirs.ckpt"), "--recipe", "demo"])
    out = capsys.readouterr().out
    for said in (
        "unwrapped 'state_dict'",
        "left out the counters n_averaged",
        "removed the prefix 'module.' from every key",
        "module.model.* -> * (4 tensors)",
        "loaded strictly and written to ",
    ):
        assert said in out
    ours = tmp_path / "theirs.safetensors"
    with safetensors.safe_open(ours, framework="pt") as file:
        header = file.metadata()
    assert (header["paper"], header["imported_from"]) == ("tiny_paper", "theirs.ckpt")
    assert len(header["imported_sha256"]) == 64
    found = load_checkpoint(PAPER, str(ours))
    assert found.recipe == demo_recipe().recipe and found.verbatim is None
    assert all(torch.equal(found.model.state_dict()[key], STATE[key]) for key in STATE)
    audio.write(tmp_path / "song.wav", noise(0), RATE)
    out_folder = str(tmp_path / "out")
    run(PAPER, [str(tmp_path / "song.wav"), "--checkpoint", str(ours), "--out", out_folder])
    assert (tmp_path / "out" / "song" / "vocals.wav").is_file()


def test_a_recipe_is_found_by_the_shapes_if_one_alone_fits(
    tmp_path: Path, capsys: Any, monkeypatch: Any
) -> None:
    torch.save(STATE, tmp_path / "x.pth")
    run(
        PAPER, ["import-weights", str(tmp_path / "x.pth"), "--out", str(tmp_path / "y.safetensors")]
    )
    assert "read as demo, the only recipe whose shapes fit" in capsys.readouterr().out
    assert load_checkpoint(PAPER, str(tmp_path / "y.safetensors")).recipe_name == "demo"
    torch.save({**STATE, "more": torch.ones(2)}, tmp_path / "z.pth")
    said = refused(capsys, "import-weights", tmp_path / "z.pth")
    assert "z.pth does not say which recipe made it, and its shapes fit none: name it" in said
    monkeypatch.setattr(fitting, "fitting_recipes", lambda *_: ["a", "b"])
    said = refused(capsys, "import-weights", tmp_path / "x.pth")
    assert "its shapes fit a, b: name it with --recipe" in said


def test_separate_finds_the_recipe_by_the_shapes_too(tmp_path: Path, capsys: Any) -> None:
    torch.save(STATE, tmp_path / "x.pth")
    audio.write(tmp_path / "song.wav", noise(0), RATE)
    words = [str(tmp_path / "song.wav"), "--checkpoint", str(tmp_path / "x.pth")]
    run(PAPER, ["separate", *words, "--out", str(tmp_path / "out")])
    assert "read as demo, the only recipe whose shapes fit" in capsys.readouterr().out
    assert (tmp_path / "out" / "song" / "vocals.wav").is_file()


def test_a_model_that_looks_at_values_while_it_is_built_is_built_in_full(
    tmp_path: Path, monkeypatch: Any
) -> None:
    from tiny_paper.model import TinyMask

    plain = TinyMask.__init__

    def looks(self: TinyMask, **values: Any) -> None:
        assert torch.ones(1).item() == 1.0
        plain(self, **values)

    monkeypatch.setattr(TinyMask, "__init__", looks)
    found = WeightsFile(STATE, (), {})
    assert fitting.fitting_recipes(PAPER, tmp_path / "x.pth", found) == ["demo"]


def test_what_can_not_be_imported_is_refused(tmp_path: Path, capsys: Any) -> None:
    torch.save(STATE, tmp_path / "x.pth")
    run(PAPER, ["import-weights", str(tmp_path / "x.pth")])
    words = ("import-weights", tmp_path / "x.safetensors")
    assert "already contains its recipe, tiny_paper demo" in refused(capsys, *words)
    assert "x.safetensors already exists: choose another" in refused(
        capsys, "import-weights", tmp_path / "x.pth"
    )
    words = ("import-weights", tmp_path / "x.pth", "--out", tmp_path / "x.bin")
    assert "can't be written to" in refused(capsys, *words)
    assert "there is no weights file" in refused(capsys, "import-weights", tmp_path / "no.pth")
    (tmp_path / "x.bin").touch()
    assert "is not a checkpoint: its name must end in" in refused(
        capsys, "import-weights", tmp_path / "x.bin"
    )


def test_safetensors_of_others_are_read_as_well(tmp_path: Path, capsys: Any) -> None:
    from safetensors.torch import save_file

    save_file({f"model.{key}": value for key, value in STATE.items()}, tmp_path / "x.safetensors")
    found = load_checkpoint(PAPER, str(tmp_path / "x.safetensors"), "demo")
    assert "removed the prefix 'model.' from every key" in found.notes
    words = ("import-weights", tmp_path / "x.safetensors")
    assert "can't be written to" in refused(capsys, *words)  # itself


def test_the_key_map_has_a_line_per_rule() -> None:
    one = torch.ones(1)
    theirs = dict.fromkeys(["net.a.weight", "net.b.weight", "gone"], one)
    ours = dict.fromkeys(["heads.x.a.weight", "heads.x.b.weight", "window"], one)
    assert key_map(theirs, ours) == [
        "left out: gone, net.a.weight, net.b.weight",
        "constants that the file lacks: heads.x.a.weight, heads.x.b.weight, window",
    ]
    ours = dict.fromkeys(["heads.x.net.a.weight", "heads.x.net.b.weight", "window"], one)
    assert key_map(theirs, ours) == [
        "* -> heads.x.* (2 tensors)",
        "left out: gone",
        "constants that the file lacks: window",
    ]
    assert key_map(ours, ours) == ["* -> * (3 tensors)"]
