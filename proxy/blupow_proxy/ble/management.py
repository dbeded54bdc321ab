"""The kernel's Bluetooth management socket: advertisements as they were received. Needs CAP_NET_ADMIN.

A monitor for advertisements, whichever pattern it has, does two things: the kernel scans passively while nobody
discovers, and does not let the controller hide what that takes for a repetition. Some kernels do let it in a passive
scan: a controller may then tell of each device once, whatever it says later. It outlives its maker.
"""

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Final

from btsocket import btmgmt_socket
from btsocket.btmgmt_socket import BluetoothSocketError

from blupow_proxy.errors import AdapterUnavailableError

from .advertisement import AddressType, RawAdvertisement
from .advertising_data import MAX_BYTES

REPLY_S: Final = 3.0  # the kernel answers within milliseconds, unless it waits for a stuck controller
BURST: Final = 128  # events in one go, before others have their turn: a quarter of a second of a very busy place
GATHER_S: Final = 0.05  # to wake up for each event alone takes more than all the rest; a client waits for 0.1 s anyway
BUFFER_BYTES: Final = 1 << 20  # the kernel's usual 208 KiB hold some 250 events: less than a second of that
PACKET_BYTES: Final = 4096  # more than any event has
MAX_MONITORS: Final = 8  # of the kernel's 32: each proxy that was killed leaves one until the next boot
NO_RIGHT: Final = "the proxy needs the capability CAP_NET_ADMIN for that"
NO_SOCKET: Final = "this system, or its service's RestrictAddressFamilies, allows no Bluetooth sockets"

CAP_NET_ADMIN: Final = 1 << 12  # capabilities(7)
CAP_NET_RAW: Final = 1 << 13
_GET_CONNECTIONS: Final = 0x0015
_START_DISCOVERY: Final = 0x0023
_STOP_DISCOVERY: Final = 0x0024
_READ_MONITOR_FEATURES: Final = 0x0051
_ADD_PATTERNS_MONITOR: Final = 0x0052
_REMOVE_MONITOR: Final = 0x0053
ANSWERS: Final = (0x0001, 0x0002)  # a command is done, or has only a status
_INDEX_REMOVED: Final = 0x0005
_DEVICE_FOUND: Final = 0x0012
_DISCOVERING: Final = 0x0013
_MONITOR_REMOVED: Final = 0x002C
_MONITOR_DEVICE_FOUND: Final = 0x002F
PERMISSION_DENIED: Final = 0x14
_OFFLOADED: Final = 1  # the controller itself goes by the patterns, and tells of nothing else
_REPEATING: Final = {(6, 1): 105, (6, 6): 46, (6, 10): 5}  # the first of each that hides nothing in a passive scan
_REPEATING_SINCE: Final = (6, 11)
_HANDLE_BYTES: Final = 2  # before what the two events have in common
_ADDRESS_TYPES: Final = {1: AddressType.PUBLIC, 2: AddressType.RANDOM}  # 0 is classic Bluetooth
_FORCE_BUFFER: Final = 33  # SO_RCVBUFFORCE, which Python has no name for

HEADER: Final = struct.Struct("<HHH")
_FOUND: Final = struct.Struct("<6sBbIH")
REPLY: Final = struct.Struct("<HB")
_FEATURES: Final = struct.Struct("<IIHBH")
_HANDLE: Final = struct.Struct("<H")
_LE: Final = b"\x06"  # what to discover: public and random addresses, as bluetoothd does when it is asked for LE alone
_ALL: Final = b"\x07"  # what it does otherwise
_PATTERN: Final = bytes((1, 0x01, 0, 1, 0x06)).ljust(1 + 34, b"\0")  # one: flags of a device that can be found


class BusyError(AdapterUnavailableError):
    """The kernel does not answer now: a connection that is being set up holds it up for longer than we wait."""


