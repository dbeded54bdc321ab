"""The loop that owns a link: connect, identify, read on schedule, and again from the start when it fails."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Protocol

from blupow_proxy.errors import (
    AdapterUnavailableError,
    BleError,
    DeadlineExceededError,
    ExceptionResponseError,
    LinkLostError,
    ModbusError,
    UnexpectedResponseError,
)
from blupow_proxy.modbus import (
    EXCEPTION_CODES,
    UNIVERSAL_ADDRESS,
    ExceptionResponse,
    ReadRequest,
    Request,
    Response,
    WriteRequest,
)
from blupow_proxy.renogy import (
    Block,
    Family,
    PushParser,
    RegisterMap,
    Schedule,
    blocks_for,
    decode_block,
    register_map,
)

from .backoff import delay_s
from .identification import identify
from .plan import Plan
from .unit import Profile, Unit, fresh_s

LOAD_SWITCH_REGISTER: Final = 0x010A
MAX_SILENCES: Final = 3  # more in a row, and the link is no link
RELEASE_S: Final = 1800.0  # the phone app has had its time; a release that is forgotten must not last
WRITE_S: Final = 10.0  # for the request under way, the write and its read-back
PUSH_SILENCE_S: Final = 15.0  # a shunt pushes each second
PUSH_JITTER_S: Final = 0.2  # a push that comes this much early counts as on time
IDENTIFY_AGAIN_S: Final = 60.0  # a hub's member that was silent; others on the link go on meanwhile
TYPICAL_REPLY_S: Final = 0.35  # the longest reply time of the captures; only decides how long a value is current

_LOGGER = logging.getLogger(__name__)


class UnitLink(Protocol):
    """What the poller needs of a link (``ble.Link`` is one)."""

    name: str | None
    rssi: int | None
    pushes: bool
    lost: asyncio.Event

    async def connect(self) -> None:
        """Connect; BleError."""

    async def request(self, request: Request, timeout_s: float) -> Response | ExceptionResponse:
        """Send a request and return its answer; BleError."""

    async def disconnect(self) -> None:
        """End the connection; never raises."""


type OpenLink[Link] = Callable[[Callable[[bytes], None]], Link]


@dataclass(slots=True)
class _Member:
    """One device behind the link."""

    unit: Unit
    profile: Profile
    map: RegisterMap
    plan: Plan
    address: int


@dataclass(slots=True)
class _Write:
    unit: Unit
    value: int
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Poller[Link: UnitLink]:
    """Keeps ``units``, which share one device address, read; ``open_link`` makes a new link for each attempt."""

    def __init__(
        self,
        open_link: OpenLink[Link],
        units: Sequence[Unit],
        *,
        on_adapter: Callable[[AdapterUnavailableError | None], None] = lambda _: None,
    ) -> None:
        self.units = units
        self.link: Link | None = None
        self._open_link = open_link
        self._on_adapter = on_adapter
        self._members: dict[str, _Member] = {}
        self._unidentified: dict[str, int] = {}
        self._identify_again_at: dict[str, float] = {}
        self._writes: deque[_Write] = deque()
        self._refreshes: list[asyncio.Future[None]] = []
        self._released_until: float | None = None
        self._changed = asyncio.Event()
        self._attempting: asyncio.Task[None] | None = None
        self._silences = 0
        self._failures = 0
        self._next_request = 0.0
        self._last_push = 0.0
        self._next_push = 0.0
        self._push_parser = PushParser()

    @property
    def released(self) -> bool:
        """Whether the link is left to other centrals."""
        return self._released_until is not None

    def release(self, released: bool) -> None:
        """Leave the link to other centrals, for half an hour at most, or take it back."""
        self._released_until = _now() + RELEASE_S if released else None
        self._failures = 0
        self._changed.set()
        if released and self._attempting is not None:
            self._attempting.cancel()

    async def refresh(self) -> None:
        """Read everything now; returns when that is done, BleError when it fails."""
        done = asyncio.get_running_loop().create_future()
        self._refreshes.append(done)
        for member in self._members.values():
            member.plan.refresh(_now())
        self._changed.set()
        await done

    async def switch_load(self, unit: Unit, on: bool) -> None:
        """Switch a controller's load and read it back; BleError or ModbusError when it did not happen."""
        if not unit.load_switchable:
            raise UnexpectedResponseError(f"{unit.spec.name} has no load output that may be switched")
        if unit.spec.id not in self._members:
            raise LinkLostError(unit.spec.address, f"not switched: {unit.status}")
        write = _Write(unit, int(on))
        self._writes.append(write)
        self._changed.set()
        try:
            async with asyncio.timeout(WRITE_S):
                await write.done
        except TimeoutError:
            raise DeadlineExceededError(unit.spec.address, "switching the load", WRITE_S) from None

    async def run(self) -> None:
        """Keep the units read until cancelled."""
        try:
            while True:
                await (self._turn() if self._released_until is None else self._stay_away(self._released_until))
        finally:
            if self._attempting is not None:
                self._attempting.cancel()
                await asyncio.wait([self._attempting])

    async def _turn(self) -> None:
        """Read as long as the link lasts, then pause."""
        self._attempting = asyncio.create_task(self._attempt())
        await asyncio.wait([self._attempting])
        if not self._attempting.cancelled():
            self._attempting.result()
        if not self.released:
            self._failures += 1
            await self._pause(_now() + delay_s(self._failures))

    async def _stay_away(self, until: float) -> None:
        self._down("released: the phone app may connect now")
        await self._pause(until)
        if self._released_until == until and _now() >= until:
            self.release(released=False)

    async def _attempt(self) -> None:
        """Connect and read until the link fails or is released."""
        link = self.link = self._open_link(self._pushed)
        self._silences = 0
        try:
            await link.connect()
            self._on_adapter(None)
            for unit in self.units:
                unit.rssi = link.rssi
            await (self._listen(link) if link.pushes else self._poll(link))
        except AdapterUnavailableError as error:
            self._on_adapter(error)
            self._failed(error)
        except (BleError, ModbusError) as error:
            self._failed(error)
        finally:
            self._members.clear()
            self._fail_pending(LinkLostError(self.units[0].spec.address, "the link was lost"))
            await link.disconnect()
            self.link = None

    async def _poll(self, link: Link) -> None:
        self._identify_again_at = {unit.spec.id: 0.0 for unit in self.units}
        while True:
            for unit in self.units:
                if self._identify_again_at.get(unit.spec.id, inf) <= _now():
                    await self._identify(link, unit)
            if self._writes:
                await self._write(link, self._writes.popleft())
                continue
            member, block, due = min(
                ((member, *member.plan.next()) for member in self._members.values()), key=lambda choice: choice[2]
            )
            if due > _now():
                await self._pause(due, link.lost)
                if link.lost.is_set():
                    raise LinkLostError(member.unit.spec.address, "the device ended the connection")
                continue
            await self._read(link, member, block)

    async def _identify(self, link: Link, unit: Unit) -> None:
        async def ask(request: ReadRequest) -> Response | ExceptionResponse | None:
            # until its family is known, a device gets the pauses of the slowest
            return await self._request(link, unit, request, register_map(unit.spec.family or Family.INVERTER))

        key = unit.spec.id
        known = unit.profile if self._unidentified.get(key, 0) < MAX_SILENCES else None
        try:
            profile = await identify(unit.spec, known, link.name, ask, shared_link=len(self.units) > 1)
        except UnexpectedResponseError as error:
            self._unidentified[key] = self._unidentified.get(key, 0) + 1
            self._identify_again_at[key] = _now() + IDENTIFY_AGAIN_S
            unit.down(str(error))
            if not self._members and unit is self.units[-1]:
                raise
            return
        self._unidentified.pop(key, None)
        del self._identify_again_at[key]
        unit.identified(profile)
        plan = Plan(blocks_for(profile.family, profile.model), unit.spec.interval_s)
        plan.restart(_now())
        address = UNIVERSAL_ADDRESS if profile.modbus_address is None else profile.modbus_address
        self._members[key] = _Member(unit, profile, register_map(profile.family), plan, address)

    async def _read(self, link: Link, member: _Member, block: Block) -> None:
        unit, plan = member.unit, member.plan
        reply = await self._request(link, unit, ReadRequest(member.address, block.register, block.words), member.map)
        now = _now()
        match reply:
            case None:
                plan.silent(block, now)
                if self._silences > MAX_SILENCES:
                    raise LinkLostError(unit.spec.address, f"no reply to {self._silences} requests in a row")
            case ExceptionResponse(code=code):
                plan.refused(block, code, now)
            case Response(data=data):
                plan.answered(block, now)
                profile = member.profile
                readings = decode_block(
                    profile.family, block.register, data, variant=profile.variant, model=profile.model
                )
                unit.update(readings, self._fresh_s(block, unit), now)
        if plan.complete:
            unit.settle()
            if all(member.plan.complete for member in self._members.values()):
                self._finish_refreshes()

    def _fresh_s(self, block: Block, unit: Unit) -> float:
        live = (
            member.map.gap_s + TYPICAL_REPLY_S
            for member in self._members.values()
            for block in member.map.blocks
            if block.schedule is Schedule.POLL
        )
        return fresh_s(block.schedule, unit.spec.interval_s, sum(live))

    async def _request(
        self, link: Link, unit: Unit, request: Request, pacing: RegisterMap
    ) -> Response | ExceptionResponse | None:
        """Send a request once the device has had its pause; None for silence."""
        await asyncio.sleep(max(self._next_request - _now(), 0.0))
        try:
            reply = await link.request(request, pacing.timeout_s)
        except DeadlineExceededError as error:
            _LOGGER.debug("%s", error)
            self._silences += 1
            unit.requested(answered=False)
            return None
        finally:
            self._next_request = _now() + pacing.gap_s
        self._silences = 0
        self._failures = 0
        unit.requested(answered=True)
        return reply

    async def _write(self, link: Link, write: _Write) -> None:
        member = self._members[write.unit.spec.id]
        request = WriteRequest(member.address, LOAD_SWITCH_REGISTER, write.value)
        reply = await self._request(link, write.unit, request, member.map)
        # what is shown is what is read, whatever the answer was
        for block in member.map.blocks:
            if block.register <= LOAD_SWITCH_REGISTER < block.register + block.words:
                await self._read(link, member, block)
        if write.done.done():
            return
        match reply:
            case None:
                write.done.set_exception(LinkLostError(write.unit.spec.address, "no reply to switching the load"))
            case ExceptionResponse(code=code):
                meaning = EXCEPTION_CODES.get(code, "unknown code")
                message = f"{write.unit.spec.name} refused to switch its load: {meaning}"
                write.done.set_exception(ExceptionResponseError(code, message))
            case Response():
                write.done.set_result(None)

    async def _listen(self, link: Link) -> None:
        """Wait while a shunt pushes."""
        unit = self.units[0]
        unit.identified(Profile(family=Family.SHUNT300, model=None))
        self._last_push = self._next_push = _now()
        self._push_parser = PushParser()
        while True:
            silent_at = self._last_push + PUSH_SILENCE_S
            if link.lost.is_set() or _now() >= silent_at:
                reason = "the device ended the connection" if link.lost.is_set() else "no readings were pushed"
                raise LinkLostError(unit.spec.address, reason)
            await self._pause(silent_at, link.lost)

    def _pushed(self, data: bytes) -> None:
        unit = self.units[0]
        for readings in self._push_parser.feed(data):
            self._last_push = now = _now()
            self._failures = 0
            if now >= self._next_push or self._refreshes:
                self._next_push = now + unit.spec.interval_s - PUSH_JITTER_S
                unit.update(readings, fresh_s(Schedule.POLL, unit.spec.interval_s, 0.0), now)
                unit.settle()
                self._finish_refreshes()

    def _finish_refreshes(self) -> None:
        for done in self._refreshes:
            if not done.done():
                done.set_result(None)
        self._refreshes.clear()

    def _failed(self, error: BleError | ModbusError) -> None:
        _LOGGER.debug("%s", error)
        self._down(str(error).removeprefix(f"{self.units[0].spec.address}: "))

    def _down(self, status: str) -> None:
        for unit in self.units:
            unit.down(status)

    def _fail_pending(self, error: BleError) -> None:
        pending: Iterable[asyncio.Future[None]] = [*self._refreshes, *(write.done for write in self._writes)]
        self._refreshes.clear()
        self._writes.clear()
        for done in pending:
            if not done.done():
                done.set_exception(error)

    async def _pause(self, until: float, lost: asyncio.Event | None = None) -> None:
        """Wait until then, or until something changes: a command, a release, the loss of the link."""
        self._changed.clear()
        events = [self._changed] if lost is None else [self._changed, lost]
        waits = [asyncio.ensure_future(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=max(until - _now(), 0.0), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _now() -> float:
    return asyncio.get_running_loop().time()
