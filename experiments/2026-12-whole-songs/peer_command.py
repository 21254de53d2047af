"""Other people's programs, with a clock: FILE BEGAN NAME SONG OUT WEIGHTS.

``openunmix`` is the command of openunmix 1.3.0 on four untrained networks; ``torchaudio``, by which
it reads and writes, is stood in for by soundfile. ``bs_roformer`` is the network of BS-RoFormer
0.4.1 at the size of the recipe paper_bs_l6_vocals in a plain loop over chunks of 8 s, half a chunk
apart, whose overlaps are averaged; ``moises_light``, in chunks of 9 s, that of moises-light 0.1.5
at the size of its large model for one stem. ``htdemucs`` is the network of demucs 4.1.0 at the size
of its default model, by its own ``apply_model`` with the settings of its command. All are
untrained.
"""

import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import soundfile
import torch
from clock import Clock
from torch import Tensor

RATE = 44_100
STEMS = ("vocals", "drums", "bass", "other")


def read(path: Path) -> Tensor:
    """(channel, sample)."""
    return torch.from_numpy(soundfile.read(path, dtype="float32")[0].T.copy())


def write(path: Path, stem: Tensor) -> None:
    soundfile.write(path, stem.T.numpy(), RATE, subtype="PCM_16")


def torchaudio() -> ModuleType:
    """Of torchaudio, what openunmix's command calls."""
    found: Any = ModuleType("torchaudio")
    found.load = lambda path: (read(path), soundfile.info(path).samplerate)
    found.save = lambda path, audio, sample_rate: write(path, audio)
    found.get_audio_backend = lambda: "soundfile"
    found.transforms = SimpleNamespace(Resample=None)
    return found


def openunmix(song: Path, out: Path, weights: Path, clock: Clock) -> None:
    sys.modules["torchaudio"] = torchaudio()
    from openunmix import cli, utils

    load = utils.load_separator

    def watched(**settings: Any) -> Any:
        separator = load(**settings)
        clock.watch(separator)
        return separator

    utils.load_separator = watched
    sys.argv = ["umx", str(song), "--model", str(weights), "--outdir", str(out)]
    sys.argv += ["--targets", *STEMS]
    cli.separate()


def bs_roformer(song: Path, out: Path, weights: Path, clock: Clock) -> None:
    from bs_roformer import BSRoformer

    sizes = {"dim": 384, "depth": 6, "time_transformer_depth": 1, "freq_transformer_depth": 1}
    model = BSRoformer(**sizes, stereo=True, num_stems=1, stft_hop_length=441).eval()
    loop(model, song, out, clock, 8.0)


def moises_light(song: Path, out: Path, weights: Path, clock: Clock) -> None:
    from moises_light import MoisesLight

    sizes = json.loads((weights / "moises_light.json").read_text())
    loop(MoisesLight(**sizes).eval(), song, out, clock, 9.0)


def loop(model: torch.nn.Module, song: Path, out: Path, clock: Clock, seconds: float) -> None:
    """One stem by a plain loop over chunks, half a chunk apart."""
    clock.watch(model)
    size, mixture = round(seconds * RATE), read(song)
    total, cover = torch.zeros_like(mixture), torch.zeros(mixture.shape[-1])
    with torch.inference_mode():
        for start in range(0, max(1, mixture.shape[-1] - size // 2), size // 2):
            chunk = mixture[:, start : start + size]
            padded = torch.nn.functional.pad(chunk, (0, size - chunk.shape[-1]))
            found = model(padded[None]).view(2, -1)[:, : chunk.shape[-1]]
            total[:, start : start + found.shape[-1]] += found
            cover[start : start + found.shape[-1]] += 1
    write(out / "vocals.wav", total / cover.clamp(min=1))


def htdemucs(song: Path, out: Path, weights: Path, clock: Clock) -> None:
    from demucs.apply import apply_model
    from demucs.htdemucs import HTDemucs

    model = HTDemucs(sources=[*STEMS], bottom_channels=512, segment=7.8).eval()
    clock.watch(model)
    mixture = read(song)
    mean, spread = mixture.mean(), mixture.std()
    stems = apply_model(model, ((mixture - mean) / spread)[None], shifts=1, overlap=0.25)[0]
    for name, stem in zip(STEMS, stems * spread + mean, strict=True):
        write(out / f"{name}.wav", stem)


def main() -> None:
    file, began, name, *paths = sys.argv[1:]
    clock = Clock(Path(file), float(began))
    torch.manual_seed(0)
    song, out, weights = map(Path, paths)
    out.mkdir(exist_ok=True)
    programs = (openunmix, bs_roformer, moises_light, htdemucs)
    {each.__name__: each for each in programs}[name](song, out, weights, clock)


if __name__ == "__main__":
    main()
