"""Whom the Bluetooth proxy has to do with: clients on one side, the adapter's scanner and devices on the other."""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from blupow_proxy.ble import ConnectionParameters, GattService, RawAdvertisement
from blupow_proxy.errors import BleError
from blupow_proxy.native_api import Packet


class Client(Protocol):
    """One session on the network; hashable, equal to itself alone."""

    @property
    def peer(self) -> str:
        """Its address, for the log."""

    @property
    def label(self) -> str:
        """What it calls itself, and its address, for the log."""

    @property
    def encrypted(self) -> bool:
        """Whether it has proven to have the key that was set."""

    @property
    def lagging(self) -> bool:
        """Whether it does not keep up."""

    def send(self, message: Packet) -> None:
        """Send a message; nothing once it is gone."""


class Forwarding(Protocol):
    """A run of the scanner for clients."""

    active: bool
    """The mode that is wanted."""

    def stop(self) -> None:
        """Need the scanner no longer."""


class Scanner(Protocol):
    """What listens for advertisements."""

    @property
    def state(self) -> Enum:
        """What it does now; the value is the number of the wire."""

    @property
    def active(self) -> bool:
        """Whether it asks for scan responses now."""

    def forward(self, heard: Callable[[RawAdvertisement], None], on_change: Callable[[], None]) -> Forwarding:
        """Scan until that is stopped; ``on_change`` when the state or the mode has changed."""


class Peripheral(Protocol):
    """A device that is not our own; handles are those of its attribute table, errors are BleError."""

    @property
    def services(self) -> tuple[GattService, ...]:
        """All that it offers, once it is connected."""

    @property
    def mtu(self) -> int:
        """The ATT MTU in bytes."""

    async def connect(self) -> None:
        """Find it, connect, discover everything."""

    async def read(self, handle: int) -> bytes:
        """Read a characteristic."""

    async def write(self, handle: int, data: bytes, *, response: bool) -> None:
        """Write a characteristic."""

    async def read_descriptor(self, handle: int) -> bytes:
        """Read a descriptor."""

    async def write_descriptor(self, handle: int, data: bytes) -> None:
        """Write a descriptor."""

    async def notify(self, handle: int, *, enable: bool) -> None:
        """Turn notifications or indications of a characteristic on or off."""

    async def pair(self) -> None:
        """Pair."""

    async def unpair(self) -> None:
        """Forget the pairing; the link may end by it."""

    async def clear_cache(self) -> None:
        """Forget what is known of its services."""

    async def set_connection_parameters(self, wanted: ConnectionParameters) -> None:
        """Ask for another interval."""

    async def disconnect(self) -> None:
        """End the link, in whatever state it is; never raises."""


class MakePeripheral(Protocol):
    """Makes the device at an address, not connected yet."""

    def __call__(
        self, address: str, *, on_notified: Callable[[int, bytes], None], on_lost: Callable[[BleError], None]
    ) -> Peripheral:
        """``on_lost`` is called when the link ends by itself."""
