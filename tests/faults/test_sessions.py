"""N: what clients and the network between do to sessions."""

import asyncio
import contextlib
import fcntl
import secrets
import termios
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import rude
from aioesphomeapi import APIClient, APIConnectionError
from aioesphomeapi.core import (
    EncryptionPlaintextAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
)
from attack import clear, plain
from bystander import Bystander
from frames import BAD_SIGNS
from proxy_process import ProxyProcess
from relay import Chaos, Relay
from seeds import FUZZ_KEY, MemoryKeys, client_messages, fuzz_node
from waiting import until

from blupow_proxy.native_api import Mode, Node, SensorEntity, TextSensorEntity
from blupow_proxy.server import ApiServer

OTHER_KEY = bytes(range(1, 33))
NO_UNITS = ("--units", "0")
ROUNDS = 10
REPORTED_S = 2.0
ENOUGH_WAITS = 100


@asynccontextmanager
async def serving(key: bytes | None = None) -> AsyncIterator[tuple[ApiServer, Node]]:
    """A server in this process, whose buffers can be looked into."""
    node = fuzz_node()
    keys = MemoryKeys(Mode.PLAINTEXT if key is None else Mode.ENCRYPTED, key)
    server = ApiServer(node, keys, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield server, node
    finally:
        await server.stop()


def steps() -> list[tuple[str, int]]:
    """Return a session's steps, and after how many bytes of what the real client says each is in the middle."""
    messages = client_messages()
    named = [("connect", 0), ("hello", 1), ("hello said", 3), ("handshake", 20), ("handshake said", 55)]
    return [*named, *((f"message {number}", 55 + number) for number in range(1, len(messages)))]


def reset_at(port: int, step: int) -> None:
    """Say what a real client says, and end with a RST after ``step`` bytes, or messages beyond the handshake."""
    connection = rude.connect(port)
    if step <= 55:
        connection.sendall(b"\1\0\0\1\0\x31\0"[:step] + secrets.token_bytes(max(0, step - 7)))
    else:
        peer = rude.shake_hands(connection)
        said = [peer.seal(clear(message)) for message in client_messages()[: step - 55]]
        connection.sendall(b"".join(said)[:-3])
    rude.reset(connection)


@pytest.mark.fault("N3")
async def test_resets_at_every_step(measured, tmp_path: Path) -> None:
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy:
        async with Bystander(proxy.port, FUZZ_KEY) as client:
            files = proxy.open_files
            count = 0
            for _, step in steps() * ROUNDS:
                await asyncio.to_thread(reset_at, proxy.port, step)
                count += 1
            measured("files back to the baseline", await until(lambda: proxy.open_files <= files), 1)
        assert not client.lost
        async with Relay(proxy.port, Chaos(pieces=7, delay_s=0.001, reset=0.01)) as relay:
            connected = 0
            for _ in range(30):
                with contextlib.suppress(APIConnectionError, AssertionError):
                    async with Bystander(relay.port, FUZZ_KEY):
                        connected += 1
            assert relay.resets
        log = proxy.log
    measured("resets", count + relay.resets, 200, "", at_least=True)
    measured("unhandled", sum(sign in log for sign in BAD_SIGNS), 0, "")


@pytest.mark.fault("N3")
@pytest.mark.parametrize(
    "chaos",
    [Chaos(pieces=1), Chaos(pieces=11, doubled=0.02), Chaos(pieces=11, lost=0.02)],
    ids=["split", "doubled", "lost"],
)
async def test_a_stream_that_is_torn(measured, tmp_path: Path, chaos: Chaos) -> None:
    """What TCP never does, a broken middlebox may; a client then gets an error, and others nothing of it."""
    outcomes = []
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy, Relay(proxy.port, chaos) as relay:
        async with Bystander(proxy.port, FUZZ_KEY) as client:
            for _ in range(10):
                psk = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
                other = APIClient("127.0.0.1", relay.port, None, noise_psk=psk)
                try:
                    async with asyncio.timeout(3.0):
                        await other.connect(login=True)
                        await other.list_entities_services()
                    outcomes.append("served")
                except (APIConnectionError, TimeoutError):
                    outcomes.append("failed")
                await other.disconnect(force=True)
            assert not client.lost
        log = proxy.log
    whole = not (chaos.doubled or chaos.lost)
    assert set(outcomes) == {"served"} if whole else "failed" in outcomes
    measured("unhandled", sum(sign in log for sign in BAD_SIGNS), 0, "")


def queued_in_kernel(transport: asyncio.Transport) -> int:
    """Return the bytes that the kernel still has to send."""
    connection = transport.get_extra_info("socket")
    answer = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, "little")


