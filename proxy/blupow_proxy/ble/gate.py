"""Who may set up a connection now: one at a time, and the proxy's own units before what others ask for."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Final

from blupow_proxy.errors import BleError, LinkLostError

QUIET_S: Final = 3.0  # a unit that is there advertises every second or so; one that is not is searched for much longer
GIVE_WAY_S: Final = 5.0  # BlueZ cancels an attempt within milliseconds, and ends a link that was made within 2 to 3 s
CANCELLED: Final = 0x100  # what an ESP32 calls a connection that was given up before it was made
GAVE_WAY: Final = "gave way to a unit of this proxy, which connects first: try again"


class Gate:
    """One connection is set up at a time; an own one ends another's attempt, and waits for that alone."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._own = 0  # those that set up, or wait for it
        self._no_own = asyncio.Event()
        self._no_own.set()
        self._attempt: tuple[asyncio.Timeout, asyncio.Timeout] | None = None

    @asynccontextmanager
    async def own(self) -> AsyncIterator[None]:
        """Set up the connection to a unit of ours."""
        with self._before_others():
            async with self._lock:
                yield

    @asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Listen for a unit of ours, undisturbed at first: a controller that sets up a connection hears nothing."""
        with ExitStack() as undisturbed:
            undisturbed.enter_context(self._before_others())
            over = asyncio.get_running_loop().call_later(QUIET_S, undisturbed.close)
            try:
                yield
            finally:
                over.cancel()

    @contextmanager
    def _before_others(self) -> Iterator[None]:
        self._own += 1
        self._no_own.clear()
        try:
            self._end_attempt()
            yield
        finally:
            self._own -= 1
            if not self._own:
                self._no_own.set()

    @asynccontextmanager
    async def foreign(self, address: str) -> AsyncIterator[None]:
        """Set up another's connection, while nobody else does; LinkLostError when it had to give way."""
        await self._turn()
        late, given_up = asyncio.timeout(None), asyncio.timeout(None)
        try:
            async with late, given_up:
                self._attempt = given_up, late
                yield
        except (TimeoutError, BleError) as error:
            if given_up.expired() or late.expired():
                raise LinkLostError(address, GAVE_WAY, reason=CANCELLED) from error
            raise
        finally:
            self._attempt = None
            self._lock.release()

    async def _turn(self) -> None:
        while True:
            await self._no_own.wait()
            await self._lock.acquire()
            if not self._own:
                return
            self._lock.release()

    def _end_attempt(self) -> None:
        attempt, self._attempt = self._attempt, None
        if attempt is None:
            return
        now = asyncio.get_running_loop().time()
        for timeout, at in zip(attempt, (now, now + GIVE_WAY_S), strict=True):
            timeout.reschedule(at)
