"""Separators of the code of Task-Aware Unified Source Separation (Saijo et al., ICASSP 2025)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange, repeat
from torch import Tensor, nn

from tflocoformer_mss.bands import BandSplit
from tflocoformer_mss.blocks import build_blocks, run_blocks
from tflocoformer_mss.config import band_sizes, stack_block_config


class BSLocoformerStack(nn.Module):
    """BS-Locoformer of two stacks of blocks, the paper's conventional model; mono, with masks.

    Args:
        num_spk: stems.
        n_first_blocks, config_first_block, n_second_blocks, config_second_block: how many blocks
            of which kind, as for `stack_block_config`.
        sample_rate, stft_size: Hz and samples; they make the bands.
        eps: of the norms.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
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


class TussModel(nn.Module):
    """One network for any stems that have a prompt; mono, with masks.

    Args:
        prompts: names of the stems that can be asked for.
        nblocks_cross_prompt_module, conf_cross_prompt_module: blocks that see prompts and frames.
        nblocks_cond_tse_module, conf_cond_tse_module: blocks that see one stem's frames.
        sample_rate, stft_size: Hz and samples; they make the bands.
        eps: of the norms.
        prompt_size: places that a prompt takes; 1, as in all published configurations.
        use_sos_token: a place between prompts and frames.

    Raises:
        ValueError: if a value is illegal or two do not fit together.
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
            raise ValueError(f"prompt_size={prompt_size}: prompts of one place alone are built")
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
        """(b, t, f) complex, and as many stems' names for each item -> (b, s, t, f) complex.

        Raises:
            ValueError: if a name has no prompt, or the items have not equally many.
        """
        vectors = self.look_up(prompts, spec.shape[0])
        x = self.band_split_module.encode(spec.unsqueeze(1))
        stems, bands = vectors.shape[1], x.shape[2]
        places = [repeat(vectors, "b s d -> b s k d", k=bands), x]
        if self.sos_token is not None:
            token = repeat(self.sos_token, "d 1 1 -> b 1 k d", b=x.shape[0], k=bands)
            places.insert(1, token)
        seen = run_blocks(self.cross_prompt_module, torch.cat(places, dim=1))
        asked, frames = seen[:, :stems], seen[:, -x.shape[1] :]
        conditioned = rearrange(
            asked.unsqueeze(2) * frames.unsqueeze(1), "b s t k d -> (b s) t k d"
        )
        masks = self.band_split_module.decode(run_blocks(self.cond_tse_module, conditioned))
        return rearrange(masks, "(b s) 1 1 t f -> b s t f", s=stems) * spec.unsqueeze(1)

    def look_up(self, prompts: Sequence[Sequence[str]], batch: int) -> Tensor:
        """(batch, stem, feature) of the names."""
        if len(prompts) != batch or len({len(names) for names in prompts}) > 1:
            raise ValueError(
                f"prompts name {[len(names) for names in prompts]} stems for {batch} items: give "
                f"every item as many"
            )
        for name in sorted({name for names in prompts for name in names}):
            if name not in self.prompts:
                raise ValueError(
                    f"there is no prompt {name!r}: choose from {', '.join(self.prompts)}"
                )
        rows = [torch.stack([self.prompts[name].flatten() for name in names]) for names in prompts]
        return torch.stack(rows)
