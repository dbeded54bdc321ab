"""health: asks a real server, and what is none."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from ports import free_port

from blupow_proxy.cli import main
from blupow_proxy.commands.health import ask
from blupow_proxy.keys import FileKeyStore
from blupow_proxy.native_api import Node, NodeInfo
from blupow_proxy.server import ApiServer
from blupow_proxy.storage import Storage

KEYS = {"none": (False, None), "not yet": (True, None), "set": (True, bytes(range(32)))}


@asynccontextmanager
async def served(folder: Path, key: str) -> AsyncIterator[tuple[int, ApiServer]]:
    encryption, configured = KEYS[key]
    info = NodeInfo(
        name="shed",
        friendly_name="Shed",
        mac="02:00:00:00:00:01",
        model="m",
        manufacturer="m",
        esphome_version="2026.10.0",
    )
    keys = FileKeyStore(Storage(folder), encryption=encryption, configured=configured)
    server = ApiServer(Node(info), keys, host="127.0.0.1", port=0)
    await server.start()
    try:
        yield server.port, server
    finally:
        await server.stop()


@pytest.mark.parametrize("key", KEYS)
async def test_a_proxy_that_answers_counts_no_client(tmp_path: Path, key: str) -> None:
    async with served(tmp_path, key) as (port, server):
        clients: list[str] = []
        server.on_proven = clients.append
        assert await asyncio.to_thread(ask, port, "shed", encrypted=KEYS[key][0]) is None
        assert not clients
        if KEYS[key][0]:
            assert "something else" in str(await asyncio.to_thread(ask, port, "shack", encrypted=True))


@contextmanager
def peer(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(16)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.mark.parametrize("encrypted", [False, True])
def test_what_is_no_proxy(encrypted: bool) -> None:
    with peer(lambda connection: connection.sendall(b"SSH-2.0\r\n")) as port:
        assert "something else" in str(ask(port, "shed", encrypted=encrypted))
    with peer(lambda _connection: None) as port:
        assert "closed" in str(ask(port, "shed", encrypted=encrypted))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "stuck" in str(ask(silent.getsockname()[1], "shed", encrypted=encrypted, within_s=0.1))


def test_what_is_asked_follows_from_the_substitutions(tmp_path: Path) -> None:
    file = tmp_path / "shed.yaml"
    file.write_text("esphome: {name: $name}\napi: {encryption: {key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=}}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("blupow_proxy.commands.health.ask", lambda _port, name, **_: None if name == "shed" else "wrong")
        assert main(["health", str(file)]) == 1
        assert main(["health", "-s", "name", "boat", str(file)]) == 1
        assert main(["health", "-s", "name", "shed", str(file)]) == 0


def test_the_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "shed.yaml"
    assert main(["health", str(file)]) == 1
    file.write_text(f"esphome: {{name: shed}}\napi: {{port: {free_port()}}}\n")
    assert main(["health", str(file)]) == 1
    missing, stopped = capsys.readouterr().err.splitlines()
    assert str(file) in missing
    assert "does not run" in stopped
