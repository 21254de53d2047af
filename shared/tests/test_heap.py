"""Freed memory stays with the process: counted in pages that the system hands out again."""

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's"
)
BLOCK = 64 * 2**20
COUNT = f"""
import resource, sys, torch
from mss_shared.heap import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1] == "keep" else False
for turn in range(40):
    if turn == 20:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty({BLOCK} // 4).fill_(turn)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def pages(mode: str, **environment: str) -> tuple[str, int]:
    """Whether memory is kept, and pages handed out while 20 blocks are taken and freed."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, mode],
        capture_output=True,
        text=True,
        check=True,
        env={"OMP_NUM_THREADS": "1", **environment},
    )
    kept, count = done.stdout.split()
    return kept, int(count)


def test_freed_memory_is_not_asked_for_again() -> None:
    kept, with_it = pages("keep")
    _, without = pages("leave")
    assert kept == "True"
    assert without >= 20 * BLOCK // 2**21  # even with pages of 2 MiB
    assert with_it < 20


@pytest.mark.parametrize(
    "setting", [{"MALLOC_TRIM_THRESHOLD_": "0"}, {"GLIBC_TUNABLES": "glibc.malloc.check=0"}]
)
def test_the_users_own_settings_are_left_alone(setting: dict[str, str]) -> None:
    assert pages("keep", **setting)[0] == "False"
