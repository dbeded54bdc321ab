"""The whole chain: peripherals, a real bluetoothd, the unmodified proxy, its encrypted API, and on the other side Home
Assistant's unmodified habluetooth, bleak-esphome and bleak; beside a unit of ours that is read every second."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import gatt_uuids
import hci_record
import pytest
from aioesphomeapi import APIClient
from bleak import BleakClient
from bleak.exc import BleakError
from house import House, Source, complaints
from machine import GUEST, KEY, UNITS
from rig import ADDRESS, Rig
from waiting import until

from proxy import PORT, Proxy, Watcher

CYCLES = int(os.environ.get("BLUPOW_CYCLES", "8"))
OTHERS = {f"F0:0D:00:00:00:0{number}": f"Toy {number}" for number in (1, 2, 3)}
UNIT = {"Rover": UNITS["Rover"]}
INTERVAL_S = 1.0
ANSWER_S = 5.0
MTU = 247
TEXT = "00002901-0000-1000-8000-00805f9b34fb"
FIRST, LAST = 0, CYCLES - 1


@dataclass
class Chain:
    """What the tests share."""

    rig: Rig
    proxy: Proxy
    house: House
    source: Source
    watcher: Watcher


@pytest.fixture(scope="module")
async def chain(rig: Rig) -> AsyncIterator[Chain]:
    await rig.populate(adapters=1, units="demo")
    for address, name in OTHERS.items():
        await rig.room("add_peripheral", address=address, name=name, mtu=MTU)
    await rig.start("recorder", sys.executable, GUEST / "recorder.py", rig.folder / "btsnoop")
    proxy = Proxy(rig, UNIT, interval=f"{INTERVAL_S:g}s", bluetooth_proxy={"connection_slots": 3})
    await proxy.start()
    client = APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="house")
    async with Watcher() as watcher, House.opened() as house:
        await watcher.until_linked(UNIT, 60.0)
        watcher.lost = 0
        source = Source(client, house)
        await source.start()
        yield Chain(rig, proxy, house, source, watcher)
        await client.disconnect()


async def _use(chain: Chain, address: str, cycle: int) -> None:
    """Do with a device what integrations do."""
    client = await chain.house.connected(address)
    try:
        assert client.mtu_size == MTU
        assert address in chain.source.slots[2]
        echo = client.services.get_characteristic(gatt_uuids.ECHO)
        greeting = client.services.get_characteristic(gatt_uuids.GREETING)
        said = f"{address} {cycle}".encode()
        await client.write_gatt_char(greeting, said, response=True)
        assert await client.read_gatt_char(greeting) == said
        await client.write_gatt_char(greeting, said[::-1], response=False)
        assert await client.read_gatt_char(greeting) == said[::-1]
        text = greeting.get_descriptor(TEXT)
        await client.write_gatt_descriptor(text, said)
        assert await client.read_gatt_descriptor(text) == said
        for characteristic, response in ((echo, True), (echo, False), (_indicated(client), True)):
            await _hear(client, characteristic, said, response=response)
        assert await client.read_gatt_char(gatt_uuids.LONG) == bytes(range(256)) * 2
        with pytest.raises(BleakError, match="128"):
            await client.read_gatt_char(gatt_uuids.REFUSING)
        if cycle == FIRST:
            await client.pair()
        assert await client.read_gatt_char(gatt_uuids.SECRET) == b"between us"
        if cycle == LAST:
            await client.unpair()
            await until(lambda: not client.is_connected, ANSWER_S)
    finally:
        await client.disconnect()


def _indicated(client: BleakClient) -> object:
    return client.services.get_characteristic(gatt_uuids.INDICATED)


async def _hear(client: BleakClient, characteristic: object, said: bytes, *, response: bool) -> None:
    heard: list[bytes] = []
    await client.start_notify(characteristic, lambda _, data: heard.append(bytes(data)))
    await client.write_gatt_char(characteristic, said, response=response)
    await until(lambda: heard, ANSWER_S)
    await client.stop_notify(characteristic)
    assert heard == [said]


async def _cycles(chain: Chain, address: str) -> None:
    for cycle in range(CYCLES):
        await chain.house.hears(address)
        await _use(chain, address, cycle)


@pytest.mark.timeout(120 + 30 * CYCLES)
async def test_three_devices_at_once_and_no_slot_leaks(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    assert chain.source.slots == (3, 4, [UNITS["Rover"]])
    async with asyncio.TaskGroup() as group:
        for address in OTHERS:
            group.create_task(_cycles(chain, address))
    await until(lambda: chain.source.slots == (3, 4, [UNITS["Rover"]]), ANSWER_S)
    others = [await chain.rig.room("peripheral", address=address) for address in OTHERS]
    assert [other["connected"] for other in others] == [False] * len(OTHERS)
    assert complaints(caplog.records) == []
    assert chain.watcher.lost == 0
    assert chain.watcher.value("Rover", "failed_requests") == 0


async def test_our_unit_is_refused_and_not_heard(chain: Chain) -> None:
    heard = {one.address for one in chain.house.heard}
    assert heard >= set(OTHERS)
    assert not heard & set(UNIT.values())


async def test_no_interval_of_our_unit_was_missed(chain: Chain) -> None:
    await chain.rig.signal("recorder", 2)
    await chain.rig.wait("recorder", 10.0)
    read = [link for link in hci_record.read(chain.rig.folder / "btsnoop") if link.traffic]
    assert len(read) == 1
    assert read[0].longest_pause_s < 2 * INTERVAL_S
    assert "ERROR" not in chain.proxy.rig.log("proxy")


async def test_what_a_killed_proxy_has_left_connected_is_free_again(chain: Chain) -> None:
    """BlueZ holds its links on, and a device with a link is not heard: no client would ever ask for it again."""
    address = next(iter(OTHERS))

    async def is_free() -> bool:
        return not (await chain.rig.room("peripheral", address=address))["connected"]

    await chain.house.hears(address)
    await chain.house.connected(address)
    await chain.proxy.stop(signal.SIGKILL)
    assert not await is_free()
    await chain.proxy.start()
    await chain.rig.until(is_free, "for the device")
