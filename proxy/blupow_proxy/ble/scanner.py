"""What is on the air."""

import asyncio
from typing import Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.errors import AdapterUnavailableError, DeadlineExceededError

from .adapter import Adapter
from .advertisement import Advertisement
from .failures import HANGS, bleak_call
from .scanning import START_S

_NAME: Final = "adapter"


async def scan(adapter: Adapter, duration_s: float) -> list[Advertisement]:
    """Return the devices heard within ``duration_s`` seconds, strongest first; BleError when scanning fails."""
    heard: dict[str, Advertisement] = {}

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        heard[device.address] = Advertisement.of(device, data)

    scanner = adapter.make_scanner(detected)
    name = adapter.name or _NAME
    try:
        async with bleak_call(name, "scan", duration_s + START_S), scanner:
            await asyncio.sleep(duration_s)
    except DeadlineExceededError as error:
        raise AdapterUnavailableError(name, HANGS) from error
    return sorted(heard.values(), key=lambda advertisement: -advertisement.rssi)