@pytest.mark.fault("N4")
@pytest.mark.parametrize("asks", [False, True], ids=["only listens", "keeps asking"])
async def test_a_client_that_stops_reading(measured, asks: bool) -> None:
    most = most_in_kernel = 0
    async with serving() as (server, node):
        sensors = [SensorEntity(name=f"Reading {number}") for number in range(500)]
        text = TextSensorEntity(name="Story")
        for entity in (*sensors, text):
            node.add(entity)
        async with Bystander(server.port, None) as client:
            slow = await asyncio.to_thread(rude.connect, server.port, receive_bytes=4096)
            wants = [rude.HELLO, (20, b""), (28, b"\x08\x07")]
            slow.sendall(b"".join(map(plain, wants)))
            slow.setblocking(False)
            await until(lambda: server.session_count == 2)
            (victim,) = [one for one in server._connections if one.session.client_info != "bystander"]
            started, ended_s = time.monotonic(), None
            client.waits_s.clear()
            for turn in range(1, 100_000):
                for sensor in sensors:
                    node.set_state(sensor, float(turn))
                node.set_state(text, secrets.token_hex(200))
                server.log(3, "x" * 1000)
                if asks:
                    with contextlib.suppress(OSError):
                        slow.send(plain((9, b"")) * 10)
                await asyncio.sleep(0.01)
                if victim._lost:
                    ended_s = time.monotonic() - started
                    break
                most = max(most, victim.transport.get_write_buffer_size() + victim.session.unsent_bytes)
                most_in_kernel = max(most_in_kernel, queued_in_kernel(victim.transport))
                if time.monotonic() - started > 15:
                    break
            await until(lambda: len(client.waits_s) >= ENOUGH_WAITS)
            assert not client.lost
            slow.close()
    kind = "asks" if asks else "listens"
    measured(f"{kind}: buffered", most / 1024, 256, "KiB")
    measured(f"{kind}: besides in the kernel", most_in_kernel / 1024, 128, "KiB")
    measured(f"{kind}: others' answers (99 %)", 1000 * client.wait_s(0.99), 50, "ms")
    assert ended_s is not None
    measured(f"{kind}: dropped after", ended_s, 15)


@pytest.mark.fault("N5")
@pytest.mark.parametrize(
    ("server_key", "client_key", "error"),
    [
        (FUZZ_KEY, OTHER_KEY, InvalidEncryptionKeyAPIError),
        (FUZZ_KEY, None, RequiresEncryptionAPIError),
        (None, FUZZ_KEY, EncryptionPlaintextAPIError),
    ],
    ids=["wrong key", "plaintext client", "encrypted client"],
)
async def test_wrong_key(measured, server_key: bytes | None, client_key: bytes | None, error: type[Exception]) -> None:
    async with serving(server_key) as (server, _):
        started = time.monotonic()
        with pytest.raises(error):
            async with Bystander(server.port, client_key):
                pass
        measured(f"{error.__name__} after", time.monotonic() - started, REPORTED_S)


@pytest.mark.fault("N12")
async def test_several_clients(measured) -> None:
    async with serving(FUZZ_KEY) as (server, node), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Bystander(server.port, FUZZ_KEY)) for _ in range(8)]
        story = next(entity for entity in node.entities if entity.name == "Model")
        left, *others = clients
        took = []
        for turn in range(50):
            if turn == 20:
                await left.client.disconnect()
            counts = [client.states for client in others]
            started = time.monotonic()
            node.set_state(story, str(turn))
            for client, count in zip(others, counts, strict=True):
                await until(lambda client=client, count=count: client.states > count)
            took.append(time.monotonic() - started)
        assert server.session_count == 7
        ninth = await stack.enter_async_context(Bystander(server.port, FUZZ_KEY))
        assert not any(client.lost for client in (*others, ninth))
    measured("a state at every client after", 1000 * max(took), 250, "ms")
    measured("clients that had to go with another", sum(client.lost for client in others), 0, "")
