from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from tflocoformer_mss import (
    BSLocoformerSeparator,
    BSLocoformerStack,
    TFLocoformerMSS,
    TFLocoformerSeparator,
    TussModel,
    configs,
)
from tflocoformer_mss.blocks import (
    POSITIONS_AT_ONCE,
    Attention,
    ConvSwiGLU,
    Path,
    RMSGroupNorm,
    Rotary,
    rotate,
)
from tflocoformer_mss.config import FFNConfig, band_sizes, block_config
from tflocoformer_mss.convolutions import convolve
from tflocoformer_mss.model import Transform, WaveformModel, build

SMALL: dict[str, Any] = {
    "emb_dim": 8,
    "num_groups": 2,
    "n_heads": 2,
    "attention_dim": 8,
    "ffn_type": ("swiglu_conv1d", "swiglu_conv1d"),
    "ffn_hidden_dim": (8, 12),
}
FIELDS: dict[str, Any] = {
    **SMALL,
    "kind": "bs",
    "stems": ("vocals", "drums"),
    "sample_rate": 44_100,
    "channels": 2,
    "n_fft": 512,
    "hop_length": 128,
    "window": "hann",
    "padding": "reflect",
    "normalize_variance": False,
    "n_layers": 1,
    "norm_type": "rmsgroupnorm",
    "tf_order": "ft",
    "flash_attention": False,
    "pos_enc": "rope",
    "conv1d_kernel": 4,
    "frame_conv1d_kernel": None,
    "conv1d_shift": 1,
    "dropout": 0.0,
    "eps": 1e-5,
    "init": "torch",
    "masking": True,
    "n_second_layers": 0,
    "second_attention_dim": 0,
    "second_ffn_hidden_dim": (),
    "prompts": (),
}
SECOND = {"n_second_layers": 1, "second_attention_dim": 4, "second_ffn_hidden_dim": (6, 6)}
KINDS: dict[str, dict[str, Any]] = {
    "tf": {"n_fft": 64, "hop_length": 32, "masking": False},
    "bs": {},
    "stack": {**SECOND, "sample_rate": 48_000, "frame_conv1d_kernel": 1},
    "tuss": {**SECOND, "sample_rate": 48_000, "prompts": ("drums", "vocals", "speech")},
}


def model(kind: str = "bs", **changes: Any) -> WaveformModel:
    torch.manual_seed(0)
    return build(**{**FIELDS, **KINDS[kind], "kind": kind, **changes}).eval()


def music(**changes: Any) -> TFLocoformerMSS:
    torch.manual_seed(0)
    return TFLocoformerMSS(**{"n_fft": 64, "hop_length": 16, "n_layers": 1, **SMALL, **changes})


def run(module: nn.Module, *given: Any) -> Any:
    with torch.no_grad():
        return module(*given)


# ---- positions


def turn(pairs: list[tuple[float, float]], places: int = 1) -> Tensor:
    """The pairs at the last of so many places."""
    x = torch.tensor(pairs).flatten().expand(1, places, 1, -1).contiguous()
    return rotate(x, Rotary(2 * len(pairs))(places))[0, -1, 0]


def test_the_first_pair_turns_by_one_radian_a_place_and_neighbours_are_a_pair() -> None:
    cos, sin = torch.tensor(3.0).cos().item(), torch.tensor(3.0).sin().item()
    turned = turn([(1.0, 0.0), (0.0, 1.0)], places=4)
    assert turned[:2].tolist() == pytest.approx([cos, sin], abs=1e-6)
    slow = torch.tensor(3.0 / 100.0)
    assert turned[2:].tolist() == pytest.approx([-slow.sin().item(), slow.cos().item()], abs=1e-6)


def test_place_zero_is_not_turned() -> None:
    assert turn([(1.0, 2.0), (3.0, 4.0)]).tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("cast", [False, True])
