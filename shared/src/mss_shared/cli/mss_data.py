"""``mss-data``: look at data sets, check them, build the demo set."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from mss_demo_songs import SIZES, demo_root
from mss_shared import console
from mss_shared.datasets.check import check_root
from mss_shared.datasets.opening import open_dataset


def main() -> None:
    """Run ``mss-data``; exit code 1 if a check finds faults, 2 for what the user got wrong."""
    arguments = _parser().parse_args()
    with console.one_sentence_errors("mss-data"):
        code = arguments.run(arguments)
    raise SystemExit(code)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mss-data", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(required=True, metavar="{check,info,demo}")
    check = verbs.add_parser("check", help="list what is wrong, per track", allow_abbrev=False)
    check.add_argument("root", type=Path)
    check.set_defaults(run=_check)
    info = verbs.add_parser("info", help="splits, tracks, durations", allow_abbrev=False)
    info.add_argument("root", help="a folder, 'demo', or 'demo:tiny|small|full'")
    info.set_defaults(run=_info)
    demo = verbs.add_parser("demo", help="build the generated demo set", allow_abbrev=False)
    demo.add_argument("--size", choices=tuple(SIZES), default="small")
    demo.add_argument("--train", type=int, help="training songs instead of the size's")
    demo.add_argument("--test", type=int, help="test songs instead of the size's")
    demo.add_argument("--seconds", type=float, help="length of each song")
    demo.add_argument("--seed", type=int, help="another set of songs")
    demo.add_argument("--no_vocals", action="store_true", help="without the singing voice")
    demo.add_argument("--cache", type=Path, help="folder to build in instead of the user's cache")
    demo.add_argument("--jobs", type=int, help="processes; all cores if not given")
    demo.set_defaults(run=_demo)
    return parser


def _check(arguments: argparse.Namespace) -> int:
    faulty = tracks = 0
    if not arguments.root.is_dir():
        raise FileNotFoundError(f"there is no folder {arguments.root}: check its name")
    for name, faults in check_root(arguments.root):
        tracks += 1
        faulty += bool(faults)
        console.say(f"{name}: {'; '.join(faults) or 'ok'}")
    console.say(f"{tracks} tracks, {faulty} with faults")
    return 1 if faulty else 0


def _info(arguments: argparse.Namespace) -> int:
    with console.progress("preparing songs") as progress:
        dataset = open_dataset(arguments.root, progress)
    console.say(f"{dataset.name}  {dataset.root}")
    console.say(f"fingerprint {dataset.fingerprint}")
    for split in ("train", "valid", "test"):
        tracks = getattr(dataset, split)
        seconds = sum(track.info.seconds for track in tracks)
        console.say(f"{split}: {len(tracks)} tracks, {seconds / 60:.1f} minutes")
        for track in tracks:
            rate, channels = track.info.sample_rate, track.info.channels
            console.say(
                f"  {track.name}  {track.info.seconds:.1f} s  {rate} Hz  {channels} channels  "
                f"{' '.join(track.stems)}"
            )
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    settings = SIZES[arguments.size]
    for field in ("train", "test", "seconds", "seed"):
        if getattr(arguments, field) is not None:
            settings = replace(settings, **{field: getattr(arguments, field)})
    settings = replace(settings, vocals=not arguments.no_vocals)
    with console.progress("building demo songs") as progress:
        root = demo_root(settings, cache=arguments.cache, jobs=arguments.jobs, progress=progress)
    console.say(str(root))
    return 0


if __name__ == "__main__":
    main()
