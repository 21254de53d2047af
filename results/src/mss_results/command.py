"""mss-results build | show | table | verify | import-museval."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from mss_results.build import Paths, plan, read_boards, replace_files, write
from mss_results.finished import find_unfinished
from mss_results.import_verb import add_import, import_scores
from mss_results.output import escaped, say, say_lines
from mss_results.paper_table import add_table, print_table
from mss_results.parser import Parser, VerbParser, show_examples
from mss_results.recheck import recheck
from mss_results.rescore import rescore
from mss_results.show import Choice, draw, show
from mss_results.verify import verify

_LONGEST = 4_000  # characters of a message
_EXAMPLES = {
    "build": ("", "--scores scores --out boards"),
    "verify": ("", "--cells 1000"),
    "show": ("--dataset musdb18hq --metric SDR", "--scores scores --stem vocals"),
    "table": ("musdb18hq--bsseval_v4@1 --latex --bold best",),
    "import-museval": ("my_json --method mine --dataset musdb18hq --protocol bsseval_v4@1",),
}


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns 0, or 2 after a one-sentence message on stderr about invalid input.

    SIGTERM and SIGHUP end it with 128 + their number, with nothing half-written.

    Raises:
        KeyboardInterrupt: on Ctrl-C, with nothing half-written.
    """
    chosen = _parser().parse_args(arguments)
    try:
        with _stoppable():
            if chosen.verb == "import-museval":
                import_scores(chosen)
            else:
                _run(chosen, _find_paths(chosen))
    except BrokenPipeError:
        # The reader (head, less) has closed the pipe; the interpreter must not flush again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError) as error:
        say_lines(f"mss-results: {_sentence(error)}\n", sys.stderr)
        return 2
    return 0


