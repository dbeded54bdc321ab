"""Connections to devices that are no units, on a real BlueZ: the cases of guest/gatt_cases.py."""

import asyncio
import json
import sys

import pytest
from machine import GUEST
from rig import ADDRESS, Rig
from waiting import until

PORT = 7003
CASE_S = 150.0
PERIPHERALS = {
    "C0:00:00:00:00:01": {"name": "One"},
    "00:11:22:33:44:02": {"name": "Two", "address_type": "public", "mtu": 100},
    "C0:00:00:00:00:03": {"name": "Three", "mtu": 23},
}


@pytest.fixture(scope="module")
async def room(rig: Rig) -> Rig:
    """Three peripherals and an inverter around one adapter."""
    await rig.populate(adapters=1, units="1")
    for address, options in PERIPHERALS.items():
        await rig.room("add_peripheral", address=address, **options)
    path = str(GUEST.parent)
    await rig.start("cases", sys.executable, GUEST / "gatt_cases.py", "hci0", PYTHONPATH=path)
    await until(lambda: "ready" in rig.log("cases"), CASE_S)
    return rig


async def case(rig: Rig, name: str) -> object:
    """Return what a case has measured; its failure is the test's."""
    reader, writer = await asyncio.open_connection(ADDRESS, PORT)
    try:
        writer.write(json.dumps({"op": "case", "name": name, "timeout": CASE_S}).encode() + b"\n")
        async with asyncio.timeout(CASE_S + 10.0):
            answer = json.loads(await reader.readline())
    finally:
        writer.close()
    print(name, answer.get("told"))
    assert "told" in answer, answer.get("failure") or answer
    return answer["told"]


@pytest.mark.parametrize(
    "name",
    [
        "table",
        "values",
        "notifications",
        "parameters",
        "pairing",
        "unasked_pairing",
        "lost_keys",
        "cache",
        "ends",
        "hanging_up",
        "silence",
        "vanishing",
        "giving_way_while_it_connects",
        "giving_way_while_it_discovers",
        "cycles",
    ],
)
async def test_case(room: Rig, name: str) -> None:
    await case(room, name)


async def test_bluetoothd_is_started_anew(room: Rig) -> None:
    running = asyncio.create_task(case(room, "restart"))
    await until((room.folder / "ready.restart").exists, CASE_S)
    await room.signal("bluetoothd", 9)
    await room.wait("bluetoothd", 10.0)
    await room.start_bluetoothd()
    await running
