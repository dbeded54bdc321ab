"""A simulated radio between the kernel's Bluetooth adapters and bumble's peripherals.

Above HCI all is real on the central's side: the kernel's stack, bluetoothd, D-Bus, bleak.
"""

import asyncio
import logging
import os
import random
import struct
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport
from bumble.link import LocalLink

SUPERVISION_S = 0.42  # BlueZ's default supervision timeout
STILLBORN_S = 0.06  # a controller reports a connection, and six intervals later that its peer never answered
REPORTED_ONCE_S = 1.0  # how long a controller's duplicate filter remembers: small caches do no better
ATT_OPCODE = 4  # after L2CAP's length and channel
NOTIFICATION = 0x1B
VHCI = "/dev/vhci"
CREATE_PRIMARY = bytes((0xFF, 0x00))
VENDOR_PACKET = 0xFF

SCANNABLE = (0, 2)  # event types of a report whose sender answers a scan request
DIRECTED = 1
EXTENDED = 16
LEGACY_BITS = {0: 0x13, 1: 0x15, 2: 0x12, 3: 0x10}  # of an extended report, by legacy event type
SCAN_RESPONSE_BIT = 0x08
REPORT_BYTES = 229  # of data in one extended report
MORE_TO_COME = 0x20
_NO_POWER = 127
_LOGGER = logging.getLogger("radio")


@dataclass(frozen=True, slots=True)
class Broadcast:
    """What a broadcaster sends: ``kind`` is the event type of its report; ``rssi`` in dBm."""

    advertiser_address: hci.Address
    kind: int
    data: bytes
    scan_response: bytes
    rssi: int


