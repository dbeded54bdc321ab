"""``logs`` against our server, in plaintext and Noise."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any, Self

import ports
import pytest
from terminal import CTRL_C, on_terminal
from waiting import until

from blupow_proxy.cli import main
from blupow_proxy.client import ClientError, LogLine, LogReader
from blupow_proxy.native_api import Mode, encode_key
from blupow_proxy.server import ApiServer

KEY = bytes(range(32))
OTHER_KEY = encode_key(bytes(range(1, 33)))
INFO, ERROR = 3, 1


def psk(keys: Any) -> str | None:
    return None if keys.key is None else encode_key(keys.key)


class Reader:
    """A reader and what it tells."""

    def __init__(self, port: int, key: str | None, level: str = "DEBUG") -> None:
        self.lines: list[LogLine] = []
        self.losses: list[ClientError | None] = []
        self._reader = LogReader(
            "127.0.0.1", port, key, level=level, on_line=self.lines.append, on_loss=self.losses.append
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._reader.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def texts(self) -> list[str]:
        return [line.text for line in self.lines]


async def subscribed(server: ApiServer, reader: Reader) -> None:
    """Wait until what is logged arrives."""

    def arrives() -> bool:
        server.log(ERROR, "[E][test]: ping")
        return bool(reader.lines)

    await until(arrives)
    reader.lines.clear()


async def test_lines_arrive_clean(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    async with Reader(server.port, psk(keys)) as reader:
        await subscribed(server, reader)
        server.log(INFO, "\x1b[0;32m[I][a:1]: one\n  two\x1b[0m")
        server.log(INFO, "[I][a:2]: \x1b[2J\x07three" + "x" * 5000)
        await until(lambda: any("three" in text for text in reader.texts))
    texts = [text for text in reader.texts if "ping" not in text]
    assert texts[:2] == ["[I][a:1]: one", "[I][a:1]:   two"]
    assert texts[2].startswith("[I][a:2]:  three")
    assert all(text.isprintable() for text in texts)
    assert {line.level for line in reader.lines if "ping" not in line.text} == {INFO}


async def test_only_what_matters_is_asked_for(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    async with Reader(server.port, psk(keys), level="ERROR") as reader:
        await subscribed(server, reader)
        server.log(INFO, "[I][a:1]: chatter")
        server.log(ERROR, "[E][a:1]: trouble")
        await until(lambda: any("trouble" in text for text in reader.texts))
    assert not any("chatter" in text for text in reader.texts)


async def test_a_device_that_comes_back(wire: Any, keys: Any) -> None:
    server, node, _ = await wire.server(keys)
    port = server.port
    async with Reader(port, psk(keys)) as reader:
        await subscribed(server, reader)
        await server.stop()
        await until(lambda: "cannot connect" in str(reader.losses[-1]))
        again = ApiServer(node, keys, host="127.0.0.1", port=port)
        await again.start()
        try:
            await until(lambda: reader.losses[-1] is None)
            await subscribed(again, reader)
        finally:
            await again.stop()
    assert "the connection was lost" in str(reader.losses[1])


async def logs(*arguments: str, key: str | None = None) -> asyncio.subprocess.Process:
    env = {name: value for name, value in os.environ.items() if name != "BLUPOW_KEY"}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "blupow_proxy", "logs", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=env | ({"BLUPOW_KEY": key} if key else {}),
    )


async def test_command_prints_until_interrupted(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    process = await logs(f"127.0.0.1:{server.port}", "--level", "info", key=psk(keys))
    assert process.stdout is not None
    reading = asyncio.create_task(process.stdout.readline())
    async with asyncio.timeout(20):
        while not reading.done():
            server.log(INFO, "[I][a:1]: hello")
            await asyncio.wait([reading], timeout=0.05)
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(2):
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    line = reading.result().decode()
    assert line.endswith("][I][a:1]: hello\n")
    assert line.startswith("[")
    assert "\x1b" not in line


async def test_command_has_colours_on_a_terminal(wire: Any, keys: Any, tmp_path: Path) -> None:
    server, _, _ = await wire.server(keys)
    env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "BLUPOW_KEY")}
    env |= {"TERM": "xterm"} | ({"BLUPOW_KEY": key} if (key := psk(keys)) else {})
    argv = [sys.executable, "-m", "blupow_proxy", "logs", f"127.0.0.1:{server.port}"]
    async with on_terminal(argv, tmp_path, env) as screen:
        expecting = asyncio.create_task(screen.expect("[E][a:1]: trouble"))
        while not expecting.done():
            server.log(ERROR, "[E][a:1]: trouble")
            await asyncio.wait([expecting], timeout=0.05)
        await expecting
        assert "\x1b[1;31m[E][a:1]: trouble\x1b[0m" in screen.raw
        screen.type(CTRL_C)
        assert await screen.ended() == 0


@pytest.mark.parametrize(
    ("mode", "key", "code", "message"),
    [
        (None, None, 77, b"the device needs its key"),
        (None, OTHER_KEY, 77, b"the key is not this device's"),
        (Mode.PLAINTEXT, OTHER_KEY, 77, b"the device does not use encryption"),
    ],
)
async def test_key_troubles(
    wire: Any, make_keys: Any, mode: Mode | None, key: str | None, code: int, message: bytes
) -> None:
    keys = make_keys(KEY) if mode is None else make_keys(mode=mode, changeable=False)
    server, _, _ = await wire.server(keys)
    process = await logs(f"127.0.0.1:{server.port}", key=key)
    out, err = await process.communicate()
    assert (process.returncode, out) == (code, b"")
    assert message in err
    assert OTHER_KEY.encode() not in err


def test_nothing_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", f"127.0.0.1:{ports.free_port()}"]) == 69
    assert "cannot connect to 127.0.0.1" in capsys.readouterr().err


def test_a_key_that_is_none(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLUPOW_KEY", "hunter2")
    assert main(["logs", "127.0.0.1"]) == 64
    err = capsys.readouterr().err
    assert "BLUPOW_KEY: not a key" in err
    assert "hunter2" not in err
    with pytest.raises(SystemExit) as stop:
        main(["logs", "127.0.0.1", "--level", "loud"])
    assert stop.value.code == 64
