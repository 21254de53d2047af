"""What the README shows still runs; the sound is shorter than there."""

import torch

from tflocoformer_mss import TFLocoformerMSS, TFLocoformerSeparator, configs


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
