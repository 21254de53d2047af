"""``open-unmix`` and ``python -m open_unmix``."""

from mss_shared.cli import run
from mss_shared.paper import Option, Paper, Verb
from open_unmix.recipe import Recipe

FILTER = (
    Option("targets", "stems to estimate; default: all of the checkpoints'", several=True),
    Option("niter", "iterations of the Wiener filter", type=int),
    Option("softmask", "start the Wiener filter from ratio masks", type=bool),
    Option("alpha", "exponent of the ratio masks, with --softmask", type=float),
    Option("wiener_win_len", "window of the filter in frames; 0 for the whole song", type=int),
    Option("eps", "epsilon of the filter", choices=("torch", "norbert")),
    Option("wiener", "implementation of the filter", choices=("torch", "norbert")),
    Option("pipeline", "version of the authors' code to follow", choices=("1.0.0", "1.3.0")),
)
OUTPUT = (Option("residual", "add a stem with what is left of the mixture", type=bool),)

EXPORT = Verb(
    "export",
    "export networks for other programs",
    (
        Option("checkpoint", "as for separate", several=True, required=True),
        Option("out", "folder to write to", required=True),
        Option("format", "umx (default), the authors' layout, or onnx", choices=("umx", "onnx")),
    ),
    "open_unmix.export:export",
)

PAPER = Paper(
    name="open_unmix",
    recipe=Recipe,
    model="open_unmix.build:build_separator",
    training="open_unmix.training:Training",
    examples="open_unmix.examples:SongExamples",
    prepare="open_unmix.statistics:set_statistics",
    join="open_unmix.build:join",
    options=FILTER,
    separate_options=OUTPUT,
    demo_variants=({"niter": 0},),
    adapt="open_unmix.checkpoints:adapt",
    open_folder="open_unmix.checkpoints:open_folder",
    default_checkpoint="umxhq",
    checkpoint_flags=("--checkpoint", "--model"),
    verbs=(EXPORT,),
)


def main() -> None:
    """Run the command line."""
    run(PAPER)


if __name__ == "__main__":
    main()
