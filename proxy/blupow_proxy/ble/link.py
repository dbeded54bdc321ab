"""One GATT connection to one device: a request out, its response in."""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak_retry_connector import establish_connection

from blupow_proxy.errors import (
    BleError,
    DeadlineExceededError,
    DeviceNotFoundError,
    LinkLostError,
    NoFreeSlotError,
)
from blupow_proxy.modbus import (
    UNIVERSAL_ADDRESS,
    ExceptionResponse,
    ReadRequest,
    Rejected,
    Request,
    Response,
    ResponseParser,
)
from blupow_proxy.renogy import gatt

from .adapter import Adapter
from .failures import ENDED, HANGS, HELD_OR_GONE, NO_SLOT, UNREACHABLE, bleak_call

FIND_S: Final = 20.0  # a unit advertises at least once a second; Wi-Fi on the same chip hides most of it
CONNECT_S: Final = 30.0  # bleak-retry-connector's attempt of 20 s, and giving back what came of it
CONNECT_ATTEMPTS: Final = 1  # our own back-off does the rest
GATT_S: Final = 5.0  # the devices' supervision timeout
DISCONNECT_S: Final = 5.0  # BlueZ itself takes 2 to 3 s; a shutdown must not wait for a stuck one
CONNECTING_S: Final = CONNECT_S + DISCONNECT_S  # what bleak does when an attempt is ended may hang itself
QUIET_S: Final = 1.0  # silence after a timeout, before the next request: a reply names no register
LATE_S: Final = 6.0  # after the supervision timeout of 5 s, a reply that was held up is here, or the link is lost
WAKE_S: Final = 1.0  # what an inverter takes to wake
RAW_FRAMES: Final = 64  # frames kept for support: several cycles
RAW_BYTES: Final = 260  # of each: the longest Modbus frame
MAX_NOTIFICATIONS: Final = 64  # for one request: its reply comes in 13 at most, and more are not worth the time

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Bytes as they were sent or received; ``at_s`` monotonic."""

    at_s: float
    sent: bool
    data: bytes


@dataclass(slots=True)
class _Exchange:
    """A request in flight; ``ambiguous``: another's late refusal can't be told from this one's."""

    request: Request
    ambiguous: bool
    reply: asyncio.Future[Response | ExceptionResponse]
    notifications: int = 0


