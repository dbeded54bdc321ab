"""A client with the key that asks for everything of Bluetooth, as fast as it can.

usage: bluetooth_flood.py HOST PORT KEY PER_S SECONDS ADDRESS...; says how much it has asked
"""

import random
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

import rude
from aioesphomeapi import api_pb2
from attack import clear

from blupow_proxy.bluetooth_proxy import address_number
from blupow_proxy.native_api.wire import packet

BATCH: Final = 50
KINDS: Final = range(8)  # of device requests, and one more than there are
HANDLES: Final = 64
LONGEST: Final = 600  # bytes, more than a value can have


def messages(addresses: list[int]) -> Iterator[Any]:
    """Say anything, of these devices and of others."""
    chance = random.Random(1)  # noqa: S311 - the same flood each time
    while True:
        address = chance.choice([*addresses, chance.getrandbits(48)])
        where = {"address": address, "handle": chance.randrange(HANDLES)}
        yield from (
            api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1),
            api_pb2.SubscribeBluetoothConnectionsFreeRequest(),
            api_pb2.BluetoothDeviceRequest(
                address=address, request_type=chance.choice(KINDS), has_address_type=True, address_type=1
            ),
            api_pb2.BluetoothScannerSetModeRequest(mode=chance.randrange(2)),
            api_pb2.BluetoothGATTGetServicesRequest(address=address),
            api_pb2.BluetoothGATTReadRequest(**where),
            api_pb2.BluetoothGATTWriteRequest(
                **where, data=bytes(chance.randrange(LONGEST)), response=chance.random() < 0.5
            ),
            api_pb2.BluetoothGATTReadDescriptorRequest(**where),
            api_pb2.BluetoothGATTNotifyRequest(**where, enable=chance.random() < 0.5),
            api_pb2.BluetoothSetConnectionParamsRequest(address=address),
        )
        if chance.random() < 0.1:
            yield api_pb2.UnsubscribeBluetoothLEAdvertisementsRequest()


def flood(host: str, port: int, key: str, per_s: float, seconds: float, addresses: list[int]) -> int:
    """Ask, on one connection after another; returns how often."""
    asking = messages(addresses)
    started, sent = time.monotonic(), 0
    while time.monotonic() - started < seconds:
        with suppress(OSError), socket.create_connection((host, port), rude.CONNECT_S) as connection:
            peer = rude.shake_hands(connection, key)
            threading.Thread(target=rude._read_all, args=(connection,), daemon=True).start()
            connection.sendall(peer.seal(clear(rude.HELLO)))
            while (passed := time.monotonic() - started) < seconds:
                if sent >= passed * per_s:
                    time.sleep(0.001)
                    continue
                connection.sendall(b"".join(peer.seal(clear(packet(next(asking)))) for _ in range(BATCH)))
                sent += BATCH
    return sent


if __name__ == "__main__":
    host, port, key, per_s, seconds, *addresses = sys.argv[1:]
    print(flood(host, int(port), key, float(per_s), float(seconds), [address_number(one) for one in addresses]))
