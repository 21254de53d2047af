"""``open-unmix`` and ``python -m open_unmix``."""

from mss_shared.cli import run
from mss_shared.paper import Option, Paper, Verb
from open_unmix.recipe import Recipe

FILTER = (
    Option("targets", "stems to estimate; all of the checkpoints' if not given", several=True),
    Option("niter", "iterations of the Wiener filter", type=int),
    Option("softmask", "first estimates by ratio", type=bool),
    Option("alpha", "exponent of the ratios, with --softmask", type=float),
    Option("wiener_win_len", "frames filtered together; 0 for the whole song", type=int),
    Option("eps", "the filter's epsilon", choices=("torch", "norbert")),
    Option("wiener", "which implementation filters", choices=("torch", "norbert")),
    Option("pipeline", "of which version of the authors' code", choices=("1.0.0", "1.3.0")),
)
OUTPUT = (Option("residual", "one more stem: what is left of the mixture", type=bool),)

EXPORT = Verb(
    "export",
    "write networks as files that other programs read",
    (
        Option("checkpoint", "as for separate", several=True, required=True),
        Option("out", "folder to write to", required=True),
        Option(
            "format", "the authors' layout (umx, if not given) or onnx", choices=("umx", "onnx")
        ),
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
