"""What is on the air."""

import asyncio
from dataclasses import dataclass
from typing import Final

from .adapter import Adapter, AdvertisementData, BLEDevice
from .failures import bleak_call

_SETUP_S: Final = 15.0  # starting discovery on a busy BlueZ takes seconds, a stuck one never ends


@dataclass(frozen=True, slots=True)
class Advertisement:
    """The latest that was heard of one device; ``rssi`` in dBm."""

    address: str
    name: str | None
    rssi: int
    service_uuids: tuple[str, ...]


async def scan(adapter: Adapter, duration_s: float) -> list[Advertisement]:
    """Return the devices heard within ``duration_s`` seconds, strongest first; BleError when scanning fails."""
    heard: dict[str, Advertisement] = {}

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        heard[device.address] = _advertisement(device, data)

    scanner = adapter.make_scanner(detected)
    async with bleak_call(adapter.name or "adapter", "scan", duration_s + _SETUP_S), scanner:
        await asyncio.sleep(duration_s)
    return sorted(heard.values(), key=lambda advertisement: -advertisement.rssi)


async def find(adapter: Adapter, address: str, timeout_s: float) -> tuple[BLEDevice, Advertisement] | None:
    """Return the device with ``address`` as soon as it is heard; None after ``timeout_s``."""
    found: asyncio.Future[tuple[BLEDevice, Advertisement]] = asyncio.get_running_loop().create_future()

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        if device.address.upper() == address.upper() and not found.done():
            found.set_result((device, _advertisement(device, data)))

    scanner = adapter.make_scanner(detected)
    async with bleak_call(address, "scan", timeout_s + _SETUP_S), scanner:
        await asyncio.wait([found], timeout=timeout_s)
    return found.result() if found.done() else None


def _advertisement(device: BLEDevice, data: AdvertisementData) -> Advertisement:
    name = (data.local_name or device.name or "").strip() or None  # modules pad their name with blanks
    return Advertisement(device.address, name, data.rssi, tuple(data.service_uuids))
