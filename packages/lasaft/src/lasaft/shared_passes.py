"""The fast path for several stems of one mixture: what no condition changes is computed once.

``estimate_stems`` returns what ``DenseCUNet.forward`` returns for the same items and conditions, in
less time. Shared are all blocks before the first one that depends on the condition, and the part of
that block before the condition enters: where only the decoder is modulated, the encoder, the middle
and the first decoder block's convolutions; in LaSAFT networks, whose every block attends to the
condition, the first encoder block up to its latent sources; where only the middle and the decoder
attend, the encoder and the middle up to its latent sources.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from lasaft.blocks import Attentive, Block, Modulation
from lasaft.conditioning import ConditionGenerator
from lasaft.folded import Folded

Modulations = Sequence[Modulation | None]  # one per block of the network, in the order they run


class ConditionedUNet(Protocol):
    """What the fast path needs of a network, usually a ``DenseCUNet``: its layers and their order.

    Attributes:
        n_blocks: how many blocks there are.
        modulated: indices of those that are modulated, in running order.
    """

    n_blocks: int
    modulated: tuple[int, ...]
    first_conv: Folded
    encoders: nn.ModuleList
    downsamplings: nn.ModuleList
    upsamplings: nn.ModuleList
    last_conv: nn.Sequential
    embedding: nn.Embedding
    condition_generator: ConditionGenerator

    def block(self, index: int) -> nn.Module:
        """A block by its index in running order: encoder, middle, decoder."""

    def modulations(self, gammas: Tensor, betas: Tensor) -> list[Modulation | None]:
        """One modulation per block in running order, None where it is not modulated."""


def estimate_stems(network: ConditionedUNet, image: Tensor, conditions: Tensor) -> Tensor:
    """Several stems of each item, as ``network(image, conditions.flatten())`` would estimate them.

    In training mode batch norm normalises each stem's pass by itself, so results differ from
    ``forward``, which has all of them in one batch.

    Args:
        network: a conditioned network.
        image: (item, channel, frame, bin) of the mixture.
        conditions: (item, stem) int64.

    Returns:
        (item * stem, channel, frame, bin), the stems of an item in a row.
    """
    first = first_conditioned_block(network)
    skips: list[Tensor] = []
    stems = list(_per_stem(network, conditions))
    # No variable here holds features: they are freed by the last function that reads them.
    outputs = _outputs(
        network.block(first),
        _enter(network, first, _run(network, range(first), image, skips), skips),
        first,
        stems,
    )
    estimates = []
    # One stem after the other: a batch of them is slower on a CPU and takes more memory.
    for embedding, modulations in stems:
        remaining, own_skips = range(first + 1, network.n_blocks), [*skips]
        estimates.append(
            network.last_conv(
                _run(
                    network,
                    remaining,
                    _leave(network, first, next(outputs), own_skips),
                    own_skips,
                    embedding,
                    modulations,
                )
            )
        )
    return torch.stack(estimates, dim=1).flatten(0, 1)


def first_conditioned_block(network: ConditionedUNet) -> int:
    """Index of the first block that depends on the condition; its predecessors are shared."""
    attentive = (i for i in range(network.n_blocks) if isinstance(network.block(i), Attentive))
    return min(network.modulated[0], next(attentive, network.n_blocks))


def _outputs(
    block: nn.Module, x: Tensor, index: int, stems: Sequence[tuple[Tensor, Modulations]]
) -> Iterator[Tensor]:
    """What a block gives for each stem; what of it no condition changes is computed once.

    In an attentive block that is not modulated the latent sources are shared as well.
    """
    assert isinstance(block, Block)
    features = block.convolve(x)
    del x
    if isinstance(block, Attentive) and stems[0][1][index] is None:
        outputs = block.transform_for(features, [embedding for embedding, _ in stems])
        del features
        while outputs:
            yield outputs.pop(0)
        return
    for embedding, modulations in stems:
        modulation = modulations[index]
        modulated = features if modulation is None else modulation(features)
        yield block.transform(modulated, embedding)


def _per_stem(network: ConditionedUNet, conditions: Tensor) -> Iterator[tuple[Tensor, Modulations]]:
    """The embedding and the modulations of each column of (item, stem) conditions."""
    embedding = network.embedding(conditions.flatten())
    # All at once, for the batch norms of the condition generator in training mode.
    values = (embedding, *network.condition_generator(embedding))
    for stem in range(conditions.shape[1]):
        own = (v.unflatten(0, conditions.shape)[:, stem] for v in values)
        embedding, gammas, betas = own
        yield embedding, network.modulations(gammas, betas)


def _run(
    network: ConditionedUNet,
    indices: range,
    x: Tensor,
    skips: list[Tensor],
    embedding: Tensor | None = None,
    modulations: Modulations | None = None,
) -> Tensor:
    """Blocks in a row, each with the resampling before it; ``skips`` is changed in place."""
    for index in indices:
        x = _enter(network, index, x, skips)
        x = network.block(index)(x, embedding, modulations[index] if modulations else None)
        x = _leave(network, index, x, skips)
    return x


def _enter(network: ConditionedUNet, index: int, x: Tensor, skips: list[Tensor]) -> Tensor:
    """What a block reads, from the output of the block before it (or the image)."""
    levels = len(network.encoders)
    if index > levels:
        return torch.cat((network.upsamplings[index - levels - 1](x), skips.pop()), dim=1)
    layer = network.downsamplings[index - 1] if index else network.first_conv
    below: Tensor = layer(x)
    return below


def _leave(network: ConditionedUNet, index: int, x: Tensor, skips: list[Tensor]) -> Tensor:
    """A block's output, which an encoder block also keeps for the decoder block of its level."""
    if index < len(network.encoders):
        skips.append(x)
    return x
