"""Write some hundred sound files, whole, cut, renamed and chained; count those read right."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import write_files
from numpy.typing import NDArray
from write_files import CONTAINERS, LOSSY, STREAMS, SURROUND, SURROUND_HZ, UNPROMISED, Made

from mss_shared import audio

PLACES = np.linspace(0.05, 0.95, 10)
# A decoder of mp3 rounds otherwise by where it began: half the last bit of 24.
LAST_BIT = 2e-7
FULL_SURROUND, SIDE_SURROUND = 0x3F, 0x60F


class Table:
    """Files tried and files read wrong, by kind and by container."""

    def __init__(self) -> None:
        self.tried: Counter[tuple[str, str]] = Counter()
        self.wrong: Counter[tuple[str, str]] = Counter()
        self.refused: Counter[str] = Counter()

    def count(self, kind: str, path: Path, fault: str | None, *, refused: bool = False) -> None:
        """Add one file."""
        key = kind, path.suffix
        self.tried[key] += 1
        self.refused[kind] += refused
        if fault:
            self.wrong[key] += 1
            print(f"wrong: {kind}: {path.name}: {fault}")

    def rows(self, by: int) -> Iterator[str]:
        """Lines of Markdown, by kind (0) or by container (1)."""
        for name in dict.fromkeys(key[by] for key in self.tried):
            tried = sum(n for key, n in self.tried.items() if key[by] == name)
            wrong = sum(n for key, n in self.wrong.items() if key[by] == name)
            refused = f" {self.refused[name]} |" if not by else ""
            yield f"| {name} | {tried} | {tried - wrong} |{refused} {wrong} |"


def main() -> None:
    """Write, read, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="a folder for the files; else they are removed")
    folder = parser.parse_args().keep or Path(tempfile.mkdtemp(prefix="odd-"))
    folder.mkdir(parents=True, exist_ok=True)
    table, unwritten = Table(), []
    for suffix, (container, codecs) in CONTAINERS.items():
        for codec in codecs:
            for channels in (2, 6) if codec in SURROUND.get(suffix, ()) else (2,):
                for kind in write_files.formats(codec) or ["absent"]:
                    path = folder / f"{codec}-{kind}-{channels}.{suffix}"
                    try:
                        made = write_files.write(path, container, codec, kind, channels)
                    except (av.FFmpegError, ValueError, KeyError) as error:
                        unwritten.append(f"{path.name} ({error})")
                        continue
                    try_all(table, made)
    print("\n| kind | files | right | of them refused | wrong |\n|---|---|---|---|---|")
    print(*table.rows(0), sep="\n")
    print("\n| container | files | right | wrong |\n|---|---|---|---|", *table.rows(1), sep="\n")
    print(f"\n{sum(table.tried.values())} files, {sum(table.wrong.values())} read wrong.")
    print(f"PyAV does not write {len(unwritten)} of the combinations here.")
    if not parser.parse_args().keep:
        shutil.rmtree(folder)


def try_all(table: Table, made: Made) -> None:
    """One file, and what can be made of it."""
    kind = (
        "whole, 5.1" if len(made.sound) == 6 else "whole, exact" if made.exact else "whole, lossy"
    )
    try:
        whole = audio.read(made.path)
        fault = whole_fault(made, whole)
    except (ValueError, OSError) as error:
        table.count(kind, made.path, f"refused: {error}")
        return
    table.count(kind, made.path, fault)
    table.count("an excerpt", made.path, excerpt_fault(made.path, whole))
    content = made.path.read_bytes()
    for suffix in (".mp3", ".xyz"):
        path = made.path.with_name(made.path.name.replace(".", "-") + suffix)
        path.write_bytes(content)
        table.count("renamed", made.path, difference(audio.read(path), whole))
        path.unlink()
    for place in PLACES:
        path = made.path.with_name(f"cut-{place:.2f}-{made.path.name}")
        path.write_bytes(content[: int(place * len(content))])
        fault, refused = cut_fault(path, whole)
        table.count("cut", path, fault, refused=refused)
        path.unlink()
    path = made.path.with_name(f"twice-{made.path.name}")
    path.write_bytes(content + content)
    fault, refused = chain_fault(path, whole)
    table.count("chained", path, fault, refused=refused)
    path.unlink()


def whole_fault(made: Made, found: NDArray[np.float32]) -> str | None:
    """What is wrong with a file that was read; None if nothing is."""
    about = audio.info(made.path)
    channels = len(made.sound)
    if found.shape[0] != channels or about.samples != found.shape[1]:
        return f"{found.shape} samples, the header says {about.samples}"
    if channels == 6:
        unsaid = made.path.suffix == ".mkv" and made.codec.startswith("pcm")  # no room for it
        if about.channel_mask not in (FULL_SURROUND, SIDE_SURROUND) and not unsaid:
            return f"mask {about.channel_mask:#x}"
        if heard := [hz for hz in map(loudest_hz, found, [about.sample_rate] * 6)]:
            if any(abs(a - b) > 15 for a, b in zip(heard, SURROUND_HZ, strict=True)):
                return f"channels of {heard} Hz"
    if made.exact:
        return exact_fault(made, about, found)
    if not -2_500 <= found.shape[1] - made.sound.shape[1] <= 6_000:
        return f"{found.shape[1]} samples of {made.sound.shape[1]}"
    snr = best_snr(found, made.sound)
    return f"{snr:.1f} dB" if snr < LOSSY.get(made.codec, 15.0) else None


