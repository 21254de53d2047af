"""``bs-roformer`` and ``python -m bs_roformer``."""

from bs_roformer.recipe import Recipe
from mss_shared.cli import run
from mss_shared.paper import Alias, Paper

# The flags of the fork with a lossless mode and of the training framework it comes from.
ALIASES = (
    Alias("--input_folder", ("{}",)),
    Alias("--output_folder", ("--out", "{}")),
    Alias("--store_dir", ("--out", "{}")),
    Alias("--start_check_point", ("--checkpoint", "{}")),
    Alias("--model_type", (), choices=("bs_roformer", "mel_band_roformer")),
    Alias("--use_tta", ("--tta",)),
    Alias("--extract_instrumental", ("--aggregate", "instrumental=mixture-vocals")),
    Alias("--flac_file", ("--format", "flac")),
    Alias("--pcm_type", ("--subtype", "{}"), choices=("PCM_16", "PCM_24", "FLOAT")),
    Alias("--force_cpu", ("--device", "cpu")),
    Alias("--device_ids", ("--device", "cuda:{}")),
    Alias("--disable-lossless", ()),
    Alias("--disable_detailed_pbar", ()),
)

PAPER = Paper(
    name="bs_roformer",
    recipe=Recipe,
    model="bs_roformer.model:build",
    training="bs_roformer.training:Training",
    examples="bs_roformer.data:Examples",
    adapt="bs_roformer.weights:adapt",
    open_configured="bs_roformer.configured:open_configured",
    default_checkpoint="zfturbo_4stem",
    aliases=ALIASES,
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
