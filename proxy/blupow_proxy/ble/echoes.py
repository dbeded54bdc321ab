"""Telling notifications from what BlueZ repeats of reads: it shows both as a new value of the characteristic.

The way on which it would not (AcquireNotify) loses what many devices send before they confirm the subscription.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

ECHO_S: Final = 0.25  # the reply to a read and its echo leave BlueZ at once, but come over two connections


class Notifications:
    """Passes on what one characteristic notifies of, but no echo of a read; ``echoes`` is whether there are any."""

    def __init__(self, pass_on: Callable[[bytes], None], *, echoes: bool) -> None:
        self._pass_on = pass_on
        self._echoes = echoes
        self._reads = 0
        self._held: dict[int, bytes] = {}  # what came during a read, until its reply tells whether it is an echo
        self._numbers = itertools.count()
        self._expected: deque[tuple[bytes, float]] = deque()  # echoes that are still to come, and until when

    def received(self, data: bytes) -> None:
        """Take a new value."""
        loop = asyncio.get_running_loop()
        self._forget_late(loop.time())
        for echo in self._expected:
            if echo[0] == data:
                self._expected.remove(echo)
                return
        if not self._reads:
            self._pass_on(data)
            return
        number = next(self._numbers)
        self._held[number] = data
        loop.call_later(ECHO_S, self._release, number)

    @contextmanager
    def read(self) -> Iterator[Callable[[bytes], None]]:
        """Note that the characteristic is read meanwhile, and what came of it."""
        if not self._echoes:
            yield lambda _: None
            return
        self._reads += 1
        try:
            yield self._answered
        finally:
            self._reads -= 1
            if not self._reads:
                for number in list(self._held):
                    self._release(number)

    def _answered(self, data: bytes) -> None:
        echo = next((number for number, held in self._held.items() if held == data), None)
        if echo is not None:
            del self._held[echo]
        else:
            now = asyncio.get_running_loop().time()
            self._forget_late(now)  # here too: a device may never notify, and be read for ever
            self._expected.append((data, now + ECHO_S))

    def _forget_late(self, now: float) -> None:
        while self._expected and self._expected[0][1] < now:
            self._expected.popleft()

    def _release(self, number: int) -> None:
        """Pass on what was held, and before it whatever came earlier."""
        if number not in self._held:
            return
        for earlier in [one for one in self._held if one <= number]:
            self._pass_on(self._held.pop(earlier))
