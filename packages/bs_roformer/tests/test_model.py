"""Lengths, invariances, modes and precision of the networks, known without running another."""

import functools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from bs_roformer import BSRoformer, MelBandRoformer, configs
from bs_roformer.hyper_connections import FractionConnection, HyperConnection
from bs_roformer.model import Roformer
from bs_roformer.pope import PolarEmbedding
from bs_roformer.rope import RotaryEmbedding
from bs_roformer.transformer import attend

KINDS = ("bs", "mel")
LAYOUTS = ("paper", "checkpoint", "1.2")
SMALL: dict[str, Any] = {
    "dim": 8,
    "depth": 2,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "heads": 2,
    "dim_head": 4,
    "stft_n_fft": 64,
    "stft_hop_length": 16,
    "stft_win_length": 64,
    "mlp_expansion_factor": 1,
    "attn_dropout": 0.0,
    "ff_dropout": 0.0,
}
BANDS = (4, 4, 8, 17)


def small_model(kind: str = "bs", **changes: Any) -> Roformer:
    """A small seeded network in evaluation mode, in the checkpoint layout unless changed."""
    torch.manual_seed(0)
    if kind == "bs":
        return BSRoformer(**{**SMALL, "freqs_per_bands": BANDS, **changes}).eval()
    return MelBandRoformer(**{**SMALL, "num_bands": 6, **changes}).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(model: Roformer, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)  # type: ignore[return-value]


every_network = pytest.mark.parametrize(
    ("kind", "layout"), [(kind, layout) for kind in KINDS for layout in LAYOUTS]
)


# ---- what users were told to write


@pytest.mark.parametrize("model_class", [BSRoformer, MelBandRoformer])
def test_the_usage_of_the_first_package_runs(model_class: type[Roformer]) -> None:
    model = model_class(dim=8, depth=1, time_transformer_depth=1, freq_transformer_depth=1)
    x = torch.randn(2, 35_280)
    target = torch.randn(2, 35_280)
    loss = model(x, target=target)
    assert loss.shape == ()
    loss.backward()
    with torch.no_grad():
        out = model(x)
    assert out.shape == (2, 1, 1, 35_280)


# ---- lengths and shapes


@functools.cache
def built_once(kind: str, layout: str, stereo: bool) -> Roformer:
    return small_model(kind, layout=layout, stereo=stereo, stems=["a", "b", "c"])


@every_network
@given(samples=st.integers(1, 700), stereo=st.booleans())
@settings(max_examples=8)
def test_every_length_comes_back_and_is_finite(
    kind: str, layout: str, samples: int, stereo: bool
) -> None:
    model = built_once(kind, layout, stereo)
    output = run(model, noise(2, model.channels, samples, seed=samples))
    assert output.shape == (2, 3, model.channels, samples)
    assert output.dtype == torch.float32
    assert output.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_without_matching_the_output_ends_with_the_last_whole_hop(kind: str) -> None:
    mixture = noise(1, 1, 500)
    short = run(small_model(kind, match_input_audio_length=False), mixture)
    assert short.shape[-1] == 496
    assert torch.equal(short, run(small_model(kind), mixture)[..., :496])


def test_mono_without_a_channel_axis_is_the_same() -> None:
    model, mixture = small_model(), noise(2, 500)
    assert torch.equal(run(model, mixture), run(model, mixture.unsqueeze(1)))


def test_a_model_names_its_stems_rate_and_channels() -> None:
    model = small_model(stems=["left hand", "right hand"], stereo=True, sample_rate=24_000)
    assert model.stems == ("left hand", "right hand")
    assert (model.sample_rate, model.channels) == (24_000, 2)
    assert small_model(num_stems=2).stems == ("stem_1", "stem_2")


