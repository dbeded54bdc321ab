"""One client's connection to one device: set up, asked for one thing after another, ended, in that order.

What the client hears: that it is connected, once everything is discovered; one answer to each request, in the order of
the requests; that it is disconnected, at once and for whatever reason, after the answers that are owed. The device
is let go after that, and ``on_freed`` called. Who gives up connecting hears of that only then: until then it may try
again, and would take the end of one attempt for that of the next.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

from blupow_proxy.allowance import PeerLog
from blupow_proxy.ble import MAX_VALUE_BYTES
from blupow_proxy.errors import BleError, GattError

from . import codes, packets
from .addresses import address_text
from .operations import NOTIFY, Request
from .parties import Client, MakePeripheral, Peripheral

MAX_WAITING: Final = 64  # requests that a client waits for: it sends one after another, or a few
MAX_WAITING_WRITES: Final = 256  # that it does not wait for, as in an update of a device: some 100 KiB
MAX_NOTIFYING: Final = 64  # characteristics: more than any device has
MAX_SERVICES_BYTES: Final = 60 * 1024  # of the list: ten times the longest known, and one service fits a frame

_LOGGER = logging.getLogger(__name__)


class Phase(Enum):
    """What a connection is doing."""

    CONNECTING = auto()
    CONNECTED = auto()
    ENDING = auto()


class DeviceConnection:
    """Connects to ``address`` for ``client`` as soon as it is made, needing a running loop."""

    def __init__(
        self,
        address: int,
        client: Client,
        make: MakePeripheral,
        *,
        on_freed: Callable[["DeviceConnection"], None],
        log: PeerLog,
    ) -> None:
        self.address = address
        self.client = client
        self.phase = Phase.CONNECTING
        self.next_client: Client | None = None  # who wants to connect once this has ended
        self.gave_up: list[Client] = []  # who are told of the end once the device is let go
        self._on_freed = on_freed
        self._log = log
        self._name = address_text(address)
        self._queue: deque[Request] = deque()
        self._waiting_writes = 0
        self._current: Request | None = None
        self._notifying: set[int] = set()
        self._ready = asyncio.Event()
        self._lost_meanwhile: BleError | None = None
        self._peripheral = make(self._name, on_notified=self._notified, on_lost=self._lost)
        self._work = asyncio.create_task(self._serve(self._peripheral))
        self.task = asyncio.create_task(self._live())

    def connect(self) -> None:
        """Answer a client that asks to connect once more; while it connects, one answer is enough."""
        if self.phase is Phase.CONNECTED:
            self.client.send(packets.connected(self.address, self._peripheral.mtu))

    def ask(self, request: Request) -> None:
        """Take a request; it is answered in its turn."""
        error = self._objection(request)
        if error is not None:
            self.client.send(request.refusal(error))
            return
        self._waiting_writes += request.is_silent
        self._queue.append(request)
        self._ready.set()

    def disconnect(self) -> None:
        """End it because its client asks for that."""
        if self.phase is Phase.CONNECTING:
            self.gave_up.append(self.client)
        self.end(codes.UNKNOWN, "the client has asked for that")

    def end(self, reason: int, why: str, *, failed: bool = False) -> None:
        """Answer everything that is owed, and let the device go."""
        if self.phase is Phase.ENDING:
            return
        if self.phase is Phase.CONNECTED:
            self._log(logging.INFO, "Disconnected %s from %s: %s", self._name, self.client.peer, why)
        elif failed:
            self._log(logging.INFO, "Could not connect %s for %s: %s", self._name, self.client.peer, why)
        else:
            self._log(logging.INFO, "Gave up connecting %s for %s: %s", self._name, self.client.peer, why)
        self.phase = Phase.ENDING
        owed = [*self._queue] if self._current is None else [self._current, *self._queue]
        self._queue.clear()
        self._current = None
        self._notifying.clear()
        for request in owed:
            self.client.send(request.refusal(codes.NOT_CONNECTED))
        if self.client not in self.gave_up:
            self.client.send(packets.disconnected(self.address, reason))
        self._work.cancel()

    async def _live(self) -> None:
        try:
            await asyncio.wait({self._work})
            error = None if self._work.cancelled() else self._work.exception()
            if isinstance(error, BleError):
                reason = codes.link_reason(error, was_connected=self.phase is Phase.CONNECTED)
                self.end(reason, error.message, failed=True)
            elif error is not None:
                _LOGGER.error("%s: nobody foresaw this", self._name, exc_info=error)
            self.end(codes.ENDED_HERE, "an error of the proxy", failed=True)
            await self._peripheral.disconnect()
        finally:
            self._on_freed(self)

    async def _serve(self, peripheral: Peripheral) -> None:
        """Connect, and do what is asked until that is cancelled; BleError when the link is gone."""
        await peripheral.connect()
        if not peripheral.services:  # BlueZ may tell of them late, and a client remembers the list for good
            raise GattError(self._name, codes.FAILED, "it shows no services")
        if sum(len(body) for _, body in packets.services(self.address, peripheral.services)) > MAX_SERVICES_BYTES:
            raise GattError(self._name, codes.NO_RESOURCES, "it offers more services than clients can take")
        if self._lost_meanwhile is not None:
            raise self._lost_meanwhile
        if self.phase is Phase.ENDING:
            return
        self.phase = Phase.CONNECTED
        self._log(logging.INFO, "Connected %s for %s", self._name, self.client.peer)
        self.client.send(packets.connected(self.address, peripheral.mtu))
        while True:
            while not self._queue:
                self._ready.clear()
                await self._ready.wait()
            await self._perform(peripheral, self._queue.popleft())

    async def _perform(self, peripheral: Peripheral, request: Request) -> None:
        """Do and answer what was asked; BleError when the link is gone."""
        self._waiting_writes -= request.is_silent
        subscribes = request.operation is NOTIFY
        handle, enable = (request.message.handle, request.message.enable) if subscribes else (0, False)
        if enable:
            if len(self._notifying | {handle}) > MAX_NOTIFYING:
                self.client.send(request.refusal(codes.NO_RESOURCES))
                return
            self._notifying.add(handle)  # before: the device may be quick
        self._current = request
        error: BleError | None = None
        try:
            answer = await request.operation.perform(peripheral, request.message)
        except BleError as caught:
            error = caught
            answer = [request.refusal(codes.operation_code(caught))]
        if self._current is not request:
            raise asyncio.CancelledError  # which got lost underway: it was answered when this ended
        self._current = None
        if subscribes and enable is (error is not None):
            self._notifying.discard(handle)
        for message in answer:
            self.client.send(message)
        if error is None or isinstance(error, GattError):
            error = self._lost_meanwhile
        if error is not None:
            raise error

    def _objection(self, request: Request) -> int | None:
        """Return why a request is not taken."""
        if self.phase is not Phase.CONNECTED:
            return codes.NOT_CONNECTED
        if len(getattr(request.message, "data", b"")) > MAX_VALUE_BYTES:
            return codes.INVALID_LENGTH
        if request.is_silent:
            return codes.CONGESTED if self._waiting_writes >= MAX_WAITING_WRITES else None
        if len(self._queue) - self._waiting_writes >= MAX_WAITING:
            return codes.BUSY
        return None

    def _notified(self, handle: int, value: bytes) -> None:
        if handle in self._notifying and not self.client.lagging:
            self.client.send(packets.notified(self.address, handle, value))

    def _lost(self, error: BleError) -> None:
        if self.phase is Phase.CONNECTING or (self._current is not None and self._current.operation.ends_link):
            self._lost_meanwhile = error  # what is under way has its own end
        else:
            self.end(codes.link_reason(error, was_connected=True), error.message)
