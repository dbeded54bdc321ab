"""The arbiter: whose turn it is to hear advertisements and to be connected to devices.

What is asked, and how it is answered (nothing is awaited meanwhile):
SubscribeBluetoothLEAdvertisements - the scanner's state at once and on each change, and what is heard; the newest
subscriber takes over from the former one, whose connections end. Unsubscribe... - nothing.
SubscribeBluetoothConnectionsFree - the slots at once and on each change. BluetoothScannerSetMode - the state, if it
changes. BluetoothDevice - connect: the slots, connected or disconnected, the slots if that freed one; disconnect:
disconnected, the slots; pair, unpair, clear cache: theirs. BluetoothGATT... and BluetoothSetConnectionParams - theirs
or an error.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from blupow_proxy.allowance import Allowance, PeerLog
from blupow_proxy.ble import RawAdvertisement
from blupow_proxy.native_api import Packet

from . import codes, packets
from .addresses import MAX_ADDRESS, address_text
from .connection import DeviceConnection, Phase
from .forwarder import Forwarder
from .operations import DEVICE_OPERATIONS, LINK_OPERATIONS, Request
from .parties import Client, Forwarding, MakePeripheral, Scanner
from .rules import Rules, Verdict
from .slots import Slots

DISCONNECT: Final = 1  # what a BluetoothDeviceRequest may ask
CONNECTS: Final = frozenset({4, 5})  # with and without what the client remembers, which is the same to us
OLD_CONNECT: Final = 0  # without what later clients need

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyLimits:
    """What all clients together may ask."""

    connects: int = 32  # at once: Home Assistant looks for all of its devices when it starts
    connects_per_s: float = 4.0  # in the long run: a connection takes the adapter a second or so, and there are a few
    requests: int = 1000  # at once: an update writes hundreds of pieces
    requests_per_s: float = 500.0  # in the long run: what a link can carry at its fastest


class BluetoothProxy:
    """Lets clients use the adapter for devices that are not our own."""

    def __init__(
        self,
        scanner: Scanner,
        make: MakePeripheral,
        rules: Rules,
        *,
        connection_slots: int,
        active: bool,
        limits: ProxyLimits | None = None,
    ) -> None:
        """``active``: whether clients may connect, to ``connection_slots`` devices."""
        self._scanner = scanner
        self._make = make
        self._rules = rules
        self._active = active
        self._limits = limits or ProxyLimits()
        self._slots = Slots(connection_slots if active else 0, rules.owned)
        self._connections: dict[int, DeviceConnection] = {}
        self._slot_watchers: dict[Client, None] = {}
        self._subscriber: Client | None = None
        self._forwarder: Forwarder | None = None
        self._forwarding: Forwarding | None = None
        self._told_state: Packet | None = None
        self._stopped = False
        self._log = PeerLog(_LOGGER, time.monotonic)
        now = time.monotonic()
        self._connects = Allowance(self._limits.connects, self._limits.connects_per_s, now)
        self._requests = Allowance(self._limits.requests, self._limits.requests_per_s, now)

    @property
    def in_use(self) -> bool:
        """Whether a client has a device connected, or is about to."""
        return bool(self._connections)

    def asked(self, client: Client, message: Any) -> None:
        """Take what ``client`` asks."""
        if self._stopped:
            return
        name = type(message).__name__
        operation = LINK_OPERATIONS.get(name)
        if operation is not None:
            self._ask(client, Request(operation, message))
        elif (handler := self._handlers.get(name)) is not None:
            handler(self, client, message)

    def gone(self, client: Client) -> None:
        """Forget a client, and end its connections."""
        self._slot_watchers.pop(client, None)
        if client is self._subscriber:
            self._unsubscribe("the client is gone")

    async def stop(self) -> None:
        """End every connection and the scan; takes as long as the slowest device."""
        if self._subscriber is not None:
            self._unsubscribe("the proxy ends")
        self._stopped = True
        if tasks := [connection.task for connection in self._connections.values()]:
            await asyncio.wait(tasks)

    def _subscribe(self, client: Client, _: Any) -> None:
        if client is not self._subscriber:
            if self._subscriber is not None:
                self._log(logging.INFO, "Client %s takes Bluetooth over from %s", client.label, self._subscriber.label)
                self._end_connections("another client has taken over")
            if self._forwarder is not None:
                self._forwarder.stop()
            self._subscriber = client
            self._forwarder = Forwarder(client, asyncio.get_running_loop().call_later, self._log)
            if self._forwarding is None:
                self._forwarding = self._scanner.forward(self._heard, self._scanner_changed)
            self._forwarding.active = True  # what the former client wanted was its own affair
        self._told_state = None
        self._scanner_changed()

    def _unsubscribed(self, client: Client, _: Any) -> None:
        if client is self._subscriber:
            self._unsubscribe("the client has unsubscribed")

    def _unsubscribe(self, why: str) -> None:
        self._subscriber = None
        if self._forwarder is not None:
            self._forwarder.stop()
            self._forwarder = None
        if self._forwarding is not None:
            self._forwarding.stop()
            self._forwarding = None
        self._end_connections(why)

    def _end_connections(self, why: str) -> None:
        for connection in list(self._connections.values()):
            self._end_connection(connection, codes.ENDED_HERE, why)

    def _end_connection(self, connection: DeviceConnection, reason: int, why: str) -> None:
        if connection.next_client is not None:
            connection.next_client.send(packets.disconnected(connection.address, reason))
            connection.next_client = None
        connection.end(reason, why)

    def _heard(self, advertisement: RawAdvertisement) -> None:
        if self._forwarder is None:
            return
        if self._rules.hears(advertisement):
            self._forwarder.add(advertisement)
        elif (connection := self._connections.get(advertisement.address)) is not None:
            # its name was not known: often it is heard only while the device is looked for
            verdict = self._rules.verdict(advertisement.address)
            self._end_connection(connection, codes.NOT_SUPPORTED, f"this device {verdict.value}")

    def _scanner_changed(self) -> None:
        if self._subscriber is None:
            return
        state = packets.scanner_state(self._scanner.state.value, active=self._scanner.active, configured_active=True)
        if state != self._told_state:
            self._told_state = state
            self._subscriber.send(state)

    def _set_mode(self, client: Client, message: Any) -> None:
        if client is self._subscriber and self._forwarding is not None:
            self._forwarding.active = bool(message.mode)
            self._scanner_changed()

    def _watch_slots(self, client: Client, _: Any) -> None:
        self._slot_watchers[client] = None
        client.send(self._slots_packet())

    def _slots_packet(self) -> Packet:
        return packets.slots(self._slots.free, self._slots.limit, self._slots.allocated)

    def _tell_slots(self) -> None:
        told = self._slots_packet()
        for client in self._slot_watchers:
            client.send(told)

    def _device(self, client: Client, message: Any) -> None:
        asked = message.request_type
        if asked in CONNECTS or asked == OLD_CONNECT:
            self._connect(client, message.address, old=asked == OLD_CONNECT)
        elif asked == DISCONNECT:
            self._disconnect(client, message.address)
        elif (operation := DEVICE_OPERATIONS.get(asked)) is not None:
            self._ask(client, Request(operation, message))

    def _connect(self, client: Client, address: int, *, old: bool) -> None:
        connection = self._connections.get(address)
        if connection is not None and connection.client is client and connection.phase is not Phase.ENDING:
            connection.connect()
            return
        refusal = self._refusal(client, address, old=old)
        if refusal is None and connection is not None:
            connection.next_client = client  # its turn comes once this has ended, as the former subscriber's has to
            if client in connection.gave_up:
                connection.gave_up.remove(client)
            return
        if refusal is None and not self._slots.reserve(address):
            refusal = codes.NO_RESOURCES, "all connections are in use"
        if refusal is not None:
            error, why = refusal
            # the reason is a part of the message: many of one hide no other
            self._log(logging.WARNING, f"Not connecting %s for %s: {why}", address_text(address), client.peer)
            client.send(packets.disconnected(address, error))
            return
        self._tell_slots()
        self._start(client, address)

    def _refusal(self, client: Client, address: int, *, old: bool) -> tuple[int, str] | None:
        """Return why ``client`` may not connect to a device."""
        verdict = self._rules.verdict(address)
        if address > MAX_ADDRESS:  # whose lower bits may be those of a device that is not for clients
            why = "this is no address of a device"
        elif old:
            why = "this kind of request is out of use"
        elif not self._active:
            why = "bluetooth_proxy has `active: false`, or this proxy is in safe mode"
        elif not client.encrypted:
            why = "connections need encryption"
        elif client is not self._subscriber:
            why = "another client has Bluetooth, or none has subscribed"
        elif verdict is not Verdict.FREE:
            why = f"this device {verdict.value}"
        elif not self._connects.take(time.monotonic()):
            return codes.BUSY, "too many requests to connect"
        else:
            return None
        return codes.NOT_SUPPORTED, why

    def _start(self, client: Client, address: int) -> None:
        self._connections[address] = DeviceConnection(address, client, self._make, on_freed=self._freed, log=self._log)

    def _freed(self, connection: DeviceConnection) -> None:
        """A device is let go: it is the turn of whoever waits for it, else its slot is free."""
        for client in connection.gave_up:
            client.send(packets.disconnected(connection.address, codes.UNKNOWN))
        if connection.next_client is not None:
            self._start(connection.next_client, connection.address)
            return
        del self._connections[connection.address]
        self._slots.release(connection.address)
        self._tell_slots()

    def _disconnect(self, client: Client, address: int) -> None:
        connection = self._connections.get(address)
        if connection is not None and connection.client is client and connection.phase is not Phase.ENDING:
            connection.disconnect()
            return
        if connection is not None and connection.next_client is client:
            connection.next_client = None
            connection.gave_up.append(client)
            return
        client.send(packets.disconnected(address, codes.UNKNOWN))
        if client in self._slot_watchers:
            client.send(self._slots_packet())

    def _ask(self, client: Client, request: Request) -> None:
        connection = self._connections.get(request.message.address)
        if not self._requests.take(time.monotonic()):
            client.send(request.refusal(codes.CONGESTED))
        elif connection is None or connection.client is not client:
            client.send(request.refusal(codes.NOT_CONNECTED))
        else:
            connection.ask(request)

    _handlers: ClassVar[dict[str, Callable[["BluetoothProxy", Client, Any], None]]] = {
        "SubscribeBluetoothLEAdvertisementsRequest": _subscribe,
        "UnsubscribeBluetoothLEAdvertisementsRequest": _unsubscribed,
        "SubscribeBluetoothConnectionsFreeRequest": _watch_slots,
        "BluetoothScannerSetModeRequest": _set_mode,
        "BluetoothDeviceRequest": _device,
    }