@pytest.mark.parametrize("shape", [(2, 500), (500,), (1, 1, 500), (1, 3, 500), (1, 2, 0)])
def test_a_mixture_of_the_wrong_shape_is_refused_with_its_shape(shape: tuple[int, ...]) -> None:
    numbers = ", ".join(map(str, shape))
    with pytest.raises(ValueError, match=rf"has shape \({numbers},?\): .* 2 channels"):
        small_model(stereo=True)(torch.zeros(shape))


def test_targets_may_leave_out_axes_of_length_one() -> None:
    mixture, target = noise(2, 500), noise(2, 500, seed=1)
    model = small_model()
    losses = [
        model(mixture, target=target.reshape(shape)).item()
        for shape in ((2, 500), (2, 1, 500), (2, 1, 1, 500))
    ]
    assert losses[0] == losses[1] == losses[2]
    stereo = small_model(stereo=True)
    single = noise(2, 2, 500, seed=2)
    mixture = noise(2, 2, 500)
    assert stereo(mixture, target=single) == stereo(mixture, target=single.unsqueeze(1))


@pytest.mark.parametrize("shape", [(2, 500), (2, 2, 499), (2, 2, 1, 500), (1, 2, 2, 500)])
def test_a_target_of_the_wrong_shape_is_refused_with_both_shapes(shape: tuple[int, ...]) -> None:
    numbers = ", ".join(map(str, shape))
    model = small_model(stereo=True)
    with pytest.raises(ValueError, match=rf"shape \({numbers}\): .* = \(2, 1, 2, 500\)"):
        model(noise(2, 2, 500), target=torch.zeros(shape))


# ---- invariances


@every_network
def test_items_of_a_batch_do_not_see_each_other(kind: str, layout: str) -> None:
    model = small_model(kind, layout=layout, stereo=True)
    quiet, loud = noise(1, 2, 700), 30 * noise(1, 2, 700, seed=1)
    both = run(model, torch.cat([quiet, loud]))
    for ours, single in zip(both, (quiet, loud), strict=True):
        alone = run(model, single)[0]
        assert torch.allclose(ours, alone, rtol=0, atol=1e-5 * alone.abs().max().item())


@every_network
def test_masks_scale_with_the_mixture(kind: str, layout: str) -> None:
    """The first norm of every band removes the level, the masks multiply it in again."""
    model, mixture = small_model(kind, layout=layout), noise(1, 1, 700)
    quiet, loud = run(model, mixture), run(model, 100 * mixture)
    assert torch.allclose(loud, 100 * quiet, rtol=0, atol=1e-4 * loud.abs().max().item())


def test_a_token_of_split_bands_sees_its_own_bins_alone() -> None:
    split = small_model(stereo=True).band_split
    widths = [4 * bins for bins in BANDS]  # two channels, real and imaginary
    features = noise(1, 3, sum(widths))
    before = split(features)
    for number, width in enumerate(widths):
        changed = features.clone()
        start = sum(widths[:number])
        changed[..., start : start + width] += noise(1, 3, width, seed=2)
        moved = (split(changed) - before).abs().amax(dim=(0, 1, 3)) > 0
        assert moved.tolist() == [other == number for other in range(len(widths))]


def test_masks_of_overlapping_bands_are_averaged() -> None:
    model = small_model("mel", stereo=True)
    bands = model.bands()
    counts = [sum(first <= b <= last for first, last in bands) for b in range(33)]
    assert 2 in counts and 1 in counts
    widths = [4 * (last + 1 - first) for first, last in bands]
    ones = torch.ones(1, 2, sum(widths))
    assert torch.equal(model.from_bands(ones), torch.ones(1, 2, 33 * 4))
    values = torch.cat([torch.full((1, 2, w), float(i)) for i, w in enumerate(widths)], dim=-1)
    joined = model.from_bands(values)[0, 0].view(33, 4)
    for b in range(33):
        holders = [i for i, (first, last) in enumerate(bands) if first <= b <= last]
        assert joined[b].tolist() == [sum(holders) / len(holders)] * 4


