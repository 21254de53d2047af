"""Python's collector leaves torch alone: counted in objects that it no longer looks at."""

import subprocess
import sys

import pytest
from tiny_paper.paper import PAPER

from mss_shared.cli import main, run

CYCLE = """
class Node:
    def __init__(self, name):
        self.name, self.own = name, self
    def __del__(self):
        print(self.name)
"""


def printed(program: str) -> str:
    """What a program prints that has objects which refer to themselves."""
    command = [sys.executable, "-c", CYCLE + program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_imports_are_never_collected_and_later_objects_are() -> None:
    program = """
import gc
from mss_shared.collector import lasting_imports
with lasting_imports():
    import torch
    Node("imported")
    print(gc.isenabled())
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
with lasting_imports():
    print(gc.isenabled())
Node("later")
gc.collect()
import atexit
atexit.register(gc.freeze)
"""
    assert printed(program).split() == ["False", "True", "True", "True", "later"]


def test_the_end_of_a_program_collects_nothing_but_keeps_its_promises() -> None:
    last = """
import atexit
atexit.register(print, "written")
Node("collected")
"""
    ending = "from mss_shared.collector import end_without_collection as end\nend()\n"
    assert printed(last).split() == ["written", "collected"]
    assert printed(ending + last).split() == ["written"]


def test_a_program_that_calls_a_command_ends_as_it_did(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(main, "end_without_collection", lambda: ended.append("so"))
    words = ["recipe", "--help"]
    with pytest.raises(SystemExit):
        run(PAPER, words)
    assert not ended
    monkeypatch.setattr(sys, "argv", ["tiny-paper", *words])
    with pytest.raises(SystemExit):
        run(PAPER)
    assert ended == ["so"]


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    program = """
import gc
from mss_shared.collector import lasting_imports
try:
    with lasting_imports():
        import no_such_module
except ImportError:
    print(gc.isenabled(), gc.get_freeze_count())
"""
    assert printed(program).split() == ["True", "0"]
