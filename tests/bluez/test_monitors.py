"""What the kernel keeps of a proxy that has ended: a monitor that is left makes it scan until the next boot."""

import asyncio
import sys
from typing import Final

import pytest
from aioesphomeapi import APIClient, APIConnectionError, BluetoothScannerMode
from machine import KEY, UNITS
from rig import ADDRESS, Rig
from waiting import until

from proxy import PORT, Proxy

HEARD_S: Final = 30.0
COUNT: Final = """
import struct
from btsocket import btmgmt_socket
kernel = btmgmt_socket.open()
kernel.send(struct.pack("<HHH", 0x0051, 0, 0))
while (reply := kernel.recv(4096))[:2] != b"\\1\\0":
    pass
print(struct.unpack_from("<H", reply, 20)[0])
"""


@pytest.fixture(scope="module")
async def room(rig: Rig) -> Rig:
    """Units, that there is something to hear."""
    await rig.populate(adapters=1, units="demo")
    return rig


async def monitors(rig: Rig) -> int:
    return int(await rig.run(sys.executable, "-c", COUNT))


async def connect(client: APIClient) -> None:
    async with asyncio.timeout(HEARD_S):
        while True:
            try:
                await client.connect(login=True)
            except APIConnectionError:  # it is about to start
                await asyncio.sleep(0.1)
            else:
                return


@pytest.mark.parametrize("mode", BluetoothScannerMode)
async def test_who_is_told_to_end_takes_its_monitor_back(room: Rig, mode: BluetoothScannerMode) -> None:
    proxy = Proxy(room, {}, bluetooth_proxy={})
    await proxy.start()
    client = APIClient(ADDRESS, PORT, None, noise_psk=KEY)
    await connect(client)
    modes: list[tuple[int, int]] = []
    heard: set[int] = set()
    client.subscribe_bluetooth_scanner_state(lambda told: modes.append((told.state, told.mode)))
    client.subscribe_bluetooth_le_raw_advertisements(
        lambda message: heard.update(one.address for one in message.advertisements)
    )
    client.bluetooth_scanner_set_mode(mode)
    await until(lambda: bool(modes) and modes[-1] == (2, mode), HEARD_S)
    heard.clear()
    await until(lambda: len(heard) >= len(UNITS), HEARD_S)
    assert await monitors(room) == 1
    assert await proxy.stop() == 0
    assert await monitors(room) == 0
