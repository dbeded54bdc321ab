"""Links that the controller keeps and the kernel has forgotten, which only the device could end. Needs CAP_NET_RAW.

Linux (seen with 6.12) takes no handle for a connection once its attempt is being given up. When the controller has just
made it, the cancel comes too late for the one, and the connection for the other: the device is linked, advertises no
more, and can't be connected again until the adapter is reset, or the device ends the link.
"""

import array
import asyncio
import ctypes
import errno
import fcntl
import logging
import os
import random
import socket
import struct
from typing import Final

from .management import BURST, CAP_NET_RAW, has_right

GRACE_S: Final = 2.0  # the kernel takes a handle within milliseconds of the event
PACKET_BYTES: Final = 260  # an event at its longest

_BLUETOOTH: Final = 31  # an address family, its protocol and a level of options that not every Python has names for
_HCI: Final = 1
_SOL_HCI: Final = 0
_HCI_FILTER: Final = 2
_ATTACH_FILTER: Final = 26  # SO_ATTACH_FILTER
_RAW_CHANNEL: Final = 0
_GET_CONNECTIONS: Final = 0x800448D4  # HCIGETCONNLIST, ioctl_list(2)
_ROOM: Final = 64  # connections: more than controllers have
_CONNECTION: Final = struct.Struct("=H14x")  # hci_conn_info: the handle, and what is not asked for here
_CONNECTIONS: Final = struct.Struct("=HH")  # the controller, and how many: room for them, then what there are

_COMMAND: Final = 1
_EVENT: Final = 4
_DISCONNECTED: Final = 0x05
_COMPLETE: Final = 0x0E  # of commands; that of the one below is asked for
_RESET_OPCODE: Final = 0x0C03
_LE: Final = 0x3E
_LE_CONNECTED: Final = (0x01, 0x0A)  # without and with what privacy adds
_CENTRAL: Final = 0
_ENDED: Final = struct.Struct("<3xBH")
_MADE: Final = struct.Struct("<3xBBHBx6s")
_DISCONNECT: Final = struct.Struct("<BHBHB")  # the packet of HCI_Disconnect
_DISCONNECT_OPCODE: Final = 0x0406
_USER_ENDED: Final = 0x13  # the reason that BlueZ gives as well

# Of each packet, which begins with its type: not the hundreds of advertisements a second.
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_BYTE, _IF_EQUAL, _RETURN = 0x30, 0x15, 0x06  # of the kernel's packet filters
_PROGRAM: Final = b"".join(
    _INSTRUCTION.pack(*instruction)
    for instruction in (
        (_LOAD_BYTE, 0, 0, 1),
        (_IF_EQUAL, 4, 0, _DISCONNECTED),
        (_IF_EQUAL, 3, 0, _COMPLETE),
        (_LOAD_BYTE, 0, 0, 3),
        (_IF_EQUAL, 1, 0, _LE_CONNECTED[0]),
        (_IF_EQUAL, 0, 1, _LE_CONNECTED[1]),
        (_RETURN, 0, 0, PACKET_BYTES),
        (_RETURN, 0, 0, 0),
    )
)
_LOGGER = logging.getLogger(__name__)


def parse_link(packet: bytes) -> tuple[int, str | None] | None:
    """Return the handle of a link and its device, or None for that when it has ended; None is any other event."""
    if len(packet) >= _ENDED.size and packet[:2] == bytes((_EVENT, _DISCONNECTED)):
        status, handle = _ENDED.unpack_from(packet)
        return None if status else (handle, None)
    if len(packet) >= _MADE.size and packet[:2] == bytes((_EVENT, _LE)):
        kind, status, handle, role, address = _MADE.unpack_from(packet)
        if kind in _LE_CONNECTED and not status and role == _CENTRAL:
            return handle, address[::-1].hex(":").upper()
    return None


