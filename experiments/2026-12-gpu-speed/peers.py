"""Ours against the authors' packages and structures on a GPU: same weights, same input, in turns.

Networks, weights and the structures that are written out are those of ../2026-11-peer-speed.
"""

import copy
import sys
import warnings
from collections.abc import Callable
from functools import cache
from types import ModuleType
from typing import Any

import clock
import torch
from torch import Tensor, nn

Pair = tuple[Callable[[], Tensor], Callable[[], Tensor]]  # ours, theirs
SECONDS, STEP_SECONDS = 8.0, 4.0
NAMES = (
    *("BSRoformer", "MelBandRoformer", "paper_large", "paper_small"),
    *("openunmix", "TF-Locoformer", "BS-Locoformer", "LaSAFT four passes", "LaSAFT unshared"),
)
LEFT_OUT = {("openunmix", "train")} | {(name, "train") for name in NAMES if "LaSAFT" in name}


class Absent(Exception):
    """The other package is not there."""


def compare(
    name: str, what: str, precision: str, device: str, tiny: bool, folder: str | None
) -> dict[str, Any]:
    """One line of the table: ours and theirs; the error is the distance of their outputs."""
    if name in NAMES[:5] and folder is None:
        raise Absent("no --peers")
    warnings.simplefilter("ignore")  # the packages'
    make = roformers if name in NAMES[:2] else moises if name in NAMES[2:4] else MAKE[name]
    ours, theirs = make(name, what, device, tiny, folder)
    mode = torch.inference_mode() if what == "infer" else torch.enable_grad()
    with mode, clock.precision_of(precision, device):
        work = clock.gmac(ours)
        apart = clock.error(ours().float(), theirs().float())
        peaks = []
        for act in (theirs, ours):
            clock.forget_peak(device)
            act()
            peaks.append(clock.peak_gb(device))
        their_ms, our_ms = clock.ratio(theirs, ours, device)
    return {
        "batch": 1,
        "seconds": seconds_of(what, tiny),
        "ms": our_ms,
        "realtime": seconds_of(what, tiny) / our_ms * 1e3,
        "gmac": work,
        "peak_gb": peaks[1],
        "their_peak_gb": peaks[0],
        "error": apart,
        "their_ms": their_ms,
        "ratio": their_ms / our_ms,
    }


def seconds_of(what: str, tiny: bool) -> float:
    return 1.0 if tiny else SECONDS if what == "infer" else STEP_SECONDS


def noise(what: str, device: str, tiny: bool) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    samples = round(seconds_of(what, tiny) * 44_100)
    return (0.1 * torch.randn(1, 2, samples, generator=generator)).to(device)


