"""Reading the devices behind one link, on schedule, until it fails."""

import asyncio
import logging
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final, Protocol

from blupow_proxy.errors import (
    BleError,
    DeadlineExceededError,
    ExceptionResponseError,
    LinkLostError,
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
    Register,
    RegisterMap,
    Schedule,
    Value,
    blocks_for,
    decode_block,
    is_plausible,
    register_map,
)

from .identification import identify
from .orders import Orders, Write
from .plan import Plan
from .progress import Progress
from .unit import UNREADABLE, Profile, Unit, fresh_s

MAX_SILENCES: Final = 4  # more in a row, and the link is no link: a weak signal loses one reply in three
MAX_GARBLED: Final = 9  # the same where something came: a weak signal loses parts, and a new link is no better
MAX_STRANGE: Final = 3  # failed identifications, and what was known of a unit is no longer believed
IDENTIFY_AGAIN_S: Final = 60.0  # a hub's member that was silent; others on the link go on meanwhile
HELD_S: Final = 5.0  # overdue for longer, a block goes first; its values are out of date soon after
HUB_S: Final = 1.0  # a hub passes requests on: what it takes longer than a device does
TYPICAL_REPLY_S: Final = 0.35  # the longest reply time of the captures; only decides how long a value is current

_LOGGER = logging.getLogger(__name__)


class UnitLink(Protocol):
    """What the poller needs of a link (``ble.Link`` is one)."""

    name: str | None
    rssi: int | None
    pushes: bool
    last_received_s: float  # when anything came, by its own clock
    lost: asyncio.Event
    end: BleError  # what ended it, once it is lost

    async def connect(self) -> None:
        """Connect; BleError."""

    async def request(self, request: Request, timeout_s: float) -> Response | ExceptionResponse:
        """Send a request and return its answer; BleError."""

    def held_s(self, request: Request) -> float:
        """Return for how long it would hold a request back."""

    async def disconnect(self) -> None:
        """End the connection; never raises."""


@dataclass(slots=True)
class _Member:
    """One device behind the link."""

    unit: Unit
    profile: Profile
    map: RegisterMap
    plan: Plan
    address: int
    live_keys: frozenset[str]
    uncertain_keys: frozenset[str]
    main: Block | None  # which tells whether the device is in its senses
    sane: bool | None  # as far as is known: None until the main block was plausible for the first time
    silences: int = 0
    rests_until: float = 0.0

    def request(self, block: Block) -> ReadRequest:
        """Return what asks for a block."""
        return ReadRequest(self.address, block.register, block.words)


