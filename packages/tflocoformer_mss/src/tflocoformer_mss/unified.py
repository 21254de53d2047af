"""Separators of the TUSS code (Task-Aware Unified Source Separation, Saijo et al., ICASSP 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from tflocoformer_mss.bands import BandSplit
from tflocoformer_mss.blocks import build_blocks, run_blocks
from tflocoformer_mss.config import band_sizes, stack_block_config
from tflocoformer_mss.pretrained import Pretrained


class BSLocoformerStack(Pretrained, nn.Module):
    """BS-Locoformer (form B) with two stacks of blocks, the conventional model of the TUSS paper.

    Mono; estimates complex masks.

    Args:
        num_spk: number of stems.
        n_first_blocks, n_second_blocks: number of blocks in each stack.
        config_first_block, config_second_block: their arguments, as for `stack_block_config`.
        sample_rate, stft_size: Hz and samples; they determine the bands.
        eps: of the norms.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.

    Source: paper (TUSS), conventional model; layers, authors' code.
    """

    def __init__(
        self,
        num_spk: int,
        n_first_blocks: int,
        config_first_block: Mapping[str, Any],
        n_second_blocks: int,
        config_second_block: Mapping[str, Any],
        sample_rate: int = 48_000,
        stft_size: int = 2048,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        first = stack_block_config(config_first_block, eps)
        self.band_split_module = BandSplit(
            band_sizes(sample_rate, stft_size), 1, num_spk, first.freq.dim, "B"
        )
        self.first_block = build_blocks(first, n_first_blocks)
        self.second_block = build_blocks(
            stack_block_config(config_second_block, eps), n_second_blocks
        )

    def forward(self, spec: Tensor) -> Tensor:
        """(b, t, f) complex -> (b, s, t, f) complex."""
        x = self.band_split_module.encode(spec.unsqueeze(1))
        x = run_blocks(self.second_block, run_blocks(self.first_block, x))
        masks = self.band_split_module.decode(x).squeeze(2)
        return masks * spec.unsqueeze(1)


class TussModel(Pretrained, nn.Module):
    """TUSS: one network that separates whichever stems its learnable prompts ask for.

    Prompts and a start-of-sequence (SOS) token precede the frames of the mixture. After the
    cross-prompt module, the output at each prompt conditions a copy of the frames by
    multiplication, and the conditional target sound extraction (TSE) module estimates that stem.
    Mono; estimates complex masks.

    Args:
        prompts: names of the stems that have a prompt.
        nblocks_cross_prompt_module, conf_cross_prompt_module: blocks that see prompts and frames.
        nblocks_cond_tse_module, conf_cond_tse_module: blocks that see the frames of one stem.
        sample_rate, stft_size: Hz and samples; they determine the bands.
        eps: of the norms.
        prompt_size: positions per prompt; only 1, as in all published configurations.
        use_sos_token: put the SOS token between prompts and frames.

    Raises:
        ValueError: if a value is invalid, or inconsistent with another.

    Source: paper (TUSS), prompts, cross-prompt and conditional TSE modules; layers, authors' code.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        nblocks_cross_prompt_module: int,
        conf_cross_prompt_module: Mapping[str, Any],
        nblocks_cond_tse_module: int,
        conf_cond_tse_module: Mapping[str, Any],
        sample_rate: int = 48_000,
        stft_size: int = 2048,
        eps: float = 1e-5,
        prompt_size: int = 1,
        use_sos_token: bool = True,
    ) -> None:
        super().__init__()
        if prompt_size != 1:
            raise ValueError(f"prompt_size={prompt_size}: only 1 is supported")
        first = stack_block_config(conf_cross_prompt_module, eps)
        dim = first.freq.dim
        self.prompts = nn.ParameterDict(
            {name: nn.Parameter(torch.randn(dim, 1, 1)) for name in prompts}
        )
        self.sos_token = nn.Parameter(torch.randn(dim, 1, 1)) if use_sos_token else None
        self.band_split_module = BandSplit(band_sizes(sample_rate, stft_size), 1, 1, dim, "B")
        self.cross_prompt_module = build_blocks(first, nblocks_cross_prompt_module)
        self.cond_tse_module = build_blocks(
            stack_block_config(conf_cond_tse_module, eps), nblocks_cond_tse_module
        )

    def forward(self, spec: Tensor, prompts: Sequence[Sequence[str]]) -> Tensor:
        """Separate the stems of the prompts, (b, t, f) complex -> (b, s, t, f) complex.

        Args:
            spec: of the mixture.
            prompts: for each item, the names of the stems, as many for all.

        Raises:
            ValueError: if a name has no prompt, or items have different numbers of prompts.
        """
        vectors = self.get_prompts(prompts, spec.shape[0])
        x = self.band_split_module.encode(spec.unsqueeze(1))
        stems, bands = vectors.shape[1], x.shape[2]
        # Prompts and SOS token are extra positions in front of the frames, the same in all bands.
        sequence = [repeat(vectors, "b s d -> b s k d", k=bands), x]
        if self.sos_token is not None:
            token = repeat(self.sos_token, "d 1 1 -> b 1 k d", b=x.shape[0], k=bands)
            sequence.insert(1, token)
        features = run_blocks(self.cross_prompt_module, torch.cat(sequence, dim=1))
        conditions, frames = features[:, :stems], features[:, -x.shape[1] :]
        conditioned = rearrange(
            conditions.unsqueeze(2) * frames.unsqueeze(1), "b s t k d -> (b s) t k d"
        )
        masks = self.band_split_module.decode(run_blocks(self.cond_tse_module, conditioned))
        return rearrange(masks, "(b s) 1 1 t f -> b s t f", s=stems) * spec.unsqueeze(1)

    def get_prompts(self, prompts: Sequence[Sequence[str]], batch: int) -> Tensor:
        """The learnable prompts of these names, (batch, stem, feature).

        Raises:
            ValueError: as `forward` does.
        """
        if len(prompts) != batch or len({len(names) for names in prompts}) > 1:
            raise ValueError(
                f"prompts have {[len(names) for names in prompts]} names for {batch} items: every "
                f"item needs the same number"
            )
        for name in sorted({name for names in prompts for name in names}):
            if name not in self.prompts:
                raise ValueError(f"unknown prompt {name!r}: choose from {', '.join(self.prompts)}")
        rows = [torch.stack([self.prompts[name].flatten() for name in names]) for names in prompts]
        return torch.stack(rows)
