"""Reading a unit again and again, and how that goes."""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from blupow_proxy.ble import Adapter, Link
from blupow_proxy.commands.radio import require_free
from blupow_proxy.errors import BleError, DeadlineExceededError, UnexpectedResponseError
from blupow_proxy.modbus import UNIVERSAL_ADDRESS, ExceptionResponse, ReadRequest, Response
from blupow_proxy.poller import UnitSpec, identify
from blupow_proxy.renogy import Family, Schedule, register_map

REPLY_S: Final = 2.0  # as the register maps have it; the poller waits as long
PAUSE_S: Final = 0.5  # between requests: devices need 0.3, and a person reads no faster
AGAIN_S: Final = 2.0  # after a link that has failed; a device needs a moment to advertise again
PUSH_S: Final = 3.0  # a shunt sends about every second
REQUESTS: Final = 100  # the last, of which the share counts, as in Home Assistant
LINKED: Final = "linked"
_OUTCOMES: Final = 50


@dataclass(slots=True)
class LinkTest:
    """A link to ``address`` that is asked without end; ``state`` is what it does now."""

    address: str
    name: str
    state: str = "waiting for its turn"
    rssi: int | None = None
    losses: int = 0
    _answered: deque[bool] = field(default_factory=lambda: deque(maxlen=REQUESTS))
    _times_s: deque[float] = field(default_factory=lambda: deque(maxlen=_OUTCOMES))
    _push: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_linked(self) -> bool:
        """Whether there is a link that is asked."""
        return self.state.startswith(LINKED)

    @property
    def requests(self) -> int:
        """How many requests the share is of."""
        return len(self._answered)

    @property
    def percent(self) -> float | None:
        """The share of the last requests that was answered; None before the first."""
        return 100 * sum(self._answered) / len(self._answered) if self._answered else None

    @property
    def median_s(self) -> float | None:
        """What a reply takes; None before the first."""
        return median(self._times_s) if self._times_s else None

    @property
    def slowest_s(self) -> float | None:
        """What the slowest of the last replies took."""
        return max(self._times_s, default=None)

    async def run(self, adapter: Adapter) -> None:
        """Connect, ask until that fails, and again, until cancelled."""
        while True:
            self.state = "connecting"
            link = Link(adapter, self.address, on_push=lambda _: self._push.set())
            try:
                await require_free(adapter, self.address)
                await link.connect()
                self.rssi = link.rssi
                self.state = "finding out what it is"
                await (self._listen(link) if link.pushes else self._ask(link))
            except BleError as error:
                self.losses += self.is_linked
                self.state = error.message
            except UnexpectedResponseError as error:
                self.state = str(error)
            finally:
                await link.disconnect()
            await asyncio.sleep(AGAIN_S)

    async def _ask(self, link: Link) -> None:
        async def ask(request: ReadRequest) -> Response | ExceptionResponse | None:
            await asyncio.sleep(PAUSE_S)
            try:
                return await link.request(request, REPLY_S)
            except DeadlineExceededError:
                return None

        spec = UnitSpec(id="", name=self.name or self.address, address=self.address)
        profile = await identify(spec, None, link.name, ask, shared_link=False)
        request = _request(profile.family, profile.modbus_address)
        self.state = LINKED
        while True:
            await asyncio.sleep(max(PAUSE_S, link.held_s(request)))
            start = asyncio.get_running_loop().time()
            try:
                await link.request(request, REPLY_S)
            except DeadlineExceededError:
                self._answered.append(False)
                continue
            self._answered.append(True)
            self._times_s.append(asyncio.get_running_loop().time() - start)

    async def _listen(self, link: Link) -> None:
        self.state = f"{LINKED}; it sends unasked"
        while not link.lost.is_set():
            self._push.clear()
            waits = [asyncio.ensure_future(event.wait()) for event in (self._push, link.lost)]
            try:
                await asyncio.wait(waits, timeout=PUSH_S, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for wait in waits:
                    wait.cancel()
            if not link.lost.is_set():
                self._answered.append(self._push.is_set())
        raise link.end


def _request(family: Family, modbus_address: int | None) -> ReadRequest:
    """Return what reads the values that change."""
    block = next(block for block in register_map(family).blocks if block.schedule is Schedule.POLL)
    return ReadRequest(UNIVERSAL_ADDRESS if modbus_address is None else modbus_address, block.register, block.words)