class Air(LocalLink):
    """A link with latency, range and loss; each connection is told of its peer's real address, unlike bumble's own."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.latency_s = 0.0
        self.fragment_loss = 0.0  # the share of notifications that is lost: all else is answered, and so repeated
        self.rssi: dict[Controller, int] = {}
        self.out_of_range: set[Controller] = set()
        self._due: dict[tuple[int, int], float] = {}

    def reachable(self, one: Controller, other: Controller) -> bool:
        """Whether the two hear each other."""
        return not {one, other} & self.out_of_range

    def lose(self, controller: Controller) -> None:
        """Let every connection of ``controller`` die, as its peers find out by timeout."""
        for connection in list(controller.le_connections.values()):
            self.lose_one(controller, connection, SUPERVISION_S, hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR)

    def lose_one(self, controller: Controller, connection: Any, after_s: float, reason: int) -> None:
        """Let a connection die later, for the same reason at both ends."""

        def lose() -> None:
            peer, own_address = self._peer(controller, connection.peer_address)
            if peer is not None:
                peer.on_le_disconnected(peer.le_connections[own_address], reason)
            if controller.le_connections.get(connection.peer_address) is connection:
                controller.on_le_disconnected(connection, reason)

        asyncio.get_running_loop().call_later(after_s, lose)

    # what bumble's controllers call

    def send_acl_data(self, sender_controller: Any, destination_address: Any, transport: Any, data: bytes) -> None:
        if transport != PhysicalTransport.LE:
            super().send_acl_data(sender_controller, destination_address, transport, data)
            return
        peer, own_address = self._peer(sender_controller, destination_address)
        if peer is None or not self.reachable(sender_controller, peer):
            return
        if data[ATT_OPCODE] == NOTIFICATION and random.random() < self.fragment_loss:  # noqa: S311
            return

        def deliver() -> None:
            if self.reachable(sender_controller, peer) and own_address in peer.le_connections:
                peer.on_link_acl_data(own_address, transport, data)

        self._later(sender_controller, peer, deliver)

    def send_advertising_pdu(self, sender_controller: Any, packet: Any) -> None:
        for controller in list(self.controllers):
            if controller is not sender_controller and self.reachable(controller, sender_controller):
                asyncio.get_running_loop().call_soon(controller.on_ll_advertising_pdu, packet)

    def send_ll_control_pdu(self, sender_address: Any, receiver_address: Any, packet: Any) -> None:
        for receiver in self.controllers:
            for connection in receiver.le_connections.values():
                if (connection.self_address, connection.peer_address) != (receiver_address, sender_address):
                    continue
                others = (one for one in self.controllers if one is not receiver)
                sender = next((one for one in others if receiver_address in one.le_connections), receiver)

                def deliver(receiver: Controller = receiver) -> None:
                    if sender_address in receiver.le_connections:
                        receiver.on_ll_control_pdu(sender_address, packet)

                if self.reachable(sender, receiver):
                    self._later(sender, receiver, deliver)
                return

    def _peer(self, controller: Controller, address: hci.Address) -> tuple[Controller | None, Any]:
        """Return who is at the other end of a connection, and our address there."""
        own = controller.le_connections.get(address)
        for other in self.controllers:
            if other is controller:
                continue
            for connection in other.le_connections.values():
                if connection.self_address == address and (own is None or connection.peer_address == own.self_address):
                    return other, connection.peer_address
        return None, None

    def _later(self, sender: Controller, receiver: Controller, deliver: Callable[[], None]) -> None:
        """Deliver in order, after the latency."""
        loop = asyncio.get_running_loop()
        if self.latency_s <= 0:
            loop.call_soon(deliver)
            return
        way = id(sender), id(receiver)
        due = max(loop.time() + self.latency_s, self._due.get(way, 0.0))
        self._due[way] = due + 1e-6
        loop.call_at(due, deliver)


class AdapterController(Controller):
    """A controller with what the kernel's stack needs beyond bumble's: reset, cancel, accept list, RSSI, filters."""

    def __init__(self, name: str, air: Air, address: str) -> None:
        public = hci.Address(address, hci.Address.PUBLIC_DEVICE_ADDRESS)
        super().__init__(name, link=air, public_address=public)
        # Those of Bluetooth 4.2. With bumble's LL privacy the kernel waits 20 s for an event that never comes.
        self.le_features = hci.LeFeatureMask.LE_ENCRYPTION | hci.LeFeatureMask.LE_DATA_PACKET_LENGTH_EXTENSION
        self.mute = False  # a controller that has died
        self.deaf = False  # hears no advertisement, until it is reset
        self.refuses_scans = False  # until it is reset
        self.connects_late = False  # only when an attempt is about to be cancelled
        self.refusals: deque[int] = deque()  # why the next connections end as soon as they are made
        self.slots: int | None = None
        self.attempts: list[float] = []  # when connections were tried
        self.resets = 0
        self._air = air
        self._accepted: set[tuple[int, bytes]] = set()
        self._reported: dict[tuple[bytes, bytes], float] = {}
        self._rssi = 0
        self._scan_response = b""

    def send_hci_packet(self, packet: hci.HCI_Packet) -> None:
        if self.mute:
            return
        if isinstance(packet, hci.HCI_LE_Advertising_Report_Event):
            reports = [report for report in packet.reports if self._is_to_be_told(report)]
            if not reports:
                return
            packet = hci.HCI_LE_Advertising_Report_Event(reports)
        super().send_hci_packet(packet)
        if isinstance(packet, hci.HCI_LE_Connection_Complete_Event) and self.refusals and not packet.status:
            connection = self.le_connections[packet.peer_address]
            self._air.lose_one(self, connection, STILLBORN_S, self.refusals.popleft())

    def _is_to_be_told(self, report: Any) -> bool:
        """Give a report its RSSI, and a scan response, which is asked for in an active scan alone, its own content."""
        report.rssi = self._rssi
        if report.event_type != hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP:
            return True
        report.data = self._scan_response
        return bool(self.le_scan_type)  # an empty one as well: the kernel waits for it

    def on_packet(self, packet: bytes) -> None:
        if not self.mute:
            super().on_packet(packet)

    def on_hci_reset_command(self, command: Any) -> Any:
        self.resets += 1
        self.deaf = self.refuses_scans = False
        for connection in list(self.le_connections.values()):
            with suppress(Exception):  # the peer may be gone
                code = hci.HCI_ErrorCode.REMOTE_DEVICE_TERMINATED_CONNECTION_DUE_TO_POWER_OFF_ERROR
                connection.send_ll_control_pdu(ll.TerminateInd(code))
        self.le_connections.clear()
        self.pending_le_connection = None
        self.le_scan_enable = False
        self._accepted.clear()
        self._reported.clear()
        self.le_legacy_advertiser.stop()
        for advertiser in self.advertising_sets.values():
            advertiser.stop()
        self.advertising_sets.clear()
        return super().on_hci_reset_command(command)

    def on_hci_le_create_connection_command(self, command: Any) -> Any:
        if self.slots is not None and len(self.le_connections) >= self.slots:
            self._send_hci_command_status(hci.HCI_ErrorCode.CONNECTION_LIMIT_EXCEEDED_ERROR, command.op_code)
            return None
        self.attempts.append(time.monotonic())
        return super().on_hci_le_create_connection_command(command)

    def on_hci_le_create_connection_cancel_command(self, _command: Any) -> Any:
        if self.connects_late and self.pending_le_connection is not None:
            self.create_le_connection(self.pending_le_connection.peer_address)
        pending, self.pending_le_connection = self.pending_le_connection, None
        if pending is None:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        cancelled = hci.HCI_LE_Connection_Complete_Event(
            status=hci.HCI_ErrorCode.UNKNOWN_CONNECTION_IDENTIFIER_ERROR,
            connection_handle=0,
            role=hci.Role.CENTRAL,
            peer_address_type=pending.peer_address_type,  # the kernel goes by it
            peer_address=pending.peer_address,
            connection_interval=0,
            peripheral_latency=0,
            supervision_timeout=0,
            central_clock_accuracy=0,
        )
        asyncio.get_running_loop().call_soon(self.send_hci_packet, cancelled)
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_hci_le_clear_filter_accept_list_command(self, command: Any) -> Any:
        self._accepted.clear()
        return super().on_hci_le_clear_filter_accept_list_command(command)

    def on_hci_le_add_device_to_filter_accept_list_command(self, command: Any) -> Any:
        self._accepted.add((int(command.address_type), bytes(command.address)))
        return super().on_hci_le_add_device_to_filter_accept_list_command(command)

    def on_hci_le_remove_device_from_filter_accept_list_command(self, command: Any) -> Any:
        self._accepted.discard((int(command.address_type), bytes(command.address)))
        return super().on_hci_le_remove_device_from_filter_accept_list_command(command)

    def on_hci_le_set_scan_enable_command(self, command: Any) -> Any:
        self._reported.clear()
        if self.refuses_scans and command.le_scan_enable:
            return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.COMMAND_DISALLOWED_ERROR)
        return super().on_hci_le_set_scan_enable_command(command)

    def on_hci_le_set_extended_scan_enable_command(self, command: Any) -> Any:
        self._reported.clear()
        return super().on_hci_le_set_extended_scan_enable_command(command)

    def on_advertising_pdu(self, pdu: Any) -> None:
        scanning = self.le_scan_enable
        sender = self._air.find_le_controller(pdu.advertiser_address)
        self._scan_response = _scan_response(sender)
        self._rssi = self._air.rssi.get(sender, -60) + random.randint(-3, 3)  # noqa: S311 # type: ignore[arg-type]
        if self.connects_late and self.pending_le_connection is not None:
            return
        try:
            self.le_scan_enable = scanning and not self.deaf and not self._is_filtered(pdu)
            super().on_advertising_pdu(pdu)
        finally:
            self.le_scan_enable = scanning

    def hear(self, broadcast: Broadcast) -> None:
        """Report a broadcast, and in an active scan what its sender answers, if it does."""
        if not self.le_scan_enable or self.deaf or self._is_filtered(broadcast):
            return
        self._rssi = broadcast.rssi + random.randint(-3, 3)  # noqa: S311
        self._scan_response = broadcast.scan_response
        extended = bool(self.le_features & hci.LeFeatureMask.LE_EXTENDED_ADVERTISING)
        if broadcast.kind == EXTENDED and not extended:
            return  # a legacy controller does not hear it
        tell = self._tell_extended if extended else self._tell_legacy
        tell(broadcast, broadcast.data, scan_response=False)
        if broadcast.kind in SCANNABLE and self.le_scan_type:
            tell(broadcast, broadcast.scan_response, scan_response=True)

    def _tell_legacy(self, broadcast: Broadcast, data: bytes, *, scan_response: bool) -> None:
        kinds = hci.HCI_LE_Advertising_Report_Event.EventType
        kind = kinds.SCAN_RSP if scan_response else kinds(broadcast.kind)
        address = broadcast.advertiser_address
        report = hci.HCI_LE_Advertising_Report_Event.Report(
            event_type=kind,
            address_type=address.address_type,
            address=address,
            data=b"" if broadcast.kind == DIRECTED else data,
            rssi=self._rssi,
        )
        self.send_hci_packet(hci.HCI_LE_Advertising_Report_Event([report]))

    def _tell_extended(self, broadcast: Broadcast, data: bytes, *, scan_response: bool) -> None:
        bits = 0 if broadcast.kind == EXTENDED else LEGACY_BITS[broadcast.kind]
        pieces = [data[at : at + REPORT_BYTES] for at in range(0, len(data), REPORT_BYTES)] or [b""]
        for number, piece in enumerate(pieces, 1):
            more = MORE_TO_COME if number < len(pieces) else 0
            address = broadcast.advertiser_address
            report = hci.HCI_LE_Extended_Advertising_Report_Event.Report(
                event_type=bits | more | (SCAN_RESPONSE_BIT if scan_response else 0),
                address_type=address.address_type,
                address=address,
                primary_phy=hci.Phy.LE_1M,
                secondary_phy=hci.Phy.LE_1M if broadcast.kind == EXTENDED else 0,
                advertising_sid=0 if broadcast.kind == EXTENDED else 0xFF,
                tx_power=_NO_POWER,
                rssi=self._rssi,
                periodic_advertising_interval=0,
                direct_address_type=0,
                direct_address=hci.Address.ANY,
                data=piece,
            )
            self.send_hci_packet(hci.HCI_LE_Extended_Advertising_Report_Event([report]))

    def on_hci_read_rssi_command(self, command: Any) -> Any:
        return hci.HCI_Read_RSSI_ReturnParameters(
            status=hci.HCI_ErrorCode.SUCCESS, handle=command.handle, rssi=self._rssi
        )

    def _is_filtered(self, pdu: Any) -> bool:
        address = pdu.advertiser_address
        if self.le_scanning_filter_policy & 1:
            return (int(address.address_type) & 1, bytes(address)) not in self._accepted
        if not self.filter_duplicates:
            return False
        what, now_s = (bytes(address), bytes(pdu.data)), asyncio.get_running_loop().time()
        if now_s - self._reported.get(what, -1e9) < REPORTED_ONCE_S:
            return True
        self._reported[what] = now_s
        return False


def _scan_response(sender: Controller | None) -> bytes:
    """Return what an advertiser says when it is asked: its name."""
    if sender is None:
        return b""
    sets = (bytes(one.scan_response_data) for one in sender.advertising_sets.values() if one.enabled)
    return bytes(sender.le_legacy_advertiser.scan_response_data) or next(sets, b"")


class Adapter:
    """An adapter of the kernel: HCI packets to and from /dev/vhci, one for each read and write."""

    def __init__(self, air: Air, address: str) -> None:
        loop = asyncio.get_running_loop()
        self.address = address
        self.index: asyncio.Future[int] = loop.create_future()
        self.controller = AdapterController(f"adapter {address}", air, address)
        self.controller.set_packet_sink(self)
        self._air = air
        self._file: int | None = os.open(VHCI, os.O_RDWR | os.O_NONBLOCK)
        os.write(self._file, CREATE_PRIMARY)
        loop.add_reader(self._file, self._readable)

    def on_packet(self, packet: bytes) -> None:
        """Take what the controller says to the kernel."""
        if self._file is not None:
            with suppress(OSError):  # the kernel has closed it
                os.write(self._file, packet)

    def remove(self) -> None:
        """Unplug it."""
        if self._file is None:
            return
        self._air.lose(self.controller)
        self._air.out_of_range.add(self.controller)
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._file)
        os.close(self._file)
        self._file = None
        loop.call_later(2 * SUPERVISION_S, self._air.controllers.discard, self.controller)

    def _readable(self) -> None:
        assert self._file is not None
        with suppress(BlockingIOError):
            while packet := os.read(self._file, 4096):
                if packet[0] == VENDOR_PACKET:
                    (index,) = struct.unpack_from("<H", packet, 2)
                    if not self.index.done():
                        self.index.set_result(index)
                    continue
                try:
                    self.controller.on_packet(packet)
                except Exception:
                    _LOGGER.exception("%s: %s", self.address, packet[:8].hex())
