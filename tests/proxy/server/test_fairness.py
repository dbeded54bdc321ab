"""One client's appetite is not the others' affair."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aioesphomeapi import APIClient, api_pb2
from seeds import FUZZ_KEY, MemoryKeys, fuzz_node
from waiting import until

from blupow_proxy.allowance import BURST_LINES
from blupow_proxy.errors import ProxyError
from blupow_proxy.native_api import Action, Command, Entity, Mode
from blupow_proxy.server import ApiServer, ServerLimits
from blupow_proxy.server.connection import AHEAD_S, SHARE, Connection
from blupow_proxy.server.listener import ADDRESSES

PSK = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@contextlib.asynccontextmanager
async def serving(**options: Any) -> AsyncIterator[ApiServer]:
    server = ApiServer(fuzz_node(), MemoryKeys(Mode.ENCRYPTED, FUZZ_KEY), host="127.0.0.1", port=0, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def connected(server: ApiServer) -> AsyncIterator[APIClient]:
    client = APIClient("127.0.0.1", server.port, None, noise_psk=PSK)
    await client.connect(login=True)
    try:
        yield client
    finally:
        await client.disconnect()


async def test_a_clients_orders_have_an_end(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    done: list[Entity] = []

    async def on_command(entity: Entity, _command: Command) -> None:
        done.append(entity)

    async with (
        serving(limits=ServerLimits(orders=3, orders_per_s=1.0), clock=lambda: now) as server,
        connected(server) as greedy,
    ):
        server.on_command = on_command
        (button,) = [entity for entity in (await greedy.list_entities_services())[0] if entity.name == "Beep"]
        for _ in range(10):
            greedy.button_command(button.key)
        await greedy.device_info()
        assert len(done) == 3
        async with connected(server) as again:
            again.button_command(button.key)
            await again.device_info()
        assert len(done) == 3
        now += 2.0
        for _ in range(10):
            greedy.button_command(button.key)
        await greedy.device_info()
        assert len(done) == 5
    assert caplog.text.count("Refusing commands of 127.0.0.1") == 2


async def test_orders_are_counted_for_so_many_addresses() -> None:
    async with serving(limits=ServerLimits(orders=1), clock=lambda: 0.0) as server:
        assert all(server._may_order(f"10.0.0.{number}") for number in range(ADDRESSES))
        assert not server._may_order("10.0.0.0")
        assert server._may_order("10.0.1.1")
        assert list(server._orders)[-2:] == ["10.0.0.0", "10.0.1.1"]
        assert len(server._orders) == ADDRESSES


async def test_an_action_beyond_the_share_is_told_so() -> None:
    async with serving(limits=ServerLimits(orders=0)) as server, connected(server) as client:
        _, actions = await client.list_entities_services()
        refresh = next(action for action in actions if action.name == "refresh")
        answer = await client.execute_service(refresh, {}, return_response=True)
    assert (answer.success, answer.error_message) == (False, "too much is at work already")


async def test_orders_that_fail_do_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def on_action(_action: Action, _arguments: dict[str, Any]) -> dict[str, Any]:
        raise ProxyError("it does not work")

    async with serving() as server, connected(server) as client:
        server.on_action = on_action
        _, actions = await client.list_entities_services()
        refresh = next(action for action in actions if action.name == "refresh")
        for _ in range(15):
            answer = await client.execute_service(refresh, {}, return_response=True)
            assert answer.error_message == "it does not work"
    assert caplog.text.count("it does not work") == BURST_LINES


async def test_the_crowd_gives_way_first() -> None:
    async with serving(limits=ServerLimits(unproven=4)) as server:
        lone = await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.3", 0))
        crowd = [
            await asyncio.open_connection("127.0.0.1", server.port, local_addr=("127.0.0.2", 0)) for _ in range(10)
        ]
        for reader, _ in crowd[:7]:
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        lone[1].write(b"\1\0\0")
        assert (await lone[0].readexactly(4))[3:] == b"\1"
        assert {connection.peer for connection in server._connections} == {"127.0.0.2", "127.0.0.3"}
        for _, writer in [lone, *crowd]:
            writer.transport.abort()


async def test_who_is_refused_takes_bluetooth_from_nobody() -> None:
    asked: list[Any] = []
    node = fuzz_node()
    for proven in (0, 1):
        limits = ServerLimits(proven=proven)
        server = ApiServer(node, MemoryKeys(Mode.PLAINTEXT, None), host="127.0.0.1", port=0, limits=limits)
        server.on_bluetooth = lambda _, message: asked.append(message)
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        subscribe = api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1).SerializeToString()
        writer.write(b"\0\0\1" + bytes((0, len(subscribe), 66)) + subscribe)  # behind Hello, at once
        await (until(lambda: asked) if proven else reader.read())
        assert len(asked) == proven
        writer.close()
        await server.stop()


async def test_a_busy_peer_is_read_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """What its requests take is counted, and beyond its share they wait in its own buffers."""
    paused: list[float] = []
    charge = Connection._charge

    def slow(connection: Connection, started: float) -> None:
        before = connection._idle_until
        charge(connection, started - 0.1)  # as if the request had taken so long
        if not connection.transport.is_reading():
            paused.append(connection._idle_until - before)

    monkeypatch.setattr(Connection, "_charge", slow)
    async with serving() as server, connected(server) as client:
        started = asyncio.get_running_loop().time()
        for _ in range(3):
            await client.device_info()
        took = asyncio.get_running_loop().time() - started
    assert paused
    assert took > 3 * 0.1 / SHARE - AHEAD_S - 2 * 0.1 / SHARE


async def test_a_connection_that_was_closed_leaves_no_timer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "blupow_proxy.server")
    async with serving() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as one:
            one.sendall(b"\0\0\1\0")
            one.settimeout(5)
            while await asyncio.to_thread(one.recv, 100):
                pass
        assert "Session of 127.0.0.1 ended: a plaintext client" in caplog.text
        while server._connections:  # noqa: ASYNC110 - it has no event for this
            await asyncio.sleep(0.01)
        loop: Any = asyncio.get_running_loop()
        assert not [timer for timer in loop._scheduled if not timer.cancelled() and "Connection" in repr(timer)]
