"""Our TF-Locoformer and BS-Locoformer against the structure of the reference: same weights, input.

    python tflocoformer_bench.py                  all settings, two threads: needs idle cores
    python tflocoformer_bench.py --seconds 0.5 --rounds 1 --layers 1      a smoke test

The reference is written out below as its description has it: features in the second place of the
tensors, turned to the end for norms and attention and back for convolutions; convolutions of
padded sequences, transposed ones cropped; rotary positions by halves of pairs. Its attention is
torch's fused one, as in the reference, and once written out with a softmax. The two take turns;
printed are the median over rounds of (its seconds / our seconds), the least seconds of each, and
the largest difference of the outputs. Then a training step with and without gradient
checkpointing. Peak memory is that of a process of its own for each; "tf" and "bs" are the two.
"""

import argparse
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from turns import HEAD, compare, compare_memory, report_memory

from tflocoformer_mss.blocks import Attention, Block, ConvSwiGLU, Path, RMSGroupNorm
from tflocoformer_mss.model import BSLocoformerSeparator, TFLocoformerSeparator, Transform

RATES = {"tf": 8_000, "bs": 44_100}
TRANSFORMS = {"tf": Transform(256, 64), "bs": Transform(2048, 512)}
SIZES: dict[str, dict[str, Any]] = {
    "tf": {"num_spk": 2, "emb_dim": 96, "attention_dim": 128, "conv1d_kernel": 8},
    "bs": {"num_spk": 4, "emb_dim": 64, "attention_dim": 128, "num_groups": 8, "stereo": True},
}
HIDDEN = {"tf": 128, "bs": 384}
NAMES = {"tf": "TF-Locoformer (S)", "bs": "BS-Locoformer, 62 bands, stereo"}
STEP_SECONDS = {"tf": 1.0, "bs": 1.0}
CHECKPOINTED = "ours, checkpointed"


def build(kind: str, layers: int) -> nn.Module:
    torch.manual_seed(0)
    hidden = [HIDDEN[kind]] * 2
    block = {"ffn_type": ["swiglu_conv1d"] * 2, "ffn_hidden_dim": hidden}
    classes = {"tf": TFLocoformerSeparator, "bs": BSLocoformerSeparator}
    made: nn.Module = classes[kind](n_layers=layers, **SIZES[kind], **block)
    return made.eval()


def noise(kind: str, seconds: float) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    channels = 2 if kind == "bs" else 1
    audio = torch.randn(channels, round(seconds * RATES[kind]), generator=generator)
    spec = TRANSFORMS[kind].stft(0.1 * audio)
    return spec[None] if kind == "bs" else spec


# ---- the reference's structure, on our weights


def norm(x: Tensor, layer: RMSGroupNorm) -> Tensor:
    groups = x.view(*x.shape[:-1], layer.groups, -1)
    rms = groups.norm(2, dim=-1, keepdim=True) * groups.shape[-1] ** -0.5
    return (groups / (rms + layer.eps)).view(x.shape) * layer.gamma


def feed_forward(x: Tensor, layer: ConvSwiGLU) -> Tensor:
    """(b, s1, s2, d): padded, convolved along s2, cropped."""
    batch, outer, places, dim = x.shape
    lead = layer.kernel - layer.shift
    y = x.reshape(batch * outer, places, dim).transpose(1, 2)
    y = F.conv1d(F.pad(y, (lead, lead)), layer.conv1d.weight, layer.conv1d.bias)
    value, gate = y.chunk(2, dim=1)
    y = F.conv_transpose1d(value * F.silu(gate), layer.deconv1d.weight, layer.deconv1d.bias)
    return y[..., lead : lead + places].transpose(1, 2).reshape(x.shape)


def turn_halves(x: Tensor, freqs: Tensor) -> Tensor:
    """(n, h, l, a): interleaved pairs by cosines and sines of repeated angles."""
    places = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)
    angles = torch.outer(places, freqs).repeat_interleave(2, -1)
    pairs = x.unflatten(-1, (-1, 2))
    turned = torch.stack([-pairs[..., 1], pairs[..., 0]], dim=-1).flatten(-2)
    return x * angles.cos() + turned * angles.sin()


def attend(x: Tensor, layer: Attention, fused: bool) -> Tensor:
    batch, outer, places, dim = x.shape
    qkv = layer.qkv(x.reshape(batch * outer, places, dim))
    q, k, v = qkv.reshape(batch * outer, places, 3, layer.heads, -1).permute(2, 0, 3, 1, 4)
    assert layer.rope is not None
    q, k = turn_halves(q, layer.rope.freqs), turn_halves(k, layer.rope.freqs)
    if fused:
        out = F.scaled_dot_product_attention(q, k, v)
    else:
        out = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(dim=-1) @ v
    out = out.transpose(1, 2).reshape(batch, outer, places, -1)
    merged: Tensor = layer.aggregate_heads(out)
    return merged