def test_every_place_is_its_own_in_half_precision(cast: bool) -> None:
    """Counted in bfloat16, 600 places would share 407 positions."""
    rope = Rotary(8).bfloat16() if cast else Rotary(8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rotation = rope(600)
    assert rotation.dtype == torch.complex64
    assert torch.equal(rotation, Rotary(8)(600))
    exact = torch.polar(torch.ones(600), torch.arange(600.0))
    assert (rotation[:, 0] - exact).abs().max() < 1e-6


def test_bfloat16_stays_within_its_rounding_beyond_256_places() -> None:
    torch.manual_seed(0)
    config = block_config({**SMALL, "emb_dim": 32, "n_heads": 1, "attention_dim": 32}).freq
    attention = Attention(config).eval()
    x = torch.randn(1, 700, 32)
    # Large queries and keys make attention sharp: a wrong place would be seen.
    attention.qkv.weight.data[:64] *= 4.0
    exact = run(attention, x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = run(attention, x)
    assert rounded.dtype == torch.bfloat16
    error = (rounded.float() - exact).norm() / exact.norm()
    assert error < 0.03
    attention.rope = None
    assert (run(attention, x) - exact).norm() / exact.norm() > 0.3  # places matter here


def test_a_call_in_half_precision_leaves_nothing_behind() -> None:
    network, mixture = model(), torch.randn(1, 2, 40_000)
    before = run(network, mixture)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = run(network, mixture)
    assert torch.equal(run(network, mixture), before)
    assert (rounded - before).norm() / before.norm() < 0.03


# ---- blocks


def test_eps_of_the_norm_is_added_outside_the_root() -> None:
    norm = RMSGroupNorm(2, 4, eps=1.0)
    out = run(norm, torch.tensor([3.0, 3.0, 0.0, 8.0**0.5]))
    assert out.tolist() == pytest.approx([0.75, 0.75, 0.0, 8.0**0.5 / 3.0], abs=1e-6)


def test_the_norm_of_silence_has_a_gradient() -> None:
    x = torch.zeros(1, 8, requires_grad=True)
    RMSGroupNorm(2, 8, 1e-5)(x).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


def test_the_norm_is_computed_in_float32_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert run(RMSGroupNorm(2, 8, 1e-5), torch.randn(3, 8).bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(("kernel", "shift"), [(1, 1), (4, 1), (8, 1), (4, 2), (3, 3), (5, 2)])
@pytest.mark.parametrize("places", [1, 2, 7, 12])
def test_the_gated_convolution_is_the_padded_one_of_the_text(
    kernel: int, shift: int, places: int
) -> None:
    """Written out with torch's own layers: pad, convolve, gate, spread, crop."""
    torch.manual_seed(0)
    sizes = {"conv1d_kernel": kernel, "conv1d_shift": shift}
    ffn = TFLocoformerSeparator(n_layers=1, **SMALL, **sizes).blocks[0].freq_path.ffn[0]
    x = torch.randn(3, places, 8)
    lead = kernel - shift
    padded = -(-(places + 2 * lead - kernel) // shift) * shift + kernel
    wide = torch.zeros(3, 8, padded)
    wide[:, :, lead : lead + places] = x.mT
    with torch.no_grad():
        value, gate = ffn.conv1d(wide).chunk(2, dim=1)
        spread = ffn.deconv1d(value * gate * gate.sigmoid())
    expected = spread[:, :, lead : lead + places].mT
    assert torch.allclose(run(ffn, x), expected, atol=1e-6)


def test_ungated_convolutions_that_do_not_fit_are_refused() -> None:
    sizes = {"ffn_type": "conv1d", "ffn_hidden_dim": 8, "conv1d_kernel": 2, "conv1d_shift": 2}
    network = TFLocoformerSeparator(n_layers=1, **{**SMALL, **sizes})
    assert run(network, torch.randn(1, 4, 6, dtype=torch.complex64)).shape == (1, 2, 4, 6)
    with pytest.raises(
        ValueError, match="conv1d_kernel=2, conv1d_shift=2 on a sequence of length 5"
    ):
        run(network, torch.randn(1, 4, 5, dtype=torch.complex64))


def positions_seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many positions go through a path, at each of its calls."""
    seen: list[int] = []
    forward = Path.forward

    def counted(self: Path, x: Tensor) -> Tensor:
        seen.append(x[..., 0].numel())
        return forward(self, x)

    monkeypatch.setattr(Path, "forward", counted)
    return seen


def test_without_a_gradient_few_sequences_are_in_memory_and_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 100)
    network, mixture = model("tf"), torch.randn(1, 2, 5_000)
    whole = network(mixture)
    seen = positions_seen(monkeypatch)
    pieces = run(network, mixture)
    assert len(seen) > 100 and max(seen) <= 158  # a sequence of frames is one at least
    assert torch.allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize("name", ["tf", "bs", "stack", "tuss"])
def test_checkpointing_gives_the_same_gradients(name: str) -> None:
    mixture = torch.randn(1, 2, 3_000)
    gradients = []
    for wanted in (False, True):
        changes = {"dropout": 0.3} if name in ("tf", "bs") else {}
        network = model(name, **changes).train()
        network.activation_checkpointing = wanted
        assert network.activation_checkpointing is wanted
        torch.manual_seed(1)
        network(mixture).square().mean().backward()
        found = {key: p.grad for key, p in network.named_parameters() if p.grad is not None}
        assert len(found) >= len([*network.parameters()]) - 1  # a prompt that no stem has
        gradients.append(found)
    assert gradients[0].keys() == gradients[1].keys()
    for key, plain in gradients[0].items():
        assert (gradients[1][key] - plain).norm() <= 1e-5 * plain.norm(), key


class Centred(nn.Module):
    """A layer that looks across sequences."""

    def forward(self, x: Tensor) -> Tensor:
        return x - x.mean(dim=0)


@pytest.mark.parametrize("checkpointing", [False, True])
def test_replaced_parts_see_all_sequences(
    checkpointing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, mixture = model("tf"), torch.randn(1, 2, 2_000)
    [block] = network.blocks()
    block.freq_path.ffn_norm[0] = Centred()
    whole = network(mixture).detach()
    monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 100)
    network.train().activation_checkpointing = checkpointing
    found = network(mixture).detach() if checkpointing else run(network, mixture)
    assert torch.allclose(found, whole, atol=1e-6 * whole.abs().max().item())


@pytest.mark.parametrize("early", [False, True], ids=["comes late", "goes early"])
def test_hooks_may_come_and_go_before_paths_are_computed_again(
    early: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 100)
    network = model("tf").train()
    network.activation_checkpointing = True
    layer = network.blocks()[0].freq_path.ffn[0].conv1d
    before = layer.register_forward_hook(lambda *_: None) if early else None
    loss = network(torch.randn(1, 2, 2_000)).square().mean()
    if before is None:
        layer.register_forward_hook(lambda *_: None)
    else:
        before.remove()
    loss.backward()
    assert layer.weight.grad.any()


def test_replaced_parts_see_all_sequences_when_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    [block] = model("tf").blocks()
    block.freq_path.ffn_norm[0] = Centred()
    x = torch.randn(1, 5, 9, len(block.freq_path.attn_norm.gamma))
    whole = block(x).detach()
    monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 20)
    torch.compiler.reset()
    with torch.no_grad():
        assert torch.allclose(torch.compile(block, backend="eager")(x), whole, atol=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        nn.ConvTranspose1d(6, 4, 5),
        nn.ConvTranspose1d(6, 4, 1),
        nn.ConvTranspose1d(6, 4, 4, 2),
        nn.Conv1d(6, 4, 1),
    ],
    ids=str,
)
def test_transposed_convolutions_of_another_kind_are_called(other: nn.Module) -> None:
    ffn = ConvSwiGLU(4, FFNConfig("swiglu_conv1d", 6, 4, 1), 0.0)
    ffn.deconv1d = other
    x = torch.randn(2, 9, 4)
    found = ffn(x)
    other.register_forward_hook(lambda *_: None)
    expected = ffn(x)
    assert found.shape == expected.shape and torch.allclose(found, expected, atol=1e-6)


def test_a_hook_of_all_modules_sees_the_convolutions() -> None:
    network, seen = model("tf"), set()
    hook = nn.modules.module.register_module_forward_hook(lambda layer, *_: seen.add(type(layer)))
    try:
        run(network, torch.randn(1, 2, 2_000))
    finally:
        hook.remove()
    assert seen >= {nn.Conv1d, nn.ConvTranspose1d, Path}


@pytest.mark.parametrize(
    "others", [{"groups": 2}, {"dilation": 2}, {"padding": 1}, {"padding_mode": "reflect"}], ids=str
)
def test_convolutions_with_other_arguments_are_called(others: dict[str, Any]) -> None:
    layer, x = nn.Conv1d(4, 6, 3, **others), torch.randn(2, 9, 4)
    expected = layer(F.pad(x, (0, 0, 2, 2)).mT).mT
    assert torch.allclose(convolve(x, layer, (2, 2)), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_what_is_traced_without_gradients_is_of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 30)
    [block] = model("tf").blocks()
    dim = len(block.freq_path.attn_norm.gamma)
    with torch.no_grad():
        traced = torch.jit.trace(block, torch.randn(1, 5, 9, dim), check_trace=False)
        x = torch.randn(1, 11, 9, dim)
        assert torch.allclose(traced(x), block(x), atol=1e-5)


def saved_bytes(network: WaveformModel, mixture: Tensor) -> int:
    """What is kept for the backward pass, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in network.parameters()}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = network(mixture)
    assert out.requires_grad
    return sum(kept.values())


def test_checkpointing_halves_what_is_kept_for_the_backward_pass() -> None:
    mixture = torch.randn(1, 2, 20_000)
    network = model("bs", n_layers=3).train()
    plain = saved_bytes(network, mixture)
    network.activation_checkpointing = True
    assert 0 < saved_bytes(network, mixture) < plain / 2


def test_checkpointing_computes_few_sequences_at_a_time_with_the_same_gradients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mixture = torch.randn(1, 2, 5_000)
    gradients = []
    for wanted in (False, True):
        network = model("tf").train()
        network.activation_checkpointing = wanted
        seen = positions_seen(monkeypatch)
        monkeypatch.setitem(POSITIONS_AT_ONCE, "cpu", 1_000)
        network(mixture).square().mean().backward()
        gradients.append({key: p.grad for key, p in network.named_parameters()})
    whole = 2 * 157 * 33
    assert len(seen) == 2 * sum(-(-whole // (at_once * n)) for at_once, n in ((30, 33), (6, 157)))
    assert max(seen) == 30 * 33
    for key, plain in gradients[0].items():
        assert (gradients[1][key] - plain).norm() <= 1e-5 * plain.norm(), key


# ---- bands


def test_the_table_of_bands_is_that_of_the_papers() -> None:
    assert band_sizes(44_100, 2048) == (
        *[2] * 24,
        *[4] * 12,
        *[12] * 8,
        *[24] * 8,
        *[48] * 8,
        128,
        129,
    )
    at_48k = (*[2] * 22, *[4] * 11, *[12] * 8, *[24] * 8, *[48] * 8, 66, 66, 66, 67)
    assert band_sizes(48_000, 2048) == at_48k
    assert band_sizes(44_100, 512) == (*[2] * 6, *[4] * 3, 12, 12, 24, 24, 48, 48, 32, 33)


@pytest.mark.parametrize(("rate", "n_fft"), [(16_000, 512), (44_100, 16)])
def test_a_rate_or_transform_too_small_for_the_bands_is_refused(rate: int, n_fft: int) -> None:
    with pytest.raises(ValueError, match=f"sample_rate={rate} with n_fft={n_fft} leaves"):
        band_sizes(rate, n_fft)


def test_a_band_without_sound_gets_no_mask_of_another() -> None:
    """Masks multiply: where the mixture has no bins, the stems have none."""
    spec = torch.randn(1, 6, 257, dtype=torch.complex64)
    spec[..., 100:] = 0.0
    network = BSLocoformerSeparator(2, 1, stft_size=512, **SMALL)
    out = run(network, spec)
    assert not out[..., 100:].any() and out[..., :100].any()


@pytest.mark.parametrize("kind", ["bs", "stack", "tuss"])
def test_another_number_of_bins_is_refused(kind: str) -> None:
    network = model(kind).separator
    spec = torch.randn(2, 6, 200, dtype=torch.complex64)
    words: tuple[Any, ...] = ([["vocals"]] * 2,) if kind == "tuss" else ()
    spec = spec[None] if kind == "bs" else spec
    with pytest.raises(ValueError, match="cover 257 bins, the spectrogram has 200"):
        network(spec, *words)


# ---- prompts


def test_the_order_of_prompts_is_the_order_of_stems() -> None:
    tuss = model("tuss").separator
    assert isinstance(tuss, TussModel)
    spec = torch.randn(1, 6, 257, dtype=torch.complex64)
    with torch.no_grad():
        alone = tuss(spec, [["speech"]])
        pair = tuss(spec, [["speech", "drums"]])
        twice = tuss(spec, [["drums", "drums"]])
    assert alone.shape == (1, 1, 6, 257) and pair.shape == (1, 2, 6, 257)
    assert not torch.allclose(pair[:, 0], pair[:, 1])
    assert not torch.allclose(twice[:, 0], twice[:, 1])  # their places differ


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([["vocals"]], r"prompts have \[1\] names for 2 items"),
        ([["vocals"], ["vocals", "drums"]], r"prompts have \[1, 2\] names for 2 items"),
        ([["vocals"], ["piano"]], "unknown prompt 'piano': choose from drums, speech, vocals"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(prompts: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model("tuss").separator(torch.randn(2, 6, 257, dtype=torch.complex64), prompts)


# ---- the music model


@pytest.mark.parametrize("shape", [(1, 5_000), (2, 333), (2, 2, 1_001), (1, 1, 64), (3, 2, 1)])
def test_the_music_model_gives_back_the_rank_and_length_it_got(shape: tuple[int, ...]) -> None:
    out = run(music(), torch.randn(shape))
    assert [*out] == ["vocals", "drums", "bass", "other"]
    assert all(stem.shape == shape and stem.isfinite().all() for stem in out.values())
    specs = run(music(), torch.randn(shape), False)
    assert all(s.is_complex() and s.shape[:-2] == shape[:-1] for s in specs.values())
    assert all(s.shape[-2] == 33 for s in specs.values())


def test_the_channels_of_stereo_sound_are_separated_each_for_itself() -> None:
    mixture = torch.randn(2, 2, 500)
    network = music().eval()
    both = run(network, mixture)
    for channel in range(2):
        alone = run(network, mixture[:, channel])
        for stem, estimate in alone.items():
            assert torch.allclose(both[stem][:, channel], estimate, atol=1e-6)


def test_stems_can_be_named_and_must_be_as_many_as_said() -> None:
    assert [*run(music(n_sources=1, stems=["speech"]), torch.randn(1, 200))] == ["speech"]
    with pytest.raises(ValueError, match="n_sources=2 with stems vocals, drums, bass, other"):
        music(n_sources=2)


@pytest.mark.parametrize("shape", [(5,), (1, 0), (1, 1, 1, 5)])
def test_the_music_model_refuses_what_is_no_batch_of_sound(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="the mixture is"):
        music()(torch.randn(shape))


def test_the_default_transform_and_its_half_frame_hop_take_any_length() -> None:
    transform = Transform(2048, 1024)
    for samples in (1, 1_023, 1_024, 2_047, 5_000):
        audio = torch.randn(1, samples)
        assert torch.allclose(transform.istft(transform.stft(audio), samples), audio, atol=1e-5)


# ---- the interface


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=8)
@given(samples=st.integers(1, 3_000), batch=st.integers(1, 2))
def test_any_length_comes_back_with_all_stems(kind: str, samples: int, batch: int) -> None:
    network = model(kind)
    out = run(network, torch.randn(batch, 2, samples))
    assert out.shape == (batch, 2, 2, samples) and out.dtype == torch.float32
    assert bool(out.isfinite().all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normalize", [False, True])
def test_silence_is_separated_without_a_number_that_is_none(kind: str, normalize: bool) -> None:
    out = run(model(kind, normalize_variance=normalize), torch.zeros(1, 2, 2_000))
    assert bool(out.isfinite().all())


def test_a_normalised_model_keeps_the_level() -> None:
    network, mixture = model("tf", normalize_variance=True), torch.randn(2, 2, 2_000)
    assert torch.allclose(run(network, 0.01 * mixture), 0.01 * run(network, mixture), atol=1e-5)


@pytest.mark.parametrize(("kind", "apart"), [("tf", True), ("stack", True), ("bs", False)])
def test_channels_are_separated_apart_but_for_stereo_bands(kind: str, apart: bool) -> None:
    network = model(kind, normalize_variance=True)
    mixture = torch.randn(1, 2, 2_000)
    louder = mixture * torch.tensor([1.0, 5.0])[:, None]
    same = torch.allclose(run(network, mixture)[:, :, 0], run(network, louder)[:, :, 0], atol=1e-5)
    assert same is apart


def test_transforms_give_back_what_they_took() -> None:
    for window in ("hann", "sqrt_hann"):
        for padding in ("reflect", "constant"):
            transform = Transform(128, 32, window, padding)
            for samples in (1, 31, 64, 65, 1_000):
                audio = torch.randn(2, samples)
                found = transform.istft(transform.stft(audio), samples)
                assert torch.allclose(found, audio, atol=1e-5)


def test_zero_padding_ends_in_a_whole_hop() -> None:
    assert Transform(128, 32, padding="constant").stft(torch.randn(1, 1_000)).shape[1] == 33
    assert Transform(128, 32).stft(torch.randn(1, 1_000)).shape[1] == 32


@pytest.mark.parametrize("shape", [(2, 100), (1, 1, 100), (1, 2, 0)])
def test_the_interface_refuses_other_axes_channels_and_empty_audio(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the model takes \(batch, 2, sample\)"):
        model()(torch.randn(shape))


def test_a_real_or_misshapen_spectrogram_is_refused() -> None:
    network = TFLocoformerSeparator(n_layers=1, **SMALL)
    with pytest.raises(
        ValueError, match=r"\(1, 4, 5\) of torch.float32: pass a complex \(batch, frame, bin"
    ):
        network(torch.randn(1, 4, 5))
    with pytest.raises(ValueError, match="pass a complex"):
        network(torch.randn(1, 2, 4, 5, dtype=torch.complex64))


def test_encoder_and_decoder_stay_in_float32_under_autocast() -> None:
    network = TFLocoformerSeparator(n_layers=1, **SMALL).eval()
    seen: list[torch.dtype] = []
    for part in (network.conv[0], network.deconv):
        part.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = run(network, torch.randn(1, 4, 5, dtype=torch.complex64))
    assert seen == [torch.float32] * 2 and out.dtype == torch.complex64


# ---- weights before training


@pytest.mark.parametrize("norm", ["rmsgroupnorm", "layernorm"])
def test_xavier_spreads_matrices_evenly_up_to_their_bound_and_zeroes_biases(norm: str) -> None:
    network = model("tf", init="xavier_uniform", norm_type=norm).separator
    counts = {"matrix": 0, "bias": 0, "gain": 0}
    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            places = parameter[0, 0].numel()
            bound = (6.0 / (places * (parameter.shape[0] + parameter.shape[1]))) ** 0.5
            assert 0.8 * bound < parameter.abs().max().item() <= bound, name
            assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.2), name
            counts["matrix"] += 1
        else:
            kind = "bias" if name.endswith("bias") else "gain"
            assert bool((parameter == (0.0 if kind == "bias" else 1.0)).all()), name
            counts[kind] += 1
    norms = 0 if norm == "rmsgroupnorm" else 6
    assert counts == {"matrix": 14, "bias": 11 + norms, "gain": 7}


def test_torchs_own_weights_are_those_of_the_bare_separator() -> None:
    ours = model("tf").separator.state_dict()
    torch.manual_seed(0)
    bare = TFLocoformerSeparator(n_layers=1, **SMALL).state_dict()
    assert ours.keys() == bare.keys()
    assert all(torch.equal(ours[key], bare[key]) for key in bare)


# ---- arguments


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm_type": "rmsgrouporm"}, "norm_type='rmsgrouporm': it must be one of rmsgroupnorm"),
        ({"pos_enc": "alibi"}, "pos_enc='alibi'"),
        ({"tf_order": "xx"}, "tf_order='xx'"),
        ({"num_groups": 3}, "emb_dim=8 with num_groups=3"),
        ({"n_heads": 3}, "attention_dim=8 with n_heads=3"),
        ({"n_heads": 8}, "attention_dim=8 with n_heads=8: rotary"),
        ({"ffn_hidden_dim": (8,)}, "ffn_type has 2 entries and ffn_hidden_dim 1"),
        ({"ffn_type": ("glu", "glu")}, "ffn_type='glu'"),
        ({"ffn_type": (), "ffn_hidden_dim": ()}, "0 feed-forward networks: set one or two"),
        ({"conv1d_kernel": 1, "conv1d_shift": 2}, "conv1d_kernel=1 with conv1d_shift=2"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"n_layers": 0}, "n_layers=0"),
        ({"num_spk": 0}, "num_spk=0"),
        ({"depth": 3}, "unknown argument depth: choose from emb_dim"),
    ],
)
def test_an_illegal_argument_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TFLocoformerSeparator(**{"n_layers": 1, **SMALL, **changes})


def test_arguments_without_a_name_are_in_the_order_of_the_code() -> None:
    given = (8, "layernorm", 2, "tf", 2, True, 12, "nope", "swiglu_conv1d", 10, 3, 2, 0.5, 1e-3)
    names = ("emb_dim", "norm_type", "num_groups", "tf_order", "n_heads", "flash_attention")
    names += ("attention_dim", "pos_enc", "ffn_type", "ffn_hidden_dim", "conv1d_kernel")
    names += ("conv1d_shift", "dropout", "eps")
    named = dict(zip(names, given, strict=True))
    for kind, lead in ((TFLocoformerSeparator, (3, 1)), (TFLocoformerMSS, (64, 16, 4, 1))):
        placed, by_names = kind(*lead, *given), kind(*lead, **named)
        assert str(placed) == str(by_names)
        assert "LayerNorm((8,), eps=0.001" in str(placed) and placed.blocks[0].order == "tf"
        partly = kind(*lead, *given[:1], **{key: named[key] for key in names[1:]})
        assert str(partly) == str(placed)
    with pytest.raises(TypeError, match="emb_dim is passed both by position and by name"):
        TFLocoformerSeparator(2, 1, 8, emb_dim=8)
    with pytest.raises(TypeError, match="15 positional arguments: a block takes 14"):
        TFLocoformerSeparator(2, 1, *given, 0)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("tf", {"stems": ()}, "stems has 0 entries"),
        ("tf", {"channels": 3}, "channels=3"),
        ("tf", {"masking": True}, "masking=True with kind='tf'"),
        ("stack", {"masking": False}, "masking=False with kind='stack'"),
        ("bs", {"n_second_layers": 2}, "n_second_layers=2 with kind='bs'"),
        ("stack", {"pos_enc": "nope"}, "pos_enc='nope' with kind='stack'"),
        ("tuss", {"stems": ("piano",)}, "stems has 'piano', prompts has drums, vocals"),
        ("bs", {"hop_length": 300}, "hop_length=300 with n_fft=512"),
        ("bs", {"window": "hamming"}, "window='hamming'"),
        ("bs", {"padding": "circular"}, "padding='circular'"),
        ("bs", {"init": "he"}, "init='he': it must be one of torch, xavier_uniform"),
    ],
)
def test_fields_of_a_recipe_that_do_not_fit_are_named(
    kind: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        model(kind, **changes)


def test_a_kind_that_is_none_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(ValueError, match="kind='unet': it must be one of tf, bs, stack, tuss"):
        build(**{**FIELDS, "kind": "unet"})


def test_prompts_of_several_places_are_not_built() -> None:
    with pytest.raises(ValueError, match="prompt_size=2"):
        TussModel(**configs["musdb18_tuss_medium"], prompt_size=2)


def test_the_fields_of_a_recipe_build_the_stack_of_the_unified_code() -> None:
    conf = configs["musdb18_conventional_medium"]
    fields = {
        "emb_dim": 64,
        "num_groups": 8,
        "n_heads": 4,
        "attention_dim": 128,
        "n_layers": 4,
        "ffn_hidden_dim": (384, 384),
        "stems": ("vocals", "drums", "bass", "other"),
        "n_fft": 2048,
        "n_second_layers": 2,
        "second_attention_dim": 96,
        "second_ffn_hidden_dim": (256, 256),
    }
    with torch.device("meta"):
        ours, theirs = model("stack", **fields).separator, BSLocoformerStack(**conf)
    shapes = [{k: v.shape for k, v in each.state_dict().items()} for each in (ours, theirs)]
    assert shapes[0] == shapes[1]