def exact_fault(made: Made, about: audio.AudioInfo, found: NDArray[np.float32]) -> str | None:
    """The same of a codec that keeps every bit."""
    with audio.open_sound(made.path) as sound:
        values = np.concatenate([*sound.blocks(0, about.samples, 10_000)], axis=1)
    samples = made.sound.shape[1]
    tail = values[:, samples:]
    if values.shape[1] < samples or tail.any() or tail.shape[1] > 8_192:
        return f"{values.shape[1]} samples of {samples}"
    if not np.array_equal(values[:, :samples], made.sound):
        return f"off by {np.abs(values[:, :samples] - made.sound).max():.3g}"
    floats = made.kind in ("flt", "dbl")
    if floats != (about.subtype in ("FLOAT", "DOUBLE")) or not about.subtype:
        return f"subtype {about.subtype}"
    return None


def excerpt_fault(path: Path, whole: NDArray[np.float32]) -> str | None:
    """Excerpts against the same part of the whole."""
    length = whole.shape[1]
    for start, samples in ((0, 100), (length // 3, 5_000), (length - 700, 700), (length, 0)):
        fault = difference(audio.read(path, start, samples), whole[:, start : start + samples])
        if fault:
            return f"{samples} samples from {start} on: {fault}"
    return None


def cut_fault(path: Path, whole: NDArray[np.float32]) -> tuple[str | None, bool]:
    """A cut file is refused in a sentence; one without a promise may be its whole frames."""
    try:
        found = audio.read(path)
    except ValueError as error:
        said = str(error)
        bad = str(path) not in said or ": " not in said or "\n" in said
        return (f"no sentence: {said}" if bad else None), True
    if difference(found, whole) is None:  # what was cut off is no sound
        return None, False
    if path.suffix.removeprefix(".") not in UNPROMISED:
        return f"{found.shape[1]} samples of {whole.shape[1]} and no word", False
    kept = max(0, min(found.shape[1], whole.shape[1]) - 4_096)
    return difference(found[:, :kept], whole[:, :kept]), False


def chain_fault(path: Path, whole: NDArray[np.float32]) -> tuple[str | None, bool]:
    """Two in one: both, the one whose header tells where it ends, or a refusal."""
    suffix = path.suffix.removeprefix(".")
    try:
        found = audio.read(path)
    except ValueError as error:
        return (None if suffix not in ("ogg", "oga", "opus", *STREAMS) else str(error)), True
    length = whole.shape[1]
    both = suffix in ("ogg", "oga", "opus", "mp3", *STREAMS)
    if suffix in ("ogg", "oga", "opus"):
        return difference(found, np.concatenate([whole, whole], axis=1)), False
    if both:
        return (None if found.shape[1] >= 1.9 * length else f"{found.shape[1]} samples"), False
    kept = max(0, min(length, found.shape[1]) - 4_096)
    return difference(found[:, :kept], whole[:, :kept]), False


def difference(found: NDArray[np.float32], wanted: NDArray[np.float32]) -> str | None:
    """Where two sounds differ; None if they do not."""
    if found.shape != wanted.shape:
        return f"{found.shape} samples, not {wanted.shape}"
    worst = float(np.abs(found - wanted).max(initial=0.0))
    return f"off by {worst:.3g}" if worst > LAST_BIT else None


def best_snr(found: NDArray[np.float32], wanted: NDArray[np.float64]) -> float:
    """dB of the middle over what a codec changed of it, at the delay that suits it best."""
    middle = wanted[:, 12_000:24_000]
    size = 2 ** int(np.ceil(np.log2(found.shape[1] + 12_000)))
    spectra = np.fft.rfft(found, size) * np.conj(np.fft.rfft(middle, size))
    delays = slice(10_000, 16_000)
    likeness = np.fft.irfft(spectra.sum(axis=0), size)[delays]
    energy = np.concatenate([[0.0], np.cumsum((found.astype(np.float64) ** 2).sum(axis=0))])
    parts = energy[12_000:][delays][: len(energy) - 22_000] - energy[delays][: len(energy) - 22_000]
    total = float((middle**2).sum())
    error = total + parts - 2 * likeness[: len(parts)]
    return float(10 * np.log10(total / max(1e-30, float(error.min()))))


def loudest_hz(sound: NDArray[np.float32], rate: int) -> float:
    """The frequency of a tone."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return round(float(np.argmax(spectrum) * rate / len(sound)), 1)


if __name__ == "__main__":
    main()
