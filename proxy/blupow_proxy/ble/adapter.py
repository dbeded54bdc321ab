"""The local adapter: the bleak backend that drives it, and who is told when it comes and goes."""

import asyncio
import time
from collections.abc import Collection
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from bleak import BleakClient, BleakScanner
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import BaseBleakScanner
from bleak_retry_connector.bluez import stop_discovery

from blupow_proxy.errors import AdapterLostError, AdapterUnavailableError, BleError

from .bluez import Bluez
from .failures import HANGS, RESTARTED, TURNED_OFF
from .finder import Finder
from .forgotten_links import ForgottenLinks
from .gate import Gate
from .recovery import recover
from .scanning import Scan
from .supervisor import Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable

SETTLED_S: Final = 60.0  # a power cycle at BlueZ's slowest, or the last resort
SILENCE_S: Final = 60.0  # of listening: three searches in vain; with their pauses, the reset comes within two minutes
REFUSALS: Final = 2  # habluetooth resets at the second failure to start scanning as well
REFUSALS_WHILE_CONNECTED: Final = 6  # a reset costs the links that stand
REFUSALS_AT_MOST: Final = 384  # where that did not help: an hour until the next
IN_VAIN: Final = 3  # connections to units that are heard, in a row; some controllers hear, and connect no more
IN_VAIN_AT_MOST: Final = 96  # where a reset did not help, the unit is too far, or somebody else's: hours until the next


class AdapterLink(Protocol):
    """What the adapter needs of a link."""

    @property
    def address(self) -> str:
        """The device's."""

    @property
    def is_connected(self) -> bool:
        """Whether it takes one of the adapter's slots."""

    @property
    def is_asked(self) -> bool:
        """Whether it is asked often, so that it is found out when the link is none any more."""

    def lose(self, reason: BleError) -> None:
        """Note that the connection is gone, and why."""


