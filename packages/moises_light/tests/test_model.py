"""Lengths, invariances, modes and precision of the network, known without running another."""

import functools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from moises_light import MoisesLight, configs
from moises_light.config import ACT_NAMES, NORM_NAMES
from moises_light.folded import ConvNormAct

ARCHITECTURE_NAMES = ("0.1.0", "0.1.5")

# Seconds matter here, the paper does not: two stages, one block of everything.
SMALL = {
    "sources": ["vocals", "rest"],
    "n_fft": 256,
    "hop_size": 64,
    "win_size": 256,
    "freq_dim": 128,
    "n_bands": 4,
    "G": 8,
    "n_enc": 2,
    "n_dec": 1,
    "n_split_enc": 1,
    "n_rope": 1,
    "transformer_params": {
        "heads": 2,
        "dim_head": 8,
        "ff_mult": 1,
        "attn_dropout": 0.0,
        "proj_dropout": 0.0,
        "ff_dropout": 0.0,
    },
}


def small_model(**changes: Any) -> MoisesLight:
    """A small seeded network in evaluation mode; architecture 0.1.5 unless changed."""
    torch.manual_seed(0)
    return MoisesLight(**{**SMALL, "architecture": "0.1.5", **changes}).eval()


def noise(*shape: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def run(model: MoisesLight, mixture: Tensor) -> Tensor:
    with torch.no_grad():
        return model(mixture)


# ---- lengths


@functools.cache
def built_once(architecture: str, channels: int) -> MoisesLight:
    return small_model(architecture=architecture, audio_channels=channels, G=4)


@given(samples=st.integers(1, 3000), channels=st.sampled_from([1, 2]))
@settings(max_examples=25)
def test_every_length_comes_back_and_is_finite(samples: int, channels: int) -> None:
    for name in ARCHITECTURE_NAMES:
        model = built_once(name, channels)
        output = run(model, noise(1, channels, samples, seed=samples))
        assert output.shape == (1, 2, channels, samples)
        assert output.isfinite().all()


@given(
    samples=st.integers(1, 10**7),
    hop=st.integers(1, 2048),
    n_fft=st.integers(2049, 8192),
    n_enc=st.integers(1, 5),
)
def test_padding_is_the_least_that_fits(samples: int, hop: int, n_fft: int, n_enc: int) -> None:
    with torch.device("meta"):
        model = small_model(n_fft=n_fft, win_size=n_fft, hop_size=hop, n_enc=n_enc, n_dec=0)
    padded = model.padded_length(samples)

    def fits(length: int) -> bool:
        return (length // hop + 1) % 2**n_enc == 0 and length > n_fft // 2

    assert padded % hop == 0
    assert padded > samples  # a whole hop of zeros when the samples fill theirs
    assert fits(padded)
    shorter = padded - hop
    assert shorter <= samples or not fits(shorter)


@pytest.mark.parametrize(("samples", "hops"), [(1, 7), (7167, 7), (7168, 15), (264_600, 263)])
def test_the_presets_pad_to_eight_frames(samples: int, hops: int) -> None:
    with torch.device("meta"):
        model = MoisesLight(**configs["paper_large_v015"])
    assert model.padded_length(samples) == 1024 * hops


def test_zeros_after_the_end_do_not_change_what_padding_puts_there() -> None:
    model, mixture = small_model(), noise(1, 2, 900)
    padded = torch.nn.functional.pad(mixture, (0, 40))  # both end in hop 15
    assert torch.equal(run(model, mixture), run(model, padded)[..., :900])


# ---- invariances


@pytest.mark.parametrize("architecture", ARCHITECTURE_NAMES)
@pytest.mark.parametrize("use_mask", [True, False])
def test_items_of_a_batch_do_not_see_each_other(architecture: str, use_mask: bool) -> None:
    model = small_model(architecture=architecture, use_mask=use_mask)
    quiet, loud = noise(1, 2, 2000), 30 * noise(1, 2, 2000, seed=1)
    both = run(model, torch.cat([quiet, loud]))
    for ours, single in zip(both, (quiet, loud), strict=True):
        alone = run(model, single)[0]
        assert torch.allclose(ours, alone, rtol=0, atol=1e-5 * alone.abs().max().item())


@pytest.mark.parametrize("use_mask", [True, False])
def test_estimates_scale_with_the_mixture(use_mask: bool) -> None:
    model, mixture = small_model(use_mask=use_mask), noise(1, 2, 2000)
    soft, loud = run(model, mixture), run(model, 8 * mixture)
    # Exact but for the 1e-5 that guards the division by the standard deviation, here 0.1.
    assert torch.allclose(loud, 8 * soft, rtol=0, atol=1e-3 * loud.abs().max().item())


@pytest.mark.parametrize("architecture", ARCHITECTURE_NAMES)
def test_silence_stays_silence_under_masks(architecture: str) -> None:
    model = small_model(architecture=architecture)
    assert torch.equal(run(model, torch.zeros(1, 2, 1500)), torch.zeros(1, 2, 2, 1500))


def test_bins_above_freq_dim_are_silent() -> None:
    model = small_model(freq_dim=64)
    samples = 64 * 63
    output = run(model, noise(1, 2, samples)) * torch.hann_window(samples)
    spectrum = torch.fft.rfft(output, dim=-1).abs()
    edge = spectrum.shape[-1] // 2
    # The STFT window leaks two of 129 bins across the edge; an eighth of what lies above is 8.
    above = spectrum[..., edge + edge // 8 :].max()
    assert above < 1e-3 * spectrum[..., :edge].max()


def test_without_transformers_and_tdf_a_band_sees_only_itself() -> None:
    split = small_model().encoder_blocks[0].split1
    x = noise(1, 8, 32, 12)
    changed = x.clone()
    changed[:, 2:4] += 1  # the second of four bands of two channels
    moved = (split(x) - split(changed)).abs().amax(dim=(0, 2, 3)) > 0
    assert not moved[[0, 1, 4, 5, 6, 7]].any()
    assert moved[[2, 3]].any()


def test_kernels_of_0_1_0_see_one_frame() -> None:
    for name, frames in (("0.1.0", 1), ("0.1.5", 3)):
        split = small_model(architecture=name).encoder_blocks[0].res
        x = noise(1, 8, 32, 12)
        changed = x.clone()
        changed[..., 5] += 1
        moved = (split.conv(x) - split.conv(changed)).abs().amax(dim=(0, 1, 2)) > 1e-6
        assert moved.sum() == frames


def test_a_mask_of_ones_returns_the_mixture_below_freq_dim() -> None:
    model = small_model(freq_dim=128, sources=["all"])
    nn.init.zeros_(model.final_conv.weight)
    nn.init.ones_(model.final_conv.bias)
    n = torch.arange(3000) / 44_100
    mixture = torch.stack([torch.sin(2 * torch.pi * f * n) for f in (440.0, 6000.0)])[None]
    output = run(model, mixture)[:, 0]
    # The Nyquist bin alone is missing, and it holds next to nothing of the two sines.
    assert torch.allclose(output[..., 256:-256], mixture[..., 256:-256], atol=1e-4)


def test_masks_take_real_and_imaginary_parts_apart() -> None:
    model = small_model(sources=["a"], audio_channels=1)
    with torch.no_grad():
        model.final_conv.weight.zero_()
        model.final_conv.bias.copy_(torch.tensor([1.0, 0.0]).repeat(4))  # keep real, drop imaginary
    mixture = noise(1, 1, 2000)
    spec = model.stft(torch.nn.functional.pad(mixture, (0, model.padded_length(2000) - 2000)))
    spec[..., 1] = 0
    expected = model.istft(spec.unsqueeze(1))[..., :2000]
    assert torch.allclose(run(model, mixture), expected, atol=1e-6)


def test_skips_multiply() -> None:
    model = small_model(n_dec=0)
    x, skips = noise(1, 24, 32, 4), [noise(1, 8, 32, 16), torch.zeros(1, 16, 32, 8)]
    with torch.no_grad():
        last = model.dec_light_us[1](torch.zeros(1, 16, 32, 8)) * skips[0]
        assert torch.allclose(model.decode(x, list(skips)), last, atol=1e-7)


# ---- modes, gradients, precision


def test_evaluation_leaves_batch_statistics_alone_and_training_moves_them() -> None:
    model = small_model()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    assert sum("running_" in key for key in before) > 0
    run(model, noise(2, 2, 1500))
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    run(model.train(), noise(2, 2, 1500))
    moved = {k for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert moved == {k for k in before if "running_" in k or "num_batches" in k}


@pytest.mark.parametrize("architecture", ARCHITECTURE_NAMES)
def test_gradients_reach_every_trainable_parameter(architecture: str) -> None:
    model = small_model(architecture=architecture).train()
    for parameter in model.parameters():  # 0.1.0 starts attention at zero, which stops gradients
        if parameter.requires_grad and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    model(noise(2, 2, 1500)).square().mean().backward()
    trainable = {n: p for n, p in model.named_parameters() if p.requires_grad}
    assert len(trainable) > 50
    assert [n for n, p in trainable.items() if p.grad is None or not p.grad.any()] == []


def test_no_gradient_passes_through_the_mixture_that_masks_multiply() -> None:
    model = small_model(sources=["a"])
    mixture = noise(1, 2, 1500).requires_grad_()
    nn.init.zeros_(model.final_conv.weight)  # masks that do not depend on the mixture
    model(mixture).square().sum().backward()
    assert torch.equal(mixture.grad, torch.zeros_like(mixture))


def test_the_auxiliary_output_is_an_empty_dictionary() -> None:
    model, mixture = small_model(), noise(1, 2, 1500)
    with torch.no_grad():
        output, auxiliary = model(mixture, return_auxiliary_outputs=True)
    assert auxiliary == {}
    assert torch.equal(output, run(model, mixture))


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
    model.first_conv.register_forward_hook(lambda _m, _i, output: inside.append(output.dtype))
    exact = run(model, noise(1, 2, 2000))
    seen.clear(), inside.clear()
    with torch.autocast("cpu", torch.bfloat16):
        rough = run(model, noise(1, 2, 2000))
    # Stems are transformed back one after another where there are no gradients.
    assert seen == [torch.float32, torch.complex64, *2 * [torch.complex64, torch.float32]]
    assert inside == [torch.bfloat16]
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()


def test_a_mixture_in_bfloat16_is_transformed_in_float32() -> None:
    model, mixture = small_model(), noise(1, 2, 2000).bfloat16()
    assert torch.equal(run(model, mixture), run(model, mixture.float()))


@pytest.mark.parametrize("flash", [True, False])
def test_attention_does_not_leave_float32(flash: bool) -> None:
    params = {**SMALL["transformer_params"], "flash_attn": flash}
    model = small_model(transformer_params=params)
    exact = run(model.double(), noise(1, 2, 2000).double())
    assert exact.dtype == torch.float64
    single = run(model.float(), noise(1, 2, 2000))
    assert (single - exact).abs().max() < 1e-5 * exact.abs().max()


def test_a_model_in_bfloat16_still_gives_float32_audio() -> None:
    model, mixture = small_model(), noise(1, 2, 2000)
    exact = run(model, mixture)
    rough = run(model.bfloat16(), mixture)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 0.1 * exact.abs().max()


def test_training_after_inference_mode_works() -> None:
    model = small_model()
    with torch.inference_mode():
        model(noise(1, 2, 1500))
    model.train()(noise(1, 2, 1500)).sum().backward()


def test_attention_dropout_acts_in_training_alone() -> None:
    for flash in (True, False):
        params = {**SMALL["transformer_params"], "attn_dropout": 0.5, "flash_attn": flash}
        model, mixture = (
            small_model(transformer_params=params, norm_name="LayerNorm"),
            noise(1, 2, 999),
        )
        assert torch.equal(run(model, mixture), run(model, mixture))
        model.train()
        assert not torch.equal(run(model, mixture), run(model, mixture))


def test_rotation_is_that_of_the_rotary_library() -> None:
    attention = small_model().bottleneck.rope_blocks[0].time_transformer.layers[0][0]
    x = noise(3, 2, 50, 8)
    expected = attention.rotary_embed.rotate_queries_or_keys(x)
    assert torch.allclose(attention.rotate(x), expected, atol=1e-6)


def test_rotation_of_float64_is_exact() -> None:
    model = small_model().double()
    attention = model.bottleneck.rope_blocks[0].time_transformer.layers[0][0]
    x = torch.zeros(1, 1, 50, 8, dtype=torch.float64)
    x[..., 0] = 1.0  # the first pair turns by one radian per position
    turned = attention.rotate(x)[0, 0]
    position = torch.arange(50, dtype=torch.float64)
    assert torch.allclose(turned[:, 0], position.cos(), rtol=0, atol=1e-14)
    assert torch.allclose(turned[:, 1], position.sin(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("norm_name", NORM_NAMES)
@pytest.mark.parametrize("act_name", ACT_NAMES)
def test_every_norm_and_activation_trains(norm_name: str, act_name: str) -> None:
    model = small_model(norm_name=norm_name, act_name=act_name, n_enc=1).train()
    output = model(noise(2, 2, 700))
    output.square().mean().backward()
    assert output.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)


# ---- readings of the paper


@pytest.mark.parametrize(
    ("dec_heavy_at", "heavy", "light"),
    [("first", [16], [8]), ("last", [8], [16]), ("each", [16, 8], [])],
)
def test_the_heavy_decoder_stages_stand_where_they_should(
    dec_heavy_at: str, heavy: list[int], light: list[int]
) -> None:
    model = small_model(dec_heavy_at=dec_heavy_at)
    assert [each.conv.out_channels for each in model.dec_heavy_us] == heavy
    assert [each.res.conv.out_channels for each in model.dec_heavy_blocks] == heavy
    assert [each.conv.out_channels for each in model.dec_light_us] == light
    order: list[int] = []
    for stage in (*model.dec_heavy_us, *model.dec_light_us):
        stage.register_forward_hook(lambda module, *_: order.append(module.conv.out_channels))
    model.train()(noise(2, 2, 2_000)).square().sum().backward()
    assert order == [16, 8]  # from the bottleneck to the full frame rate
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


def test_only_with_normalised_input_does_an_estimate_follow_the_level_of_the_mixture() -> None:
    mixture = noise(1, 2, 4_000)
    for normalize_input in (True, False):
        model = small_model(normalize_input=normalize_input, use_mask=False, act_name="Softplus")
        double = run(model, 2 * mixture)
        follows = torch.allclose(double, 2 * run(model, mixture), rtol=1e-2, atol=1e-5)
        assert follows is normalize_input


# ---- batch norm within convolutions


@pytest.mark.parametrize("act_name", ["ReLU", "SiLU"])
@pytest.mark.parametrize("architecture", ARCHITECTURE_NAMES)
def test_folding_batch_norm_changes_rounding_alone(
    architecture: str, act_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_model(architecture=architecture, act_name=act_name).double()
    generator = torch.Generator().manual_seed(1)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for values in (part.running_mean, part.running_var, part.weight, part.bias):
                values.data.uniform_(0.5, 2.0, generator=generator)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    mixture = noise(1, 2, 3_000).double()
    called: list[nn.BatchNorm2d] = []
    forward = nn.BatchNorm2d.forward

    def counted(norm: nn.BatchNorm2d, x: torch.Tensor) -> torch.Tensor:
        called.append(norm)
        return forward(norm, x)

    monkeypatch.setattr(nn.BatchNorm2d, "forward", counted)
    folded = run(model, mixture)
    left = len(called)
    monkeypatch.setattr(ConvNormAct, "_folds", lambda *_: False)
    plain = run(model, mixture)
    assert len(called) - left > 2 * left  # norms that follow no convolution are left
    assert torch.allclose(folded, plain, rtol=0, atol=1e-12)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_norms_without_statistics_are_not_folded() -> None:
    model, mixture = small_model(), noise(1, 2, 3_000)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.track_running_stats, part.running_mean, part.running_var = False, None, None
    expected = model(mixture).detach()
    assert torch.allclose(run(model, mixture), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"architecture": "0.1.0", "normalize_input": False},
        {"use_mask": False, "act_name": "SiLU", "dec_heavy_at": "each"},
        {"sources": ["a"], "norm_name": "LayerNorm", "n_rope": 2},
    ],
    ids=lambda changes: " ".join(map(str, changes.values())) or "plain",
)
def test_what_is_computed_in_place_without_gradients_is_as_with_them(
    changes: dict[str, Any],
) -> None:
    model, mixture = small_model(**changes).double(), noise(2, 2, 3_000).double()
    before = mixture.clone()
    expected = model(mixture).detach()
    assert torch.allclose(run(model, mixture), expected, rtol=0, atol=1e-12)
    assert torch.equal(mixture, before)
    for block in (*model.encoder_blocks, model.bottleneck):
        width = block.split1[0].conv.in_channels if block is not model.bottleneck else 24
        x = noise(1, width, 32, 4).double()
        before = x.clone()
        run(block, x)
        assert torch.equal(x, before)


def test_features_that_a_hook_keeps_stay_as_they_are() -> None:
    model, mixture = small_model().double(), noise(1, 2, 3_000).double()
    exact = run(model, mixture)
    kept: list[tuple[Tensor, Tensor]] = []
    for part in model.modules():
        part.register_forward_hook(lambda _m, _i, out: kept.append((out, out.clone())))
        part.register_forward_pre_hook(lambda _m, given: kept.append((given[0], given[0].clone())))
    assert torch.allclose(run(model, mixture), exact, rtol=0, atol=1e-12)
    assert len(kept) > 100 and all(torch.equal(out, before) for out, before in kept)