def parse_advertisement(packet: bytes, index: int) -> RawAdvertisement | None:
    """Return what an event tells of a device that the controller ``index`` has heard; None is any other event."""
    if len(packet) < HEADER.size:
        return None
    event, controller, _ = HEADER.unpack_from(packet)
    if controller != index or event not in (_DEVICE_FOUND, _MONITOR_DEVICE_FOUND):
        return None
    at = HEADER.size + (_HANDLE_BYTES if event == _MONITOR_DEVICE_FOUND else 0)
    if len(packet) < at + _FOUND.size:
        return None
    address, kind, rssi, _, size = _FOUND.unpack_from(packet, at)
    address_type = _ADDRESS_TYPES.get(kind)
    data = packet[at + _FOUND.size :]
    if address_type is None or len(data) != size or size > MAX_BYTES:
        return None
    return RawAdvertisement(int.from_bytes(address, "little"), address_type, rssi, data)


class Management:
    """An open socket, with a monitor for the controller ``index``.

    ``passive`` says whether the kernel tells of everything while nobody discovers.
    """

    def __init__(
        self,
        index: int,
        on_heard: Callable[[RawAdvertisement], None],
        on_gone: Callable[[], None],
        opened: socket.socket,
    ) -> None:
        self.index = index
        self.passive = False
        self._discovering = False  # as far as was told
        self._on_heard = on_heard
        self._on_gone = on_gone
        self._socket = opened
        self._replies: dict[int, asyncio.Future[tuple[int, bytes]]] = {}
        self._monitor: int | None = None  # ours
        self._relies_on_others = False  # where we have none
        self._gathering: asyncio.TimerHandle | None = None
        self._closed = False

    @classmethod
    async def open(
        cls, index: int, on_heard: Callable[[RawAdvertisement], None], on_gone: Callable[[], None]
    ) -> "Management":
        """Call ``on_heard`` from now on, and ``on_gone`` when it must be opened anew; AdapterUnavailableError."""
        subject = cls(index, on_heard, on_gone, open_socket())
        asyncio.get_running_loop().add_reader(subject._socket, subject._readable)
        try:
            await subject._begin()
        except BaseException:
            subject._close()
            raise
        return subject

    async def close(self) -> None:
        """Take the monitor back, and hear no more; never raises."""
        self._on_gone = _ignore
        try:
            if self._monitor is not None and not self._closed:
                with contextlib.suppress(AdapterUnavailableError):
                    await self._ask(_REMOVE_MONITOR, _HANDLE.pack(self._monitor))
        finally:
            self._close()

    async def begin_discovery(self) -> None:
        """Let the kernel discover, which bluetoothd may wrongly believe it does; never raises."""
        if not self._discovering:
            with contextlib.suppress(AdapterUnavailableError):
                await self._ask(_START_DISCOVERY, _LE)

    async def end_discovery(self) -> None:
        """Let the kernel end what another bluetoothd may have begun; never raises."""
        with contextlib.suppress(AdapterUnavailableError):
            for kind in (_LE, _ALL):
                await self._ask(_STOP_DISCOVERY, kind)

    async def _begin(self) -> None:
        if (await self._ask(_GET_CONNECTIONS))[0] == PERMISSION_DENIED:
            raise AdapterUnavailableError("adapter", NO_RIGHT)
        status, features = await self._ask(_READ_MONITOR_FEATURES)
        if status or len(features) < _FEATURES.size:
            return  # a kernel before 5.9
        supported, _, _, _, monitors = _FEATURES.unpack_from(features)
        if monitors >= MAX_MONITORS:  # one of those serves as well
            self._relies_on_others = True
        else:
            status, handle = await self._ask(_ADD_PATTERNS_MONITOR, _PATTERN)
            if status or len(handle) < _HANDLE.size:
                self._relies_on_others = True
                return
            (self._monitor,) = _HANDLE.unpack_from(handle)
        self.passive = not supported & _OFFLOADED and hides_nothing(*os.uname()[2:4])

    async def _ask(self, command: int, body: bytes = b"") -> tuple[int, bytes]:
        """Return status and answer."""
        reply: asyncio.Future[tuple[int, bytes]]
        reply = self._replies[command] = asyncio.get_running_loop().create_future()
        self._read_on()
        try:
            self._socket.send(HEADER.pack(command, self.index, len(body)) + body)
            async with asyncio.timeout(REPLY_S):
                return await reply
        except TimeoutError as error:
            raise BusyError("adapter", "Bluetooth's management socket: the kernel does not answer") from error
        except OSError as error:
            raise AdapterUnavailableError("adapter", f"Bluetooth's management socket: {error}") from error
        finally:
            del self._replies[command]

    def _readable(self) -> None:
        for _ in range(BURST):
            if self._closed:
                return
            try:
                packet = self._socket.recv(PACKET_BYTES)
            except BlockingIOError:
                self._pause()
                return
            except OSError:
                packet = b""
            if not packet:
                self._end()
                return
            heard = parse_advertisement(packet, self.index)
            if heard is not None:
                self._on_heard(heard)
            else:
                self._received(packet)

    def _pause(self) -> None:
        """Let what comes next wait for more, unless an answer is waited for."""
        if not self._replies:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket)
            self._gathering = loop.call_later(GATHER_S, self._read_on)

    def _read_on(self) -> None:
        """Look again, as soon as there is something."""
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
            asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def _received(self, packet: bytes) -> None:
        if len(packet) < HEADER.size:
            return
        event, index, _ = HEADER.unpack_from(packet)
        if index != self.index:
            return
        body = packet[HEADER.size :]
        if event in ANSWERS and len(body) >= REPLY.size:
            command, status = REPLY.unpack_from(body)
            reply = self._replies.get(command)
            if reply is not None and not reply.done():
                reply.set_result((status, body[REPLY.size :]))
        elif event == _DISCOVERING:
            self._discovering = body[1:2] == b"\1"
        elif event == _INDEX_REMOVED or (event == _MONITOR_REMOVED and self._relies_on(body)):
            self._end()

    def _relies_on(self, handle: bytes) -> bool:
        if self._monitor is None:
            return self._relies_on_others
        return handle[: _HANDLE.size] == _HANDLE.pack(self._monitor)

    def _end(self) -> None:
        self._close()
        self._on_gone()

    def _close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(OSError("it was closed"))