class ForgottenLinks:
    """Ends what the kernel has forgotten of the controller that it follows."""

    def __init__(self) -> None:
        self._index: int | None = None
        self._socket: socket.socket | None = None
        self._new: dict[int, asyncio.TimerHandle] = {}  # by handle: links that are to be looked for

    def follow(self, index: int | None) -> None:
        """Watch over the links that the controller ``index`` makes, where this process has the right to."""
        if index is not None and index == self._index and self._socket is not None:
            return  # a bluetoothd that dies gives attempts up, and the controller goes on
        self._close()
        self._index = index
        if index is None:
            return
        try:
            if has_right(CAP_NET_RAW):
                self._socket = opened(index)
                asyncio.get_running_loop().add_reader(self._socket, self._readable)
        except OSError as error:
            self._close()
            _LOGGER.debug("hci%d: its links can't be watched (%s)", index, error)

    def _forget(self) -> None:
        for timer in self._new.values():
            timer.cancel()
        self._new.clear()

    def _close(self) -> None:
        self._forget()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def _readable(self) -> None:
        for _ in range(BURST):
            try:
                packet = b"" if self._socket is None else self._socket.recv(PACKET_BYTES)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:  # it was unplugged
                self._close()
                return
            if packet[:2] == bytes((_EVENT, _COMPLETE)):  # a controller that is reset has no links any more
                self._forget()
            link = parse_link(packet)
            if link is not None:
                self._note(*link)

    def _note(self, handle: int, address: str | None) -> None:
        known = self._new.pop(handle, None)
        if known is not None:
            known.cancel()
        if address is not None:
            # At random: another of our programs may watch as well, and the kernel takes the refusal that a second order
            # gets for the answer to whatever it has asked for itself.
            wait_s = GRACE_S * random.uniform(1.0, 1.5)  # noqa: S311
            self._new[handle] = asyncio.get_running_loop().call_later(wait_s, self._look, handle, address)

    def _look(self, handle: int, address: str) -> None:
        due = self._new.get(handle)
        self._readable()
        if self._socket is None or self._index is None or due is None or self._new.get(handle) is not due:
            return  # it has ended meanwhile
        del self._new[handle]
        try:
            if handle in known_handles(self._socket, self._index):
                return
            end(self._socket, handle)
        except OSError as error:
            _LOGGER.debug("hci%d: what links there are can't be found out (%s)", self._index, error)
            return
        _LOGGER.warning("%s: ended a link that the kernel had forgotten, and which hid the device from all", address)


def end(controller: socket.socket, handle: int) -> None:
    """Tell the controller to end a link; OSError."""
    controller.send(_DISCONNECT.pack(_COMMAND, _DISCONNECT_OPCODE, 3, handle, _USER_ENDED))


def known_handles(controller: socket.socket, index: int) -> set[int]:
    """Return the handles of the links that the kernel knows; OSError."""
    room = array.array("B", _CONNECTIONS.pack(index, _ROOM) + bytes(_ROOM * _CONNECTION.size))
    fcntl.ioctl(controller, _GET_CONNECTIONS, room)
    _, count = _CONNECTIONS.unpack_from(room)
    if count >= _ROOM:
        raise OSError(errno.ENOBUFS, "there may be more")
    return {_CONNECTION.unpack_from(room, _CONNECTIONS.size + at * _CONNECTION.size)[0] for at in range(count)}


def opened(index: int) -> socket.socket:
    """Return a socket that hears of links alone; OSError."""
    made = socket.socket(_BLUETOOTH, socket.SOCK_RAW | socket.SOCK_NONBLOCK, _HCI)
    try:
        _prepare(made, index)
    except OSError:
        made.close()
        raise
    return made


def _prepare(made: socket.socket, index: int) -> None:
    program = ctypes.create_string_buffer(_PROGRAM, len(_PROGRAM))
    count = len(_PROGRAM) // _INSTRUCTION.size
    made.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", count, ctypes.addressof(program)))
    events = 1 << _DISCONNECTED | 1 << _COMPLETE, 1 << _LE - 32
    made.setsockopt(_SOL_HCI, _HCI_FILTER, struct.pack("=IIIHxx", 1 << _EVENT, *events, _RESET_OPCODE))
    address = struct.pack("=HHH", _BLUETOOTH, index, _RAW_CHANNEL)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(made.fileno(), address, len(address)):  # Python's own knows no channels
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
