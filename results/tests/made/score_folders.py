"""Score folders and repositories on disk, as evaluate and a checkout would leave them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PAPERS = """\
method,recipe,dataset,protocol,extra_data,stem,metric,value_db,parameters,source,note
Other Net,,musdb18hq,bsseval_v4@1,no,vocals,SDR,6.00,1500000,"A paper, table 1",read twice
ours,ours/large,musdb18hq,bsseval_v4@1,no,average,SDR,5.50,,"Our paper, table 2",
ours,ours/small,musdb18hq,bsseval_v4@1,no,average,SDR,4.00,,"Our paper, table 2",
"""
STEMS = ("vocals", "drums", "bass", "other")
Scores = Mapping[str, Mapping[str, Sequence[float]]]


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def museval_json(stems: Mapping[str, Sequence[float]], metrics: str) -> bytes:
    """Give the values to the first metric, 10 dB more to the second, and so on."""
    targets = [
        {
            "name": stem,
            "frames": [
                {
                    "time": float(index),
                    "duration": 1.0,
                    "metrics": {
                        metric: None if value is None else value + 10 * place
                        for place, metric in enumerate(metrics.split())
                    },
                }
                for index, value in enumerate(values)
            ],
        }
        for stem, values in stems.items()
    ]
    return json.dumps({"targets": targets}).encode()


@dataclass(frozen=True)
class ScoreFolders:
    """Writes runs below one score folder."""

    root: Path

    def write(
        self,
        scores: Scores,
        dataset: str = "demo_small",
        method: str = "ours",
        run: str = "seed0",
        protocol: str = "bsseval_v4@1",
        metric: str = "SDR",
        unit: str = "dB",
        ways: tuple[str, str] = ("median", "median"),
        fingerprint: str = "f" * 64,
        **changes: object,
    ) -> Path:
        """Write one run with one protocol; changes replace fields of run.json."""
        folder = self.root / dataset / method / run
        name = protocol.split("@")[0]
        digests = {}
        for track, stems in scores.items():
            content = museval_json(stems, metric)
            file = folder / name / "test" / f"{track}.json"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
            digests[f"test/{track}.json"] = sha256(content)
        fields: dict[str, object] = {
            "schema": 1,
            "kind": "model",
            "method": method,
            "run": run,
            "recipe": "demo",
            "recipe_digest": None,
            "verbatim": True,
            "leaf_sources": {"paper": 20, "code": 5, "ours": 7},
            "reproduces": None,
            "dataset": {
                "name": dataset,
                "split": "test",
                "tracks": list(scores),
                "fingerprint": fingerprint,
            },
            "training": {
                "dataset": dataset,
                "fingerprint": fingerprint,
                "tracks": ["train song"],
                "extra_data": False,
                "steps": 100,
            },
            "stems": sorted({stem for stems in scores.values() for stem in stems}),
            "protocols": {
                name: {
                    "id": protocol,
                    "metrics": metric.split(),
                    "unit": unit,
                    "targets": sorted({stem for stems in scores.values() for stem in stems}),
                    "frames": ways[0],
                    "tracks": ways[1],
                    "silence": "silent frames are NaN",
                    "notes": {},
                    "files": digests,
                }
            },
            "weights": {"digest": "d" * 64, "parameters": 1_234_567},
            "cost": {
                "gmac_per_second": 1.5,
                "real_time_factor": 0.25,
                "peak_memory_bytes": 300_000_000,
            },
            "seed": 0,
            "commit": None,
            "versions": {},
            "command": "evaluate",
            "machine": "a test",
        }
        (folder / "run.json").write_text(json.dumps(fields | changes))
        return folder

    def edit(self, folder: Path, *path: str, value: object = None, drop: bool = False) -> None:
        """Change or drop one field of a run.json by hand."""
        file = folder / "run.json"
        fields = json.loads(file.read_text())
        inner = fields
        for name in path[:-1]:
            inner = inner[name]
        if drop:
            del inner[path[-1]]
        else:
            inner[path[-1]] = value
        file.write_text(json.dumps(fields))


def four_stems(value: float) -> dict[str, list[float]]:
    return {stem: [value + index] for index, stem in enumerate(STEMS)}
