"""Signals that end a command: none is lost, and none comes between two halves of a step.

Python turns a signal into an exception wherever the main thread is. The exception is lost in
callbacks of C, while objects are deleted, while modules are imported, and where a library catches
all that it can. A file or process that was just made and is not yet held by any variable is left.
"""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

AGAIN_SECONDS = 0.1  # until a signal without effect acts again

_waiting = ContextVar("waiting", default=False)


class Stopped(SystemExit):
    """The end by SIGTERM or SIGHUP; its code is 128 plus the signal's number."""


class Interrupted(KeyboardInterrupt):
    """The end by Ctrl-C."""


@contextmanager
def starting(command: str) -> Iterator[None]:
    """Import a command and run it: Ctrl-C at any time is one line and exit code 130.

    An entry imports nothing but this outside of the block.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"{command}: interrupted", file=sys.stderr)
        raise SystemExit(128 + signal.SIGINT) from None


@contextmanager
def stoppable() -> Iterator[None]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into exceptions, to clean up after them.

    A signal acts until the block ends, so that code that ignores the exception does not go on.
    While an exception is on its way out, further signals are ignored: they would end the cleaning.
    Only the main thread can set handlers; those set by others, or by nohup, are left alone.

    Raises:
        SystemExit: with 128 plus the number of SIGTERM or SIGHUP.
        KeyboardInterrupt: on Ctrl-C.
    """
    with uninterrupted():
        before, stop = _plain_handlers(), _Stop()
        try:
            for number in before:
                signal.signal(number, stop)
            with interruptible():
                yield
        finally:
            stop.end()
            for number, handler in before.items():
                signal.signal(number, handler)
            stop.act()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the signals of ``stoppable`` wait until the block ends.

    For steps of which half must not be done, such as taking a lock and remembering it. What may
    take long in the block goes into ``interruptible``. Around another context, it is
    ``with uninterrupted(), locked(), interruptible():``, as a signal may come between the end of
    the block and the first line of what cleans up after it.
    """
    token = _waiting.set(True)
    try:
        yield
    finally:
        _waiting.reset(token)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals act in a part of an ``uninterrupted`` block."""
    token = _waiting.set(False)
    try:
        yield
    finally:
        _waiting.reset(token)


class _Stop:
    """The handler of signals in a ``stoppable`` block."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._came: int | None = None
        self._over = False
        self._sending = threading.Lock()
        self._hook: Any = None

    def __call__(self, number: int, frame: object) -> None:
        """Raise, unless that must wait or is already so."""
        if self._came is None:
            self._came = number
            self._hook, sys.unraisablehook = sys.unraisablehook, self._say_others
            if os.getpid() == self._process:  # a forked worker is ended by its parent
                with suppress(RuntimeError):  # no more threads
                    _thread.start_new_thread(self._act_again, (number,))
        if not _waiting.get():
            self.act()

    def act(self) -> None:
        """Raise if a signal came and no exception is on its way."""
        if self._came is not None and not _is_ending():
            code = 128 + self._came
            raise Interrupted if self._came == signal.SIGINT else Stopped(code)

    def end(self) -> None:
        """Send nothing more, and return when all that was sent has arrived."""
        with self._sending:
            self._over = True
        if sys.platform != "win32":
            signal.sigpending()  # signals are delivered before a call of the system returns
        if self._hook is not None:
            sys.unraisablehook = self._hook

    def _act_again(self, number: int) -> None:
        """In a thread of its own."""
        main = threading.main_thread().ident
        while main is not None:
            time.sleep(AGAIN_SECONDS)
            with self._sending:
                if self._over:
                    return
                if sys.platform == "win32":
                    _thread.interrupt_main(number)
                else:
                    signal.pthread_kill(main, number)  # also ends waiting for the system

    def _say_others(self, unraisable: Any) -> None:
        """Report what is ignored where nothing can be raised, other than our own exceptions."""
        if not isinstance(unraisable.exc_value, Stopped | Interrupted):
            self._hook(unraisable)


def _plain_handlers() -> dict[int, Any]:
    """The signals that end a process and that nobody has a handler for, with what they do now."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGHUP")]
    handlers = {number: signal.getsignal(number) for number in numbers if number is not None}
    plain = (signal.SIG_DFL, signal.default_int_handler)
    return {number: handler for number, handler in handlers.items() if handler in plain}


def _is_ending() -> bool:
    """Whether the main thread cleans up after an exception that ends the command."""
    error = sys.exc_info()[1]
    while error is not None:
        if isinstance(error, SystemExit | KeyboardInterrupt):
            return True
        error = error.__context__
    return False
