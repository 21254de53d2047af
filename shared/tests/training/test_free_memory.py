from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mss_shared.training.free_memory import free_bytes

GIB = 2**30


def machine(root: Path, files: dict[str, str]) -> Path:
    """A file system that describes a machine with 16 GiB available."""
    files = {"proc/meminfo": f"MemTotal: 99 kB\nMemAvailable: {16 * GIB // 1024} kB\n", **files}
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_a_limit_all_that_is_available_is_free(tmp_path: Path) -> None:
    assert free_bytes("cpu", machine(tmp_path, {})) == 16 * GIB
    assert free_bytes("cpu", tmp_path / "nowhere") is None


def test_the_tightest_control_group_around_the_process_counts(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
        "sys/fs/cgroup/a/b/memory.current": "5\n",
        "sys/fs/cgroup/a/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/a/memory.current": f"{3 * GIB}\n",
        "sys/fs/cgroup/a/memory.stat": f"anon 7\ninactive_file {GIB}\n",
    }
    assert free_bytes("cpu", machine(tmp_path, files)) == 2 * GIB


def test_a_limit_of_the_first_version_counts_in_a_container_too(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpu,memory:/docker/0123\n1:name=x:/docker/0123\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{8 * GIB}\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{GIB}\n",
    }
    assert free_bytes("cpu", machine(tmp_path, files)) == 7 * GIB


def test_a_group_over_its_limit_has_nothing_left(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": "10\n",
        "sys/fs/cgroup/memory.current": "20\n",
    }
    assert free_bytes("cpu", machine(tmp_path, files)) == 0


@given(text=st.text(max_size=60))
def test_nothing_that_the_files_may_hold_raises(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    root = tmp_path_factory.mktemp("odd")
    for name in ("proc/meminfo", "proc/self/cgroup", "sys/fs/cgroup/memory.max"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", errors="replace")
    found = free_bytes("cpu", root)
    assert found is None or found >= 0
