"""Whether clients can reach the proxy, and hear of it."""

import errno
import os
import socket
import struct
from contextlib import suppress
from typing import Final

from blupow_proxy.commands.run import taken_port

from .finding import Finding, fine, note, wrong

MDNS_GROUP: Final = "224.0.0.251"
MDNS_PORT: Final = 5353
_LOCAL: Final = "127.0.0.1"
_ANSWER_S: Final = 1.0
# the first frame of a client, encrypted and plain: a server of the native API tells its name in answer to one of them
_GREETINGS: Final = (b"\x01\x00\x00", b"\x00\x00\x01")
_ANSWER_BYTES: Final = 512


def check_port(port: int, name: str) -> Finding:
    """Tell whether the native API's port is free, or the proxy ``name`` itself listens there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
            probe.listen()
        except OSError as error:
            if error.errno == errno.EADDRINUSE and any(name.encode() in _answer(port, it) for it in _GREETINGS):
                return fine("port", f"this proxy listens on {port}")
            reason = taken_port(port, error)
            return wrong("port", f"{reason} (`sudo ss -ltnp sport = :{port}` names it): choose another `api: port:`")
    return fine("port", f"{port} is free: the proxy does not run now")


def check_mdns(port: int = MDNS_PORT) -> Finding:
    """Tell whether the proxy can announce itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            probe.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            return wrong(
                "mDNS",
                f"port {port} can't be shared ({reason}), so Home Assistant does not find the proxy by itself: end the "
                f"program that `sudo ss -lunp sport = :{port}` names, or enter the proxy's address in Home Assistant",
            )
        try:
            membership = struct.pack("4sl", socket.inet_aton(MDNS_GROUP), socket.INADDR_ANY)
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        except OSError:
            return note("mDNS", "there is no network to announce on: is its cable in, or Wi-Fi on?")
    return fine("mDNS", "the proxy can announce itself")


def _answer(port: int, greeting: bytes) -> bytes:
    """Return what the listener on ``port`` says first."""
    with suppress(OSError), socket.create_connection((_LOCAL, port), timeout=_ANSWER_S) as connection:
        connection.sendall(greeting)
        return connection.recv(_ANSWER_BYTES)
    return b""
