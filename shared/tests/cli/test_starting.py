"""Ctrl-C while a command starts; the papers' commands are tested by `check_front`."""

import pytest

from mss_shared.testing_front import check_start


@pytest.mark.parametrize("name", ["data", "eval"])
def test_ctrl_c_at_any_import_is_one_line(name: str) -> None:
    check_start(f"mss_shared.cli.mss_{name}", f"mss-{name}")
