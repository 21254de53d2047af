"""Whatever a command writes, a disk that takes no more ends it in one sentence that says where."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_songs import RATE, STEMS

from mss_shared.testing import make_dataset

LIMITS = (50, 3_000)  # bytes of the largest file that is possible
COMMANDS = {
    "fit": "fit --recipe demo --data_root songs --device cpu --dev_mode --out {out}",
    "separate": "separate songs/test --checkpoint run --device cpu --out {out}",
    "separate mp3": "separate songs/test --checkpoint run --device cpu --out {out} --format mp3",
    "evaluate": "evaluate --checkpoint run --data_root songs --device cpu --protocol usdr "
    "--scores {out} --estimates {out}/stems",
    "card": "card run --out {out}",
    "import-weights": "import-weights run/last.ckpt --recipe demo --out {out}/x.safetensors",
}
SCRIPT = """
import contextlib, io, json, resource, sys
from tiny_paper.paper import PAPER
from mss_shared.cli import run
commands, limits = json.loads(sys.argv[1])
sys.dont_write_bytecode = True  # half a file of a module would be left for the next program
run(PAPER, commands["fit"].format(out="run").split())
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
for limit in limits:
    for name, words in commands.items():
        said, code = io.StringIO(), 0
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                run(PAPER, words.format(out=f"out-{limit}").split())
        except SystemExit as end:
            code = end.code
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        print(json.dumps([name, limit, code, said.getvalue().splitlines()[-1:]]))
"""


@pytest.fixture(scope="module")
def endings(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, list[tuple[str, int, int, str]]]:
    """The folder; of each command and limit, the exit code and the last line on stderr."""
    here = tmp_path_factory.mktemp("full")
    make_dataset(here / "songs", STEMS, (RATE, 2), seconds=1.0)
    (here / "tmp").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps([COMMANDS, LIMITS])],
        cwd=here,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(here / "tmp")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return here, [(name, limit, code, "".join(said)) for name, limit, code, said in found]


def test_a_disk_that_takes_no_more_is_one_sentence_that_says_where(
    endings: tuple[Path, list[tuple[str, int, int, str]]],
) -> None:
    _, found = endings
    assert len(found) == len(COMMANDS) * len(LIMITS)
    for name, limit, code, said in found:
        if code == 0 and limit == LIMITS[-1]:
            continue  # all that it writes is smaller
        assert code == 2 and "None" not in said, (name, limit, code, said)
        assert "out-" in said or "mss-evaluate" in said or ".part-" in said, (name, limit, said)


def test_what_did_not_get_onto_the_disk_leaves_nothing_begun(
    endings: tuple[Path, list[tuple[str, int, int, str]]],
) -> None:
    here, _ = endings
    left = [str(path.relative_to(here)) for path in here.rglob("*") if not path.is_dir()]
    begun = [name for name in left if ".part-" in name or name.endswith((".lock", ".partial"))]
    assert len(left) > 10 and not begun and not [*(here / "tmp").glob("mss-*")]
