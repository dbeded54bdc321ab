"""Faults of the radio, the adapter and BlueZ, on the real bluetoothd."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import pytest_asyncio
from machine import ADAPTER, GUEST, UNITS
from radio_room import RadioRoom, pinging, radio_room

pytestmark = pytest.mark.asyncio(loop_scope="module")

ABORTED = 0x16  # "connection terminated by local host": BlueZ calls it le-connection-abort-by-local
NOT_ESTABLISHED = 0x3E
TIMEOUT = 0x08
NO_RESOURCES = 0x0D


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RadioRoom]:
    async with radio_room(tmp_path_factory.mktemp("radio")) as room:
        yield room


@pytest_asyncio.fixture(loop_scope="module")
async def room(shared: RadioRoom) -> RadioRoom:
    """With all well at the start of each test."""
    await shared.settle()
    return shared


@pytest.mark.fault("R1")
async def test_connecting_is_refused_three_times(room: RadioRoom, measured) -> None:
    await room.adapter(refusals=[NOT_ESTABLISHED, NO_RESOURCES, TIMEOUT])
    await room.drop("Rover")
    measured("data", await room.watcher.until_read(["Rover"], 60.0), 10.0)
    measured("warnings", len(room.warnings()), 1, "")


@pytest.mark.fault("R2")
async def test_connecting_is_aborted(room: RadioRoom, measured) -> None:
    before = len((await room.adapter_state())["attempts"])
    await room.adapter(refusals=[ABORTED] * 5)
    await room.drop("Inverter")
    async with pinging(room.watcher) as pings:
        measured("data", await room.watcher.until_read(["Inverter"], 120.0), 60.0)
    attempts = (await room.adapter_state())["attempts"][before:]
    measured("attempts", len(attempts), 6, "", at_least=True)
    measured("attempts apart", min(later - sooner for sooner, later in pairwise(attempts)), 0.25, at_least=True)
    measured("ping", max(pings), 0.1)


@pytest.mark.fault("R3")
async def test_no_slot_is_left(room: RadioRoom, measured) -> None:
    await room.adapter(slots=len(UNITS) - 1)
    try:
        lost = room.watcher.lost
        await room.rig.room("hold", address=UNITS["Battery"], held=True)  # another central takes it, and its slot
        await room.adapter(slots=len(UNITS) - 2)
        await room.watcher.until(lambda: "Battery" not in room.watcher.linked, 10.0)
        await room.rig.room("hold", address=UNITS["Battery"], held=False)
        said = await room.watcher.until(lambda: "slot" in room.status("Battery"), 60.0, "for the reason")
        measured("said", said, 30.0)
        await asyncio.sleep(10.0)
        measured("other links lost", room.watcher.lost - lost - 1, 0, "")
    finally:
        await room.rig.room("hold", address=UNITS["Battery"], held=False)
        await room.adapter(slots=None)
    await room.watcher.until_read(UNITS, 60.0)


@pytest.mark.fault("R4")
async def test_discovery_can_not_start(room: RadioRoom, measured) -> None:
    resets = (await room.adapter_state())["resets"]
    await room.adapter(refuses_scans=True)
    await room.drop("Charger")
    told = await room.watcher.until(lambda: room.bluetooth[0], 30.0, "for the problem")
    assert "scan" in room.bluetooth[1]
    measured("told", told, 30.0)
    measured("data", told + await room.watcher.until_read(UNITS, 120.0), 60.0)
    assert (await room.adapter_state())["resets"] == resets + 1


@pytest.mark.fault("R5")
async def test_the_scanner_hears_nothing(room: RadioRoom, measured) -> None:
    resets = (await room.adapter_state())["resets"]
    await room.adapter(deaf=True)
    await room.drop(*UNITS)
    start = time.monotonic()

    async def is_reset() -> bool:
        return (await room.adapter_state())["resets"] > resets

    await room.rig.until(is_reset, "for the restart", 150.0)
    measured("restart", time.monotonic() - start, 120.0)
    await room.watcher.until_read(UNITS, 60.0)
    measured("restarts", (await room.adapter_state())["resets"] - resets, 1, "")


@pytest.mark.fault("R6")
async def test_bluetoothd_is_killed(room: RadioRoom, measured) -> None:
    await room.rig.signal("bluetoothd", signal.SIGKILL)
    try:
        measured("noticed", await room.watcher.until(lambda: not room.watcher.linked, 30.0, "for the loss"), 1.0)
        for _ in range(30):
            await asyncio.sleep(0.1)
            assert not room.watcher.linked
        assert room.bluetooth == (True, "the Bluetooth service does not run: start it (systemctl start bluetooth)")
    finally:
        await room.rig.start_bluetoothd()
    measured("data of all", await room.watcher.until_read(UNITS, 90.0), 30.0)
    measured("warnings", len(room.warnings()), 1, "")
    assert room.bluetooth == (False, "ready")


@pytest.mark.fault("R7")
@pytest.mark.parametrize("frozen_s", [10.0, 60.0])
async def test_bluetoothd_is_frozen(room: RadioRoom, measured, frozen_s: float) -> None:
    files = await room.proxy.open_files()
    await room.rig.signal("bluetoothd", signal.SIGSTOP)
    try:
        async with pinging(room.watcher) as pings:
            unavailable = await room.watcher.until(lambda: not room.watcher.shown, 60.0, "for stale values to go")
            await asyncio.sleep(max(frozen_s - unavailable, 0.0))
        measured("unavailable", unavailable, 30.0)
        measured("ping", max(pings), 1.0)
    finally:
        await room.rig.signal("bluetoothd", signal.SIGCONT)
    measured(f"data of all, frozen for {frozen_s:.0f} s", await room.watcher.until_read(UNITS, 90.0), 30.0)
    measured("files left open", await room.proxy.open_files() - files, 0, "")


@pytest.mark.fault("R9")
async def test_the_adapter_is_unplugged(room: RadioRoom, measured) -> None:
    name = await room.adapter_name()
    await room.rig.room("remove_adapter", adapter=name)
    measured("noticed", await room.watcher.until(lambda: not room.watcher.linked, 10.0), 1.0)
    await room.rig.room("add_adapter", address="B8:27:EB:00:00:09")  # takes its name
    await asyncio.sleep(5.0)
    assert room.bluetooth == (
        True,
        f"there is no Bluetooth adapter {ADAPTER}: is it plugged in (bluetoothctl list)?",
    )
    await room.rig.room("add_adapter", address=ADAPTER)
    measured("data of all", await room.watcher.until_read(UNITS, 60.0), 30.0)
    measured("warnings", len(room.warnings()), 1, "")
    adapters = (await room.rig.room("state"))["adapters"]
    assert await room.adapter_name() != name
    assert {adapter["address"]: adapter["links"] for adapter in adapters.values()}[ADAPTER] == len(UNITS)


@pytest.mark.fault("R9")
async def test_the_adapter_is_turned_off(room: RadioRoom, measured) -> None:
    await room.rig.run("bluetoothctl", "select", ADAPTER)
    where = ("org.bluez", f"/org/bluez/{await room.adapter_name()}", "org.bluez.Adapter1", "Powered")
    await room.rig.run("busctl", "--system", "set-property", *where, "b", "false")
    await room.watcher.until(lambda: not room.watcher.linked, 10.0, "for the loss")
    measured("data of all, turned off", await room.watcher.until_read(UNITS, 60.0), 30.0)


@pytest.mark.fault("R9")
async def test_the_adapter_is_blocked(room: RadioRoom, measured) -> None:
    switch = (await room.rig.run("sh", "-c", f"grep -lx {await room.adapter_name()} /sys/class/rfkill/*/name")).strip()
    switch = switch.removesuffix("name") + "soft"
    await room.rig.run("sh", "-c", f"echo 1 > {switch}")
    try:
        told = await room.watcher.until(lambda: "rfkill unblock" in room.bluetooth[1], 30.0, "for the remedy")
        measured("remedy named", told, 15.0)
    finally:
        await room.rig.run("sh", "-c", f"echo 0 > {switch}")
    measured("data of all, unblocked", await room.watcher.until_read(UNITS, 60.0), 30.0)


@pytest.mark.fault("R10")
async def test_links_end_in_the_middle_of_a_reply(room: RadioRoom, measured) -> None:
    worst = 0.0
    for unit in ("Rover", "Inverter", "Battery"):
        before = room.watcher.value(unit, "failed_requests") or 0
        await room.rig.room("unit", address=UNITS[unit], drop_within_reply=True)
        await room.watcher.until(lambda unit=unit: unit not in room.watcher.linked, 20.0, "for the loss")
        worst = max(worst, await room.watcher.until_read([unit], 60.0))
        assert (room.watcher.value(unit, "failed_requests") or 0) <= before + 1
    measured("data", worst, 15.0)


@pytest.mark.fault("R11")
async def test_nothing_comes_over_a_link(room: RadioRoom, measured) -> None:
    start = time.monotonic()
    await room.rig.room("unit", address=UNITS["Rover"], notifies=False)
    try:
        await room.watcher.until(lambda: "Rover" not in room.watcher.shown, 90.0, "for stale values to go")
        measured("unavailable", time.monotonic() - start, 60.0)
        await room.watcher.until(lambda: "Rover" not in room.watcher.linked, 60.0, "for the loss")
        measured("given up", time.monotonic() - start, 45.0)
    finally:
        await room.rig.room("unit", address=UNITS["Rover"], notifies=True)
    measured("data after", await room.watcher.until_read(["Rover"], 90.0), 60.0)


@pytest.mark.fault("R12")
async def test_another_program_holds_the_notifications(room: RadioRoom, measured) -> None:
    device = f"dev_{UNITS['Rover'].replace(':', '_')}"
    await room.rig.start("thief", sys.executable, GUEST / "notify_thief.py", device, 3)

    async def says(text: str, times: int) -> bool:
        return room.rig.log("thief").count(text) >= times

    await room.rig.until(lambda: says("ready", 1), "for the thief")
    for _ in range(8):  # whoever is first has them
        await room.watcher.until_read(["Rover"], 60.0)
        await room.drop("Rover")
        start = time.monotonic()
        with contextlib.suppress(TimeoutError):
            await room.rig.until(lambda: says("taken", 1), "for the theft", 5.0)
            break
    await room.watcher.until_read(["Rover"], 60.0)
    measured("data", time.monotonic() - start, 30.0)
    measured("thefts", room.rig.log("thief").count("taken"), 1, "", at_least=True)
    with contextlib.suppress(RuntimeError):  # it has ended by itself
        await room.rig.signal("thief", signal.SIGKILL)


@pytest.mark.fault("R13")
async def test_a_killed_proxy_leaves_its_links(room: RadioRoom, measured) -> None:
    assert await room.proxy.stop(signal.SIGKILL) == -signal.SIGKILL
    held = [unit["connected"] for unit in (await room.rig.room("state"))["units"].values()]
    assert held == [True] * len(UNITS)
    await room.proxy.start()
    measured("data of all", await room.watcher.until_read(UNITS, 60.0), 30.0)


@pytest.mark.fault("R14")
async def test_the_phone_app_holds_a_unit(room: RadioRoom, measured) -> None:
    await room.rig.room("hold", address=UNITS["Charger"], held=True)
    try:
        cause = await room.watcher.until(lambda: "phone app" in room.status("Charger"), 60.0, "for the cause")
        measured("cause named", cause, 30.0)
        await asyncio.sleep(30.0)
    finally:
        await room.rig.room("hold", address=UNITS["Charger"], held=False)
    measured("data", await room.watcher.until_read(["Charger"], 90.0), 60.0)


@pytest.mark.fault("R8")
async def test_the_bus_dies(room: RadioRoom, measured) -> None:
    """The last of the module: everything on the bus has to be started anew."""
    goodbyes = room.watcher.goodbyes
    start = time.monotonic()
    await room.rig.signal("dbus", signal.SIGKILL)
    code = await room.rig.wait("proxy", 30.0)
    measured("ended", time.monotonic() - start, 10.0)
    assert code
    assert room.watcher.goodbyes == goodbyes + 1
    await room.rig.wait("bluetoothd", 10.0)
    await room.rig.start_bus()
    await room.rig.start_bluetoothd()
    await room.proxy.start()
    measured("data of all, once started again", await room.watcher.until_read(UNITS, 60.0), 30.0)
