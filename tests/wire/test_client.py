"""The real, unmodified aioesphomeapi client against our server."""

import asyncio
import dataclasses
import enum
import json
import logging
import secrets
import socket
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import APIClient, LogLevel, api_pb2
from aioesphomeapi.core import (
    EncryptionPlaintextAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
)

from blupow_proxy.errors import LinkLostError
from blupow_proxy.native_api import Action, Command, Entity, Limits, Mode, SensorEntity
from blupow_proxy.native_api.framing import PlaintextFraming
from blupow_proxy.native_api.wire import MESSAGE_IDS
from blupow_proxy.server import ApiServer, LogForwarder, ServerLimits

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "golden_host_all.json").read_text())
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
ZERO_KEY = bytes(32)
NOT_OURS = {"TimeInfo", "TextInfo", "EventInfo"}


def plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {"_type": type(value).__name__} | {
            f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)
        }
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return "NaN" if isinstance(value, float) and value != value else value


class States:
    """Collects states and lets a test wait for one."""

    def __init__(self, client: APIClient) -> None:
        self.latest: dict[tuple[str, int, int], Any] = {}
        self.count = 0
        self._changed = asyncio.Event()
        client.subscribe_states(self._received)

    def _received(self, state: Any) -> None:
        self.latest[type(state).__name__, state.key, state.device_id] = state
        self.count += 1
        self._changed.set()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()


