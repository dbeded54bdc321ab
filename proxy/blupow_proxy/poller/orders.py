"""What users have asked for and is not done yet."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from blupow_proxy.errors import BleError, DeadlineExceededError, ProxyError

from .unit import Unit

WRITE_S: Final = 10.0  # for the request under way, the write and its read-back
REFRESH_EVERY_S: Final = 60.0  # one takes an inverter 4 s, in which its live values are not read


@dataclass(slots=True)
class Write:
    """A register of a unit to be set; ends with ``succeed`` or ``fail``."""

    unit: Unit
    register: int
    value: int
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def succeed(self) -> None:
        """Tell who waits that it is done."""
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: ProxyError) -> None:
        """Tell who waits why it is not done."""
        if not self.done.done():
            self.done.set_exception(error)


class Orders:
    """Writes and refreshes that wait for the link; ``changed`` wakes whoever owns it."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self._writes: deque[Write] = deque()
        self._refreshes: list[asyncio.Future[None]] = []
        self._refresh_from = 0.0

    @property
    def refresh_wanted(self) -> bool:
        """Whether somebody waits for a refresh."""
        return bool(self._refreshes)

    async def write(self, unit: Unit, register: int, value: int) -> None:
        """Have a register set; BleError or ModbusError when it did not happen, within 10 s.

        Of several for a register that wait, the last is done: it is all that anyone would see.
        """
        for other in list(self._writes):
            if other.unit is unit and other.register == register:
                self._writes.remove(other)
                other.succeed()
        write = Write(unit, register, value)
        self._writes.append(write)
        self.changed.set()
        try:
            async with asyncio.timeout(WRITE_S):
                await write.done
        except TimeoutError:
            raise DeadlineExceededError(unit.spec.address, "the write", WRITE_S) from None

    async def refresh(self, address: str, begin: Callable[[], None]) -> None:
        """Have everything read; BleError when that fails.

        Joins one that is under way; another is refused until a minute after the last has begun.
        """
        loop = asyncio.get_running_loop()
        if not self._refreshes:
            wait_s = self._refresh_from - loop.time()
            if wait_s > 0:
                ago_s = REFRESH_EVERY_S - wait_s
                raise BleError(address, f"a refresh was begun {ago_s:.0f} s ago: try again in {wait_s:.0f} s")
            self._refresh_from = loop.time() + REFRESH_EVERY_S
            begin()
        done = loop.create_future()
        self._refreshes.append(done)
        self.changed.set()
        try:
            await done
        finally:
            self._refreshes.remove(done)

    def next_write(self) -> Write | None:
        """Return the oldest write that somebody still waits for: what has failed must not happen later."""
        while self._writes:
            write = self._writes.popleft()
            if not write.done.done():
                return write
        return None

    def refreshed(self) -> None:
        """End the refreshes: everything was read."""
        for done in self._refreshes:
            if not done.done():
                done.set_result(None)

    def fail(self, error: BleError) -> None:
        """End everything that waits: the link is gone."""
        while (write := self.next_write()) is not None:
            write.fail(error)
        for done in self._refreshes:
            if not done.done():
                done.set_exception(error)