def test_features_are_gathered_band_by_band() -> None:
    model = small_model("mel", stereo=False)
    features = torch.arange(66.0).expand(1, 1, 66)
    expected = [
        2 * b + part
        for first, last in model.bands()
        for b in range(first, last + 1)
        for part in (0, 1)
    ]
    assert model.to_bands(features).flatten().tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_masks_of_one_return_the_mixture(kind: str) -> None:
    model, mixture = small_model(kind, stereo=True), noise(2, 2, 777)
    model.masks = lambda features: torch.tensor([1.0, 0.0]).repeat(*features.shape[:2], 66)[:, None]
    assert torch.allclose(run(model, mixture)[:, 0], mixture, atol=1e-6)


def spectrum(model: Roformer, mixture: Tensor, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """What the inverse STFT is given: (stem and channel, bin, frame)."""
    seen, inverse = [], torch.istft

    def spy(spec: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        seen.append(spec)
        return inverse(spec, *args, **kwargs)

    monkeypatch.setattr(torch, "istft", spy)
    run(model, mixture)
    monkeypatch.undo()
    return seen[0]


@pytest.mark.parametrize("kind", KINDS)
def test_zero_dc_silences_the_lowest_bin_and_no_other(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mixture = noise(1, 1, 640)
    plain, zeroed = (
        spectrum(small_model(kind, zero_dc=flag), mixture, monkeypatch) for flag in (False, True)
    )
    assert plain[:, 0].any() and not zeroed[:, 0].any()
    assert torch.equal(plain[:, 1:], zeroed[:, 1:])


@pytest.mark.parametrize("zero_dc", [False, True])
def test_bins_outside_of_the_range_are_silent(
    zero_dc: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    range_ = {"freq_range": (8, 20), "freqs_per_bands": (4, 8)}
    model = small_model(layout="1.2", zero_dc=zero_dc, **range_)
    spec = spectrum(model, noise(1, 1, 640), monkeypatch)
    filled = spec.abs().amax(dim=(0, 2)) > 0
    assert filled.tolist() == [8 <= b < 20 for b in range(33)]


# ---- layouts


def test_the_papers_network_has_no_gates_and_a_norm_before_every_mask() -> None:
    keys = small_model(layout="paper").state_dict()
    assert not [key for key in keys if "to_gates" in key or "final_norm" in key]
    assert len([key for key in keys if key.startswith("mask_estimators.0.norms")]) == len(BANDS)
    mel = small_model("mel", layout="paper").state_dict()
    assert not [key for key in mel if "to_gates" in key or key.startswith("layers.0.0.norm")]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("paper_bs_l6", "72.2"),
        ("paper_bs_l9", "82.8"),
        ("paper_bs_l12", "93.4"),
        ("paper_mel_l6", "84.2"),
        ("paper_mel_l12", "105"),
    ],
)
def test_a_papers_preset_has_the_printed_parameter_count(name: str, millions: str) -> None:
    with torch.device("meta"):
        model = (MelBandRoformer if "mel" in name else BSRoformer)(**configs[name])
    count = sum(p.numel() for p in model.parameters()) / 1e6
    digits = len(millions.partition(".")[2])
    assert f"{count:.{digits}f}" == millions


@pytest.mark.parametrize("kind", KINDS)
def test_layout_1_2_without_its_additions_is_the_checkpoint_layout(kind: str) -> None:
    plain = small_model(kind, time_transformer_depth=2)
    changes = {
        "add_value_residual": False,
        "linear_transformer_depth": 0,
        "time_transformer_depth": 2,
    }
    newer = small_model(kind, layout="1.2", num_residual_streams=1, **changes)
    shift = int(kind == "mel")  # mel bands keep the place of linear attention free

    def renamed(key: str) -> str:
        parts = key.split(".")
        if parts[0] != "layers":
            return key
        parts[2] = str(int(parts[2]) + shift)
        return ".".join([*parts[:6], "branch", *parts[6:]] if parts[3] == "layers" else parts)

    newer.load_state_dict({renamed(k): v for k, v in plain.state_dict().items()}, strict=True)
    mixture = noise(1, 1, 700)
    assert torch.allclose(run(newer, mixture), run(plain, mixture), rtol=0, atol=1e-6)


def test_exchanged_value_mixes_differ_from_the_sound_one() -> None:
    kept, sound = (
        small_model("mel", layout="1.2", exchanged_value_mix=flag) for flag in (True, False)
    )
    mixture = noise(1, 1, 700)
    assert not torch.allclose(run(kept, mixture), run(sound, mixture), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_all_later_blocks_see_the_values_of_the_first(kind: str) -> None:
    model, seen = small_model(kind, layout="1.2", depth=4), []
    model.layers[0].register_forward_hook(lambda _m, _i, output: seen.append(output[1]))
    for block in model.layers:
        block.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[1]))
    run(model, noise(1, 1, 700))
    before, own, *later = seen
    assert before == {} and set(own) >= {"time", "freq"}
    assert len(later) == 3
    assert all(first[axis] is own[axis] for first in later for axis in own)


def test_hyper_connections_start_by_reading_one_stream() -> None:
    torch.manual_seed(3)
    model = small_model(layout="1.2")
    wraps = [m for m in model.modules() if isinstance(m, HyperConnection)]
    assert len(wraps) == 8
    for wrap in wraps:
        assert wrap.static_alpha[:, 0].sort().values.tolist() == [0, 0, 0, 1]
        assert torch.equal(wrap.static_alpha[:, 1:], torch.eye(4))
        assert wrap.static_beta.tolist() == [1, 1, 1, 1]
        for scale in (wrap.pre_branch_scale, wrap.residual_scale, wrap.h_post_scale):
            assert scale.item() == pytest.approx(0.01)
        for part in (wrap.dynamic_alpha_fn, wrap.dynamic_beta_fn, wrap.norm.gamma):
            assert not part.any()
    assert len({tuple(wrap.static_alpha[:, 0].tolist()) for wrap in wraps}) > 1


def test_fractions_of_a_stream_are_mixed_by_weights_of_their_own() -> None:
    wrap = FractionConnection(
        torch.nn.Identity(), 8, small_model(layout="1.2", num_residual_fracs=2).extras
    )
    assert wrap.static_alpha.shape == (8, 10) and wrap.dynamic_beta_fn.shape == (4, 2)
    x = noise(12, 5, 8)
    inputs, merge = wrap.read(x)
    assert inputs.shape == (3, 5, 8) and merge(inputs).shape == x.shape
    # Without an output of the sub-layer, and balanced, every stream keeps its total.
    wrap.rounds = 50
    kept = wrap.read(x)[1](torch.zeros(3, 5, 8))
    assert kept.isfinite().all() and not torch.equal(kept, x)


def test_balanced_weights_of_the_residual_streams_sum_to_one() -> None:
    wrap = HyperConnection(torch.nn.Identity(), 8, small_model(layout="1.2").extras)
    wrap.dynamic_alpha_fn.data.normal_(generator=torch.Generator().manual_seed(0))
    wrap.rounds = 50
    alpha, beta = wrap.weights(noise(3, 5, 4, 8))
    kept = alpha[..., 1:]
    assert torch.allclose(kept.sum(dim=-1), torch.ones(3, 5, 4), atol=1e-5)
    assert torch.allclose(kept.sum(dim=-2), torch.ones(3, 5, 4), atol=1e-4)
    assert ((beta > 0) & (beta < 2)).all()


def test_temperatures_start_where_each_layout_starts_them() -> None:
    for layout, start in (("checkpoint", 1.0), ("1.2", 0.0)):
        state = small_model(layout=layout, linear_transformer_depth=1).state_dict()
        found = [tensor for key, tensor in state.items() if key.endswith("temperature")]
        assert len(found) == 2
        assert all(torch.equal(tensor, torch.full((2, 1, 1), start)) for tensor in found)


def test_polar_keys_turn_back_by_at_most_one_turn_and_never_forward() -> None:
    polar = PolarEmbedding(1, 4)
    qk = torch.zeros(1, 1, 2, 1, 4)

    def keys(bias: float) -> Tensor:
        polar.bias.data.fill_(bias)
        return polar(qk)[0, 0, 1, 0]

    assert torch.equal(keys(0.5), keys(0.0))
    assert torch.allclose(keys(-9.0), keys(-2 * torch.pi))
    assert not torch.allclose(keys(-1.0), keys(0.0))
    assert torch.allclose(keys(-1.0)[:4], torch.tensor(2.0).log() * torch.tensor(-1.0).cos())


# ---- modes, gradients, precision


@every_network
@pytest.mark.parametrize("pope", [False, True])
def test_gradients_reach_every_trainable_parameter(kind: str, layout: str, pope: bool) -> None:
    model = small_model(kind, layout=layout, use_pope=pope, linear_transformer_depth=1).train()
    for parameter in model.parameters():
        if (
            not parameter.any()
        ):  # a start at zero stops other gradients, or lies at the end of a clamped range
            parameter.data.uniform_(-0.2, -0.1)
    model(noise(2, 1, 700)).square().mean().backward()
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) > 50
    assert [n for n, p in trainable.items() if p.grad is None or not p.grad.any()] == []


