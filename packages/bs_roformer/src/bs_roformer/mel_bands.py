"""The bins of each mel band, in closed form: the support of a Slaney mel filter bank.

Filter weights are not used, so no filter bank is built. Imports no torch.
"""

import math

LINEAR_MELS = 15.0  # mels up to 1 kHz, where the scale turns from linear to logarithmic
MELS_PER_E = 27.0 / math.log(6.4)  # above 1 kHz: mels per factor of e in frequency


def mel_bands(sample_rate: int, n_fft: int, num_bands: int) -> list[tuple[int, int]]:
    """First and last bin of every band; neighbours overlap.

    Args:
        sample_rate: Hz; the bands reach up to half of it.
        n_fft: samples of the STFT.
        num_bands: number of bands.

    Raises:
        ValueError: if a band would be empty.

    Source: Mel-Band RoFormer, sec. 3 (triangles of the mel scale as bands). That every triangle
    spans two steps of the scale, and that the outermost bins belong to the outermost bands, is
    taken from third-party code.
    """
    edges = [_hz(i * _mel(sample_rate / 2) / (num_bands + 1)) for i in range(num_bands + 2)]
    frequencies = [bin_ * sample_rate / n_fft for bin_ in range(n_fft // 2 + 1)]
    bands: list[tuple[int, int]] = []
    for low, high in zip(edges, edges[2:], strict=False):
        inside = [bin_ for bin_, hz in enumerate(frequencies) if low < hz < high]
        if not inside:
            raise ValueError(
                f"num_bands={num_bands} with stft_n_fft={n_fft} at {sample_rate} Hz: band "
                f"{len(bands)} of {low:.1f} to {high:.1f} Hz holds no bin, take fewer bands or a "
                f"larger n_fft"
            )
        bands.append((inside[0], inside[-1]))
    bands[0] = (0, bands[0][1])
    bands[-1] = (bands[-1][0], n_fft // 2)
    return bands


def _mel(hz: float) -> float:
    return 3 * hz / 200 if hz < 1000 else LINEAR_MELS + math.log(hz / 1000) * MELS_PER_E


def _hz(mel: float) -> float:
    return mel * 200 / 3 if mel < LINEAR_MELS else 1000 * math.exp((mel - LINEAR_MELS) / MELS_PER_E)
