"""One unit of each family, read through the real bluetoothd by the unmodified proxy, for five minutes."""

import asyncio
import os
import sys

import hci_record
import pytest
from machine import GUEST, UNITS
from rig import Rig

from proxy import Proxy, Watcher

LINKED_S = 60.0
POLLED_S = float(os.environ.get("BLUPOW_POLLED_S", "300"))
INTERVAL_S = 2.0


@pytest.fixture(scope="module")
async def proxy(rig: Rig) -> Proxy:
    await rig.populate(adapters=2, units="demo")
    await rig.start("recorder", sys.executable, GUEST / "recorder.py", rig.folder / "btsnoop")
    proxy = Proxy(rig, UNITS)
    await proxy.start()
    return proxy


async def test_all_are_found_and_linked(proxy: Proxy) -> None:
    async with Watcher() as watcher:
        await watcher.until_linked(UNITS, LINKED_S)
    assert {unit["connected"] for unit in (await proxy.rig.room("state"))["units"].values()} == {True}


async def test_nothing_is_missed_for_five_minutes(proxy: Proxy) -> None:
    async with Watcher() as watcher:
        await watcher.until_linked(UNITS, LINKED_S)
        await asyncio.sleep(POLLED_S)
        assert watcher.lost == 0
        assert watcher.linked == set(UNITS)
        failed = {unit: watcher.value(unit, "failed_requests") for unit in UNITS if unit != "Shunt"}
        assert failed == dict.fromkeys(failed, 0)
        world = await proxy.rig.room("world")
        for unit in UNITS:
            name = "house_battery_voltage" if unit == "Charger" else "battery_voltage"
            assert abs(watcher.value(unit, name) - world["battery_v"]) < 0.15, unit


async def test_it_ends_without_leaving_a_link(proxy: Proxy) -> None:
    assert await proxy.stop() == 0
    state = await proxy.rig.room("state")
    assert {unit["connected"] for unit in state["units"].values()} == {False}
    assert [adapter["links"] for adapter in state["adapters"].values()] == [0, 0]


async def test_the_record_has_one_request_in_flight_and_clean_ends(proxy: Proxy) -> None:
    await proxy.rig.signal("recorder", 2)
    await proxy.rig.wait("recorder", 10.0)
    links = hci_record.read(proxy.rig.folder / "btsnoop")
    assert len(links) == len(UNITS)
    read = [link for link in links if link.traffic]
    assert [link.most_in_flight for link in read] == [1] * (len(UNITS) - 1)
    assert {(link.disconnected, link.ended) for link in links} == {(True, True)}
    assert max(link.longest_pause_s for link in read) < 2 * INTERVAL_S
    assert "ERROR" not in proxy.rig.log("proxy")