def hides_nothing(release: str, version: str) -> bool:
    """Whether a kernel, by ``uname``, tells of repetitions in a passive scan; Debian names the whole number last."""
    found = re.findall(r"(\d+)\.(\d+)(?:\.(\d+))?", release) + re.findall(r"(\d+)\.(\d+)\.(\d+)", version)
    numbers = [(int(major), int(minor), int(patch or 0)) for major, minor, patch in found]
    if not numbers:
        return False
    branch = numbers[0][:2]
    patch = max(number[2] for number in numbers if number[:2] == branch)
    return branch >= _REPEATING_SINCE or patch >= _REPEATING.get(branch, patch + 1)


def _ignore() -> None:
    """Nobody wants to know any more."""


def has_right(capability: int = CAP_NET_ADMIN, status: Path = Path("/proc/self/status")) -> bool:
    """Whether this process has a capability."""
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status.read_text(), re.MULTILINE)
    return effective is not None and bool(int(effective[1], 16) & capability)


def open_socket() -> socket.socket:
    """Return a socket of the control channel; AdapterUnavailableError."""
    try:
        opened: socket.socket = btmgmt_socket.open()
    except (BluetoothSocketError, OSError) as error:
        raise AdapterUnavailableError("adapter", NO_SOCKET) from error
    opened.setblocking(False)
    opened.set_inheritable(False)
    with contextlib.suppress(OSError):
        opened.setsockopt(socket.SOL_SOCKET, _FORCE_BUFFER, BUFFER_BYTES)
    return opened
