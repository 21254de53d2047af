"""Whole tracks: the frozen one, every length, any channels; what the stems share."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from lasaft import Separator
from lasaft.join import join
from lasaft.model import window_starts
from lasaft.recipe import Recipe
from lasaft.variants import VARIANTS
from mss_shared.recipe import find_recipe, load_recipe

# Windows of 12224 samples, trimmed by 5056 at either end: 2112 are left.
SHORT = {"n_fft": 128, "hop_length": 64, "num_frame": 192, "n_blocks": 3}
SMALL: dict[str, Any] = {
    **SHORT,
    "internal_channels": 2,
    "n_internal_layers": 2,
    "min_bn_units": 2,
    "num_tdfs": 2,
    "dk": 3,
    "embedding_dim": 4,
}
NAMES = (
    "CUNET_TFC_FiLM",
    "CUNET_TFC_FiLM_TDF",
    "CUNET_TFC_PoCM_TDF",
    "CUNET_TFC_GPoCM",
    "CUNET_TFC_GPoCM_LaSAFT",
    "CUNET_TFC_GPoCM_LightSAFT",
)


def small(name: str = "CUNET_TFC_GPoCM_LaSAFT", **changes: Any) -> Separator:
    torch.manual_seed(0)
    return VARIANTS[name](**{**SMALL, **changes}).eval()


def noise(*shape: int) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(1))


def run(model: Separator, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)


class PassOn(nn.Module):
    """Stands in for the network: returns each item unchanged for each of its conditions."""

    def forward(self, image: Tensor, condition: Tensor) -> Tensor:
        return image.repeat_interleave(len(condition) // len(image), dim=0)


def test_a_whole_track_is_the_authors_where_theirs_adds_up(golden: Any) -> None:
    found = golden("separate_track_exact")
    model, mixture = found.model(), found["input"].T
    together = run(model, mixture[None])[0]
    for number, stem in enumerate(("vocals", "drums", "bass", "other")):
        found.check(f"overlap0.5.{stem}", together[number].T)
        with torch.no_grad():
            alone = model.separate_track(mixture, stem)
        torch.testing.assert_close(alone, together[number], rtol=1e-5, atol=1e-6)


def authors_way(model: Separator, mixture: Tensor, stem: str, overlap: float) -> Tensor:
    """The authors' procedure with its defects: (channel, sample), cut or padded."""
    useful, trim = model.config.useful_samples, model.config.trim_samples
    samples, hop = mixture.shape[1], int(useful * (1 - overlap))
    chunks = -((useful - samples) // hop) + 1
    total = torch.zeros(2, max(samples, chunks * hop + useful))
    condition = torch.tensor([model.stems.index(stem)])
    for start in range(0, chunks * hop, hop):
        end = start + useful
        inside, ends = end + trim < samples, end > samples
        window = torch.zeros(2, useful + 2 * trim)
        first = start - trim if start >= trim else start  # context, or none at all
        last = end + trim if inside else min(end, samples)
        window[:, first - start + trim : last - start + trim] = mixture[:, first:last]
        weight = torch.ones(useful)
        if start and (inside or ends):
            weight[: useful - hop] = 0.5
        if inside:
            weight[hop:] = 0.5
        with torch.no_grad():
            estimate = model.separate_window(window[None], condition)[0]
        total[:, start:end] += weight * estimate[:, trim : trim + useful]
    return total[:, :samples] if overlap else total[:, : chunks * useful]


@pytest.mark.parametrize(
    ("overlap", "stem"), [(0.5, "vocals"), (0.5, "bass"), (0.25, "vocals"), (0.0, "vocals")]
)
def test_the_authors_procedure_is_known_and_ours_differs_where_theirs_fails(
    overlap: float, stem: str, golden: Any
) -> None:
    found = golden("separate_track")
    model, mixture = found.model(), found["input"].T
    key = f"overlap{overlap}.{stem}"
    found.check(key, authors_way(model, mixture, stem, overlap).T)
    with torch.no_grad():
        ours = model.separate_track(mixture, stem, overlap).T
    assert ours.shape == mixture.T.shape  # theirs is whole chunks long without overlap
    theirs, peak = found[key], found[key].abs().max()
    if overlap == 0.5:  # their weights add up to 2 from 9024 to 12032
        assert (ours - theirs)[9_024:12_032].abs().max() > 0.1 * peak
    if overlap == 0.0:  # the first and last chunk have the same context in both
        torch.testing.assert_close(ours[12_032:17_000], theirs[12_032:17_000], atol=1e-5, rtol=0)


def test_the_authors_scores_hold_the_rounding_of_a_16_bit_file(golden: Any, tmp_path: Any) -> None:
    found = golden("separate_track")
    path = tmp_path / "temp.wav"
    soundfile.write(path, found["overlap0.5.vocals"].numpy(), 44_100, "PCM_16")
    reread = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    torch.testing.assert_close(reread, found["overlap0.5.vocals_pcm16"], atol=3.1e-5, rtol=0)
    assert (reread - found["overlap0.5.vocals"]).abs().max() > 1e-5


@pytest.mark.parametrize("size", ["small", "published"])
def test_every_sample_has_a_weight_of_one_where_the_authors_have_not(
    size: str, golden_json: Any
) -> None:
    found = golden_json("chunking")[size]
    useful, wrong, none = found["true"], 0, 0
    for case in found["cases"]:
        starts = window_starts(case["length"], useful, case["overlap"])
        theirs = [row["start"] for row in case["rows"]]
        assert set(theirs) <= set(starts) or not theirs
        if case["chunks"]:
            assert len(starts) == case["chunks"]
        assert starts[-1] + useful >= case["length"]
        cover = np.zeros(starts[-1] + useful)
        for start in starts:
            cover[start : start + useful] += 1
        assert set(cover[: case["length"]]) <= {1.0, 2.0}
        wrong += any(weight > 1.0 for _, _, weight in case["coverage"])
        none += case["chunks"] == 0
    assert wrong > 0
    assert size == "published" or none == 2


@settings(max_examples=20)
@given(
    samples=st.integers(1, 6_000),
    overlap=st.floats(0.0, 0.5),
    channels=st.integers(1, 3),
)
def test_a_network_that_passes_on_gives_the_mixture_at_every_length(
    samples: int, overlap: float, channels: int
) -> None:
    model = small()
    model.spec2spec = PassOn()  # type: ignore[assignment]
    model.window_overlap = overlap
    mixture = noise(1, channels, samples)
    estimate = run(model, mixture)
    wanted = mixture[:, None].expand(-1, 4, -1, -1)
    torch.testing.assert_close(estimate, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("condition_to", ["encoder", "decoder", "full"])
@pytest.mark.parametrize("name", NAMES)
def test_stems_together_are_the_stems_one_by_one(name: str, condition_to: str) -> None:
    model = small(name, condition_to=condition_to).double()
    mixtures = noise(2, 2, 3_000).double()
    together = run(model, mixtures)
    assert together.shape == (2, 4, 2, 3_000)
    with torch.no_grad():
        alone = torch.stack(
            [torch.stack([model.separate_track(m, s) for s in model.stems]) for m in mixtures]
        )
    peak = alone.abs().max()
    torch.testing.assert_close(together / peak, alone / peak, rtol=0, atol=1e-12)
    assert (together[:, 0] - together[:, 1]).abs().max() > 1e-4 * peak  # conditions differ


def test_the_command_lines_overlap_reaches_the_windows() -> None:
    recipe = load_recipe(Recipe, find_recipe("lasaft", "demo")).recipe
    model, song = small(), noise(1, 2, 5_000)
    assert join([model], recipe, {}).window_overlap == recipe.model.window_overlap == 0.5
    halves = run(model, song)
    joined = join([model], recipe, {"window_overlap": 0.0})
    with torch.no_grad():
        alone = model.separate_track(song[0], "drums", overlap_ratio=0.0)
    torch.testing.assert_close(run(joined, song)[0, 1], alone)
    assert (run(joined, song) - halves).abs().max() > 1e-6
    with pytest.raises(ValueError, match="--window_overlap 0.7: give 0 to 0.5"):
        join([model], recipe, {"window_overlap": 0.7})


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_windows_are_added_up_in_full_precision_and_the_type_stays(
    dtype: torch.dtype, channels: int
) -> None:
    model = small().to(torch.float64 if dtype == torch.float64 else torch.float32)
    song = noise(channels, 5_000).to(dtype)
    full = song if dtype == torch.float64 else song.float()
    with torch.no_grad():
        found = model.separate_track(song, "bass")
        assert found.dtype == dtype
        assert torch.equal(found, model.separate_track(full, "bass").to(dtype))


def test_integers_are_refused_in_a_sentence() -> None:
    model = small()
    for dtype in (torch.int16, torch.int32, torch.bool):
        with pytest.raises(ValueError, match=f"the samples are {dtype}: give floating-point"):
            model.separate_track(torch.zeros(2, 300, dtype=dtype), "bass")


def count_items(model: Separator, mixture: Tensor) -> dict[str, int]:
    """Items that went through each part of the network during one call."""
    counts: dict[str, int] = Counter()
    for name, part in model.spec2spec.named_modules():
        if isinstance(part, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            part.register_forward_hook(
                lambda _p, given, _o, name=name: counts.update({name: len(given[0])})
            )
    run(model, mixture)
    return counts


@pytest.mark.parametrize("name", ["CUNET_TFC_FiLM", "CUNET_TFC_GPoCM_TDF"])
def test_what_no_condition_changes_runs_once(name: str) -> None:
    counts = count_items(small(name), noise(1, 2, 500))
    shared = [part for part in counts if part.startswith(("first_conv", "enc", "down", "mid"))]
    assert len(shared) >= 6 and all(counts[part] == 1 for part in shared)
    assert counts["upsamplings.0.0"] == 1
    first = "decoders.0.H.0.0" if "TDF" not in name else "decoders.0.tfc.H.0.0"
    assert counts[first] == 1
    assert counts["last_conv.0"] == 4


def test_before_the_first_attention_lasaft_runs_once() -> None:
    counts = count_items(small(), noise(1, 2, 500))
    once = ["first_conv.0", "encoders.0.tfc.H.0.0", "encoders.0.tfc.H.1.0"]
    assert all(counts[part] == 1 for part in (*once, "encoders.0.tdfs.tdf.3"))
    assert counts["downsamplings.0.0"] == counts["mid_block.tfc.H.0.0"] == 4


def test_a_mono_song_is_separated_as_two_equal_channels() -> None:
    model, mono = small(), noise(1, 1, 700)
    stereo = run(model, mono.expand(-1, 2, -1)).mean(dim=2, keepdim=True)
    torch.testing.assert_close(run(model, mono), stereo, rtol=0, atol=1e-7)


def test_a_network_can_have_any_channels_of_its_own() -> None:
    for spec_type, inputs, channels in (("complex", 6, 3), ("magnitude", 1, 1)):
        model = small(spec_type=spec_type, input_channels=inputs)
        assert model.channels == channels
        assert run(model, noise(2, 3, 400)).shape == (2, 4, 3, 400)


def test_the_call_leaves_its_input_and_the_folder_alone(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    mixture = noise(1, 2, 600)
    before = mixture.clone()
    run(small(), mixture)
    assert torch.equal(mixture, before)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("block", ["tfc_net", "tdc_net", "tdf_net", "tfc_tdf_net", "tdc_rnn_net"])
def test_a_network_without_conditions_estimates_one_stem(block: str) -> None:
    model = small(block, stems=["drums"])
    assert model.stems == ("drums",) and not model.conditioned
    assert run(model, noise(2, 2, 300)).shape == (2, 1, 2, 300)
    with pytest.raises(ValueError, match="no conditions and was given 1"):
        model.spec2spec(noise(1, 4, 8, 65), torch.tensor([0]))


def test_simple_film_has_one_factor_per_block() -> None:
    model = small("CUNET_TFC_FiLM", film_type="simple")
    assert model.spec2spec.condition_generator.linear_gamma[0].out_features == 1
    assert run(model, noise(1, 2, 300)).isfinite().all()


def test_one_hot_conditions_start_as_the_identity_and_learn() -> None:
    model = small(control_vector_type="one_hot_mode")
    weight = model.spec2spec.embedding.weight
    assert torch.equal(weight, torch.eye(4)) and weight.requires_grad
    assert run(model, noise(1, 2, 300)).isfinite().all()


def test_calls_that_can_not_be_answered_are_refused() -> None:
    model = small()
    with pytest.raises(ValueError, match="no stem piano: choose from vocals, drums"):
        model.separate_track(noise(2, 300), "piano")
    with pytest.raises(ValueError, match="overlap_ratio is 0.7: give 0 to 0.5"):
        model.separate_track(noise(2, 300), "bass", overlap_ratio=0.7)
    with pytest.raises(ValueError, match="3 conditions for 2 items: give one, or as many"):
        model.spec2spec(noise(2, 4, 8, 65), torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="keeps -10000 samples after trimming: raise num_frame"):
        window_starts(10, -10_000, 0.5)