class Polling:
    """What happens over one connected link; ``strangers`` counts failed identifications, and outlives the link."""

    def __init__(
        self,
        link: UnitLink,
        units: Sequence[Unit],
        orders: Orders,
        strangers: MutableMapping[str, int],
        progress: Progress,
    ) -> None:
        self.has_read = False
        self._link = link
        self._units = units
        self._is_shared = len(units) > 1
        self._orders = orders
        self._strangers = strangers
        self._progress = progress
        self._members: dict[str, _Member] = {}
        self._identify_at = dict.fromkeys((unit.spec.id for unit in units), 0.0)
        self._silences = 0  # requests in a row that were not answered
        self._unheard = 0  # after which nothing came at all
        self._next_request = 0.0

    async def run(self) -> None:
        """Identify and read until a BleError or a ModbusError ends it."""
        while True:
            for unit in self._units:
                if self._identify_at.get(unit.spec.id, inf) <= now():
                    await self._identify(unit)
            await self._serve_writes()
            due, member, block = min(map(self._next, self._members.values()), key=lambda choice: choice[0])
            if due <= now():
                await self._read(member, block)
                continue
            self._orders.changed.clear()
            until = min(due, *self._identify_at.values(), inf)
            self._progress.step(wait_s=until - now())
            await pause(until, self._orders.changed, self._link.lost)
            if self._link.lost.is_set():
                raise self._link.end

    def _next(self, member: _Member) -> tuple[float, _Member, Block]:
        """Return what to read next of a device, and when.

        What the link would hold back lets others go first, but not for ever: these may be what it is held back for.
        """

        def not_before(block: Block) -> float:
            held_s = self._link.held_s(member.request(block))
            return now() + held_s if held_s else 0.0

        block, due = member.plan.next()
        if due > now() - HELD_S:
            block, due = member.plan.next(not_before)
        return max(due, member.rests_until), member, block

    def has_member(self, unit: Unit) -> bool:
        """Whether a unit was identified and answers."""
        return unit.spec.id in self._members

    def refresh(self) -> None:
        """Read everything now."""
        for member in self._members.values():
            member.plan.refresh(now())

    async def _identify(self, unit: Unit) -> None:
        async def ask(request: ReadRequest) -> Response | ExceptionResponse | None:
            # a probe that nobody answers takes seconds: what is read of the others must not get stale meanwhile
            await self._serve_writes()
            await self._read_due()
            # until its family is known, a device gets the pauses of the slowest
            return await self._request(unit, request, register_map(unit.spec.family or Family.INVERTER))

        key = unit.spec.id
        known = unit.profile if self._strangers.get(key, 0) < MAX_STRANGE else None
        try:
            profile = await identify(unit.spec, known, self._link.name, ask, shared_link=self._is_shared)
        except UnexpectedResponseError as error:
            self._strangers[key] = self._strangers.get(key, 0) + 1
            self._identify_at[key] = now() + IDENTIFY_AGAIN_S
            unit.down(str(error))
            if not self._members and unit is self._units[-1]:
                raise
            return
        self._strangers.pop(key, None)
        del self._identify_at[key]
        before = unit.profile
        if profile.model and before and (profile.family, profile.model) == (before.family, before.model):
            # the same device: the variant is missing where its name was not heard
            profile = replace(profile, variant=profile.variant or before.variant)
        unit.identified(profile)
        unit.linked(self._link.rssi)
        self._members[key] = _member(unit, profile)

    async def _read_due(self) -> None:
        """Read each block that is due by now, once."""
        awake = [member for member in self._members.values() if member.rests_until <= now()]
        due = [(member, block) for member in awake for block in member.plan.due(now())]
        for member, block in due:
            if self.has_member(member.unit):
                await self._read(member, block)

    async def _read(self, member: _Member, block: Block) -> None:
        unit, plan = member.unit, member.plan
        reply = await self._request(unit, member.request(block), member.map)
        match reply:
            case None:
                self._silent(member, block)
            case ExceptionResponse(code=code):
                member.silences = 0
                plan.refused(block, code, now())
            case Response(data=data):
                member.silences = 0
                plan.answered(block, now())
                self._answered(member, block, data)
                await asyncio.sleep(0)  # what was read leaves before anything else is thought of
        if plan.complete:
            unit.settle()
            if self.has_member(unit) and not unit.connected:
                unit.linked(self._link.rssi, UNREADABLE)
            if all(member.plan.complete for member in self._members.values()):
                self._orders.refreshed()

    def _answered(self, member: _Member, block: Block, data: bytes) -> None:
        unit, profile = member.unit, member.profile
        readings = decode_block(profile.family, block.register, data, variant=profile.variant, model=profile.model)
        plausible = is_plausible(block, data, readings)
        if block == member.main and (plausible or member.sane is not None):
            member.sane = plausible
        # a device that starts or resets has nonsense in its other blocks as well, where it may look like readings
        if not plausible or member.sane is False:
            _LOGGER.debug("%s: block %s holds nothing plausible: %s", unit.spec.name, block.name, data.hex())
            return
        model = readings.get("model")
        if model and profile.model is not None and model != profile.model:
            raise LinkLostError(unit.spec.address, f"another device answers: {model} instead of {profile.model}")
        self.has_read = True
        readings.update(dict.fromkeys(member.uncertain_keys & readings.keys()))
        # a block that is read seldom may hold what another reads often: it is as soon out of date from either
        live = {key: value for key, value in readings.items() if key in member.live_keys}
        rest = {key: value for key, value in readings.items() if key not in member.live_keys}
        self._update(unit, live, Schedule.POLL)
        self._update(unit, rest, block.schedule)

    def _update(self, unit: Unit, readings: Mapping[str, Value], schedule: Schedule) -> None:
        if readings:
            cycle_s = self._cycle_s()
            # behind a hub, which takes its time, the others have their turn before a retry
            retry_s = HUB_S + cycle_s if self._is_shared else 0.0
            unit.update(readings, fresh_s(schedule, unit.spec.interval_s, cycle_s, retry_s), now())

    def _cycle_s(self) -> float:
        """Return about what one pass over the live blocks of all takes, in seconds."""
        return sum(
            member.map.gap_s + TYPICAL_REPLY_S
            for member in self._members.values()
            for block in member.map.blocks
            if block.schedule is Schedule.POLL
        )

    def _silent(self, member: _Member, block: Block) -> None:
        if member.plan.expects(block):
            self._silences += 1
            self._unheard += 1
            member.silences += 1
        member.plan.silent(block, now())
        if len(self._members) > 1:
            member.rests_until = now() + self._cycle_s()  # the others' turn: they have lost the time of a timeout
        address = member.unit.spec.address
        if self._unheard > MAX_SILENCES or self._silences > MAX_GARBLED:
            raise LinkLostError(address, f"no valid reply to {self._silences} requests in a row")
        if member.silences > MAX_SILENCES and len(self._members) > 1:
            # each of its timeouts is time that the others lose
            key = member.unit.spec.id
            del self._members[key]
            self._identify_at[key] = now() + IDENTIFY_AGAIN_S
            member.unit.down("answers no request, while others on this link do: is it on, is its cable in?")

    async def _request(self, unit: Unit, request: Request, pacing: RegisterMap) -> Response | ExceptionResponse | None:
        """Send a request once the device has had its pause; None for silence."""
        self._progress.step()
        await asyncio.sleep(max(self._next_request - now(), 0.0))
        timeout_s = pacing.timeout_s + (HUB_S if self._is_shared else 0.0)
        before_s = self._link.last_received_s
        try:
            reply = await self._link.request(request, timeout_s)
        except DeadlineExceededError as error:
            _LOGGER.debug("%s", error)
            unit.requested(answered=False)
            return None
        finally:
            self._next_request = now() + pacing.gap_s
            if self._link.last_received_s != before_s:
                self._unheard = 0
        self._silences = 0
        unit.requested(answered=True)
        return reply

    async def _serve_writes(self) -> None:
        while (write := self._orders.next_write()) is not None:
            try:
                await self._write(write)
            except BleError as error:
                write.fail(error)
                raise
            finally:
                write.fail(LinkLostError(write.unit.spec.address, "the link was given up meanwhile"))

    async def _write(self, write: Write) -> None:
        unit = write.unit
        member = self._members.get(unit.spec.id)
        if member is None:
            write.fail(LinkLostError(unit.spec.address, f"not switched: {unit.status}"))
            return
        reply = await self._request(unit, WriteRequest(member.address, write.register, write.value), member.map)
        # what is shown is what is read, whatever the answer was
        for block in member.map.blocks:
            if block.register <= write.register < block.register + block.words:
                await self._read(member, block)
        match reply:
            case None:
                write.fail(LinkLostError(unit.spec.address, "no reply to switching the load"))
            case ExceptionResponse(code=code):
                meaning = EXCEPTION_CODES.get(code, "unknown code")
                write.fail(ExceptionResponseError(code, f"{unit.spec.name} refused to switch its load: {meaning}"))
            case Response():
                write.succeed()


