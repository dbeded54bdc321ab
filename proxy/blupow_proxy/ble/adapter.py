"""The local adapter and the bleak backend that drives it."""

import asyncio
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import BaseBleakScanner

from .finder import Finder


class Adapter:
    """An adapter by name (``hci0``; None is any that is on); the backends are bleak's own unless given."""

    def __init__(
        self,
        name: str | None = None,
        *,
        client_backend: type[BaseBleakClient] | None = None,
        scanner_backend: type[BaseBleakScanner] | None = None,
    ) -> None:
        self.name = name
        self.is_system = client_backend is None
        self.connecting = asyncio.Lock()  # set-ups of two links at once fail on many adapters
        self.finder = Finder(self.make_scanner)
        self._client_backend = client_backend
        self._scanner_backend = scanner_backend

    def make_scanner(self, detected: Any = None) -> BleakScanner:
        """Return a scanner that calls ``detected`` with each advertisement."""
        return BleakScanner(detected, **self._options(self._scanner_backend))

    def client_class(self) -> type[BleakClient]:
        """Return the client class to connect with."""
        options = self._options(self._client_backend)

        class Client(BleakClient):
            def __init__(self, device: BLEDevice | str, **kwargs: Any) -> None:
                super().__init__(device, **(options | kwargs))

        return Client

    def _options(self, backend: type | None) -> dict[str, Any]:
        if backend is not None:
            return {"backend": backend}
        return {} if self.name is None else {"bluez": {"adapter": self.name}}
