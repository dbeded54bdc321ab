"""The firmware shows what the Python proxy shows of the same units: entity by entity, and when things go wrong."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from parity import EntityInfo, EntityKey, Room, Side, differences, firmware, python_proxy
from real_esphome import build_parity
from waiting import until

from blupow_config.ids import device_number
from blupow_proxy.renogy import Family, Schedule, register_map
from blupow_proxy.simulator.unit import Faults

# Each side has its own link: what tells of it differs in time, if not in kind
OF_THE_LINK = {"Link status", "Last reading", "Link quality", "Failed requests", "Signal strength"}
ONLY_ON_THE_PI = {"Signal strength"}  # it comes with the Bluetooth link, which this machine's build has not


class Both:
    def __init__(self, room: Room, esp: Side, python: Side) -> None:
        self.room, self.esp, self.python = room, esp, python

    @property
    def readings(self) -> dict[EntityKey, EntityInfo]:
        """What both list and show of the units."""
        return {
            key: entity
            for key, entity in self.python.entities.items()
            if key in self.esp.entities and entity.device_id and entity.name not in OF_THE_LINK
        }

    async def agree(self, within_s: float = 20.0) -> None:
        """Wait until both show the same."""
        with contextlib.suppress(TimeoutError):
            await until(lambda: not differences(self.esp, self.python, self.readings), within_s)
        assert not differences(self.esp, self.python, self.readings)

    def missing(self, family: Family) -> set[str]:
        """Return the names of the readings that both miss."""
        device = device_number(str(family))
        return {
            entity.name
            for key, entity in self.readings.items()
            if entity.device_id == device and self.esp.value(key) is None and self.python.value(key) is None
        }

    async def recovers(self, missing: dict[Family, set[str]], held: dict[Family, dict[int, int]]) -> None:
        """Mend everything, and wait until no more is missing than was before."""
        mend(self.room)
        for family, words in held.items():
            self.room.units[family].faults.overrides.clear()
            self.room.units[family].faults.overrides.update(words)
        await until(lambda: {family: self.missing(family) for family in missing} == missing, 60)
        await self.agree()

    async def until_missing(self, family: Family, *names: str) -> None:
        """Wait until both miss these, and agree on all others."""
        await until(lambda: set(names) <= self.missing(family))
        await self.agree()


@pytest.fixture(scope="module")
def program() -> Path:
    return build_parity()


@pytest.fixture(scope="module", params=["simulated", "captured"])
async def both(
    program: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> AsyncIterator[Both]:
    home = tmp_path_factory.mktemp("parity")
    room = Room()
    if request.param == "captured":
        room.hold_captures()
    async with room.served(), firmware(program, home) as esp, python_proxy(room, home / "state") as python:
        yield Both(room, esp, python)


def face(entity: EntityInfo) -> dict[str, object]:
    return entity.to_dict()


async def test_lists_the_same(both: Both) -> None:
    """Each entity of the Pi's units is there, and looks alike; what is there besides has no value."""
    units = {key: entity for key, entity in both.python.entities.items() if entity.device_id}
    absent = {entity.name for key, entity in units.items() if key not in both.esp.entities}
    assert absent == ONLY_ON_THE_PI
    on_both = {entity.name for key, entity in both.python.entities.items() if key in both.esp.entities}
    assert {"Uptime", "Restart", "Release link", "Battery power"} <= on_both
    for key, entity in both.python.entities.items():
        if key in both.esp.entities:
            assert face(both.esp.entities[key]) == face(entity)
    info = await both.esp.client.device_info()
    assert {device.device_id for device in info.devices} == {device_number(str(family)) for family in both.room.units}


async def test_shows_the_same(both: Both) -> None:
    await both.agree()
    assert len(both.readings) > 150
    for key, entity in both.esp.entities.items():
        if key not in both.python.entities:
            assert both.esp.value(key) is None, entity.name


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_asks_the_same(both: Both) -> None:
    """The same requests, and the live ones as often."""
    sides = (both.room.units, both.room.twins)
    for family in both.room.units:
        esp, python = (set(side[family].requests) for side in sides)
        assert esp == python
    before = [{family: unit.request_count for family, unit in side.items()} for side in sides]
    await asyncio.sleep(12.0)  # six rounds of live blocks
    for family in both.room.units:
        esp, python = (side[family].request_count - counts[family] for side, counts in zip(sides, before, strict=True))
        live = len([block for block in register_map(family).blocks if block.schedule is Schedule.POLL])
        assert abs(esp - python) <= live + 1, (family, esp, python)


def spoil(room: Room, family: Family, **faults: Any) -> None:
    for name, value in faults.items():
        setattr(room.units[family].faults, name, value)


