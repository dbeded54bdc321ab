"""The loop that owns a link: connect, read until it fails, and again from the start."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from blupow_proxy.errors import (
    AdapterLostError,
    AdapterUnavailableError,
    BleError,
    DeviceNotFoundError,
    LinkLostError,
    ModbusError,
    UnexpectedResponseError,
)
from blupow_proxy.renogy import LOAD_SWITCH_REGISTER, Family, PushParser, Schedule

from .backoff import delay_s
from .orders import Orders
from .polling import Polling, UnitLink, now, pause
from .progress import Progress
from .unit import Profile, Unit, fresh_s

RELEASE_S: Final = 1800.0  # the phone app has had its time; a release that is forgotten must not last
PUSH_SILENCE_S: Final = 15.0  # a shunt pushes each second
LATE_S: Final = 1.0  # after a deadline: no loop that runs is as late
PUSH_JITTER_S: Final = 0.2  # a push that comes this much early counts as on time
ATTEMPT_S: Final = 240.0  # the adapter's start, the search, the connection and the waking together have 190 s

_LOGGER = logging.getLogger(__name__)

type OpenLink[Link] = Callable[[Callable[[bytes], None]], Link]


class Poller[Link: UnitLink]:
    """Keeps ``units``, which share one device address, read; ``open_link`` makes a new link for each attempt.

    ``progress`` tells whether that goes on, given that a link connects or fails within ``connect_s``.
    """

    def __init__(
        self,
        open_link: OpenLink[Link],
        units: Sequence[Unit],
        *,
        on_adapter: Callable[[AdapterUnavailableError | None], None] = lambda _: None,
        connect_s: float = ATTEMPT_S,
    ) -> None:
        self.units = units
        self.progress = Progress()
        self.link: Link | None = None
        self._open_link = open_link
        self._on_adapter = on_adapter
        self._connect_s = connect_s
        self._orders = Orders()
        self._polling: Polling | None = None
        self._strangers: dict[str, int] = {}
        self._released_until: float | None = None
        self._attempting: asyncio.Task[None] | None = None
        self._failures = 0
        self._error: BleError | ModbusError | None = None  # how the last attempt ended
        self._last_push = 0.0
        self._next_push = 0.0
        self._push_parser = PushParser()

    @property
    def released(self) -> bool:
        """Whether the link is left to other centrals."""
        return self._released_until is not None

    def release(self, released: bool) -> None:
        """Leave the link to other centrals, for half an hour at most, or take it back."""
        self._released_until = now() + RELEASE_S if released else None
        self._failures = 0
        self._orders.changed.set()
        if released and self._attempting is not None:
            self._attempting.cancel()

    def adapter_back(self) -> None:
        """Try again now: what failed without the adapter says nothing of the units."""
        self._failures = 0
        self._orders.changed.set()

    async def refresh(self) -> None:
        """Read everything now; returns when that is done, BleError when it fails."""
        if self.released:
            raise LinkLostError(self.units[0].spec.address, self.units[0].status)
        await self._orders.refresh(self.units[0].spec.address, self._begin_refresh)

    async def switch_load(self, unit: Unit, on: bool) -> None:
        """Switch a controller's load and read it back; BleError or ModbusError when it did not happen."""
        if not unit.load_switchable:
            raise UnexpectedResponseError(f"{unit.spec.name} has no load output that may be switched")
        if self._polling is None or not self._polling.has_member(unit):
            raise LinkLostError(unit.spec.address, f"not switched: {unit.status}")
        await self._orders.write(unit, LOAD_SWITCH_REGISTER, int(on))

    async def run(self) -> None:
        """Keep the units read until cancelled."""
        try:
            while True:
                await (self._turn() if self._released_until is None else self._stay_away(self._released_until))
        finally:
            if self._attempting is not None:
                self._attempting.cancel()
                await asyncio.wait([self._attempting])
            self.progress.step()  # who runs it may run it again

    async def _turn(self) -> None:
        """Read as long as the link lasts, then pause."""
        self._attempting = asyncio.create_task(self._attempt())
        await asyncio.wait([self._attempting])
        if not self._attempting.cancelled() and self._attempting.exception() is not None:
            self._down("something unforeseen went wrong, see the log; starting again")
            self._attempting.result()
        if self.released:
            return
        self._failures += 1
        await self._pause(now() + delay_s(self._error, self._failures))

    async def _stay_away(self, until: float) -> None:
        for unit in self.units:
            unit.linked(None, "released: the phone app may connect now")
        self._orders.fail(LinkLostError(self.units[0].spec.address, self.units[0].status))
        await self._pause(until)
        if self._released_until == until and now() >= until:
            self.release(released=False)

    async def _pause(self, until: float) -> None:
        self._orders.changed.clear()
        self.progress.step(wait_s=until - now())
        # who has asked for a refresh may not have noticed yet that it failed
        if self.released or not self._orders.refresh_wanted:
            await pause(until, self._orders.changed)

    async def _attempt(self) -> None:
        """Connect and read until the link fails or is released."""
        link = self.link = self._open_link(self._pushed)
        self._error = None
        self.progress.step(wait_s=self._connect_s)
        try:
            await link.connect()
            self._on_adapter(None)
            for unit in self.units:
                unit.linked(link.rssi)
            await (self._listen(link) if link.pushes else self._poll(link))
        except AdapterUnavailableError as error:
            self._on_adapter(error)
            self._failed(error, quiet=True)
        except AdapterLostError as error:
            self._failed(error, quiet=True)
        except UnexpectedResponseError as error:
            self._error = error
            _LOGGER.debug("%s", error)  # each unit has been told its own
        except (BleError, ModbusError) as error:
            if link.rssi is not None or isinstance(error, DeviceNotFoundError):
                self._on_adapter(None)  # it has listened
            self._failed(error)
        finally:
            self.progress.step()
            self._orders.fail(LinkLostError(self.units[0].spec.address, "the link was lost"))
            await _to_its_end(link.disconnect())
            self.link = None

    async def _poll(self, link: Link) -> None:
        polling = self._polling = Polling(link, self.units, self._orders, self._strangers, self.progress)
        try:
            await polling.run()
        finally:
            self._polling = None
            if polling.has_read:
                self._failures = 0

    async def _listen(self, link: Link) -> None:
        """Wait while a shunt pushes."""
        unit = self.units[0]
        unit.identified(Profile(family=Family.SHUNT300, model=None))
        self._last_push = self._next_push = now()
        self._push_parser = PushParser()
        while True:
            silent_at = self._last_push + PUSH_SILENCE_S
            if link.lost.is_set():
                raise link.end
            if now() >= silent_at:
                raise LinkLostError(unit.spec.address, "no readings were pushed")
            self.progress.step(wait_s=silent_at - now())
            await pause(silent_at, link.lost)
            if now() > silent_at + LATE_S:  # this process was stopped, or held up: what was pushed is not read yet
                self._last_push = now()

    def _pushed(self, data: bytes) -> None:
        unit = self.units[0]
        for readings in self._push_parser.feed(data):
            self._last_push = at = now()
            self._failures = 0
            if at >= self._next_push or self._orders.refresh_wanted:
                self._next_push = at + unit.spec.interval_s - PUSH_JITTER_S
                unit.update(readings, fresh_s(Schedule.POLL, unit.spec.interval_s, 0.0), at)
                unit.settle()
                self._orders.refreshed()

    def _begin_refresh(self) -> None:
        if self._polling is not None:
            self._polling.refresh()

    def _failed(self, error: BleError | ModbusError, *, quiet: bool = False) -> None:
        """Tell the units; ``quiet``: the adapter is what is logged."""
        _LOGGER.debug("%s", error)
        self._error = error
        self._down(error.message if isinstance(error, BleError) else str(error), quiet=quiet)

    def _down(self, status: str, *, quiet: bool = False) -> None:
        for unit in self.units:
            unit.down(status, quiet=quiet)


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Run ``work`` to its end even when cancelled meanwhile: a connection that is not given back is lost to all."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
