"""A Bluetooth proxy between recorded clients and scripted devices, and its answers in words."""

import asyncio
from typing import Any

from aioesphomeapi import api_pb2
from bluetooth_doubles import Air, Device, Devices, Recorder

from blupow_proxy.bluetooth_proxy import BluetoothProxy, ProxyLimits, Rules, address_number

OWN, TOY, LAMP, LOCK = (f"AA:BB:CC:00:00:0{number}" for number in range(1, 5))
PASSES = 10  # of the loop, in which everything that waits for nothing is done


class Bench:
    """A proxy between recorded clients and scripted devices; two slots, one device of its own."""

    def __init__(self, *, active: bool = True, limits: ProxyLimits | None = None) -> None:
        self.air = Air()
        self.devices = Devices()
        self.client = Recorder()
        self.rules = Rules(owned=[OWN], deny=[LOCK])
        self.proxy = BluetoothProxy(
            self.air, self.devices, self.rules, connection_slots=2, active=active, limits=limits
        )

    async def settle(self) -> None:
        for _ in range(PASSES):
            await asyncio.sleep(0)

    async def ask(self, message: Any, client: Recorder | None = None) -> list[str]:
        """Ask, and return what was answered, as text."""
        client = client or self.client
        self.proxy.asked(client, message)
        await self.settle()
        return told(client)

    async def subscribed(self, client: Recorder | None = None) -> Recorder:
        """Let a client subscribe to everything."""
        client = client or self.client
        self.proxy.asked(client, api_pb2.SubscribeBluetoothConnectionsFreeRequest())
        self.proxy.asked(client, api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1))
        await self.settle()
        client.take()
        return client

    async def connected(self, address: str = TOY) -> Device:
        """Let the client, which has subscribed, connect to a device."""
        answers = await self.ask(device_request(4, address))
        assert answers[1] == f"connected {address[-2:]} mtu 247"
        return self.devices.made[-1]


def device_request(kind: int, address: str = TOY) -> Any:
    return api_pb2.BluetoothDeviceRequest(
        address=address_number(address), request_type=kind, has_address_type=True, address_type=0
    )


def told(client: Recorder) -> list[str]:
    return [text(message) for message in client.take()]


def text(message: Any) -> str:
    """Return an answer in a few words; a device by the end of its address."""
    name = type(message).__name__.removeprefix("Bluetooth").removesuffix("Response")
    device = f"{message.address & 0xFF:02X}" if hasattr(message, "address") else ""
    match name:
        case "ConnectionsFree":
            assert message.free + len(message.allocated) == message.limit
            return f"slots {' '.join(f'{address & 0xFF:02X}' for address in message.allocated)} of {message.limit}"
        case "DeviceConnection" if message.connected:
            return f"connected {device} mtu {message.mtu}"
        case "DeviceConnection":
            return f"disconnected {device} error {message.error}"
        case "GATTError":
            return f"error {device} {message.handle} {message.error}"
        case "GATTRead" | "GATTNotifyData":
            return f"{name} {device} {message.handle} {message.data.hex()}"
        case "GATTWrite" | "GATTNotify":
            return f"{name} {device} {message.handle}"
        case "ScannerState":
            return f"scanner {message.state} mode {message.mode}"
        case "LERawAdvertisements":
            return "heard " + " ".join(f"{one.address & 0xFF:02X}" for one in message.advertisements)
        case "DevicePairing":
            return f"paired {device} {message.paired} {message.error}"
        case "DeviceUnpairing" | "DeviceClearCache":
            return f"{name} {device} {message.success} {message.error}"
        case "SetConnectionParams":
            return f"{name} {device} {message.error}"
        case "GATTGetServices":
            return f"services {device} {[service.handle for service in message.services]}"
        case _:
            return f"{name} {device}"
