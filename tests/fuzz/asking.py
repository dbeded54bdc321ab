"""Clients of a Bluetooth proxy that ask for anything, of scripted devices."""

import asyncio
import time
from collections.abc import Iterable
from typing import Final

from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from bluetooth_doubles import BATTERY_LEVEL, Air, Devices, Recorder
from google.protobuf.message import DecodeError

from blupow_proxy.bluetooth_proxy import BluetoothProxy, Rules
from blupow_proxy.native_api import BLUETOOTH_REQUESTS, Packet

SLOTS: Final = 2
OWN: Final = "AA:BB:CC:00:00:01"
ADVERTISED_BYTES: Final = 62
_PASSES: Final = 8  # of the loop after each message: what waits for nothing is done by then
_HOW: Final = 4  # kinds of devices


def ask_anything(how: int, messages: Iterable[Packet]) -> float:
    """Ask in turn as two clients; returns the CPU seconds of the slowest step. Nothing may be left behind."""
    return asyncio.run(_ask_anything(how, messages))


async def _ask_anything(how: int, messages: Iterable[Packet]) -> float:
    air, devices = Air(), Devices()
    devices.prepare = lambda device: device.slow.update((set(), {"connect"}, {"read"}, {"write", "notify"})[how % _HOW])
    proxy = BluetoothProxy(
        air, devices, Rules(owned=[OWN], allow=["AA:BB:CC:00:00:02", "T*"]), connection_slots=SLOTS, active=True
    )
    clients = [Recorder(), Recorder()]
    slowest_s = 0.0
    for number, (kind, body) in enumerate(messages):
        client = clients[how // _HOW * number % 2]
        message_type = MESSAGE_TYPE_TO_PROTO.get(kind)
        if message_type is None or message_type.__name__ not in BLUETOOTH_REQUESTS:
            continue
        try:
            message = message_type.FromString(body)
        except DecodeError:
            continue
        started = time.thread_time()
        proxy.asked(client, message)
        air.say(int.from_bytes(body[:6]), body[:ADVERTISED_BYTES])
        for device in devices.made:
            device.on_notified(BATTERY_LEVEL, body)
        slowest_s = max(slowest_s, time.thread_time() - started)
        for _ in range(_PASSES):
            await asyncio.sleep(0)
        connections = proxy._connections
        assert len(connections) <= SLOTS
        assert len(asyncio.all_tasks()) <= 1 + 2 * SLOTS
        assert proxy._slots.free + len(proxy._slots.allocated) == proxy._slots.limit
        for one in clients:
            one.take()  # which parses
    for client in clients:
        proxy.gone(client)
    await proxy.stop()
    assert not proxy._connections
    assert not any(device.connected for device in devices.made)
    assert len(asyncio.all_tasks()) == 1
    return slowest_s
