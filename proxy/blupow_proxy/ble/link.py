"""One GATT connection to one device: a request out, its response in."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak_retry_connector import establish_connection

from blupow_proxy.errors import DeadlineExceededError, DeviceNotFoundError, LinkLostError
from blupow_proxy.modbus import ExceptionResponse, Rejected, Request, Response, ResponseParser
from blupow_proxy.renogy import gatt

from .adapter import Adapter
from .failures import bleak_call
from .scanner import find

FIND_S: Final = 20.0  # a unit advertises at least once a second; Wi-Fi on the same chip hides most of it
CONNECT_S: Final = 60.0  # two attempts of bleak-retry-connector at 20 s, and their back-off
CONNECT_ATTEMPTS: Final = 2  # our own back-off does the rest
GATT_S: Final = 5.0  # the devices' supervision timeout
DISCONNECT_S: Final = 2.0  # BlueZ answers within half a second; a shutdown must not wait for a stuck one
QUIET_S: Final = 1.0  # silence after a timeout, before the next request: a reply names no register
WAKE_S: Final = 1.0  # what an inverter takes to wake
RAW_FRAMES: Final = 64  # frames kept for support: several cycles

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Bytes as they were sent or received; ``at_s`` monotonic."""

    at_s: float
    sent: bool
    data: bytes


class Link:
    """Owns the connection to ``address``; after any BleError it is spent, and a new one has to be made.

    A Smart Shunt (``pushes``) answers no requests: what it sends unasked goes to ``on_push``.
    """

    def __init__(self, adapter: Adapter, address: str, *, on_push: Callable[[bytes], None] | None = None) -> None:
        self.address = address
        self.name: str | None = None
        self.rssi: int | None = None
        self.pushes = False
        self.raw_frames: deque[RawFrame] = deque(maxlen=RAW_FRAMES)
        self.lost = asyncio.Event()
        self._adapter = adapter
        self._on_push = on_push
        self._client: BleakClient | None = None
        self._write: BleakGATTCharacteristic | None = None
        self._parser = ResponseParser()
        self._reply: asyncio.Future[Response | ExceptionResponse] | None = None
        self._last_received = 0.0

    async def connect(self) -> None:
        """Find the device, connect, subscribe, wake it; BleError."""
        async with self._adapter.connecting:
            found = await find(self._adapter, self.address, FIND_S)
            if found is None:
                raise DeviceNotFoundError(
                    self.address,
                    "not heard: out of range, switched off, or held by another central such as the phone app",
                )
            device, heard = found
            self.name, self.rssi = heard.name, heard.rssi
            async with bleak_call(self.address, "connect", CONNECT_S):
                self._client = await establish_connection(
                    self._adapter.client_class(),
                    device,
                    self.address,
                    disconnected_callback=self._disconnected,
                    max_attempts=CONNECT_ATTEMPTS,
                )
        self.pushes = self._client.services.get_service(gatt.SHUNT_SERVICE) is not None
        if self.pushes:
            notify = self._characteristic(gatt.SHUNT_SERVICE, gatt.SHUNT_NOTIFY_CHARACTERISTIC, "notify")
        else:
            notify = self._characteristic(gatt.NOTIFY_SERVICE, gatt.NOTIFY_CHARACTERISTIC, "notify")
            self._write = self._characteristic(
                gatt.WRITE_SERVICE, gatt.WRITE_CHARACTERISTIC, "write-without-response", "write"
            )
        async with bleak_call(self.address, "subscribe", GATT_S):
            await self._client.start_notify(notify, self._notified)
        await self._wake(self._client)

    async def request(self, request: Request, timeout_s: float) -> Response | ExceptionResponse:
        """Send ``request`` and return its answer; one at a time.

        Raises:
            LinkLostError: the connection ended.
            DeadlineExceededError: no answer within ``timeout_s``; the line has been quiet for a second since.
        """
        client, write = self._client, self._write
        if client is None or write is None or self.lost.is_set():
            raise LinkLostError(self.address, "not connected")
        if self._reply is not None:
            raise RuntimeError("a second request on a link with one in flight")
        self._parser.expect(request)
        self._reply = asyncio.get_running_loop().create_future()
        frame = request.encode()
        try:
            self.raw_frames.append(RawFrame(time.monotonic(), True, frame))
            async with bleak_call(self.address, "write", GATT_S):
                await client.write_gatt_char(write, frame, response="write-without-response" not in write.properties)
            await asyncio.wait([self._reply], timeout=timeout_s)
            if self._reply.done():
                return self._reply.result()
        finally:
            self._parser.cancel()
            self._reply = None
        await self._drain()
        raise DeadlineExceededError(self.address, f"reply to {frame.hex()}", timeout_s)

    async def disconnect(self) -> None:
        """End the connection; never raises."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with bleak_call(self.address, "disconnect", DISCONNECT_S):
                await client.disconnect()
        except (LinkLostError, DeadlineExceededError) as error:
            _LOGGER.debug("%s", error)

    async def _wake(self, client: BleakClient) -> None:
        """Read FFD4 once where it exists: inverters with built-in Bluetooth are silent until then."""
        service = client.services.get_service(gatt.WRITE_SERVICE)
        wake = None if service is None else service.get_characteristic(gatt.WAKE_CHARACTERISTIC)
        if wake is None or "read" not in wake.properties:
            return
        async with bleak_call(self.address, "wake", GATT_S):
            await client.read_gatt_char(wake)
        await asyncio.sleep(WAKE_S)

    async def _drain(self) -> None:
        """Wait until nothing has arrived for a second, three seconds at most."""
        started = time.monotonic()
        while not self.lost.is_set():
            now = time.monotonic()
            quiet_for = now - max(self._last_received, started)
            if quiet_for >= QUIET_S or now - started >= 3 * QUIET_S:
                return
            await asyncio.sleep(QUIET_S - quiet_for)

    def _characteristic(self, service: str, uuid: str, *properties: str) -> BleakGATTCharacteristic:
        """Choose by service, UUID and property: some batteries repeat the UUIDs inside a vendor's service."""
        assert self._client is not None  # noqa: S101 - called right after connecting
        for candidate in self._client.services.characteristics.values():
            if (candidate.service_uuid, candidate.uuid) == (service, uuid) and set(properties) & set(
                candidate.properties
            ):
                return candidate
        raise LinkLostError(self.address, f"no characteristic {uuid} in service {service}: not a Renogy device?")

    def _notified(self, _: BleakGATTCharacteristic, data: bytearray) -> None:
        self._last_received = time.monotonic()
        self.raw_frames.append(RawFrame(self._last_received, False, bytes(data)))
        if self.pushes:
            if self._on_push is not None:
                self._on_push(bytes(data))
            return
        for event in self._parser.feed(bytes(data)):
            if isinstance(event, Rejected):
                _LOGGER.debug("%s: %s: %s", self.address, event.reason, event.raw.hex())
            elif self._reply is not None and not self._reply.done():
                self._reply.set_result(event)

    def _disconnected(self, _: BleakClient) -> None:
        self.lost.set()
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(LinkLostError(self.address, "the device ended the connection"))