class Link:
    """Owns the connection to ``address``; after any BleError it is spent, and a new one has to be made.

    A Smart Shunt (``pushes``) answers no requests: what it sends unasked goes to ``on_push``.
    """

    def __init__(self, adapter: Adapter, address: str, *, on_push: Callable[[bytes], None] | None = None) -> None:
        self.address = address
        self.name: str | None = None
        self.rssi: int | None = None
        self.pushes = False
        self.last_received_s = 0.0
        self.raw_frames: deque[RawFrame] = deque(maxlen=RAW_FRAMES)
        self.lost = asyncio.Event()
        self.end: BleError = LinkLostError(address, ENDED)  # what ended it, once it is lost
        self._adapter = adapter
        self._on_push = on_push
        self._client: BleakClient | None = None
        self._write: BleakGATTCharacteristic | None = None
        self._parser = ResponseParser()
        self._exchange: _Exchange | None = None
        self._unanswered: list[tuple[Request, float]] = []

    @property
    def is_connected(self) -> bool:
        """Whether it takes one of the adapter's slots."""
        return self._client is not None and not self.lost.is_set()

    @property
    def is_asked(self) -> bool:
        """Whether it is found out when the link is none any more: by requests, or by a shunt's silence."""
        return True

    async def connect(self) -> None:
        """Find the device, connect, subscribe, wake it; BleError."""
        await self._adapter.ready()
        self._adapter.links.add(self)
        await self._adapter.end_old_connection(self.address)
        if self.lost.is_set():
            raise self.end
        async with self._adapter.gate.quiet():
            found = await self._adapter.finder.find(self.address, FIND_S)
        if found is None:
            raise DeviceNotFoundError(self.address, HELD_OR_GONE)
        device, heard = found
        self.name, self.rssi = heard.name, heard.rssi
        client = await self._connected(device)
        async with bleak_call(self.address, "subscribe", GATT_S):
            await client.start_notify(self._choose(client), self._notified)
        await self._wake(client)

    async def _connected(self, device: BLEDevice) -> BleakClient:
        try:
            async with (
                self._adapter.gate.own(),
                bleak_call(self.address, "connect", CONNECTING_S),
                bleak_call(self.address, "connect", CONNECT_S),
            ):
                if self.lost.is_set():
                    raise self.end
                client = self._client = await establish_connection(
                    self._adapter.client_class(),
                    device,
                    self.address,
                    disconnected_callback=self._disconnected,
                    max_attempts=CONNECT_ATTEMPTS,
                    use_services_cache=False,  # bluetoothd forgets its own when it restarts
                )
                if self.lost.is_set():
                    raise self.end
                if not client.is_connected:
                    raise LinkLostError(self.address, "the device ended the connection at once")
        except (DeviceNotFoundError, DeadlineExceededError) as error:
            self._adapter.connected_in_vain()
            if isinstance(error, DeadlineExceededError):
                raise
            # BlueZ may keep to itself that the controller has refused: that looks like a timeout as well
            if others := self._adapter.connected:
                raise NoFreeSlotError(self.address, NO_SLOT.format(links=others)) from error
            raise DeviceNotFoundError(self.address, UNREACHABLE) from error
        self._adapter.connected_in_time()
        return client

    async def request(self, request: Request, timeout_s: float) -> Response | ExceptionResponse:
        """Send ``request`` and return its answer; one at a time.

        Raises:
            LinkLostError: the connection ended.
            DeadlineExceededError: no answer within ``timeout_s``; the line has been quiet for a second since.
        """
        client, write = self._client, self._write
        if self.lost.is_set():
            raise self.end
        if client is None or write is None:
            raise LinkLostError(self.address, "not connected")
        if self._exchange is not None:
            raise RuntimeError("a second request on a link with one in flight")
        reply: asyncio.Future[Response | ExceptionResponse] = asyncio.get_running_loop().create_future()
        exchange = self._exchange = _Exchange(request, False, reply)
        frame = request.encode()
        try:
            await self._let_late_replies_pass(exchange)
            self._parser.expect(request)
            sent_at = time.monotonic()
            self.raw_frames.append(RawFrame(sent_at, True, frame))
            await self._send(client, write, frame)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    answer = await reply
                    self._answered(request, sent_at)
                    return answer
        finally:
            self._parser.cancel()
            self._exchange = None
            if reply.done() and not reply.cancelled():
                reply.exception()  # it may have come beside another failure
        self._unanswered.append((request, sent_at + LATE_S))
        await self._drain()
        raise DeadlineExceededError(self.address, f"reply to {frame.hex()}", timeout_s)

    def held_s(self, request: Request) -> float:
        """Return for how long ``request`` would be held back: a late reply to another would pass for its own."""
        now = time.monotonic()
        self._unanswered = [(other, until) for other, until in self._unanswered if until > now]
        if not isinstance(request, ReadRequest):  # the echo of a write names its register
            return 0.0
        alike = (until for other, until in self._unanswered if _is_confusable(other, request, by_length=True))
        return max((until - now for until in alike), default=0.0)

    async def disconnect(self) -> None:
        """End the connection; never raises."""
        self._adapter.links.discard(self)
        client, self._client, self._on_push = self._client, None, None
        if client is None:
            return
        try:
            async with bleak_call(self.address, "disconnect", DISCONNECT_S):
                await client.disconnect()
        except BleError as error:
            _LOGGER.debug("%s", error)

    def lose(self, reason: BleError) -> None:
        """Note that the connection is gone, and why; what is in flight fails with that."""
        if self.lost.is_set():
            return
        self.end = reason
        self.lost.set()
        if self._exchange is not None and not self._exchange.reply.done():
            self._exchange.reply.set_exception(reason)

    async def _send(self, client: BleakClient, write: BleakGATTCharacteristic, frame: bytes) -> None:
        try:
            async with bleak_call(self.address, "write", GATT_S):
                await client.write_gatt_char(write, frame, response="write-without-response" not in write.properties)
        except DeadlineExceededError as error:
            # it may still be written: the answer would come to another request
            raise LinkLostError(self.address, HANGS) from error

    async def _wake(self, client: BleakClient) -> None:
        """Read FFD4 once where it exists: inverters with built-in Bluetooth are silent until then."""
        async with bleak_call(self.address, "wake", GATT_S):
            service = client.services.get_service(gatt.WRITE_SERVICE)
            wake = None if service is None else service.get_characteristic(gatt.WAKE_CHARACTERISTIC)
            if wake is None or "read" not in wake.properties:
                return
            await client.read_gatt_char(wake)
        await asyncio.sleep(WAKE_S)

    async def _let_late_replies_pass(self, exchange: _Exchange) -> None:
        """Wait while the answer to an earlier request, if it still came, would pass for the one to this."""
        held_s = self.held_s(exchange.request)
        exchange.ambiguous = any(_is_confusable(other, exchange.request) for other, _ in self._unanswered)
        if held_s:
            await asyncio.sleep(held_s)

    def _answered(self, request: Request, sent_at: float) -> None:
        """Note that as many replies are still to come as before, if the same was asked before and not answered.

        Which of the two was answered can't be told: the last reply may come as late as if it were the last request's.
        """
        for place, (other, _) in enumerate(self._unanswered):
            if other == request:
                self._unanswered[place] = (request, sent_at + LATE_S)
                return

    async def _drain(self) -> None:
        """Wait until nothing has arrived for a second, three seconds at most."""
        started = time.monotonic()
        while not self.lost.is_set():
            now = time.monotonic()
            quiet_for = now - max(self.last_received_s, started)
            if quiet_for >= QUIET_S or now - started >= 3 * QUIET_S:
                return
            await asyncio.sleep(QUIET_S - quiet_for)

    def _choose(self, client: BleakClient) -> BleakGATTCharacteristic:
        """Choose the characteristic to write to and return the one that notifies."""
        self.pushes = client.services.get_service(gatt.SHUNT_SERVICE) is not None
        if self.pushes:
            return self._characteristic(client, gatt.SHUNT_SERVICE, gatt.SHUNT_NOTIFY_CHARACTERISTIC, "notify")
        self._write = self._characteristic(
            client, gatt.WRITE_SERVICE, gatt.WRITE_CHARACTERISTIC, "write-without-response", "write"
        )
        return self._characteristic(client, gatt.NOTIFY_SERVICE, gatt.NOTIFY_CHARACTERISTIC, "notify")

    def _characteristic(
        self, client: BleakClient, service: str, uuid: str, *properties: str
    ) -> BleakGATTCharacteristic:
        """Choose by service, UUID and property: some batteries repeat the UUIDs inside a vendor's service."""
        for candidate in client.services.characteristics.values():
            if (candidate.service_uuid, candidate.uuid) == (service, uuid) and set(properties) & set(
                candidate.properties
            ):
                return candidate
        raise LinkLostError(self.address, f"no characteristic {uuid} in service {service}: not a Renogy device?")

    def _notified(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self.last_received_s = time.monotonic()
        self._adapter.heard()
        self.raw_frames.append(RawFrame(self.last_received_s, False, bytes(data[:RAW_BYTES])))
        if self.pushes:
            if self._on_push is not None:
                self._on_push(bytes(data))
            return
        exchange = self._exchange
        if exchange is None:
            return
        exchange.notifications += 1
        if exchange.notifications > MAX_NOTIFICATIONS:
            return
        for event in self._parser.feed(bytes(data)):
            if isinstance(event, Rejected):
                _LOGGER.debug("%s: %s: %s", self.address, event.reason, event.raw.hex())
            elif isinstance(event, ExceptionResponse) and exchange.ambiguous:
                self._parser.expect(exchange.request)
            elif not exchange.reply.done():
                exchange.reply.set_result(event)

    def _disconnected(self, client: BleakClient) -> None:
        if client is not self._client:
            return  # of an attempt that was repeated
        self.lose(self.end)


def _is_confusable(other: Request, mine: Request, *, by_length: bool = False) -> bool:
    """Whether a refusal of ``other`` (``by_length``: its reply) names nothing that tells it from one of ``mine``."""
    if other == mine or other.function != mine.function or (by_length and other.reply_bytes != mine.reply_bytes):
        return False
    return other.address == mine.address or UNIVERSAL_ADDRESS in (other.address, mine.address)
