"""The authors' structure of LaSAFT-Net written out, on our weights: one condition per pass.

Dense blocks whose newest feature comes first; the frequency transformation of all latent sources
from the last axis, mixed by the attention; PoCM as a matrix product over channels turned to the end
and back; a song in windows with half overlap, one stem after the other, each pass alone.
"""

import math
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor, nn

from lasaft import Separator
from lasaft.blocks import TFC, TFC_TDF, Block, TFC_LaSAFT, TFC_LightSAFT


def run(layers: Any, x: Tensor) -> Tensor:
    """One layer after the other, as they are: ours fold batch norms where nothing is trained."""
    for layer in layers if isinstance(layers, nn.Sequential) else [layers]:
        x = layer(x)
    return x


def convolve(x: Tensor, tfc: TFC) -> Tensor:
    newest = x
    for layer in tfc.H:
        newest = run(layer, x)
        x = torch.cat((newest, x), dim=1)
    return newest


def attention(block: Any, embedding: Tensor) -> Tensor:
    logits = block.linear_query(embedding) @ block.keys / math.sqrt(block.keys.shape[0])
    return logits.softmax(dim=-1)


def transform(x: Tensor, block: Any, embedding: Tensor) -> Tensor:
    """The frequency transformation; (item, channel, frame, bin) in and out."""
    if isinstance(block, TFC_TDF):
        return run(block.tdf.tdf, x)
    latent = block.keys.shape[1]
    weights = attention(block, embedding)
    if isinstance(block, TFC_LaSAFT):
        sources = run(block.tdfs.tdf, x).unflatten(-1, (-1, latent))
        return (sources @ weights[:, None, None, :, None]).squeeze(-1)
    assert isinstance(block, TFC_LightSAFT)
    sources = run(block.LaSAFT_bn_layer, x).unflatten(-1, (latent, -1))
    mixed = (weights[:, None, None, None, :] @ sources).squeeze(-2)
    return run(block.LaSIFT, mixed)


def modulate(x: Tensor, gamma: Tensor, beta: Tensor) -> Tensor:
    """FiLM, or GPoCM if gamma is a matrix per item."""
    channels = beta.shape[1]
    if gamma.shape == beta.shape:
        return gamma[..., None, None] * x + beta[..., None, None]
    matrix = gamma.view(-1, 1, channels, channels)  # row: input channel
    moved = x.permute(0, 2, 3, 1) @ matrix + beta[:, None, None]
    return moved.permute(0, 3, 1, 2).sigmoid() * x


def run_block(x: Tensor, block: Block, embedding: Tensor, values: Any) -> Tensor:
    features = convolve(x, block if isinstance(block, TFC) else block.tfc)  # type: ignore[arg-type]
    if values is not None:
        features = modulate(features, *values)
    return features if isinstance(block, TFC) else features + transform(features, block, embedding)


def network(net: Any, image: Tensor, condition: Tensor) -> Tensor:
    """(item, channel, frame, bin), (item,) -> (item, channel, frame, bin)."""
    embedding = net.embedding(condition)
    gammas, betas = net.condition_generator(embedding)
    count = len(net.modulated)
    pairs = zip(gammas.chunk(count, 1), betas.chunk(count, 1), strict=True)
    values: dict[int, Any] = dict(zip(net.modulated, pairs, strict=True))
    levels = len(net.encoders)
    x, skips = run(net.first_conv, image), []
    for index, block in enumerate(net.encoders):
        x = run_block(x, block, embedding, values.get(index))
        skips.append(x)
        x = run(net.downsamplings[index], x)
    x = run_block(x, net.mid_block, embedding, values.get(levels))
    for index, block in enumerate(net.decoders):
        x = torch.cat((run(net.upsamplings[index], x), skips.pop()), dim=1)
        x = run_block(x, block, embedding, values.get(levels + 1 + index))
    return run(net.last_conv, x)


def estimate_window(model: Separator, window: Tensor, condition: int) -> Tensor:
    """(channel, sample) of a window -> (channel, sample) of one stem."""
    spec = model.spectrum(window[None])
    image = network(model.spec2spec, model.image(spec), torch.tensor([condition]))
    return model.waveform(image, spec)[0]


def separate_stem(model: Separator, song: Tensor, condition: int) -> Tensor:
    """``separate_track`` of the authors, without its defects: (channel, sample) -> the same."""
    trim, useful = model.config.trim_samples, model.config.useful_samples
    step = int(useful * (1.0 - model.window_overlap))
    total = torch.zeros_like(song)
    chunks = math.ceil(max(0, song.shape[-1] - useful) / step) + 1
    for k in range(chunks):
        first = k * step
        ahead, behind = max(0, trim - first), max(0, first + useful + trim - song.shape[-1])
        part = song[:, max(0, first - trim) : first + useful + trim]
        estimate = estimate_window(model, torch.nn.functional.pad(part, (ahead, behind)), condition)
        weight = torch.ones(useful)
        if k:
            weight[: useful - step] = 0.5
        if k + 1 < chunks:
            weight[step:] = 0.5
        size = min(useful, song.shape[-1] - first)
        total[:, first : first + size] += (weight * estimate[:, trim : trim + useful])[:, :size]
    return total


def separate_file(model: Separator, song: Path, out: Path) -> None:
    """From a file to one file per stem, one pass over the song for each."""
    for condition, stem in enumerate(model.stems):
        samples, rate = soundfile.read(song, dtype="float32", always_2d=True)
        found = separate_stem(model, torch.from_numpy(samples.T.copy()), condition)
        soundfile.write(out / f"{stem}.wav", found.T.numpy(), rate, subtype="FLOAT")