def step(model: nn.Module, run: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """Forward and backward pass of a loss."""

    def act() -> Tensor:
        model.zero_grad()
        loss = run()
        loss.backward()
        return loss.detach()

    return act


def without_dropout(model: nn.Module) -> nn.Module:
    """In training mode, but drawing nothing."""
    for part in model.train().modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    return model


# ---- packages


@cache
def roformer_kinds(folder: str) -> dict[str, Any]:
    import bs_roformer_bench

    try:
        import librosa  # noqa: F401
    except ImportError:  # it is asked only which bins belong to a band
        from bs_roformer.mel_bands import mel_bands

        def mel(*, sr: int, n_fft: int, n_mels: int) -> Any:
            bank = torch.zeros(n_mels, n_fft // 2 + 1)
            for row, (first, last) in zip(bank, mel_bands(sr, n_fft, n_mels), strict=True):
                row[first : last + 1] = 1.0
            return bank.numpy()

        stand_in: Any = ModuleType("librosa")
        stand_in.filters = ModuleType("librosa.filters")
        stand_in.filters.mel = mel
        sys.modules["librosa"] = stand_in
    forget("bs_roformer")
    return bs_roformer_bench.networks(folder)


def forget(package: str) -> None:
    """Let the next import find a package of this name anew."""
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        del sys.modules[name]


def roformers(name: str, what: str, device: str, tiny: bool, folder: str) -> Pair:
    import bs_roformer_bench as bench

    kinds = roformer_kinds(folder)
    kinds = {**kinds, ("ours", "speed_up"): lambda model: None}  # which is for CPUs
    depth = 1 if tiny else 6
    theirs, ours = (bench.build(kinds, who, name, depth) for who in ("theirs", "ours"))
    ours.load_state_dict(theirs.state_dict())
    theirs, ours = theirs.to(device), ours.to(device)
    audio = noise(what, device, tiny)
    if what == "infer":
        kept = audio.shape[-1] // 441 * 441  # theirs ends at the last whole hop
        return lambda: ours(audio)[..., :kept].reshape(2, -1), lambda: theirs(audio).reshape(2, -1)
    models = [without_dropout(model) for model in (ours, theirs)]
    one, other = (step(model, lambda m=model: m(audio, target=0.5 * audio)) for model in models)
    return one, other


@cache
def moises_kinds(folder: str) -> dict[str, Any]:
    import moises_light_bench

    forget("moises_light")
    return moises_light_bench.networks(folder)


def moises(name: str, what: str, device: str, tiny: bool, folder: str) -> Pair:
    import moises_light_bench as bench

    models = [bench.build(moises_kinds(folder), who, name) for who in ("ours", "theirs")]
    models[0].load_state_dict(models[1].state_dict())
    ours, theirs = (model.to(device) for model in models)
    audio = noise(what, device, tiny)
    if what == "infer":
        return lambda: ours(audio), lambda: theirs(audio)
    models = [model.train() for model in (ours, theirs)]
    one, other = (step(model, lambda m=model: m(audio).abs().mean()) for model in models)
    return one, other


def open_unmix(name: str, what: str, device: str, tiny: bool, folder: str) -> Pair:
    import open_unmix_bench as bench

    module = bench.peer(folder)
    theirs = bench.build(module.OpenUnmix, module.Separator, niter=1)
    ours = bench.build(bench.OpenUnmix, bench.Separator, niter=1)
    ours.load_state_dict(theirs.state_dict())
    theirs, ours, audio = theirs.to(device), ours.to(device), noise(what, device, tiny)
    return lambda: ours(audio), lambda: theirs(audio)


# ---- structures written out


def locoformer(name: str, what: str, device: str, tiny: bool, folder: str | None) -> Pair:
    import tflocoformer_bench as bench

    kind = {"TF-Locoformer": "tf", "BS-Locoformer": "bs"}[name]
    model: Any = bench.build(kind, 1 if tiny else 6).to(device)
    spec = bench.noise(kind, seconds_of(what, tiny)).to(device)

    def ours() -> Tensor:
        return torch.view_as_real(model(spec))

    def theirs() -> Tensor:
        return torch.view_as_real(bench.reference(model, spec, True))

    if what == "infer":
        return ours, theirs
    model.train()
    one, other = (step(model, lambda r=run: r().abs().mean()) for run in (ours, theirs))
    return one, other


def lasaft(name: str, what: str, device: str, tiny: bool, folder: str | None) -> Pair:
    import lasaft_bench as bench

    model = bench.build("CUNET_TFC_GPoCM_LaSAFT", 4 if tiny else 24).to(device)
    audio = noise(what, device, tiny)
    if name == "LaSAFT four passes":
        return lambda: model(audio), bench.four_passes(model, audio)
    other = copy.deepcopy(model)
    other.spec2spec = bench.Unshared(other.spec2spec)  # type: ignore[assignment]
    return lambda: model(audio), lambda: other(audio)


MAKE: dict[str, Callable[..., Pair]] = {
    "openunmix": open_unmix,
    "TF-Locoformer": locoformer,
    "BS-Locoformer": locoformer,
    "LaSAFT four passes": lasaft,
    "LaSAFT unshared": lasaft,
}