def run_path(x: Tensor, path: Path, fused: bool) -> Tensor:
    x = x + feed_forward(norm(x, path.ffn_norm[1]), path.ffn[1])
    x = x + attend(norm(x, path.attn_norm), path.attn, fused)
    return x + feed_forward(norm(x, path.ffn_norm[0]), path.ffn[0])


def run_blocks(x: Tensor, blocks: list[Block], fused: bool) -> Tensor:
    """(b, d, t, f) in and out, as the reference has it."""
    for block in blocks:
        y = run_path(x.permute(0, 2, 3, 1).contiguous(), block.freq_path, fused)
        y = run_path(y.transpose(1, 2).contiguous(), block.frame_path, fused)
        x = y.permute(0, 3, 2, 1).contiguous()
    return x


def reference(model: Any, spec: Tensor, fused: bool) -> Tensor:
    if isinstance(model, BSLocoformerSeparator):
        x = model.band_split_module.encode(spec).permute(0, 3, 1, 2)
        x = run_blocks(x, model.blocks, fused).permute(0, 2, 3, 1)
        return model.band_split_module.decode(x) * spec.unsqueeze(1)
    reals = torch.stack([spec.real, spec.imag], dim=1)
    x = model.deconv(run_blocks(model.conv(reals), model.blocks, fused))
    parts = x.unflatten(1, (-1, 2))
    return torch.complex(parts[:, :, 0].float(), parts[:, :, 1].float())


# ---- turns


def step(model: nn.Module, kind: str, who: str) -> Callable[[], Tensor]:
    """Forward and backward of the mean absolute value of a batch of one."""
    spec = noise(kind, STEP_SECONDS[kind])
    model.train()

    def act() -> Tensor:
        model.zero_grad()
        found = reference(model, spec, True) if who == "theirs" else model(spec)
        loss = torch.view_as_real(found).abs().mean()
        loss.backward()
        return loss

    return act


def compare_one(kind: str, given: argparse.Namespace) -> None:
    model, spec = build(kind, given.layers), noise(kind, given.seconds)
    with torch.inference_mode():
        for fused in (True, False):
            how = "" if fused else ", softmax written out"
            compare(
                f"{NAMES[kind]}, forward of {given.seconds:g} s{how}",
                lambda: torch.view_as_real(model(spec)),
                lambda fused=fused: torch.view_as_real(reference(model, spec, fused)),
                given.rounds,
            )
    what = f"{NAMES[kind]}, training step of {STEP_SECONDS[kind]:g} s"
    compare(what, step(model, kind, "ours"), step(model, kind, "theirs"), given.rounds)


# ---- memory


def use_memory(kind: str, what: str, who: str, given: argparse.Namespace) -> None:
    """One call, and this process's peak before and after it."""
    model, spec = build(kind, given.layers), noise(kind, given.seconds)
    for part in model.modules():
        if isinstance(part, Block):
            part.activation_checkpointing = who == CHECKPOINTED

    def run(spec: Tensor) -> Tensor:
        found = reference(model, spec, True) if who == "theirs" else model(spec)
        return torch.view_as_real(found)

    def separate(spec: Tensor) -> None:
        with torch.inference_mode():
            run(spec)

    def step(spec: Tensor) -> None:
        run(spec).abs().mean().backward()

    if what == "step":
        model.train()
    act = step if what == "step" else separate
    act(noise(kind, 0.1))  # what a first call allocates
    model.zero_grad(set_to_none=False)
    report_memory(lambda: act(spec))


def gradient_norms(model: nn.Module, spec: Tensor, checkpointed: bool) -> Tensor:
    for part in model.modules():
        if isinstance(part, Block):
            part.activation_checkpointing = checkpointed
    model.zero_grad()
    torch.view_as_real(model(spec)).abs().mean().backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.stack([grad.double().norm() for grad in grads])


def compare_gradients(given: argparse.Namespace) -> None:
    for kind, name in NAMES.items():
        model, spec = build(kind, given.layers).train(), noise(kind, STEP_SECONDS[kind])
        without, with_ = (gradient_norms(model, spec, wanted) for wanted in (False, True))
        apart = ((without - with_).abs() / without.clamp(min=1e-12)).max().item()
        print(
            f"{name}: checkpointed, norms of gradients differ by at most {apart:.0e} of themselves"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", nargs=3, help="kind, what, and whose to measure alone")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.memory:
        return use_memory(*given.memory, given)
    print(f"torch {torch.__version__}, {given.threads} of {os.cpu_count()} cores\n")
    print(HEAD)
    for kind in NAMES:
        compare_one(kind, given)
    words = ["--seconds", str(given.seconds), "--threads", str(given.threads)]
    words += ["--layers", str(given.layers)]
    rows = [(kind, "separate", who) for kind in NAMES for who in ("theirs", "ours")]
    rows += [(kind, "step", who) for kind in NAMES for who in ("theirs", "ours", CHECKPOINTED)]
    compare_memory(__file__, rows, words)
    print()
    compare_gradients(given)


if __name__ == "__main__":
    main()
