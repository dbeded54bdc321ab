"""Virtual time, and links whose other end is a simulated unit."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from math import ceil
from typing import Any, Self

import pytest

from blupow_proxy.errors import BleError, DeadlineExceededError, DeviceNotFoundError, LinkLostError
from blupow_proxy.modbus import ExceptionResponse, Rejected, Request, Response, ResponseParser
from blupow_proxy.poller import Poller, Profile, Unit, UnitSpec
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import SimulatedUnit

QUIET_S = 1.0
RESOLUTION_S = 1e-6


class _InstantSelector(selectors.DefaultSelector):
    """Moves the loop's clock instead of waiting."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready and timeout:
            self.loop.advance(timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        selector = _InstantSelector()
        selector.loop = self
        super().__init__(selector)
        self._virtual = 1000.0

    def time(self) -> float:
        return self._virtual

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        # a timer that is less than the clock's resolution ahead fires at once, and time would stand still
        return super().call_at(max(when, self._virtual + RESOLUTION_S), *args, **kwargs)

    def advance(self, seconds: float) -> None:
        self._virtual += seconds


@pytest.fixture
def in_virtual_time() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Runs a coroutine on a loop whose clock jumps to the next timer."""

    def run(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(main)

    return run


def now() -> float:
    return asyncio.get_running_loop().time()


class FakeLink:
    """A link to a simulated unit, in the loop's time; keeps the rules that a real one checks."""

    def __init__(self, air: "Air", on_push: Callable[[bytes], None]) -> None:
        self.air = air
        self.name: str | None = air.unit.name or None
        self.rssi: int | None = air.unit.rssi
        self.pushes = air.unit.pushes
        self.last_received_s = 0.0
        self.lost = asyncio.Event()
        self.end: BleError = LinkLostError(air.unit.address, "the device ended the connection")
        self.connected = False
        self._on_push = on_push
        self._busy = False
        self._pushing: asyncio.Task[None] | None = None
        self._quiet_since = 0.0

    async def connect(self) -> None:
        self.air.attempts.append(now())
        await asyncio.sleep(self.air.connect_s)
        if self.air.error is not None:
            raise self.air.error
        if self.air.link is not None:
            raise DeviceNotFoundError(self.air.unit.address, "held by another central")
        self.air.link = self
        self.connected = True
        if self.pushes:
            self._pushing = asyncio.create_task(self._push())

    async def request(self, request: Request, timeout_s: float) -> Response | ExceptionResponse:
        assert not self._busy, "two requests in flight"
        assert self.connected
        assert now() - self._quiet_since >= self.air.gap_s - 1e-6, "polled too fast"
        self._busy = True
        try:
            self.air.requests.append((now(), request))
            parser = ResponseParser()
            parser.expect(request)
            reply = self.air.unit.respond(request.encode(), now())
            if reply is None or self.air.drop():
                await asyncio.sleep(timeout_s + QUIET_S)
                if self.lost.is_set():
                    raise LinkLostError(self.air.unit.address, "lost")
                raise DeadlineExceededError(self.air.unit.address, "reply", timeout_s)
            await asyncio.sleep(self.air.unit.latency_s)
            if self.lost.is_set():
                raise LinkLostError(self.air.unit.address, "lost")
            self.last_received_s = now()
            (event,) = parser.feed(reply)
            if isinstance(event, Rejected):
                await asyncio.sleep(timeout_s + QUIET_S)
                raise DeadlineExceededError(self.air.unit.address, "reply", timeout_s)
            return event
        finally:
            self._busy = False
            self._quiet_since = now()

    def held_s(self, request: Request) -> float:
        return 0.0

    async def disconnect(self) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
        await asyncio.sleep(self.air.disconnect_s)
        self.connected = False
        if self.air.link is self:
            self.air.link = None

    async def _push(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            if not self.air.unit.faults.silent:
                self._on_push(self.air.unit.push(now()))


class Air:
    """What lies between the poller and one simulated unit."""

    def __init__(self, unit: SimulatedUnit, *, gap_s: float = 0.1) -> None:
        self.unit = unit
        self.gap_s = gap_s
        self.connect_s = 0.5
        self.disconnect_s = 0.0
        self.error: BleError | None = None
        self.link: FakeLink | None = None
        self.attempts: list[float] = []
        self.requests: list[tuple[float, Request]] = []
        self.drop: Callable[[], bool] = lambda: False

    def open(self, on_push: Callable[[bytes], None]) -> FakeLink:
        return FakeLink(self, on_push)

    def lose(self) -> None:
        assert self.link is not None
        self.link.lost.set()
        self.link = None


class Bench:
    """A poller on a simulated unit, in virtual time."""

    def __init__(self, simulated: SimulatedUnit, *specs: UnitSpec, profile: Profile | None = None) -> None:
        family = simulated.members[0].family if simulated.members else None
        self.air = Air(simulated, gap_s=0.3 if family is Family.INVERTER else 0.1)
        specs = specs or (UnitSpec(id="one", name="One", address=simulated.address),)
        self.units = [Unit(spec, profile) for spec in specs]
        self.unit = self.units[0]
        self.adapter: list[object] = []
        self.stuck = False  # on purpose
        self.poller = Poller(self.air.open, self.units, on_adapter=self.adapter.append)

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.poller.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await self.task
        assert self.air.link is None, "the link was not given back"

    async def wait(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        steps = ceil(4 * seconds)
        for _ in range(steps):
            await asyncio.sleep(seconds / steps)
            assert not self.task.done(), self.task.exception()
            assert self.stuck or not self.poller.progress.is_late, "whatever happens, a reader gets on"
            for unit in self.units:
                unit.expire(loop.time())

    def registers(self, since: float = 0.0) -> list[int]:
        return [request.register for at, request in self.air.requests if at >= since]


@pytest.fixture
def bench() -> type[Bench]:
    return Bench
