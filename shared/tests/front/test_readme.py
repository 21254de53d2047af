"""What the READMEs show of Python runs as it stands there, on other songs and weights."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_songs import noise

from mss_shared import audio
from mss_shared.testing import make_dataset

bs_roformer: Any = pytest.importorskip("bs_roformer", reason="a package of the repository")
pytest.importorskip("mss_results", reason="a package of the repository")

ROOT = Path(__file__).parents[3]
STEMS = ("vocals", "drums", "bass", "other")
RATE = 44_100


def snippet(page: str, section: str) -> str:
    """The first block of Python in a section of a README."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = text.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    code = found.partition("```python\n")[2].partition("```")[0]
    assert code, f"{page} shows no Python in {section}"
    return code


def run(code: str, there: Mapping[str, str], names: Mapping[str, Any]) -> dict[str, Any]:
    """Run a snippet with names of ours in place of those that need the network."""
    for shown, ours in there.items():
        assert f'"{shown}"' in code, f"the snippet does not show {shown}"
        code = code.replace(f'"{shown}"', repr(ours))
    found = dict(names)
    exec(compile(code, "README.md", "exec"), found)
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with songs, a data set, and weights of a Mel-Band RoFormer that learned nothing."""
    place = tmp_path_factory.mktemp("readme")
    for name in ("song.flac", "concert.flac"):
        audio.write(place / name, noise(0, samples=RATE), 48_000)
    make_dataset(place / "songs", STEMS, seconds=2.0)
    network = bs_roformer.load(None, recipe="demo_mel", device="cpu").model
    network.save_pretrained(place / "weights")
    return place


@pytest.fixture
def arrays(place: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a snippet takes as given, in the folder that it runs in."""
    monkeypatch.chdir(place)
    reference = {stem: noise(n, samples=RATE * 2) for n, stem in enumerate(STEMS)}
    estimate = {stem: 0.9 * values for stem, values in reference.items()}
    return {
        "array": noise(5, samples=9_000),
        "reference": reference,
        "estimate": estimate,
    }


HERE = {"kim_mel_vocals": "weights", "auto": "cpu", "demo:tiny": "songs"}


def test_the_ten_snippets_of_the_library(arrays: dict[str, Any], place: Path) -> None:
    code = snippet("shared/README.md", "From Python")
    found = run(code, {**HERE, "runs/mine": "runs/ten"}, arrays)
    assert {stem: values.shape for stem, values in found["stems"].items()} == dict.fromkeys(
        STEMS, (2, 9_000)
    )
    assert found["done"].sum_is_exact
    assert found["difference"].name and found["block"]["vocals"].shape[0] == 2
    assert next(iter(found["loader"]))["stems"].shape[1:] == (4, 2, 6 * RATE)
    assert found["scores"].median()["vocals"]["SDR"] == pytest.approx(20.0, abs=1e-3)
    assert type(found["model"]).__name__ == "MelBandRoformer"
    assert len(found["board"]) > 5
    assert (place / "hub" / "mine" / "config.json").is_file()


def test_the_snippet_of_the_front_page(arrays: dict[str, Any], capsys: Any) -> None:
    found = run(snippet("README.md", "From Python"), {**HERE, "runs/mine": "runs/one"}, arrays)
    assert found["stems"]["drums"].shape == (2, RATE) and found["stems"]["drums"].any()
    assert found["sdr"]["bass"]["SDR"] == pytest.approx(20.0, abs=1e-3)
    assert re.search(r"^\{'vocals': -?[\d.]+, ", capsys.readouterr().out, re.MULTILINE)