def _member(unit: Unit, profile: Profile) -> _Member:
    blocks = blocks_for(profile.family, profile.model)
    table = register_map(profile.family)
    main = next((block for block in blocks if block.plausible), None)
    # the profile is what was identified just now; the unit's own also knows what was read before
    read_before = frozenset() if unit.profile is None else unit.profile.keys
    has_read_main = main is not None and main.plausible.keys() <= read_before
    answered = {block for block in blocks for row in table.registers if block.holds(row) and row.key in read_before}
    plan = Plan(blocks, unit.spec.interval_s, now(), answered=answered)
    return _Member(
        unit=unit,
        profile=profile,
        map=table,
        plan=plan,
        address=UNIVERSAL_ADDRESS if profile.modbus_address is None else profile.modbus_address,
        live_keys=frozenset(
            row.key
            for row in table.registers
            for block in blocks
            if block.schedule is Schedule.POLL and block.holds(row)
        ),
        main=main,
        sane=False if has_read_main else None,
        uncertain_keys=frozenset(row.key for row in table.registers if _is_uncertain(row, profile)),
    )


def _is_uncertain(row: Register, profile: Profile) -> bool:
    """Whether a value can't be told: without the variant a scale, without the model a sign is anybody's guess."""
    if (profile.variant is None and row.scale_by_variant) or profile.variant in row.doubtful_on_variant:
        return True
    if profile.model is None:
        return bool(row.inverted_on or row.doubtful_on_model)
    return any(part in profile.model for part in row.doubtful_on_model)


async def pause(until: float, *events: asyncio.Event) -> None:
    """Wait until then, in the loop's time, or until one of ``events`` is set."""
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=max(until - now(), 0.0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


def now() -> float:
    """Return the loop's time, in seconds."""
    return asyncio.get_running_loop().time()