async def test_device_info_equals_real_esphome(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    client = await wire.connected(server, keys.key)
    assert str(client.api_version) == GOLDEN["api_version"]
    info = plain(await client.device_info())
    assert info | {"api_encryption_supported": False} == GOLDEN["device_info"]
    assert info["api_encryption_supported"] is keys.changeable


async def test_entities_equal_real_esphome(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    client = await wire.connected(server, keys.key)
    entities, services = await client.list_entities_services()
    assert plain(entities) == [entity for entity in GOLDEN["entities"] if entity["_type"] not in NOT_OURS]
    assert plain(services[:1]) == GOLDEN["services"]


async def test_states_equal_real_esphome(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    client = await wire.connected(server, keys.key)
    states = States(client)
    golden = [state for state in GOLDEN["states"] if state["_type"] not in {"TimeState", "TextState"}]
    await states.until(lambda s: s.count == len(golden))
    assert [plain(state) for state in states.latest.values()] == golden


async def test_changes_arrive_coalesced(wire: Any, keys: Any) -> None:
    server, node, entities = await wire.server(keys)
    client = await wire.connected(server, keys.key)
    states = States(client)
    await states.until(lambda s: s.count == 9)
    for value in range(100):
        node.set_state(entities["energy"], float(value))
    node.set_state(entities["link"], None)
    node.set_state(entities["volts1"], 0.0)
    await states.until(lambda s: s.count == 12)
    latest = {
        name: states.latest[kind, entities[name].key, entities[name].device_id]
        for name, kind in (("energy", "SensorState"), ("link", "BinarySensorState"), ("volts1", "SensorState"))
    }
    assert latest["energy"].state == 99.0
    assert latest["link"].missing_state
    assert latest["volts1"].state == 0.0
    assert not latest["volts1"].missing_state


async def test_missing_sensor(wire: Any, keys: Any) -> None:
    server, node, entities = await wire.server(keys)
    node.set_state(entities["volts1"], None)
    client = await wire.connected(server, keys.key)
    states = States(client)
    await states.until(lambda s: s.count == 9)
    volts = states.latest["SensorState", entities["volts1"].key, entities["volts1"].device_id]
    assert volts.missing_state


async def test_commands(wire: Any, keys: Any) -> None:
    server, _, entities = await wire.server(keys)
    received: asyncio.Queue[tuple[Entity, Command]] = asyncio.Queue()

    async def on_command(entity: Entity, command: Command) -> None:
        await received.put((entity, command))

    server.on_command = on_command
    client = await wire.connected(server, keys.key)
    client.switch_command(entities["output"].key, True, device_id=entities["output"].device_id)
    client.switch_command(entities["output"].key, True)  # no such switch on the node itself
    client.button_command(entities["refresh"].key)
    client.number_command(entities["poll"].key, 2.5)
    client.select_command(entities["mode"].key, "APL")
    async with asyncio.timeout(5):
        assert [await received.get() for _ in range(4)] == [
            (entities["output"], True),
            (entities["refresh"], None),
            (entities["poll"], 2.5),
            (entities["mode"], "APL"),
        ]


async def test_action_with_arguments_and_response(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    calls: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def on_action(action: Action, arguments: dict[str, Any]) -> dict[str, Any]:
        await calls.put({"name": action.name, **arguments})
        return {"answer": 42}

    server.on_action = on_action
    client = await wire.connected(server, keys.key)
    _, services = await client.list_entities_services()
    given = {"reg": 266, "value": -1, "names": ["a", "b"], "enable": True, "factor": 0.5}
    await client.execute_service(services[0], given)
    async with asyncio.timeout(5):
        assert await calls.get() == {"name": "write_register", **given}
    response = await client.execute_service(services[1], {}, return_response=True)
    assert response.success
    assert json.loads(response.response_data) == {"answer": 42}


async def test_action_that_fails_says_why(wire: Any, keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    server, _, _ = await wire.server(keys)

    async def on_action(_action: Action, _arguments: dict[str, Any]) -> dict[str, Any]:
        raise LinkLostError("AA:BB:CC:DD:EE:FF", "the link is down")

    server.on_action = on_action
    client = await wire.connected(server, keys.key)
    _, services = await client.list_entities_services()
    response = await client.execute_service(services[1], {}, return_response=True)
    assert not response.success
    assert "the link is down" in response.error_message
    await client.execute_service(services[0], {"reg": 1, "value": 1, "names": [], "enable": False, "factor": 0.0})
    await client.device_info()
    assert caplog.text.count("the link is down") == 2


async def test_command_that_fails_is_logged(wire: Any, keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    server, _, entities = await wire.server(keys)

    async def on_command(_entity: Entity, _command: Command) -> None:
        raise LinkLostError("AA:BB:CC:DD:EE:FF", "the link is down")

    server.on_command = on_command
    client = await wire.connected(server, keys.key)
    client.button_command(entities["refresh"].key)
    await client.device_info()
    assert "Refresh: AA:BB:CC:DD:EE:FF: the link is down" in caplog.text


async def test_pings_are_answered_while_commands_hang(wire: Any, keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    server, _, entities = await wire.server(keys, limits=ServerLimits(tasks=3))

    async def on_command(_entity: Entity, _command: Command) -> None:
        await asyncio.Event().wait()

    server.on_command = on_command
    client = await wire.connected(server, keys.key)
    for _ in range(10):
        client.button_command(entities["refresh"].key)
    async with asyncio.timeout(1):
        await client.device_info()
    assert caplog.text.count("Refusing commands") == 1


async def test_logs(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    logger = logging.getLogger("blupow_proxy.testing")
    logger.setLevel(logging.DEBUG)
    forwarder = LogForwarder(server.log)
    logger.addHandler(forwarder)
    try:
        client = await wire.connected(server, keys.key)
        lines: list[Any] = []
        client.subscribe_logs(lines.append, log_level=LogLevel.LOG_LEVEL_INFO)
        await client.device_info()
        logger.debug("hidden")
        logger.info("shown")
        logger.error("broken")
        await client.device_info()
    finally:
        logger.removeHandler(forwarder)
    assert [(line.level, line.message) for line in lines] == [
        (LogLevel.LOG_LEVEL_INFO, b"[I][blupow_proxy.testing]: shown"),
        (LogLevel.LOG_LEVEL_ERROR, b"[E][blupow_proxy.testing]: broken"),
    ]


async def test_wrong_key(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(KEY))
    with pytest.raises(InvalidEncryptionKeyAPIError) as error:
        await wire.connected(server, OTHER_KEY)
    assert error.value.received_name == "host-all"
    assert error.value.received_mac == "020000000005"


async def test_plaintext_client_on_encrypted_server(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(KEY))
    with pytest.raises(RequiresEncryptionAPIError):
        await wire.connected(server, None)


async def test_encrypted_client_on_plaintext_server(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(mode=Mode.PLAINTEXT))
    with pytest.raises(EncryptionPlaintextAPIError):
        await wire.connected(server, KEY)


@pytest.mark.parametrize("first_key", [None, ZERO_KEY], ids=["plaintext", "zero key"])
async def test_provisioning(wire: Any, make_keys: Any, first_key: bytes | None) -> None:
    keys = make_keys()
    server, _, _ = await wire.server(keys)
    bystander = await wire.connected(server, None)
    client = await wire.connected(server, first_key)
    info = await client.device_info()
    assert info.api_encryption_supported
    assert info.api_encryption_provisionable
    with pytest.raises(InvalidEncryptionKeyAPIError):
        await wire.connected(server, OTHER_KEY)
    gone = asyncio.Event()

    async def on_stop(_expected: bool) -> None:
        gone.set()

    other = wire.client(server, None)
    await other.connect(on_stop=on_stop, login=True)
    assert await client.noise_encryption_set_key(_base64(KEY))
    assert keys.key == KEY
    async with asyncio.timeout(5):
        await gone.wait()
    assert bystander is not client
    with pytest.raises(RequiresEncryptionAPIError):
        await wire.connected(server, None)
    with pytest.raises(InvalidEncryptionKeyAPIError):
        await wire.connected(server, ZERO_KEY)
    rotated = await wire.connected(server, KEY)
    assert await rotated.noise_encryption_set_key(_base64(OTHER_KEY))
    await (await wire.connected(server, OTHER_KEY)).device_info()


@pytest.mark.parametrize("key", [b"A" * 43 + b"=", b"AAAA", b"?"], ids=["zero", "short", "no base64"])
async def test_useless_keys_are_refused(wire: Any, make_keys: Any, key: bytes) -> None:
    keys = make_keys()
    server, _, _ = await wire.server(keys)
    client = await wire.connected(server, ZERO_KEY)
    assert not await client.noise_encryption_set_key(key)
    assert keys.key is None


async def test_key_that_cannot_be_stored_is_refused(wire: Any, make_keys: Any) -> None:
    keys = make_keys()
    keys.works = False
    server, _, _ = await wire.server(keys)
    client = await wire.connected(server, ZERO_KEY)
    assert not await client.noise_encryption_set_key(_base64(KEY))
    await client.device_info()


async def test_key_of_the_configuration_stays(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(KEY, changeable=False))
    client = await wire.connected(server, KEY)
    assert not await client.noise_encryption_set_key(_base64(OTHER_KEY))


async def test_closed_provisioning_says_so(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(mode=Mode.CLOSED))
    stopped = asyncio.Event()

    async def on_stop(_expected: bool) -> None:
        stopped.set()

    client = wire.client(server, ZERO_KEY)
    await client.connect(on_stop=on_stop, login=True)
    async with asyncio.timeout(5):
        await stopped.wait()
    assert server.session_count == 0


async def test_ninth_client_is_refused(wire: Any, keys: Any, caplog: pytest.LogCaptureFixture) -> None:
    server, _, _ = await wire.server(keys)
    clients = [await wire.connected(server, keys.key) for _ in range(8)]
    assert server.session_count == 8
    stopped = asyncio.Event()

    async def on_stop(_expected: bool) -> None:
        stopped.set()

    ninth = wire.client(server, keys.key)
    await ninth.connect(on_stop=on_stop, login=True)
    async with asyncio.timeout(5):
        await stopped.wait()
    assert "8 clients are connected" in caplog.text
    await clients[0].device_info()


async def test_oldest_unproven_connection_gives_way(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(40)]
    client = await wire.connected(server, keys.key)
    await client.device_info()
    async with asyncio.timeout(5):
        for reader, _ in idle[:24]:
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
    for _, writer in idle:
        writer.transport.abort()


async def test_reader_that_stops_is_cut_off(wire: Any, make_keys: Any) -> None:
    keys = make_keys(mode=Mode.PLAINTEXT, changeable=False)
    server, _, _ = await wire.server(keys, limits=ServerLimits(session=Limits(unsent_bytes=128 * 1024)))
    client = await wire.connected(server, keys.key)
    one = socket.create_connection(("127.0.0.1", server.port))
    try:
        one.sendall(b"\0\0\1" + b"\0\2\x1c\x08\x07")  # wants every log line, and reads none
        async with asyncio.timeout(20):
            while server.session_count < 2:
                await client.device_info()
            while server.session_count > 1:
                server.log(1, "x" * 10_000)
                await client.device_info()
    finally:
        one.close()


async def test_shutdown_is_announced(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    outcome: list[bool] = []
    stopped = asyncio.Event()

    async def on_stop(expected: bool) -> None:
        outcome.append(expected)
        stopped.set()

    client = wire.client(server, keys.key)
    await client.connect(on_stop=on_stop, login=True)
    await server.stop()
    async with asyncio.timeout(5):
        await stopped.wait()
    assert outcome == [True]


async def test_port_that_is_taken(wire: Any, keys: Any) -> None:
    server, node, _ = await wire.server(keys)
    with pytest.raises(OSError, match="address already in use"):
        await ApiServer(node, keys, host="127.0.0.1", port=server.port).start()


async def test_every_address(wire: Any, keys: Any) -> None:
    _, node, _ = await wire.server(keys)
    server = ApiServer(node, keys, port=0)
    await server.start()
    try:
        client = await wire.connected(server, keys.key)
        await client.device_info()
    finally:
        await server.stop()


def _base64(key: bytes) -> bytes:
    from base64 import b64encode  # noqa: PLC0415

    return b64encode(key)


async def test_an_action_that_is_refused_is_answered(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys, limits=ServerLimits(tasks=1))
    blocked = asyncio.Event()

    async def on_action(_action: Action, _arguments: dict[str, Any]) -> dict[str, Any]:
        await blocked.wait()
        return {}

    server.on_action = on_action
    client = await wire.connected(server, keys.key)
    _, actions = await client.list_entities_services()
    refresh = next(action for action in actions if action.name == "refresh")
    first = asyncio.create_task(client.execute_service(refresh, {}, return_response=True))
    await client.device_info()
    second = await client.execute_service(refresh, {}, return_response=True)
    assert (second.success, second.error_message) == (False, "too much is at work already")
    blocked.set()
    assert (await first).success


async def test_an_answer_that_no_frame_holds_is_told_of(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)

    async def on_action(_action: Action, _arguments: dict[str, Any]) -> dict[str, Any]:
        return {"data": "x" * 70_000}

    server.on_action = on_action
    client = await wire.connected(server, keys.key)
    _, actions = await client.list_entities_services()
    refresh = next(action for action in actions if action.name == "refresh")
    answer = await client.execute_service(refresh, {}, return_response=True)
    assert (answer.success, answer.error_message) == (False, "the answer is too long")
    await client.device_info()


async def test_a_burst_of_connections_holds_no_more_than_sixteen(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    # beside the loop: the kernel lets them wait until the server has accepted those before
    connecting = [asyncio.to_thread(socket.create_connection, ("127.0.0.1", server.port)) for _ in range(100)]
    sockets = await asyncio.gather(*connecting)
    try:
        client = await wire.connected(server, keys.key)
        await client.device_info()
        assert len(server._connections) <= 17
    finally:
        for one in sockets:
            one.close()


async def test_who_never_says_hello_takes_nobodys_place(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys())
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(12)]
    try:
        for one in sockets:
            one.sendall(b"\0\0\7")
        client = await wire.connected(server, ZERO_KEY)
        await client.device_info()
        assert server.session_count == 1
    finally:
        for one in sockets:
            one.close()


async def test_a_peer_that_closes_its_half_is_gone(wire: Any, keys: Any) -> None:
    server, node, _ = await wire.server(keys)
    for number in range(3000):
        node.add(SensorEntity(name=f"Sensor {number} with a name that takes its place"))
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", server.port))
    try:
        one.sendall(b"\0\0\1" + b"\0\0\x0b" if keys.key is None else b"\1\0\0")
        one.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(5):
            while server._connections:  # noqa: ASYNC110 - it has no event for this
                await asyncio.sleep(0.05)
    finally:
        one.close()


async def test_a_list_of_thousands_is_no_slow_reader(wire: Any, keys: Any) -> None:
    server, node, _ = await wire.server(keys)
    for number in range(6000):
        node.add(SensorEntity(name=f"Sensor {number} with a name that takes its place", unit_of_measurement="V"))
    client = await wire.connected(server, keys.key)
    entities, actions = await client.list_entities_services()
    assert (len(entities), len(actions)) == (6011, 2)
    states = States(client)
    await states.until(lambda s: s.count >= 6009)


async def test_a_slow_reader_gets_the_latest_and_nothing_between(wire: Any, make_keys: Any) -> None:
    server, node, entities = await wire.server(make_keys(mode=Mode.PLAINTEXT, changeable=False))
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", server.port))
    one.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(one, b"\0\0\1" + b"\0\0\x14")
        async with asyncio.timeout(20):
            while not any(connection._paused for connection in server._connections):
                node.set_state(entities["model"], secrets.token_hex(10_000))
                await asyncio.sleep(0)
            for number in range(5000):
                node.set_state(entities["volts1"], float(number))
                if not number % 100:
                    await asyncio.sleep(0)
            (connection,) = server._connections
            assert connection.transport.get_write_buffer_size() + connection.session.unsent_bytes < 256 * 1024
            framing, volts = PlaintextFraming(), []
            while 4999.0 not in volts:
                for number, body in framing.feed(await loop.sock_recv(one, 65536)):
                    if number == MESSAGE_IDS["SensorStateResponse"]:
                        state = api_pb2.SensorStateResponse.FromString(body)
                        if state.key == entities["volts1"].key and state.device_id == entities["volts1"].device_id:
                            volts.append(state.state)
            assert len(volts) <= 3
    finally:
        one.close()


async def test_a_peer_that_does_not_read_why_it_is_refused_is_cut(wire: Any, make_keys: Any) -> None:
    server, _, _ = await wire.server(make_keys(mode=Mode.PLAINTEXT, changeable=False))
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    one.connect(("127.0.0.1", server.port))
    try:
        one.sendall(b"\0\0\1" + b"\0\2\x1c\x08\x07")  # wants every log line
        async with asyncio.timeout(20):
            while not any(connection._paused for connection in server._connections):
                server.log(1, "x" * 1000)
                await asyncio.sleep(0)
            server.disconnect_all()
            while server._connections:  # noqa: ASYNC110 - it has no event for this
                await asyncio.sleep(0.05)
    finally:
        one.close()