class Adapter:
    """An adapter by name (``hci0``) or address; None is any. The backends are bleak's own unless given.

    With ``auto_recovery`` it is reset below BlueZ, where that has the right to, when nothing else has helped.

    While ``run`` watches over it, ``problem`` says why it can't be used; ``on_change`` is called when that has changed,
    and ``links`` are lost when they are worth nothing any more.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        auto_recovery: bool = False,
        client_backend: type[BaseBleakClient] | None = None,
        scanner_backend: type[BaseBleakScanner] | None = None,
    ) -> None:
        self.name = name
        self.is_system = client_backend is None
        self.left_alone = False  # nothing is to be done with it
        self.gate = Gate()  # set-ups of two links at once fail on many adapters
        self.scan = Scan(
            self.make_scanner,
            usable=lambda: self.usable,
            index=lambda: self.index,
            force_stop=self._stop_discovery,
            on_heard=self._scan_heard,
            on_silence=self._silent,
            on_refusal=self._scan_refused,
        )
        self.finder = Finder(self.scan)
        self.on_change: Callable[[], None] = lambda: None
        self.links: set[AdapterLink] = set()
        self._recover = recover if auto_recovery else None
        self._client_backend = client_backend
        self._scanner_backend = scanner_backend
        self._supervisor: Supervisor | None = None
        self._forgotten_links = ForgottenLinks()
        self._generation = 0
        self._changed = asyncio.Event()
        self._heard_at = -inf
        self._in_vain = 0
        self._too_often = IN_VAIN
        self._refused_too_often = REFUSALS_WHILE_CONNECTED

    @property
    def problem(self) -> AdapterUnavailableError | None:
        """Why Bluetooth can't be used."""
        return None if self._supervisor is None else self._supervisor.problem

    @property
    def usable(self) -> bool:
        """Whether it can be used, as far as is known."""
        watch = self._supervisor
        return not self.left_alone and (watch is None or (watch.adapter is not None and watch.problem is None))

    @property
    def bluez(self) -> tuple[Bluez, str] | None:
        """BlueZ, and the adapter's name there; None without the system's adapter, or while nobody watches over it."""
        watch = self._supervisor
        if watch is None or watch.bluez is None or watch.adapter is None:
            return None
        return watch.bluez, watch.adapter.name

    @property
    def connected(self) -> int:
        """The number of its links."""
        return sum(link.is_connected for link in self.links)

    async def run(self) -> None:
        """Keep the system's adapter usable until cancelled; BusLostError when D-Bus goes away."""
        if not self.is_system:
            await asyncio.Event().wait()
        self._supervisor = Supervisor(self.name, self._news, self._recover)
        self._supervisor.generation = self._generation  # what was made before it broke down is lost as well
        try:
            await self._supervisor.run()
        finally:
            self._supervisor = None
            self._forgotten_links.follow(None)

    async def ready(self) -> None:
        """Return once the adapter can be used; AdapterUnavailableError says why it can't."""
        try:
            async with asyncio.timeout(SETTLED_S):
                while (watch := self._supervisor) is not None:
                    if watch.problem is not None:
                        raise AdapterUnavailableError("adapter", watch.problem.message)
                    if watch.adapter is not None:
                        return
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AdapterUnavailableError("adapter", HANGS) from None

    async def end_old_connection(self, address: str) -> None:
        """End what a process that was killed has left connected: such a device can't be heard; BleError."""
        if self._supervisor is not None:
            await self._supervisor.disconnect(address)

    def has_link(self, address: str) -> bool:
        """Whether a link of ours to this device stands, or is being made."""
        return any(link.address.upper() == address for link in self.links)

    async def end_old_connections(self, addresses: Collection[str]) -> None:
        """End what a process that was killed has left connected of these devices; BleError.

        What another adapter is connected to is another program's, such as Home Assistant's on the same machine.
        """
        if (bluez := self.bluez) is None:
            return
        for address in (await self.connected_devices()).keys() & set(addresses):
            if not self.has_link(address) and await bluez[0].connected_to(address) == {bluez[1]}:
                await self.end_old_connection(address)

    def heard(self) -> None:
        """Note that something came over the air: the adapter works."""
        self._heard_at = time.monotonic()
        if self._supervisor is not None:
            self._supervisor.heard()

    async def renewed(self) -> None:
        """Return once what was made with it until now is worth nothing any more."""
        before = self._generation
        while self._generation == before:
            self._changed.clear()
            await self._changed.wait()

    async def connected_devices(self) -> dict[str, str]:
        """Return what is connected to this machine, by whomever, and can't be heard: name by address; BleError."""
        return {} if self._supervisor is None else await self._supervisor.connected_devices()

    def make_scanner(self, detected: Any = None, *, every: bool = False) -> BleakScanner:
        """Return a scanner that calls ``detected`` with advertisements: ``every`` one, or those that tell news."""
        options = self._options(self._scanner_backend)
        if every and self.is_system:
            options = {"bluez": {**options.get("bluez", {}), "filters": {"DuplicateData": True}}}
        return BleakScanner(detected, **options)

    def client_class(self) -> type[BleakClient]:
        """Return the client class to connect with."""
        options = self._options(self._client_backend)

        class Client(BleakClient):
            def __init__(self, device: BLEDevice | str, **kwargs: Any) -> None:
                super().__init__(device, **(options | kwargs))

        return Client

    @property
    def index(self) -> int | None:
        """The kernel's number of it, once that is known."""
        watched = None if self._supervisor is None else self._supervisor.adapter
        return None if watched is None else watched.index

    def _options(self, backend: type | None) -> dict[str, Any]:
        if backend is not None:
            return {"backend": backend}
        watched = None if self._supervisor is None else self._supervisor.adapter
        name = self.name if watched is None else watched.name
        return {} if name is None else {"bluez": {"adapter": name}}

    def _news(self, watch: Supervisor) -> None:
        self._changed.set()
        before, self._generation = self._generation, watch.generation
        if before and before != watch.generation:  # at the first, nothing was made yet
            told = RESTARTED if watch.adapter is not None else TURNED_OFF
            error = AdapterLostError("adapter", told if watch.problem is None else watch.problem.message)
            self.scan.start_anew(error)
            for link in list(self.links):
                link.lose(error)
        if self.index is not None:
            self._forgotten_links.follow(self.index)
        self.scan.look_again()
        self.on_change()

    async def _stop_discovery(self) -> None:
        """Take back a start that may still come to pass, over bleak's own connection."""
        watch = self._supervisor
        if watch is not None and watch.adapter is not None:
            await stop_discovery(watch.adapter.name)

    def connected_in_time(self) -> None:
        """Note that a unit of ours could be connected: the adapter works."""
        self._in_vain, self._too_often = 0, IN_VAIN

    def connected_in_vain(self) -> None:
        """Note that a unit of ours was heard, and could not be connected."""
        self._in_vain += 1
        if self._in_vain >= self._too_often and not self._is_asked:
            self._in_vain, self._too_often = 0, min(2 * self._too_often, IN_VAIN_AT_MOST)
            self._reset("What is heard could not be connected")

    @property
    def _is_asked(self) -> bool:
        """Whether there is a link that would be found out if it were none, by its own requests."""
        return any(link.is_connected and link.is_asked for link in self.links)

    def _silent(self, listened_s: float) -> None:
        silent_s = min(listened_s, time.monotonic() - self._heard_at)
        if silent_s >= SILENCE_S and not self._is_asked:
            self._reset(f"Nothing was heard for {silent_s:.0f} s")

    def _scan_refused(self, times: int) -> None:
        if not self.connected:
            if times >= REFUSALS:
                self._reset("Scanning could not be started")
        elif times >= self._refused_too_often:
            self._refused_too_often = min(2 * self._refused_too_often, REFUSALS_AT_MOST)
            self._reset("Scanning could not be started")

    def _scan_heard(self) -> None:
        self._refused_too_often = REFUSALS_WHILE_CONNECTED
        self.heard()

    def _reset(self, reason: str) -> None:
        if self._supervisor is not None:
            self._supervisor.reset(reason)
