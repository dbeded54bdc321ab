"""A house with the proxy: devices in use, links lost, Home Assistant restarted, the adapter unplugged.

What counts is what Home Assistant's own Bluetooth has to say of it: nothing.
"""

import asyncio
import contextlib
import itertools
import logging
import os
import time
from collections import Counter
from dataclasses import dataclass, field

import gatt_uuids
import pytest
from aioesphomeapi import APIClient
from bleak.exc import BleakError
from habluetooth import BluetoothScanningMode
from house import House, Source, complaints
from machine import ADAPTER, KEY, UNITS
from rig import ADDRESS, Rig
from waiting import until

from proxy import PORT, Proxy, Watcher

LASTS_S = float(os.environ.get("BLUPOW_HOUSE_S", "75"))
OTHERS = [f"F0:0D:00:00:01:0{number}" for number in (1, 2, 3)]
UNIT = {"Rover": UNITS["Rover"]}
PAUSE_S = 12.0  # between what happens: three times what a return takes
BACK_S = 30.0
ABSENT_S = 3.0
# habluetooth's, of what was being connected while Home Assistant restarted in this process; a real one is another then
OF_THE_RESTART = "Removing a non-existing connecting"


@dataclass
class Home:
    """What goes on in it."""

    rig: Rig
    house: House
    source: Source
    used: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    async def use(self, address: str) -> None:
        """Keep a device connected, read it, and connect anew whenever that ends."""
        while True:
            with contextlib.suppress(BleakError, TimeoutError):
                await self.house.hears(address, within_s=BACK_S)
                client = await self.house.connected(address)
                try:
                    for number in range(20):
                        said = f"{address} {number}".encode()
                        await client.write_gatt_char(gatt_uuids.GREETING, said, response=True)
                        assert await client.read_gatt_char(gatt_uuids.GREETING) == said
                        self.used[address] += 1
                        await asyncio.sleep(0.1)
                finally:
                    await client.disconnect()
                continue
            self.failed[address] += 1
            await asyncio.sleep(0.5)

    async def lose_links(self) -> None:
        """Devices end their connections."""
        for address in OTHERS:
            await self.rig.room("drop", address=address)

    async def lose_our_unit(self) -> None:
        """Our unit ends its connection, and needs the adapter."""
        await self.rig.room("drop", address=UNIT["Rover"])

    async def restart_home(self) -> None:
        """Home Assistant ends without a word, and comes back."""
        await self.source.restart()
        self.source.scanner.async_set_scanning_mode(BluetoothScanningMode.AUTO)

    async def sweep(self) -> None:
        """Home Assistant wants scan responses for a moment."""
        assert await self.source.scanner.async_request_active_window(2.0)

    async def unplug(self) -> None:
        """The adapter is unplugged, and returns."""
        await self.rig.room("remove_adapter", adapter=await self.rig.adapter_of(ADAPTER))
        await asyncio.sleep(ABSENT_S)
        await self.rig.room("add_adapter", address=ADAPTER)

    async def settle(self) -> None:
        """Wait until every device is used again, and the scanner runs."""
        before = self.used.copy()
        try:
            await until(lambda: all(self.used[address] > before[address] for address in OTHERS), BACK_S)
        except TimeoutError:
            connected = [(await self.rig.room("peripheral", address=address))["connected"] for address in OTHERS]
            pytest.fail(f"used {self.used - before}, connected {connected}, slots {self.source.slots}")
        await until(lambda: self.source.scanner.current_mode is not None, BACK_S)


@pytest.mark.timeout(LASTS_S + 240)
async def test_home_assistant_has_nothing_to_complain_of(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await rig.populate(adapters=1, units="demo")
    for address in OTHERS:
        await rig.room("add_peripheral", address=address, name="Toy")
    proxy = Proxy(rig, UNIT, interval="1s", adapter=ADAPTER, bluetooth_proxy={"connection_slots": 3})
    await proxy.start()
    client = APIClient(ADDRESS, PORT, None, noise_psk=KEY, client_info="house")
    async with Watcher() as watcher, House.opened() as house:
        await watcher.until_linked(UNIT, 60.0)
        source = Source(client, house)
        await source.start()
        source.scanner.async_set_scanning_mode(BluetoothScanningMode.AUTO)
        caplog.clear()  # the watcher tried before there was a proxy
        home = Home(rig, house, source)
        users = [asyncio.create_task(home.use(address)) for address in OTHERS]
        happenings = itertools.cycle([home.lose_links, home.restart_home, home.unplug, home.sweep, home.lose_our_unit])
        until_s = time.monotonic() + LASTS_S
        happened: Counter[str] = Counter()
        try:
            while time.monotonic() < until_s:
                happening = next(happenings)
                await happening()
                happened[happening.__name__] += 1
                await asyncio.sleep(PAUSE_S)
                await home.settle()
                await watcher.until_read(UNIT, BACK_S)
        finally:
            for user in users:
                user.cancel()
            await asyncio.wait(users, timeout=BACK_S)
        await until(lambda: source.slots == (3, 4, [UNIT["Rover"]]), BACK_S)
        await client.disconnect()
    print(f"{dict(happened)}, used {home.used.total()} times, {home.failed.total()} attempts failed")
    assert [told for told in complaints(caplog.records) if not told.startswith(OF_THE_RESTART)] == []
    others = [await rig.room("peripheral", address=address) for address in OTHERS]
    assert [other["connected"] for other in others] == [False] * len(OTHERS)
    assert await proxy.stop() == 0
    assert "Traceback" not in rig.log("proxy")
