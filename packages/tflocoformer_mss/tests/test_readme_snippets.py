"""What the README shows still runs; the sound is shorter than there."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import torch

from mss_shared.testing import make_dataset
from tflocoformer_mss import TFLocoformerMSS, TFLocoformerSeparator, configs
from tflocoformer_mss.recipe import Recipe

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def test_the_music_model_is_used_as_shown() -> None:
    model = TFLocoformerMSS(**configs["musdb18_small"]).eval()
    song = torch.randn(1, 2, 1_100)
    with torch.no_grad():
        stems = model(song)
        specs = model(song, return_time_domain=False)
    assert {stem: wave.shape for stem, wave in stems.items()} == {
        stem: song.shape for stem in ("vocals", "drums", "bass", "other")
    }
    assert specs["vocals"].shape == (1, 2, 1025, 3)


def test_a_preset_of_speech_is_a_separator_of_spectrograms() -> None:
    speech = TFLocoformerSeparator(**configs["wsj0_2mix"]).eval()
    with torch.no_grad():
        assert speech(torch.randn(1, 5, 65, dtype=torch.complex64)).shape == (1, 2, 5, 65)


def test_the_data_set_of_songs_reads_and_writes_as_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [code] = re.findall(r"```python\n(from pathlib import Path\n.*?)```", README, re.DOTALL)
    make_dataset(tmp_path / "musdb18hq", ("vocals", "drums", "bass", "other"), seconds=1.0)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(compile(code, "README.md", "exec"), found)
    assert {name: wave.shape for name, wave in found["batch"].items()} == {
        name: (2, 2, 22_050) for name in ("vocals", "drums", "bass", "other", "mixture")
    }
    total = sum(found["batch"][stem] for stem in ("vocals", "drums", "bass", "other"))
    assert torch.allclose(found["batch"]["mixture"], total, atol=1e-4)
    assert found["vocals"].shape == (2, 22_050)
    [whole] = {each["mixture"].shape for each in found["Songs"]("musdb18hq", "test")}
    assert whole == (2, 44_100)


def test_the_keys_that_the_forks_stand_for_exist() -> None:
    table = README.partition("| the fork's configuration |")[2].partition("\n\n")[0]
    ours = [line.split("|")[2] for line in table.splitlines()[2:]]
    keys = re.findall(r"`((?:data|model|training|evaluation)\.\w+)`", " ".join(ours))
    hints = get_type_hints(Recipe)
    known = {
        f"{name}.{each.name}"
        for name in hints
        if name != "reproduces" and name != "added"
        for each in fields(hints[name])
    }
    assert len(keys) > 30 and set(keys) <= known
