"""Rotary positions of rotary-embedding-torch and of tflocoformer_mss in three precisions."""

import torch
from rotary_embedding_torch import RotaryEmbedding

from tflocoformer_mss.blocks import Rotary, rotate

DIM = 32  # features per head of the published speech models
LENGTHS = (256, 600, 1_025, 2_049)


def theirs(query: torch.Tensor) -> torch.Tensor:
    """(n, l, h, feature) rotated by a new instance of the package."""
    return RotaryEmbedding(DIM).rotate_queries_or_keys(query.transpose(1, 2)).transpose(1, 2)


def ours(query: torch.Tensor) -> torch.Tensor:
    """The same by this repository's code."""
    return rotate(query, Rotary(DIM)(query.shape[1]))


def main() -> None:
    torch.manual_seed(0)
    print("| precision | positions | distinct, theirs | distinct, ours | error, theirs | ours |")
    print("| --- | --- | --- | --- | --- | --- |")
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        for length in LENGTHS:
            query = torch.randn(1, length, 1, DIM).to(kind)
            exact = ours(query.double().float())
            same = query[:, :1].expand(-1, length, -1, -1)  # one vector at all positions
            counts, errors = [], []
            for turn in (theirs, ours):
                counts.append(len(turn(same.float().to(kind))[0, :, 0].unique(dim=0)))
                errors.append((turn(query).float() - exact).abs().max() / exact.abs().max())
            cells = (f"{counts[0]}", f"{counts[1]}", f"{errors[0]:.1e}", f"{errors[1]:.1e}")
            print(f"| {str(kind)[6:]} | {length} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
