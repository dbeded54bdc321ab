"""Waiting for devices to be heard."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Final

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from blupow_proxy.errors import BleError

from .advertisement import Advertisement
from .scanning import Scan

NAME_S: Final = 3.0  # a module's name comes with its next scan response; advertisements without it do not tell its kind


type Heard = tuple[BLEDevice, Advertisement]


@dataclass(eq=False, slots=True)
class _Search:
    address: str
    named: bool
    found: asyncio.Future[Heard] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    nameless: Heard | None = None

    @property
    def is_over(self) -> bool:
        return self.found.done()

    def heard(self, device: BLEDevice, data: AdvertisementData) -> None:
        if self.found.done():
            return
        heard = device, Advertisement.of(device, data)
        if heard[1].name is not None or not self.named:
            self.found.set_result(heard)
            return
        if self.nameless is None:
            asyncio.get_running_loop().call_later(NAME_S, self._settle)
        self.nameless = heard

    def fail(self, error: BleError) -> None:
        if not self.found.done():
            self.found.set_exception(error)

    def _settle(self) -> None:
        if not self.found.done() and self.nameless is not None:
            self.found.set_result(self.nameless)


class Finder:
    """Finds devices by address, in the scan that all share."""

    def __init__(self, scan: Scan) -> None:
        self._scan = scan

    async def find(self, address: str, timeout_s: float, *, named: bool = True) -> Heard | None:
        """Return a device as soon as it is heard, ``named`` if it has a name; None after ``timeout_s`` of listening.

        Raises:
            BleError: the adapter can't listen.
        """
        search = _Search(address.upper(), named)
        task = self._scan.join(search)
        since_s = time.monotonic()
        listening = asyncio.ensure_future(self._scan.searching.wait())
        try:
            waits: list[asyncio.Future[Any]] = [search.found, task, listening]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            since_s = time.monotonic()
            waits.remove(listening)
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if not search.found.done() and task.done():
                task.result()  # what nobody foresaw
            return search.found.result() if search.found.done() else search.nameless
        finally:
            listening.cancel()
            self._scan.leave(search, since_s)
            search.found.cancel()
