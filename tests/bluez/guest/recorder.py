"""Records what the kernel and its controllers say to each other, until it is interrupted; `btmon --read` shows it.

usage: recorder.py FILE

btmon itself now and then dies of decoding what it prints.
"""

import contextlib
import ctypes
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Final

BLUETOOTH: Final = 31  # an address family, and its protocol, which not every Python has names for
HCI: Final = 1
NO_CONTROLLER: Final = 0xFFFF
MONITOR_CHANNEL: Final = 2
PACKET_BYTES: Final = 4096
BUFFER_BYTES: Final = 8 << 20  # while this process waits for its turn
FORCE_BUFFER: Final = 33  # SO_RCVBUFFORCE
FILE_HEADER: Final = b"btsnoop\0" + struct.pack(">II", 1, 2001)  # version, and the monitor's kind of records
EPOCH_US: Final = 0x00E03AB44A676000  # of btsnoop, whose years begin with 0, at that of Unix
_HEADER: Final = struct.Struct("<HHH")
_RECORD: Final = struct.Struct(">IIIIq")


def opened() -> socket.socket:
    """Return a socket of the monitor's channel, which Python can't bind by itself."""
    made = socket.socket(BLUETOOTH, socket.SOCK_RAW, HCI)
    made.setsockopt(socket.SOL_SOCKET, FORCE_BUFFER, BUFFER_BYTES)
    address = struct.pack("<HHH", BLUETOOTH, NO_CONTROLLER, MONITOR_CHANNEL)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(made.fileno(), address, len(address)):
        raise OSError(ctypes.get_errno(), "the monitor's channel can't be bound")
    return made


def main(path: Path) -> None:
    with opened() as monitor, path.open("wb") as record, contextlib.suppress(KeyboardInterrupt):
        record.write(FILE_HEADER)
        while True:
            packet = monitor.recv(PACKET_BYTES)
            kind, index, size = _HEADER.unpack_from(packet)
            body = packet[_HEADER.size : _HEADER.size + size]
            stamp_us = time.time_ns() // 1000 + EPOCH_US
            record.write(_RECORD.pack(len(body), len(body), index << 16 | kind, 0, stamp_us) + body)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