@contextmanager
def _stoppable() -> Iterator[None]:
    """Let the signals that end a process end it as an error does: what is half-written is removed.

    A signal that the caller ignores or handles stays so. Where Python ignores the exception, as in
    a deletion, the signal acts at the end.
    """
    came: list[int] = []

    def stop(number: int, frame: object) -> NoReturn:
        came.append(number)
        raise SystemExit(128 + number)

    numbers = [getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")]
    if threading.current_thread() is not threading.main_thread():
        numbers = []
    ours = [each for each in numbers if each and signal.getsignal(each) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
        if came:
            raise SystemExit(128 + came[0])
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _run(chosen: argparse.Namespace, paths: Paths) -> None:
    for folder in find_unfinished(paths.scores):
        say(
            f"mss-results: {folder} is passed over: it has no complete run.json, so its evaluation "
            f"was interrupted: run it again, or remove the folder",
            sys.stderr,
        )
    if chosen.verb == "build":
        _build(paths)
    elif chosen.verb == "verify" and (chosen.rescore or chosen.run):
        _rescore(chosen, paths)
    elif chosen.verb == "verify":
        files = verify(paths)
        cells = recheck(paths.leaderboard, paths.scores, chosen.cells, chosen.seed)
        say(f"{files} files match the inputs; {cells} cells match a recomputation from the JSON")
    elif chosen.verb == "table":
        print_table(read_boards(paths), chosen)
        sys.stdout.flush()
    else:
        _show(paths, chosen)


def _rescore(chosen: argparse.Namespace, paths: Paths) -> None:
    if not (chosen.rescore and chosen.run):
        raise ValueError("--rescore ESTIMATES REFERENCES and --run DATASET/METHOD/RUN go together")
    estimates, references = chosen.rescore
    match = rescore(chosen.run, estimates, references, paths.scores)
    say(
        f"{match.values} values of {match.tracks} tracks match a rescoring of the audio: the "
        f"largest difference is {match.largest:.5f} dB"
    )


def _sentence(error: Exception) -> str:
    """The message; one that quotes a very long value loses some of it in the middle."""
    said = str(error)
    if isinstance(error, OSError) and error.strerror:
        where = "a file or pipe" if error.filename is None else _name(error.filename)
        said = f"{where}: {error.strerror}: check the path, its permissions and its disk"
    return said if len(said) <= _LONGEST else f"{said[:3000]}...{said[-900:]}"


def _name(file: object) -> str:
    """A file's name on one line."""
    return escaped(os.fsdecode(file) if isinstance(file, bytes) else str(file)).replace("\n", r"\n")


def _build(paths: Paths) -> None:
    contents = plan(paths)
    for file in write(paths, contents):
        say(f"{'wrote' if file in contents else 'removed'} {file}")
    say(f"{len(contents)} files are up to date")


def _show(paths: Paths, chosen: argparse.Namespace) -> None:
    choice = Choice(
        dataset=chosen.dataset,
        protocol=chosen.protocol,
        metric=chosen.metric,
        stem=chosen.stem,
        against=chosen.against,
    )
    boards = read_boards(paths)
    if chosen.diagram is None:
        say_lines(show(boards, choice))
    else:
        replace_files({chosen.diagram: draw(boards, choice).encode("utf-8")})
        say(f"wrote {chosen.diagram}")
    sys.stdout.flush()


def _find_paths(chosen: argparse.Namespace) -> Paths:
    results = chosen.repo / "results"
    outside = chosen.scores is not None and (
        chosen.verb not in ("build", "verify") or chosen.out is not None
    )
    if not results.is_dir() and not outside:
        raise FileNotFoundError(
            f"no folder {results}: --repo must name the folder that holds results/ and packages/"
        )
    scores = chosen.scores
    if scores is None:
        # Before the first evaluation there are only claims.
        scores = [results / "scores"] if (results / "scores").is_dir() else []
    readmes = chosen.splice
    if readmes is None and chosen.out is not None:
        readmes = ()  # boards of one's own are shown in no README
    elif readmes is None:
        places = ("README.md", "packages/*/README.md", "experiments/*/README.md")
        known = (readme for place in places for readme in sorted(chosen.repo.glob(place)))
        readmes = [readme for readme in known if readme.is_file()]
    return Paths(
        scores=tuple(scores),
        papers=chosen.papers or _existing(results / "papers.csv"),
        out=chosen.out or results,
        readmes=tuple(readmes),
        cache=chosen.cache or _cache(results, chosen.out),
        audio=chosen.audio,
    )


def _cache(results: Path, out: Path | None) -> Path | None:
    """The cache beside the outputs; None where nothing is written."""
    home = results if results.is_dir() else out
    return None if home is None else home / ".cache"


def _existing(papers: Path) -> Path | None:
    """The repository's claims, None outside of it."""
    return papers if papers.parent.is_dir() else None


def _parser() -> Parser:
    parser = Parser(prog="mss-results", description=__doc__, allow_abbrev=False)
    kind: type[argparse.ArgumentParser] = VerbParser
    verbs = parser.add_subparsers(dest="verb", required=True, parser_class=kind)
    for name, text in (
        ("build", "write leaderboard.csv, tables/, site/ and the boards in READMEs"),
        ("verify", "fail if a committed output does not match the inputs"),
        ("show", "print boards"),
    ):
        verb = verbs.add_parser(name, help=text, description=text, allow_abbrev=False)
        _add_inputs(verb)
        if name == "show":
            verb.set_defaults(splice=(), out=None, audio=None)
            verb.add_argument("--dataset", help="only boards of this data set")
            verb.add_argument("--protocol", help="only boards of this protocol id")
            verb.add_argument("--metric", help="only this metric")
            verb.add_argument("--stem", help="compare rows in this column (the main one)")
            verb.add_argument(
                "--against", metavar="METHOD/RUN", help="compare all rows with this one"
            )
            verb.add_argument(
                "--diagram", type=Path, metavar="FILE.svg", help="draw the column instead"
            )
        else:
            _add_outputs(verb)
        if name == "verify":
            verb.add_argument(
                "--cells", type=int, default=200, help="measured cells to recompute (200)"
            )
            verb.add_argument("--seed", type=int, default=0, help="seed for choosing cells (0)")
            verb.add_argument(
                "--rescore",
                nargs=2,
                type=Path,
                metavar=("ESTIMATES", "REFERENCES"),
                help="instead, score the audio of a run again with mss-eval and compare its files",
            )
            verb.add_argument("--run", metavar="DATASET/METHOD/RUN", help="the run to rescore")
    _add_inputs(add_table(verbs))
    add_import(verbs)
    parser.verbs = verbs.choices
    for name, lines in _EXAMPLES.items():
        show_examples(parser.verbs[name], *lines)
    show_examples(parser, "show --dataset demo_small", "build --scores scores --out boards")
    return parser


def _add_inputs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--repo", type=Path, default=Path("."), help="folder with results/ and packages/ (.)"
    )
    verb.add_argument(
        "--scores",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="score folders (REPO/results/scores if it exists)",
    )
    verb.add_argument(
        "--papers", type=Path, metavar="FILE", help="table of claims (REPO/results/papers.csv)"
    )
    verb.add_argument(
        "--cache", type=Path, metavar="DIR", help="cache of parsed scores (REPO/results/.cache)"
    )


def _add_outputs(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--out", type=Path, metavar="DIR", help="output folder (REPO/results)")
    verb.add_argument(
        "--splice",
        type=Path,
        nargs="*",
        metavar="FILE",
        help="READMEs with markers (REPO/README.md, and those of packages/* and experiments/*)",
    )
    verb.add_argument(
        "--audio",
        type=Path,
        metavar="DIR",
        help="estimates for the page to play: DIR/<dataset>/<method>/<run>/<track>/<stem>.wav",
    )