def mend(room: Room) -> None:
    for unit in room.units.values():
        for field in fields(Faults):
            if field.name != "overrides":
                setattr(unit.faults, field.name, getattr(Faults(), field.name))


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_goes_wrong(both: Both) -> None:
    """A value out of range, a refused block, an implausible one, silence: what is not known is missing."""
    room, before = both.room, {family: both.missing(family) for family in both.room.units}
    held = {family: dict(unit.faults.overrides) for family, unit in room.units.items()}
    room.units[Family.CONTROLLER].faults.overrides[263] = 0xFFFF
    spoil(room, Family.DCC, refused_registers={288})
    room.units[Family.BATTERY].faults.overrides[5043] = 0xFFFF
    spoil(room, Family.INVERTER, silent=True)
    await both.until_missing(Family.CONTROLLER, "PV voltage", "PV power")
    assert "Battery voltage" not in both.missing(Family.CONTROLLER)
    await both.until_missing(Family.DCC, "Charging state", "Faults", "Problem")
    assert "House battery voltage" not in both.missing(Family.DCC)
    await both.until_missing(Family.BATTERY, "Battery voltage", "State of charge", "Battery power", "Cell voltage 1")
    await both.until_missing(Family.INVERTER, "Battery voltage", "AC output voltage")
    await both.recovers(before, held)


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_goes_wrong_otherwise(both: Both) -> None:
    """Damaged replies, those of another device, a silent block; but noise around a reply harms nothing."""
    room, before = both.room, {family: both.missing(family) for family in both.room.units}
    held = {family: dict(unit.faults.overrides) for family, unit in room.units.items()}
    spoil(room, Family.CONTROLLER, corrupt=True)
    spoil(room, Family.DCC, silent_registers={288})
    spoil(room, Family.BATTERY, wrong_address=True)
    spoil(room, Family.INVERTER, mangle=lambda frame: (b"\0\x20\x03", b"\x04" + frame, frame))
    await both.until_missing(Family.CONTROLLER, "Battery voltage", "PV voltage", "Load status")
    await both.until_missing(Family.DCC, "Charging state")
    await both.until_missing(Family.BATTERY, "Battery voltage", "Cell voltage 1")
    assert both.missing(Family.INVERTER) == before[Family.INVERTER]
    await both.recovers(before, held)


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_finds_a_lost_link_again(both: Both) -> None:
    """What ends without a word is there again before any value is old."""
    before = both.missing(Family.INVERTER)
    twin = both.room.twins[Family.INVERTER]
    asked = twin.request_count
    both.room.writers[Family.INVERTER].close()
    await until(lambda: both.esp.of(Family.INVERTER, "Link") is False)
    await until(lambda: both.esp.of(Family.INVERTER, "Link") is True and twin.request_count > asked)
    assert both.missing(Family.INVERTER) == before
    await both.agree()


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_switches_the_load(both: Both) -> None:
    """Each shows what is read back; what is refused, or lost, is not shown as done."""
    family = Family.CONTROLLER
    sides = (both.esp, both.python)
    for side, on in ((both.esp, False), (both.python, True), (both.esp, False), (both.esp, True)):
        side.switch(family, "Load", on=on)
        await until(lambda on=on: all(shown.of(family, "Load") is on for shown in sides))
        assert both.room.units[family].world.load_on is on
    twin = both.room.twins[family]
    for fault in ("lost", "ignored"):
        spoil(both.room, family, writes=fault)
        both.esp.switch(family, "Load", on=False)
        await until(lambda: any(request[1] == 6 for request in twin.requests[-3:]))
        asked = twin.request_count
        await until(lambda asked=asked: twin.request_count > asked + 4)
        assert both.esp.of(family, "Load") is True
    mend(both.room)
    assert next(request.hex() for request in twin.requests if request[1] != 3) == "ff06010a0000bdea"
    spoil(both.room, family, silent=True)
    await until(lambda: all(shown.of(family, "Load") is None for shown in sides))
    mend(both.room)
    await until(lambda: all(shown.of(family, "Load") is True for shown in sides))
    await both.agree()


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_leaves_the_link_to_the_phone(both: Both) -> None:
    """While it is released nothing is asked, and what was read goes; taken back, all is there again."""
    family = Family.DCC
    before = {each: both.missing(each) for each in both.room.units}
    for side in (both.esp, both.python):
        side.switch(family, "Release link", on=True)
    await both.until_missing(family, "House battery voltage", "Solar power")
    for side in (both.esp, both.python):
        assert side.of(family, "Link status") == "released: the phone app may connect now"
        assert side.of(family, "Link") is False
        assert side.of(family, "Release link") is True
    counts = [room[family].request_count for room in (both.room.units, both.room.twins)]
    await asyncio.sleep(3.0)
    assert [room[family].request_count for room in (both.room.units, both.room.twins)] == counts
    for side in (both.esp, both.python):
        side.switch(family, "Release link", on=False)
    await until(lambda: {each: both.missing(each) for each in both.room.units} == before)
    await both.agree()
    for side in (both.esp, both.python):
        assert side.of(family, "Link status") == "connected"


@pytest.mark.parametrize("both", ["simulated"], indirect=True)
async def test_reads_everything_anew_when_asked_to(both: Both) -> None:
    """What is read every five minutes as well; it stays changed, since a minute has to pass between two times."""
    both.room.units[Family.CONTROLLER].faults.overrides |= {57348: 1, 57355: 0x7777}
    for side in (both.esp, both.python):
        answer = await side.client.execute_service(side.refresh, {}, return_response=True)
        assert answer is not None
        assert answer.success
    await both.until_missing(Family.CONTROLLER, "Over-discharge recovery voltage")
    assert "open" in {both.esp.value(key) for key, entity in both.readings.items() if entity.name == "Battery type"}
