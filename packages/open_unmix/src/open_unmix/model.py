"""The network of one target and its STFT (Stöter et al. 2019).

One network per target predicts a magnitude spectrogram through a mask; separator.py combines the
targets with the multichannel Wiener filter of wiener.py. Layers and names of arguments (`nb_bins`,
`nb_channels`, `hidden_size`) are those of the authors' code, version 1.3.0, which docstrings cite
by name; section numbers of the paper are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from open_unmix.pretrained import Pretrained
from open_unmix.recompute import Recomputing

LSTM_DROPOUT = 0.4  # between LSTM layers; fixed in the authors' code
FRAMES_AT_ONCE = 64  # windows summed per step in ISTFT.normalize, to bound its memory


def bandwidth_to_max_bin(sample_rate: float, n_fft: int, bandwidth_hz: float) -> int:
    """Number of bins from zero up to and including a frequency.

    Args:
        sample_rate: Hz.
        n_fft: samples.
        bandwidth_hz: Hz.

    Source: `bandwidth_to_max_bin` of the authors' code.
    """
    # On the CPU even while a network is built on the meta device, for its shapes alone.
    frequencies = torch.linspace(
        0.0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64, device="cpu"
    )
    return int((frequencies <= bandwidth_hz).sum())


class STFT(nn.Module):
    """Short-time Fourier transform (STFT), one-sided, with a periodic Hann window of n_fft samples.

    Args:
        n_fft: samples per frame.
        n_hop: samples from one frame to the next.
        center: centre frame 0 on sample 0, with reflection padding, as the Separator does. Training
            and input statistics only use frames that lie inside the audio.

    Raises:
        ValueError: if n_fft is odd or the hop is not shorter than a frame.

    Source: authors' code.
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
        """Reflection padding for the centred STFT, (..., sample) -> (..., sample + n_fft).

        Audio too short to be reflected is padded with zeros first; one sample is enough.
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
                f"the audio has {audio.shape[-1]} samples, a frame {self.n_fft}: use longer chunks "
                f"(data.chunk_seconds) or a smaller n_fft"
            )
        return self.frames(audio, 0, self.count(audio.shape[-1]))

    def count(self, samples: int) -> int:
        """Number of frames that fit in a number of samples, of padded audio if centred."""
        return 1 + (samples - self.n_fft) // self.n_hop

    def frames(self, padded: Tensor, start: int, stop: int) -> Tensor:
        """Frames ``start`` to ``stop`` of padded audio, (..., bin, frame) complex.

        Used to read a song in runs, so that its whole spectrogram is never in memory. The memory
        order is (..., frame, bin), that of torch.stft.
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
    """Inverse of the centred `STFT` by windowed overlap-add.

    torch.istft needs the whole spectrogram; here runs of frames are added to a buffer one after the
    other: `make_buffer`, `add_frames` for each run, `normalize`.

    Source: authors' code.
    """

    window: Tensor

    def __init__(self, n_fft: int = 4096, n_hop: int = 1024) -> None:
        super().__init__()
        self.n_fft, self.n_hop = n_fft, n_hop
        self.register_buffer("window", torch.hann_window(n_fft))

    def forward(self, spec: Tensor, length: int | None = None) -> Tensor:
        """(..., bin, frame) complex -> (..., sample).

        Args:
            spec: with any leading axes, for example (batch, stem, channel).
            length: samples to return; those between the centres of first and last frame if None.
        """
        buffer = self.make_buffer(spec.shape[:-2], spec.shape[-1], spec)
        self.add_frames(buffer, spec, 0)
        return self.normalize(buffer, spec.shape[-1], length)

    def make_buffer(self, leading: Sequence[int], frames: int, like: Tensor) -> Tensor:
        """Zeros (..., hop, sample of hop), of the precision and device of a spectrogram or audio.

        Rows of one hop turn the addition of overlapping frames into additions of whole rows: one
        per hop of a frame, however many frames there are.
        """
        dtype = like.dtype.to_real()
        rows = frames - 1 + self.hops_per_frame
        return torch.zeros(*leading, rows, self.n_hop, dtype=dtype, device=like.device)

    @property
    def hops_per_frame(self) -> int:
        """Number of hops that a frame overlaps, rounded up."""
        return -(-self.n_fft // self.n_hop)

    def add_frames(self, buffer: Tensor, spec: Tensor, start: int) -> None:
        """Add a run of frames (..., bin, frame) that begins with frame ``start``."""
        samples = torch.fft.irfft(spec.transpose(-1, -2), n=self.n_fft)
        self._add_rows(buffer, samples.mul_(self.window), start)

    def _add_rows(self, buffer: Tensor, windowed: Tensor, start: int) -> None:
        """Add (..., frame, sample of frame) to the rows of the buffer."""
        hops = self.hops_per_frame
        if missing := hops * self.n_hop - self.n_fft:  # without any, padding would be a copy
            windowed = F.pad(windowed, (0, missing))
        rows = windowed.unflatten(-1, (hops, -1))
        count = rows.shape[-3]
        for hop in range(hops):
            buffer[..., start + hop : start + hop + count, :] += rows[..., hop, :]

    def normalize(self, buffer: Tensor, frames: int, length: int | None) -> Tensor:
        """Divide by the sum of squared windows and remove the padding, (...) -> (..., sample)."""
        squares = torch.zeros_like(buffer[(0,) * (buffer.ndim - 2)])
        for start in range(0, frames, FRAMES_AT_ONCE):
            count = min(FRAMES_AT_ONCE, frames - start)
            self._add_rows(squares, self.window.square().expand(count, -1), start)
        half = self.n_fft // 2
        inside = (frames - 1) * self.n_hop + self.n_fft - half
        stop = inside - half if length is None else min(length, inside)
        audio = buffer.flatten(-2)[..., half : half + stop]
        audio /= squares.flatten()[half : half + stop]
        return audio if length in (None, stop) else F.pad(audio, (0, length - stop))


class ComplexNorm(nn.Module):
    """Magnitude of a spectrogram; with ``mono``, its mean over the channels.

    Source: authors' code, `ComplexNorm`: the down-mix is of magnitudes, not of audio.
    """

    def __init__(self, mono: bool = False) -> None:
        super().__init__()
        self.mono = mono

    def forward(self, spec: Tensor) -> Tensor:
        """(batch, channel, bin, frame) complex -> (batch, channel or 1, bin, frame)."""
        return self.mix(spec.abs())

    def mix(self, magnitude: Tensor) -> Tensor:
        """(batch, channel, bin, frame) magnitudes -> (batch, channel or 1, bin, frame)."""
        return magnitude.mean(dim=1, keepdim=True) if self.mono else magnitude


class OpenUnmix(Pretrained, Recomputing):
    """The network of one target: magnitude spectrogram of the mixture in, that of the target out.

    Input scaling, a linear layer, a three-layer bidirectional LSTM with a skip connection around
    it, and two linear layers that end in a mask.

    Args:
        nb_bins: bins of input and output.
        nb_channels: channels of the audio; 1 or 2 in the published models.
        hidden_size: features between the layers.
        nb_layers: LSTM layers.
        unidirectional: use an LSTM that does not see future frames.
        input_mean, input_scale: (bin,) mean and standard deviation of the training mixtures;
            stored as -mean and 1 / standard deviation.
        max_bin: number of input bins, from zero up; all if None.
        n_hop: hop for input given as audio; a quarter of the frame if None.

    Raises:
        ValueError: if a size is out of range.

    Source: paper, a mask from a three-layer bidirectional LSTM; layers from the authors' code,
    `OpenUnmix`.
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
        """Set input scaling from the (bin,) mean and standard deviation; None keeps the old one."""
        with torch.no_grad():
            if mean is not None:
                self.input_mean.copy_(-torch.as_tensor(mean)[: self.max_bin])
            if scale is not None:
                self.input_scale.copy_(1.0 / torch.as_tensor(scale)[: self.max_bin])

    def forward(self, mixture: Tensor) -> Tensor:
        """(batch, channel, bin, frame) magnitudes of the mixture -> those of the target.

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
        # Detached as in the authors' code: the product with the mask passes no gradient to the
        # mixture. Frames come first, as the LSTM takes them.
        magnitude = mixture.detach().permute(3, 0, 1, 2)  # (frame, batch, channel, bin)
        # Never the LSTM again: a GPU does not draw its dropout from the generator that is rewound.
        features = self.recur(self.run(self.embed, mixture.permute(3, 0, 1, 2)))
        return (self.run(self.mask, features) * magnitude).permute(1, 2, 3, 0)

    def embed(self, magnitude: Tensor) -> Tensor:
        """Input scaling, fc1, tanh (authors' code).

        (frame, batch, channel, bin) -> (frame, batch, feature) in [-1, 1], each frame by itself.
        """
        x = (magnitude[..., : self.max_bin] + self.input_mean) * self.input_scale
        frames, batch = x.shape[:2]
        x = self.bn1(self.fc1(x.reshape(frames * batch, -1)))
        return torch.tanh(x.reshape(frames, batch, self.hidden_size))

    def recur(self, embedded: Tensor) -> Tensor:
        """Bidirectional LSTM and skip connection (paper; authors' code).

        (frame, batch, feature) -> (frame, batch, 2 feature), the input and the LSTM's output. The
        only part that needs all frames of a song at once.
        """
        return torch.cat([embedded, self.lstm(embedded)[0]], dim=-1)

    def mask(self, features: Tensor) -> Tensor:
        """fc2, fc3 and output scaling to the mask (paper; authors' code), each frame by itself.

        (frame, batch, 2 feature) -> (frame, batch, channel, bin), not negative, not bounded above.
        """
        frames, batch = features.shape[:2]
        x = F.relu(self.bn2(self.fc2(features.reshape(frames * batch, -1))), inplace=True)
        x = self.bn3(self.fc3(x)).reshape(frames, batch, self.nb_channels, self.nb_bins)
        return (x * self.output_scale).add_(self.output_mean).relu_()


def _check_sizes(
    nb_bins: int,
    nb_channels: int,
    hidden_size: int,
    nb_layers: int,
    unidirectional: bool,
    max_bin: int | None,
) -> None:
    """Raise ValueError for a size out of range."""
    if min(nb_bins, nb_channels, hidden_size, nb_layers) < 1:
        raise ValueError(
            f"nb_bins={nb_bins}, nb_channels={nb_channels}, hidden_size={hidden_size}, "
            f"nb_layers={nb_layers}: each must be at least 1"
        )
    if not unidirectional and hidden_size % 2:
        raise ValueError(
            f"hidden_size={hidden_size}: two directions share it, choose an even number"
        )
    if max_bin is not None and not 0 <= max_bin <= nb_bins:
        raise ValueError(f"max_bin={max_bin}: choose 1 to {nb_bins}, or None for all bins")
