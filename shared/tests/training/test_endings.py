"""How a run ends before its time, with other processes that still hold what it had open."""

import os
import signal
import threading

from mss_shared.training.endings import ends_in_time


def test_a_copy_of_the_wakeup_end_in_a_forked_worker_does_not_keep_the_run() -> None:
    with ends_in_time():
        held = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(held)
        copy = os.dup(held)  # as a worker process has that was forked meanwhile
        release = threading.Timer(5.0, os.close, (copy,))
        release.start()
    waited_for_worker = not release.is_alive()
    release.cancel()
    release.join()
    if not waited_for_worker:
        os.close(copy)
    assert not waited_for_worker
