"""Waiting for devices to be heard: one run of the scanner for all, since an adapter has no second."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.errors import AdapterUnavailableError, BleError, DeadlineExceededError

from .advertisement import Advertisement
from .failures import HANGS, bleak_call

START_S: Final = 15.0  # starting discovery on a busy BlueZ takes seconds, a stuck one never ends
STOP_S: Final = 5.0
NAME_S: Final = 3.0  # a module's name comes with its next scan response; advertisements without it do not tell its kind


type Heard = tuple[BLEDevice, Advertisement]


@dataclass(eq=False, slots=True)
class _Search:
    address: str
    found: asyncio.Future[Heard] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    nameless: Heard | None = None

    def heard(self, heard: Heard) -> None:
        if self.found.done():
            return
        if heard[1].name is not None:
            self.found.set_result(heard)
            return
        if self.nameless is None:
            asyncio.get_running_loop().call_later(NAME_S, self._settle)
        self.nameless = heard

    def _settle(self) -> None:
        if not self.found.done() and self.nameless is not None:
            self.found.set_result(self.nameless)


class Finder:
    """Finds devices by address; scans while somebody waits.

    ``on_heard`` is called with each advertisement, ``on_silence`` with the seconds listened without any, ``on_refusal``
    with how often in a row scanning could not be started. ``force_stop`` ends what a start that failed may have begun.
    """

    def __init__(
        self,
        make_scanner: Callable[[Any], BleakScanner],
        *,
        force_stop: Callable[[], Awaitable[None]] | None = None,
        on_heard: Callable[[], None] = lambda: None,
        on_silence: Callable[[float], None] = lambda _: None,
        on_refusal: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._make_scanner = make_scanner
        self._force_stop = force_stop
        self._on_heard = on_heard
        self._on_silence = on_silence
        self._on_refusal = on_refusal
        self._scanner: BleakScanner | None = None
        self._listened_s = 0.0
        self._refusals = 0
        self._searches: list[_Search] = []
        self._listening = asyncio.Event()
        self._renew = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def find(self, address: str, timeout_s: float) -> Heard | None:
        """Return a device as soon as it is heard, named if it has a name; None after ``timeout_s`` of listening.

        Raises:
            BleError: the adapter can't listen.
        """
        search = _Search(address.upper())
        self._searches.append(search)
        if self._scanner is not None:
            # BlueZ tells what this scan has heard already only anew when its signal is much stronger or weaker
            for device, data in self._scanner.discovered_devices_and_advertisement_data.values():
                self._tell(search, device, data)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        task = self._task
        listening = asyncio.ensure_future(self._listening.wait())
        try:
            waits: list[asyncio.Future[Any]] = [search.found, task, listening]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            waits.remove(listening)
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not search.found.done() and task.done():
                task.result()  # what nobody foresaw
            return search.found.result() if search.found.done() else search.nameless
        finally:
            listening.cancel()
            self._searches.remove(search)
            # also when others go on: a scanner that lost its bluetoothd hears nothing and says nothing
            if not self._searches or not search.found.done():
                self._renew.set()
            search.found.cancel()

    def start_anew(self, error: BleError) -> None:
        """Forget what was before, and end every search with ``error``."""
        self._refusals = 0
        self._listened_s = 0.0
        self._fail(error)

    def _fail(self, error: BleError) -> None:
        """End every search with ``error``, and the scan with them."""
        for search in self._searches:
            if not search.found.done():
                search.found.set_exception(error)
        self._renew.set()

    async def _run(self) -> None:
        try:
            while any(not search.found.done() for search in self._searches):
                await self._listen()
        finally:
            self._task = None

    async def _listen(self) -> None:
        """Scan until nobody waits any more, or somebody has waited in vain."""
        self._renew.clear()
        scanner = self._make_scanner(self._heard)
        started = None
        try:
            async with bleak_call("adapter", "scan", START_S):
                await scanner.start()
            started = time.monotonic()
            self._scanner = scanner
            self._refusals = 0
            self._listening.set()
            await self._renew.wait()
        except BleError as error:
            self._refused(error)
        finally:
            self._listening.clear()
            self._scanner = None
            with contextlib.suppress(BleError):  # it is not used again, whether it has stopped or not
                async with bleak_call("adapter", "end of scan", STOP_S):
                    await scanner.stop()
                    if started is None and self._force_stop is not None:
                        await self._force_stop()
            if started is not None:
                self._listened_s += time.monotonic() - started
                self._on_silence(self._listened_s)

    def _refused(self, error: BleError) -> None:
        if isinstance(error, DeadlineExceededError):
            error = AdapterUnavailableError("adapter", HANGS)
        elif not isinstance(error, AdapterUnavailableError):
            error = AdapterUnavailableError("adapter", error.message)
        self._refusals += 1
        self._on_refusal(self._refusals)
        self._fail(error)

    def _heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        if data.local_name or data.service_uuids or data.manufacturer_data or data.service_data:
            self._listened_s = 0.0  # some adapters, once stuck, go on with empty advertisements
            self._on_heard()
        for search in self._searches:
            self._tell(search, device, data)

    def _tell(self, search: _Search, device: BLEDevice, data: AdvertisementData) -> None:
        if search.address == device.address.upper():
            search.heard((device, Advertisement.of(device, data)))
