"""A repository with every kind of row there is, for the page's tests and pictures."""

import math
import random
from pathlib import Path

from score_folders import STEMS, ScoreFolders

from mss_results.musdb18 import official_tracks

TRACKS = list(official_tracks())
OUTLIER = TRACKS[13]  # everyone fails on it
METRICS = "SDR ISR SIR SAR"
PAPERS = """\
method,recipe,dataset,protocol,extra_data,stem,metric,value_db,parameters,source,note
Other Net,,musdb18hq,bsseval_v4@1,no,vocals,SDR,8.10,30100000,"A paper, table 1",read twice
Other Net,,musdb18hq,bsseval_v4@1,no,drums,SDR,7.55,30100000,"A paper, table 1",
Other Net,,musdb18hq,bsseval_v4@1,no,bass,SDR,6.95,30100000,"A paper, table 1",
Other Net,,musdb18hq,bsseval_v4@1,no,other,SDR,5.20,30100000,"A paper, table 1",
Extra Net,,musdb18hq,bsseval_v4@1,yes,average,SDR,9.20,83000000,"arXiv 1901.00001, page 7",
ours,ours/large,musdb18hq,bsseval_v4@1,no,average,SDR,7.00,20000000,"Our paper, table 2",
ours,ours/large,musdb18hq,bsseval_v4@1,no,vocals,SDR,7.40,20000000,"Our paper, table 2",
ours,ours/small,musdb18hq,bsseval_v4@1,no,average,SDR,5.50,8000000,"Our paper, table 2",
theirs,,musdb18hq,bsseval_v4@1,no,vocals,SDR,5.10,,"Their README",
Old Net,,musdb18,sdr_as_listed,no,average,SDR,5.00,,"A web page, 2024-01-01",
"""
SOURCES = """\
key,methods,quoted,type,authors,title,venue,year,doi,arxiv,url
doe2021,,A paper,article,Jane Doe,Nets & more,A Journal,2021,10.1/2,,
ours2023,ours,,inproceedings,Ann Own,Our nets,ISMIR,2023,,2301.00001,https://github.com/we/ours
theirs,theirs,,,,,,,,,https://github.com/they/theirs
"""
NOTHING_LEARNT = dict.fromkeys(("recipe", "verbatim", "leaf_sources", "training", "weights"))


def write_repo(root: Path) -> Path:
    """Write score folders and claims; `mss-results build --repo ROOT` makes the rest."""
    (root / "packages").mkdir(parents=True)
    folders = ScoreFolders(root / "results" / "scores")
    folders.root.mkdir(parents=True)
    (root / "results" / "papers.csv").write_text(PAPERS)
    (root / "results" / "sources.csv").write_text(SOURCES)
    (root / "README.md").write_text("# A repository\n")
    for seed, (method, run, level, more) in enumerate(_runs()):
        protocol = "bsseval_v4@1"
        scores = _scores(TRACKS, level, seed)
        folders.write(
            scores, "musdb18hq", method, run, protocol, METRICS, fingerprint="a" * 64, **more
        )
    for seed, (method, run, level, more) in enumerate(_runs()[1:4] + _runs()[-2:]):
        scores = _scores(TRACKS[:6], level - 3, seed, frames=12)
        changes = {
            name: each for name, each in more.items() if name in NOTHING_LEARNT | {"kind": 0}
        }
        folders.write(scores, "demo_small", method, run, metric=METRICS, **changes)
    whole = _scores(TRACKS[:6], 4.0, 1, frames=1)
    folders.write(whole, "demo_small", "ours", "whole", "usdr@1", "uSDR", ways=("mean", "mean"))
    return root


def _runs() -> list[tuple[str, str, float, dict[str, object]]]:
    def size(parameters: int, factor: float) -> dict[str, object]:
        cost = {
            "gmac_per_second": parameters / 2e6,
            "real_time_factor": factor,
            "peak_memory_bytes": 40 * parameters,
        }
        return {"weights": {"digest": "d" * 64, "parameters": parameters}, "cost": cost}

    leaky = {
        "dataset": "musdb18hq",
        "fingerprint": "a" * 64,
        "tracks": TRACKS[:3],
        "extra_data": False,
        "steps": 10,
    }
    large = {"reproduces": "ours/large", "recipe_digest": "c" * 64, **size(20_000_000, 0.8)}
    return [
        *(("ours", f"seed{seed}", 6.5, large | {"seed": seed}) for seed in range(2)),
        ("theirs", "import", 5.2, {"training": None, **size(8_900_000, 0.2)}),
        ("small_net", "seed0", 4.0, size(1_200_000, 0.05)),
        ("small_net", "wider", 4.9, {"verbatim": False, **size(4_800_000, 0.11)}),
        ("leaky", "seed0", 9.5, {"training": leaky, **size(9_000_000, 0.4)}),
        ("irm", "oracle", 8.6, {"kind": "oracle", **NOTHING_LEARNT}),
        ("mixture", "mixture", -5.0, {"kind": "baseline", **NOTHING_LEARNT}),
    ]


def _scores(
    tracks: list[str], level: float, seed: int, frames: int = 20
) -> dict[str, dict[str, list[float]]]:
    """Songs are as hard for every method; frames wander, and some are silent."""
    songs = random.Random(7)
    scores: dict[str, dict[str, list[float]]] = {}
    for track in tracks:
        hard = {stem: songs.gauss(0, 1.5) - index / 2 for index, stem in enumerate(STEMS)}
        if track == OUTLIER:
            hard = dict.fromkeys(STEMS, -30.0)
        own = random.Random(f"{seed} {track}")
        gaps = {frame for frame in range(frames) if frames > 1 and own.random() < 0.1}
        scores[track] = {
            stem: [
                math.nan
                if frame in gaps
                else round(level + hard[stem] + math.sin(frame / 3 + index) + own.gauss(0, 0.8), 5)
                for frame in range(frames)
            ]
            for index, stem in enumerate(STEMS)
        }
    return scores
