"""One thread for every test: rounding is that of the golden files, and busy cores do not stall.

With two threads that wait for each other, the small networks here took many times as long on a
machine with other work.
"""

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
