"""Hearing all that is on the air, for as long as somebody wants to."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final, Never

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.errors import AdapterUnavailableError, BleError, DeadlineExceededError

from .adapter import Adapter
from .advertisement import Advertisement
from .failures import HANGS, bleak_call
from .scanning import START_S, STOP_S

RETRY_S: Final = 2.0  # BlueZ refuses a scan for a moment after the last one
DEAF_S: Final = 30.0  # where nothing at all is heard, a new scan costs nothing and helps some adapters


async def listen(
    adapter: Adapter,
    heard: Callable[[Advertisement], None],
    trouble: Callable[[BleError | None], None] = lambda _: None,
) -> Never:
    """Tell of every advertisement until cancelled; of ``trouble`` with the adapter, and None when that is over."""
    while True:
        try:
            await adapter.ready()
            await _scan(adapter, heard, trouble)
        except DeadlineExceededError:
            trouble(AdapterUnavailableError("adapter", HANGS))
        except BleError as error:
            trouble(error)
        else:
            continue
        await asyncio.sleep(RETRY_S)


async def _scan(
    adapter: Adapter, heard: Callable[[Advertisement], None], trouble: Callable[[BleError | None], None]
) -> None:
    """Listen until the adapter was renewed, or nothing was heard for a while."""
    some = asyncio.Event()

    def detected(device: BLEDevice, data: AdvertisementData) -> None:
        some.set()
        adapter.heard()
        heard(Advertisement.of(device, data))

    scanner = adapter.make_scanner(detected, every=True)
    renewed = asyncio.ensure_future(adapter.renewed())
    try:
        async with bleak_call("adapter", "scan", START_S):
            await scanner.start()
        trouble(None)
        while not renewed.done():
            some.clear()
            await asyncio.wait([renewed], timeout=DEAF_S)
            if not some.is_set():
                return
    finally:
        renewed.cancel()
        with contextlib.suppress(BleError):  # it is not used again, whether it has stopped or not
            async with bleak_call("adapter", "end of scan", STOP_S):
                await scanner.stop()
