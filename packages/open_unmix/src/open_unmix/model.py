"""One target's network and its transforms (Stöter et al. 2019; paper: "Design choices", model).

Arguments carry the names of the authors' code: `nb_bins`, `nb_channels`, `hidden_size`. Axis
letters in shapes: b batch, s stem, c channel, f bin, t frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LSTM_DROPOUT = 0.4  # between the layers, in every published model
FRAMES_AT_ONCE = 64  # of a song's, where all of them would fill the memory


def bandwidth_to_max_bin(sample_rate: float, n_fft: int, bandwidth_hz: float) -> int:
    """How many bins from zero up to a frequency, the bin of that frequency among them."""
    frequencies = torch.linspace(0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    return int((frequencies <= bandwidth_hz).sum())


class STFT(nn.Module):
    """Short-time Fourier transform: periodic Hann window as long as the transform, one-sided.

    Args:
        n_fft: samples per frame.
        n_hop: samples from one frame to the next.
        center: whether frame 0 is centred on sample 0, with reflected audio before it; training
            and statistics take only frames that lie inside the audio.
    """

    window: Tensor

    def __init__(self, n_fft: int = 4096, n_hop: int = 1024, center: bool = False) -> None:
        super().__init__()
        if not 0 < n_hop < n_fft or n_fft % 2:
            raise ValueError(
                f"n_fft={n_fft} and n_hop={n_hop}: n_fft must be even and the hop shorter than it"
            )
        self.n_fft, self.n_hop, self.center = n_fft, n_hop, center
        self.register_buffer("window", torch.hann_window(n_fft))

    def pad(self, audio: Tensor) -> Tensor:
        """Audio with what a centred transform sees before its start and after its end.

        Audio too short to be reflected gets silence first, so that one sample is enough.
        """
        half = self.n_fft // 2
        audio = F.pad(audio, (0, max(0, half + 1 - audio.shape[-1])))
        flat = audio.reshape(-1, 1, audio.shape[-1])
        return F.pad(flat, (half, half), mode="reflect").reshape(*audio.shape[:-1], -1)

    def forward(self, audio: Tensor) -> Tensor:
        """(..., channel, sample) -> (..., channel, bin, frame) complex.

        Raises:
            ValueError: if the audio is shorter than one frame and not centred.
        """
        if self.center:
            audio = self.pad(audio)
        elif audio.shape[-1] < self.n_fft:
            raise ValueError(
                f"the audio has {audio.shape[-1]} samples, a frame {self.n_fft}: give longer audio "
                f"(data.chunk_seconds) or a smaller n_fft"
            )
        return self.frames(audio, 0, self.count(audio.shape[-1]))

    def count(self, samples: int) -> int:
        """Frames that lie inside so many samples of padded audio."""
        return 1 + (samples - self.n_fft) // self.n_hop

    def frames(self, padded: Tensor, start: int, stop: int) -> Tensor:
        """Frames ``start`` to ``stop`` of padded audio: a long song needs no spectrogram at once.

        The memory order is (..., frame, bin), as torch.stft leaves it.
        """
        first = start * self.n_hop
        part = padded[..., first : (stop - 1) * self.n_hop + self.n_fft]
        spec = torch.stft(
            part.reshape(-1, part.shape[-1]),
            self.n_fft,
            self.n_hop,
            window=self.window,
            center=False,
            return_complex=True,
        )
        return spec.unflatten(0, part.shape[:-1])


class ISTFT(nn.Module):
    """Inverse of the centred `STFT`: windowed frames are added and divided by the added windows."""

    window: Tensor

    def __init__(self, n_fft: int = 4096, n_hop: int = 1024) -> None:
        super().__init__()
        self.n_fft, self.n_hop = n_fft, n_hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, spec: Tensor, length: int | None = None) -> Tensor:
        """(..., bin, frame) complex -> (..., sample).

        Args:
            spec: any leading axes, (batch, stem, channel) for instance.
            length: samples wanted; all that the frames surely hold if None.
        """
        added = self.added(spec.shape[:-2], spec.shape[-1], spec)
        self.add(added, spec, 0)
        return self.finish(added, spec.shape[-1], length)

    def added(self, leading: Sequence[int], frames: int, like: Tensor) -> Tensor:
        """Zeros (..., hop, sample of hop) that `add` adds to; ``like`` is the spectrogram's kind.

        Frames are cut into hops, the last one filled up with zeros: adding overlapping frames is
        then adding whole rows.
        """
        dtype = like.dtype.to_real()
        rows = frames - 1 + self.hops_per_frame
        return torch.zeros(*leading, rows, self.n_hop, dtype=dtype, device=like.device)

    @property
    def hops_per_frame(self) -> int:
        """How many hops a frame covers, the last perhaps in part."""
        return -(-self.n_fft // self.n_hop)

    def add(self, added: Tensor, spec: Tensor, start: int) -> None:
        """Add (..., bin, frame) as frames ``start`` and following."""
        samples = torch.fft.irfft(spec.transpose(-1, -2), n=self.n_fft)
        self._add_rows(added, samples * self.window, start)

    def _add_rows(self, added: Tensor, windowed: Tensor, start: int) -> None:
        """Add (..., frame, sample of frame), hop by hop."""
        hops = self.hops_per_frame
        rows = F.pad(windowed, (0, hops * self.n_hop - self.n_fft)).unflatten(-1, (hops, -1))
        count = rows.shape[-3]
        for hop in range(hops):
            added[..., start + hop : start + hop + count, :] += rows[..., hop, :]

    def finish(self, added: Tensor, frames: int, length: int | None) -> Tensor:
        """Divide by the added squared windows and cut the half frame before sample 0."""
        squares = torch.zeros_like(added[(0,) * (added.ndim - 2)])
        for start in range(0, frames, FRAMES_AT_ONCE):
            count = min(FRAMES_AT_ONCE, frames - start)
            self._add_rows(squares, self.window.square().expand(count, -1), start)
        half = self.n_fft // 2
        inside = (frames - 1) * self.n_hop + self.n_fft - half
        stop = inside - half if length is None else min(length, inside)
        audio = added.flatten(-2)[..., half : half + stop]
        audio /= squares.flatten()[half : half + stop]
        return audio if length in (None, stop) else F.pad(audio, (0, length - stop))


class ComplexNorm(nn.Module):
    """Modulus of a spectrogram; of a mono model, its mean over the channels."""

    def __init__(self, mono: bool = False) -> None:
        super().__init__()
        self.mono = mono

    def forward(self, spec: Tensor) -> Tensor:
        """(batch, channel, bin, frame) complex -> (batch, channel or 1, bin, frame)."""
        magnitude = spec.abs()
        return magnitude.mean(dim=1, keepdim=True) if self.mono else magnitude


class OpenUnmix(nn.Module):
    """The network of one target: magnitudes of the mixture in, magnitudes of the target out.

    Args:
        nb_bins: bins of input and output.
        nb_channels: 1 or 2, or any number.
        hidden_size: features between the layers.
        nb_layers: of the LSTM.
        unidirectional: an LSTM that sees no future frame.
        input_mean, input_scale: (bin,) mean and standard deviation of the training mixtures;
            stored negated and inverted.
        max_bin: bins the network looks at, from zero up; all if None.
        n_hop: hop for input given as audio; a quarter of the transform if None.
    """

    def __init__(
        self,
        nb_bins: int = 4096,
        nb_channels: int = 2,
        hidden_size: int = 512,
        nb_layers: int = 3,
        unidirectional: bool = False,
        input_mean: Any = None,
        input_scale: Any = None,
        max_bin: int | None = None,
        n_hop: int | None = None,
    ) -> None:
        super().__init__()
        _check_sizes(nb_bins, nb_channels, hidden_size, nb_layers, unidirectional, max_bin)
        self.nb_bins, self.nb_channels, self.hidden_size = nb_bins, nb_channels, hidden_size
        self.nb_layers, self.unidirectional = nb_layers, unidirectional
        self.max_bin = max_bin or nb_bins
        self.n_hop = n_hop or (nb_bins - 1) // 2
        self.input_mean = nn.Parameter(torch.zeros(self.max_bin))
        self.input_scale = nn.Parameter(torch.ones(self.max_bin))
        self.output_scale = nn.Parameter(torch.ones(nb_bins))
        self.output_mean = nn.Parameter(torch.ones(nb_bins))
        self.fc1 = nn.Linear(self.max_bin * nb_channels, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            input_size=hidden_size,
            hidden_size=hidden_size if unidirectional else hidden_size // 2,
            num_layers=nb_layers,
            bidirectional=not unidirectional,
            dropout=LSTM_DROPOUT if nb_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, nb_bins * nb_channels, bias=False)
        self.bn3 = nn.BatchNorm1d(nb_bins * nb_channels)
        self.set_statistics(input_mean, input_scale)

    def set_statistics(self, mean: Any, scale: Any) -> None:
        """Store (bin,) mean and standard deviation of the training mixtures; None leaves either."""
        with torch.no_grad():
            if mean is not None:
                self.input_mean.copy_(-torch.as_tensor(mean)[: self.max_bin])
            if scale is not None:
                self.input_scale.copy_(1.0 / torch.as_tensor(scale)[: self.max_bin])

    def forward(self, mixture: Tensor) -> Tensor:
        """Magnitudes (batch, channel, bin, frame) -> the target's magnitudes, alike.

        Audio (batch, channel, sample) is transformed first: centred in evaluation, not in training.

        Raises:
            ValueError: if channels or bins are not the network's.
        """
        if mixture.ndim == 3:
            stft = STFT(2 * (self.nb_bins - 1), self.n_hop, center=not self.training)
            mixture = ComplexNorm(self.nb_channels == 1)(stft.to(mixture.device)(mixture))
        if mixture.ndim != 4 or mixture.shape[1:3] != (self.nb_channels, self.nb_bins):
            raise ValueError(
                f"the input is {tuple(mixture.shape)}, the network takes (batch, "
                f"{self.nb_channels}, {self.nb_bins}, frame): check nb_channels and nb_bins"
            )
        magnitude = mixture.detach().permute(3, 0, 1, 2)  # (frame, batch, channel, bin)
        mask = self.mask(self.recur(self.embed(mixture.permute(3, 0, 1, 2))))
        return (mask * magnitude).permute(1, 2, 3, 0)

    def embed(self, magnitude: Tensor) -> Tensor:
        """(frame, batch, channel, bin) -> (frame, batch, feature) in [-1, 1], frame by frame."""
        x = (magnitude[..., : self.max_bin] + self.input_mean) * self.input_scale
        frames, batch = x.shape[:2]
        x = self.bn1(self.fc1(x.reshape(frames * batch, -1)))
        return torch.tanh(x.reshape(frames, batch, self.hidden_size))

    def recur(self, embedded: Tensor) -> Tensor:
        """(frame, batch, feature) -> (frame, batch, 2 feature): the input beside the LSTM's."""
        return torch.cat([embedded, self.lstm(embedded)[0]], dim=-1)

    def mask(self, features: Tensor) -> Tensor:
        """(frame, batch, 2 feature) -> (frame, batch, channel, bin), zero or more, by frames."""
        frames, batch = features.shape[:2]
        x = F.relu(self.bn2(self.fc2(features.reshape(frames * batch, -1))))
        x = self.bn3(self.fc3(x)).reshape(frames, batch, self.nb_channels, self.nb_bins)
        return F.relu(x * self.output_scale + self.output_mean)


def _check_sizes(
    nb_bins: int,
    nb_channels: int,
    hidden_size: int,
    nb_layers: int,
    unidirectional: bool,
    max_bin: int | None,
) -> None:
    if min(nb_bins, nb_channels, hidden_size, nb_layers) < 1:
        raise ValueError(
            f"nb_bins={nb_bins}, nb_channels={nb_channels}, hidden_size={hidden_size}, "
            f"nb_layers={nb_layers}: each must be at least 1"
        )
    if not unidirectional and hidden_size % 2:
        raise ValueError(
            f"hidden_size={hidden_size}: two directions halve it, choose an even number"
        )
    if max_bin is not None and not 0 <= max_bin <= nb_bins:
        raise ValueError(f"max_bin={max_bin}: choose 1 to {nb_bins}, or None for all bins")