@every_network
def test_activation_checkpointing_changes_no_gradient(
    kind: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gradients, calls = [], []

    def spy(*args: Any, **kwargs: Any) -> Any:
        calls.append(args[0])
        return checkpoint(*args, **kwargs)

    monkeypatch.setattr("bs_roformer.model.checkpoint", spy)
    for flag in (False, True):
        model = small_model(kind, layout=layout, attn_dropout=0.2, ff_dropout=0.2).train()
        model.activation_checkpointing = flag
        torch.manual_seed(1)
        model(noise(2, 1, 700), target=noise(2, 1, 700, seed=1)).backward()
        gradients.append([p.grad for p in model.parameters() if p.requires_grad])
        assert len(calls) == 2 * flag
    run(model.eval(), noise(2, 1, 700))
    assert len(calls) == 2
    assert len(gradients[0]) > 50
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


def test_the_first_output_of_a_skip_is_not_overwritten() -> None:
    model, mixture = small_model(skip_connection=True, depth=3), noise(1, 1, 40)
    assert torch.allclose(run(model, mixture), model(mixture).detach(), atol=1e-6)


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("part", ["attn_dropout", "ff_dropout"])
def test_dropout_acts_in_training_alone(flash: bool, part: str) -> None:
    model, mixture = small_model(**{"flash_attn": flash, part: 0.5}), noise(1, 1, 700)
    assert torch.equal(run(model, mixture), run(model, mixture))
    model.train()
    assert not torch.equal(run(model, mixture), run(model, mixture))


def test_attention_weights_are_dropped_where_the_softmax_is_written_out() -> None:
    config = small_model(flash_attn=False, attn_dropout=0.9).config
    q = k = torch.zeros(1, 50, 2, 4)  # every weight is 1 / 50, a kept one 10 / 50
    kept = attend(q, k, torch.ones(1, 50, 2, 4), config, training=True) * 5
    assert torch.allclose(kept, kept.round(), atol=1e-5)
    assert len(kept.unique()) > 2


@every_network
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_silence_stays_silent_and_near_silence_finite_in_half_precision(
    kind: str, layout: str, dtype: torch.dtype
) -> None:
    for changes in ({}, {"use_pope": True}, {"linear_transformer_depth": 1}):
        model = small_model(kind, layout=layout, **changes)
        for level in (0.0, 1e-30, 1e-7, 1.0):
            with torch.autocast("cpu", dtype):
                assert run(model, level * noise(1, 1, 700)).isfinite().all()
        whole = model.to(dtype)
        silent = run(whole, torch.zeros(1, 1, 700))
        assert silent.dtype == torch.float32
        assert torch.equal(silent, torch.zeros_like(silent))
        assert run(whole, 1e-7 * noise(1, 1, 700)).isfinite().all()


def test_autocast_keeps_the_fourier_transforms_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for name in ("stft", "istft"):
        original = getattr(torch, name)

        def spy(x: Tensor, *args: Any, original: Any = original, **kwargs: Any) -> Tensor:
            y = original(x, *args, **kwargs)
            seen.extend([x.dtype, y.dtype])
            return y

        monkeypatch.setattr(torch, name, spy)
    model, inside = small_model(), []
    model.band_split.register_forward_hook(lambda _m, _i, output: inside.append(output.dtype))
    exact = run(model, noise(1, 1, 2000))
    seen.clear(), inside.clear()
    with torch.autocast("cpu", torch.bfloat16):
        rough = run(model, noise(1, 1, 2000))
        loss = model(noise(1, 1, 2000), target=noise(1, 1, 2000))
    assert set(seen) == {torch.float32, torch.complex64}
    assert inside[0] == torch.bfloat16
    assert rough.dtype == loss.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()


@every_network
def test_float32_is_near_float64(kind: str, layout: str) -> None:
    model, mixture = small_model(kind, layout=layout), noise(1, 1, 2000)
    single = run(model, mixture)
    exact = run(model.double(), mixture.double())
    assert exact.dtype == torch.float64
    assert (single - exact).abs().max() < 1e-5 * exact.abs().max()


def test_rotation_of_float64_is_exact() -> None:
    x = torch.zeros(1, 50, 1, 8, dtype=torch.float64)
    x[..., 0] = 1.0  # the first pair turns by one radian per position
    turned = RotaryEmbedding(8).double()(x)[0, :, 0]
    position = torch.arange(50, dtype=torch.float64)
    assert torch.allclose(turned[:, 0], position.cos(), rtol=0, atol=1e-14)
    assert torch.allclose(turned[:, 1], position.sin(), rtol=0, atol=1e-14)


def test_training_after_inference_mode_works() -> None:
    model = small_model()
    with torch.inference_mode():
        model(noise(1, 1, 700))
    model.train()(noise(1, 1, 700)).sum().backward()


# ---- arguments of the package that are no sizes


@pytest.mark.parametrize("kind", ["bs", "mel"])
def test_the_window_functions_of_the_package_make_the_windows(kind: str) -> None:
    calls: list[int] = []

    def hann(samples: int, device: torch.device | None = None) -> Tensor:
        calls.append(samples)
        return torch.hann_window(samples, device=device)

    mixture, target = noise(1, 1, 6_000), noise(1, 1, 6_000, seed=1)
    plain, named = small_model(kind), small_model(kind, stft_window_fn=hann)
    assert torch.allclose(run(named, mixture), run(plain, mixture), atol=1e-6)
    assert set(calls) == {plain.config.stft_win_length}
    other = small_model(kind, stft_window_fn=torch.hamming_window)
    assert not torch.allclose(run(other, mixture), run(plain, mixture), atol=1e-4)
    calls.clear()
    losses = [
        small_model(kind, multi_stft_window_fn=function).loss(mixture[:, None], target[:, None])[0]
        for function in (None, hann, torch.hamming_window)
    ]
    assert set(calls) == set(plain.config.multi_stft_resolutions_window_sizes)
    assert torch.allclose(losses[0], losses[1]) and not torch.allclose(losses[0], losses[2])


def test_the_packages_switch_recomputes_blocks_for_gradients() -> None:
    assert small_model(use_torch_checkpoint=True).activation_checkpointing is True
    assert small_model().activation_checkpointing is False
