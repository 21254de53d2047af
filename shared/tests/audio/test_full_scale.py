"""What exceeds full scale: floats, one gain for all, or integers that still add up to the song."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_models import CHUNKS, RATE, OneStem, Through, Uneven
from tiny_songs import noise
from torch import nn

from mss_shared import audio
from mss_shared.separation.output.options import Delivery, Separated
from mss_shared.separation.separate import separate_file


def loud(folder: Path, model: Through, gain: float, delivery: Delivery) -> Separated:
    nn.init.constant_(model.gain, gain)
    audio.write(folder / "song.wav", np.full((2, 400), 0.5, np.float32), RATE)
    return separate_file(model, folder / "song.wav", folder / "out", CHUNKS, delivery)


@pytest.mark.parametrize("delivery", [Delivery("flac"), Delivery("wav", "PCM_16")])
def test_where_the_format_is_fixed_all_files_are_scaled_alike_and_it_is_said(
    tmp_path: Path, delivery: Delivery
) -> None:
    done = loud(tmp_path, Through(), 4.0, delivery)
    found = {name: audio.read(path) for name, path in done.paths.items()}
    assert done.joint_gain_db == pytest.approx(-6.02, abs=0.01)
    assert done.notes == ("all files were scaled by -6.02 dB so that none clips",)
    np.testing.assert_allclose(found["vocals"], 1.0, atol=1e-4)
    np.testing.assert_allclose(found["drums"], -0.5, atol=1e-4)
    assert {audio.info(path).subtype for path in done.paths.values()} == {"PCM_16"}


def test_lossless_stems_beyond_full_scale_become_float_or_hand_the_excess_on(
    tmp_path: Path,
) -> None:
    done = loud(tmp_path, Through(), 4.0, Delivery(lossless="mask"))
    assert {audio.info(path).subtype for path in done.paths.values()} == {"FLOAT"}
    assert "written as 32-bit float" in done.notes[0] and done.null_depth_dbfs == -math.inf
    done = loud(tmp_path, Through(), 4.0, Delivery("flac", lossless="mask"))
    assert {audio.info(path).subtype for path in done.paths.values()} == {"PCM_16"}
    assert "moved to other stems" in done.notes[0] and done.null_depth_dbfs == -math.inf
    assert done.joint_gain_db == 0.0


@pytest.mark.parametrize("gain", [1.5, 4.0, 20.0])
@pytest.mark.parametrize(
    ("stems", "aggregates", "parts"),
    [
        (None, {"rest": ("drums", "other")}, ("vocals", "drums", "other")),
        (None, {"twice": ("vocals", "vocals")}, ("vocals", "drums", "other")),
        (("vocals",), {"rest": ("drums", "other")}, ("vocals", "rest")),
        (("vocals",), {"rest": ("mixture", "-vocals")}, ("vocals", "rest")),
        ((), {"rest": ("drums", "other"), "voice": ("vocals",)}, ("rest", "voice")),
    ],
)
def test_full_scale_in_sums_of_stems_leaves_the_song_whole(
    tmp_path: Path,
    gain: float,
    stems: tuple[str, ...] | None,
    aggregates: dict[str, tuple[str, ...]],
    parts: tuple[str, ...],
) -> None:
    delivery = Delivery("flac", stems=stems, aggregates=aggregates, lossless="mask")
    done = loud(tmp_path, Uneven(), gain, delivery)
    assert done.null_depth_dbfs == -math.inf
    found = {name: audio.read(path).astype(np.float64) for name, path in done.paths.items()}
    total = np.sum([found[name] for name in parts], axis=0)
    np.testing.assert_array_equal(total, audio.read(tmp_path / "song.wav"))
    for name, of in (("rest", ("drums", "other")), ("twice", ("vocals", "vocals"))):
        if name in found and name not in parts:
            both = found[of[0]] + found[of[1]]
            np.testing.assert_array_equal(found[name], both.clip(-1.0, 1 - 2.0**-15))


def test_what_a_single_stem_leaves_has_a_name(tmp_path: Path) -> None:
    wanted = {"stems": ("residual",), "aggregates": {"song": ("vocals", "residual")}}
    for lossless in ("mask", "rerun"):
        delivery = Delivery(lossless=lossless, **wanted)  # type: ignore[arg-type]
        assert delivery.written(OneStem().stems) == ("vocals", "residual")
        done = loud(tmp_path, OneStem(), 1.0, delivery)
        assert list(done.paths) == ["residual", "song"]
        song = audio.read(tmp_path / "song.wav")
        np.testing.assert_array_equal(audio.read(done.paths["song"]), song)
    assert Delivery(**wanted).written(OneStem().stems) == ("vocals",)  # type: ignore[arg-type]


def test_stems_that_are_not_all_of_a_song_keep_what_they_can_hold(tmp_path: Path) -> None:
    wide, some = (
        loud(tmp_path, Uneven(), 20.0, Delivery(container, lossless="mask", stems=stems))
        for container, stems in (("wav", None), ("flac", ("vocals", "drums")))
    )
    assert any("cut off" in note for note in some.notes) and some.null_depth_dbfs is None
    for name, path in some.paths.items():
        full = audio.read(wide.paths[name])
        np.testing.assert_array_equal(audio.read(path), full.clip(-1.0, 1 - 2.0**-15))


def test_floats_on_a_24_bit_grid_stay_32_bit_floats_and_add_up_in_them(tmp_path: Path) -> None:
    song = np.rint(noise(0, 2, 500, 0.1) * 2**23) / 2**23
    soundfile.write(tmp_path / "song.wav", song.T, RATE, subtype="FLOAT")
    done = separate_file(
        Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, Delivery(lossless="mask")
    )
    summed = np.zeros(song.shape, np.float32)
    for path in done.paths.values():
        assert audio.info(path).subtype == "FLOAT"
        summed += audio.read(path)
    assert np.array_equal(summed, song) and done.null_depth_dbfs == -math.inf


def test_floats_finer_than_24_bits_become_64_bit_floats_and_why_is_said(tmp_path: Path) -> None:
    song = 0.01 * np.random.default_rng(0).standard_normal((2, 500))
    audio.write(tmp_path / "song.wav", song.astype(np.float32), RATE, "FLOAT")
    delivery = Delivery(lossless="mask")
    done = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    assert {audio.info(path).subtype for path in done.paths.values()} == {"DOUBLE"}
    assert done.notes == ("32-bit float input: stems that add up to it exactly need 64-bit floats",)
    delivery = Delivery("wav", "FLOAT", lossless="mask")  # as asked for, and rounded
    done = separate_file(Uneven(), tmp_path / "song.wav", tmp_path, CHUNKS, delivery)
    assert {audio.info(path).subtype for path in done.paths.values()} == {"FLOAT"}
    assert done.null_depth_dbfs is not None and -150.0 < done.null_depth_dbfs < -138.0


# Python
