# Copyright: The Bulkhead authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deadline for what may hang anywhere: a name that is not resolved, a header that comes byte by byte."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

LOOK_EVERY = 0.5
Result = TypeVar("Result")


class Late(Exception):
    """The time is over, or nobody waits for the answer any more; the message says which."""


class Deadline:
    """``seconds`` from now on. ``stop`` says why nobody waits any more, or nothing; it is asked now and then."""

    def __init__(self, seconds: float, stop: Callable[[], str] = str) -> None:
        self.seconds, self.stop = seconds, stop
        self.until = time.monotonic() + seconds
        self.asked = time.monotonic()

    def left(self) -> float:
        """Seconds to wait before the next call of this, above 0. Raises Late."""
        now = time.monotonic()
        if now >= self.until:
            raise Late(f"no answer within {self.seconds:g} s")
        if now - self.asked >= LOOK_EVERY:
            self.asked = now
            if why := self.stop():
                raise Late(why)
        return min(self.until - now, LOOK_EVERY)


def within(deadline: Deadline, work: Callable[[], Result]) -> Result:
    """What ``work`` gives or raises. Raises Late; then ``work`` is left to itself, in a thread that nothing waits for.

    The time limits of sockets are for each read: who sends a byte now and then is never late by them.
    """
    answers: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

    def run() -> None:
        try:
            answers.put((True, work()))
        except Exception as error:
            answers.put((False, error))

    Thread(target=run, daemon=True).start()
    while True:
        try:
            good, answer = answers.get(timeout=deadline.left())
        except Empty:
            continue
        if not good:
            raise answer
        found: Result = answer
        return found
