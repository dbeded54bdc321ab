"""Peers without manners, as functions for processes of their own: what they cost must not be charged to the proxy."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from typing import Final

from aioesphomeapi import api_pb2
from attack import Peer, clear, plain
from seeds import noise_flight

from blupow_proxy.native_api import fnv1_32, fnv1a_32
from blupow_proxy.native_api.wire import MAX_FRAME_BYTES, MESSAGE_IDS, packet

READ_BYTES: Final = 65536
CONNECT_S: Final = 5.0
TRY_S: Final = 0.1  # the kernel itself tries again after 1, 3 and 7 s when the listener has no room
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER: no FIN, no waiting
AT_ONCE: Final = 100  # what a listener of asyncio lets wait
NEIGHBOUR: Final = "127.0.0.2"  # another host on the loopback network
HELLO: Final = (MESSAGE_IDS["HelloRequest"], b"")


def connect(port: int, *, source: str = NEIGHBOUR, receive_bytes: int | None = None) -> socket.socket:
    """Connect from ``source``; with a small receive buffer, which has to be set before.

    Raises:
        TimeoutError: not within 5 s.
    """
    until = time.monotonic() + CONNECT_S
    while True:
        connection = socket.socket()
        connection.settimeout(TRY_S)
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.bind((source, 0))
        try:
            connection.connect(("127.0.0.1", port))
        except TimeoutError:
            connection.close()
            if time.monotonic() > until:
                raise
        else:
            connection.settimeout(CONNECT_S)
            return connection


def reset(connection: socket.socket) -> None:
    """End a connection with a RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


def shake_hands(connection: socket.socket, *key: str) -> Peer:
    """Prove to have the key, that of the fuzzers unless given; ConnectionResetError when the proxy does not answer."""
    peer, answer = Peer(*key), b""
    connection.sendall(peer.first_flight)
    while not peer.is_whole(answer):
        data = connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError
        answer += data
    peer.finish(answer)
    return peer


def storm(port: int, per_s: float, seconds: float, opening: bytes) -> int:
    """Connect, say ``opening``, and close, ``per_s`` times a second; returns how often."""
    started, done = time.monotonic(), 0
    while (passed := time.monotonic() - started) < seconds:
        if done >= passed * per_s:
            time.sleep(0.001)
            continue
        with contextlib.suppress(OSError):
            connection = connect(port)
            with contextlib.suppress(OSError):
                connection.sendall(opening)
            (reset if done % 2 else socket.socket.close)(connection)
            done += 1
    return done


def slow(port: int, sockets: int, seconds: float) -> int:
    """Keep ``sockets`` connections that send a byte a second, and as many that send none; returns how many it took."""
    first_bytes = b"\1\0\0" + b"\1\0\x31" + bytes(60)
    talking: list[tuple[socket.socket, int]] = []
    idle: list[socket.socket] = []
    made = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            while len(idle) < sockets:
                idle.append(connect(port))
                made += 1
        still: list[tuple[socket.socket, int]] = []
        for connection, sent in talking:
            try:
                connection.sendall(first_bytes[sent : sent + 1])
                still.append((connection, sent + 1))
            except OSError:
                connection.close()
        talking = still
        with contextlib.suppress(OSError):
            while len(talking) < sockets:
                talking.append((connect(port), 0))
                made += 1
        time.sleep(1.0)
    for connection in [*idle, *(connection for connection, _ in talking)]:
        connection.close()
    return made


def replay(port: int, times: int) -> tuple[int, int, float]:
    """Replay a real client's handshake.

    Returns how many connections were told anything after it, how many were still open after 15 s, and for how many
    seconds the last ones were open.
    """
    return asyncio.run(_replay(port, times))


