"""Inspect and check data sets, and build generated ones such as the demo songs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from mss_shared import console
from mss_shared.cli.parser import Paragraphs, Parser, show_examples
from mss_shared.datasets import plugins, tree
from mss_shared.datasets.check import ADAPTERS, LAYOUTS, Heard, check_root
from mss_shared.datasets.musdb18 import (
    check_streams,
    find_previews,
    find_stem_files,
    name_track,
)
from mss_shared.datasets.opening import PREVIEWS, open_dataset
from mss_shared.datasets.plugins import Builder
from mss_shared.names import printable


def run(words: Sequence[str] | None = None) -> None:
    """Run ``mss-data``; exit code 1 if a check finds faults, 2 for a mistake of the user."""
    words = list(sys.argv[1:] if words is None else words)
    with console.one_sentence_errors("mss-data"):
        arguments = _parser(words).parse_args(words)
        code = arguments.run(arguments)
    raise SystemExit(code)


def _parser(words: list[str]) -> Parser:
    parser = Parser(prog="mss-data", description=__doc__, formatter_class=Paragraphs)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="{check,info,demo}")
    add = partial(verbs.add_parser, formatter_class=Paragraphs)
    check = add("check", help="check every track of a data set and list its faults")
    check.add_argument(
        "roots",
        nargs="+",
        metavar="root",
        help="a folder, LAYOUT:FOLDER, or a name such as demo or musdb18_7s; several are checked "
        "for songs that they share, too",
    )
    check.add_argument(
        "--stems",
        nargs="+",
        default=(),
        metavar="STEM",
        help="what every track must have; default: the stems that most tracks have",
    )
    check.set_defaults(run=_check)
    show_examples(check, "mine", "mine ~/musdb18hq", "moisesdb:~/moisesdb --stems vocals drums")
    info = add("info", help="list splits, tracks and durations")
    info.add_argument("root", help="a folder, or a name such as demo or demo:tiny")
    info.set_defaults(run=_info)
    show_examples(info, "demo:tiny", "~/musdb18hq")
    # A plugin is loaded only for its own verb: a broken one must not stop the others.
    for name in plugins.list_names():
        what = "the generated demo songs" if name == "demo" else f"the data set {name}"
        verb = add(name, help=f"build {what}")
        if words[:1] == [name]:
            builder = plugins.find_builder(name)
            show_examples(verb, "")
            builder.add_flags(verb)
            verb.set_defaults(run=partial(_build, name, builder))
    parser.verbs = verbs.choices
    show_examples(parser, "demo --size tiny", "info demo:tiny", "check ~/songs")
    return parser


def _check(arguments: argparse.Namespace) -> int:
    faulty = tracks = 0
    heard = Heard()
    for layout, root in [_find_root(given) for given in arguments.roots]:
        if len(arguments.roots) > 1:
            console.say(f"{printable(str(root))}:")
        for name, faults in check_root(root, arguments.stems, layout, heard):
            tracks += 1
            faulty += bool(faults)
            console.say(f"{printable(name)}: {printable('; '.join(faults)) or 'ok'}")
        for place, why in _list_ignored(layout, root):
            console.say(f"ignored {printable(place)}: {why}")
    console.say(f"{tracks} tracks, {faulty} with faults")
    return 1 if faulty else 0


def _list_ignored(layout: str, root: Path) -> Iterable[tuple[str, str]]:
    return () if layout in ADAPTERS else tree.look(root).ignored.items()


def _find_root(given: str) -> tuple[str, Path]:
    """Layout and folder, without decoding what it holds; generated songs are made first."""
    if given == PREVIEWS:
        return "", find_previews()
    layout, colon, rest = given.partition(":")
    if colon and layout and layout in LAYOUTS:
        root = Path(rest).expanduser()
        if not root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}: correct what follows {layout}:")
        return layout, root
    root = Path(given).expanduser()
    if root.is_dir():
        return "", root
    with console.progress("preparing songs") as progress:
        return "", open_dataset(given, progress).root


def _info(arguments: argparse.Namespace) -> int:
    root = find_previews() if arguments.root == PREVIEWS else Path(arguments.root).expanduser()
    if find_stem_files(root):
        return _list_stem_files(root)
    with console.progress("preparing songs") as progress:
        dataset = open_dataset(arguments.root, progress)
    console.say(f"{dataset.name}  {dataset.root}")
    console.say(printable(dataset.identity))
    console.say(f"fingerprint {dataset.fingerprint}")
    for split in ("train", "valid", "test"):
        tracks = getattr(dataset, split)
        seconds = sum(track.info.seconds for track in tracks)
        console.say(f"{split}: {len(tracks)} tracks, {seconds / 60:.1f} minutes")
        for track in tracks:
            name, stems = printable(track.name), printable(" ".join(track.stems))
            rate, channels = track.info.sample_rate, track.info.channels
            console.say(
                f"  {name}  {track.info.seconds:.1f} s  {rate} Hz  {channels} channels  {stems}"
            )
    return 0


def _list_stem_files(root: Path) -> int:
    """What the headers of ``.stem.mp4`` files say; nothing is decoded. 1 if any is damaged."""
    console.say(f"{root} holds .stem.mp4 files")
    faulty = 0
    for split, paths in find_stem_files(root).items():
        seconds = 0.0
        lines: list[str] = []
        for path in paths:
            try:
                stream = check_streams(path)
            except (ValueError, OSError) as error:
                faulty += 1
                found = console.sentence(error)
            else:
                seconds += stream.seconds
                found = (
                    f"{stream.seconds:.1f} s  {stream.sample_rate} Hz  {stream.channels} channels"
                )
            lines.append(f"  {printable(name_track(path))}  {printable(found)}")
        console.say(f"{split}: {len(paths)} tracks, {seconds / 60:.1f} minutes")
        for line in lines:
            console.say(line)
    return 1 if faulty else 0


def _build(name: str, builder: Builder, arguments: argparse.Namespace) -> int:
    with console.progress(f"building {name}") as progress:
        root = builder.build(arguments, progress)
    console.say(str(root))
    return 0