async def _replay(port: int, times: int) -> tuple[int, int, float]:
    hello, handshake, _ = noise_flight()
    opening = asyncio.Semaphore(AT_ONCE)

    async def once() -> tuple[bool, bool, float]:
        async with opening:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(NEIGHBOUR, 0))
        opened = time.monotonic()
        received, left = b"", False
        try:
            async with asyncio.timeout(15.0):
                writer.write(hello + handshake)
                while data := await reader.read(READ_BYTES):
                    received += data
        except ConnectionResetError:
            pass
        except TimeoutError:
            left = True
        open_s = time.monotonic() - opened
        writer.close()
        length = 3 + int.from_bytes(received[1:3])
        length += 3 + int.from_bytes(received[length + 1 : length + 3])
        return len(received) > length, left, open_s

    told, left, open_s = zip(*await asyncio.gather(*(once() for _ in range(times))), strict=True)
    return sum(told), sum(left), max(open_s)


def before_the_key(port: int, marker: bytes) -> tuple[int, int, int]:
    """Say a message of every type without the key, as plaintext and after a Noise hello.

    Returns how many were said, the most bytes of a reject, and how many answers were anything but hello and reject.
    """
    said = most = other = 0
    for number in MESSAGE_IDS.values():
        message = (number, marker)
        for opening in (plain(message), b"\1\0\0" + b"\1" + len(clear(message)).to_bytes(2) + clear(message)):
            received = b""
            with connect(port) as connection, contextlib.suppress(ConnectionResetError):
                connection.sendall(opening)
                while data := connection.recv(READ_BYTES):
                    received += data
            said += 1
            frames = _frames(received)
            if opening[0] == 1:
                other += not frames or not frames[0].startswith(b"\1attacked\0")
                frames = frames[1:]
            other += len(frames) != 1 or not frames[0].startswith(b"\1")
            most = max(most, *(len(frame) + 3 for frame in frames), 0)
    return said, most, other


def _frames(data: bytes) -> list[bytes]:
    frames = []
    while data:
        length = 3 + int.from_bytes(data[1:3])
        frames.append(data[3:length])
        data = data[length:]
    return frames


def without_manners(port: int, per_s: float, seconds: float) -> tuple[int, int]:
    """Have the key and ask for everything, ``per_s`` times a second; returns how often, and on how many connections."""
    load = api_pb2.SwitchCommandRequest(key=fnv1_32("load"), device_id=fnv1a_32("rover"), state=True)
    requests = [
        *(packet(message) for message in (api_pb2.PingRequest(), api_pb2.DeviceInfoRequest(), load)),
        packet(api_pb2.ListEntitiesRequest()),
        packet(api_pb2.SubscribeStatesRequest()),
        packet(api_pb2.SubscribeLogsRequest(level=7)),
        packet(api_pb2.ExecuteServiceRequest(key=fnv1_32("refresh"), call_id=1)),
        packet(api_pb2.ExecuteServiceRequest(key=fnv1_32("capture_frames"), call_id=2)),
        packet(api_pb2.PingRequest()),
        packet(api_pb2.GetTimeResponse(epoch_seconds=1)),
    ]
    huge = (MESSAGE_IDS["PingRequest"], bytes(MAX_FRAME_BYTES))
    started, sent, connections = time.monotonic(), 0, 0
    while time.monotonic() - started < seconds:
        connections += 1
        with contextlib.suppress(OSError), connect(port) as connection:
            peer = shake_hands(connection)
            threading.Thread(target=_read_all, args=(connection,), daemon=True).start()
            connection.sendall(peer.seal(clear(HELLO)))
            while (passed := time.monotonic() - started) < seconds:
                if sent >= passed * per_s:
                    time.sleep(0.001)
                    continue
                batch = b"".join(peer.seal(clear(requests[(sent + one) % len(requests)])) for one in range(50))
                connection.sendall(batch if sent % 5000 else batch + peer.seal(clear(huge)))
                sent += 50
    return sent, connections


def _read_all(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.settimeout(None)
        while connection.recv(READ_BYTES):
            pass
