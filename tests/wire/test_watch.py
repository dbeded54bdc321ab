"""The client and ``watch`` against our server, in plaintext and Noise."""

import asyncio
import io
import itertools
import json
import os
import signal
import socket
import sys
import termios
import threading
from argparse import ArgumentTypeError
from typing import Any

import ports
import pytest
from aioesphomeapi import (
    ClimateInfo,
    ClimateMode,
    ClimateState,
    CoverInfo,
    CoverState,
    DateInfo,
    DateState,
    DateTimeInfo,
    DateTimeState,
    EntityInfo,
    EntityState,
    Event,
    EventInfo,
    LockEntityState,
    LockInfo,
    LockState,
    MediaPlayerEntityState,
    NumberInfo,
    NumberState,
    SensorInfo,
    SensorState,
    TextInfo,
    TextMode,
    TextSensorInfo,
    TextSensorState,
    TextState,
    TimeInfo,
    TimeState,
    UpdateInfo,
    UpdateState,
)
from rich.console import Console

from blupow_proxy.cli import build_parser
from blupow_proxy.client import Group, KeyRefusedError, Row, Snapshot, UnreachableError, Watcher, render
from blupow_proxy.client.states import read
from blupow_proxy.commands.device import parse_key, parse_target
from blupow_proxy.native_api import Mode, encode_key
from blupow_proxy.server import ApiServer

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def psk(keys: Any) -> str | None:
    return None if keys.key is None else encode_key(keys.key)


def rows(snapshot: Snapshot) -> dict[str, Row]:
    return {f"{row.device}/{row.name}": row for row in snapshot.rows}


async def test_table_of_a_device(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    async with Watcher("127.0.0.1", server.port, psk(keys)) as watcher:
        assert await watcher.wait_complete(5)
        snapshot = watcher.table()
    assert (snapshot.name, snapshot.friendly_name, snapshot.api_version) == ("host-all", "Host All", "1.19")
    assert snapshot.encrypted is (keys.key is not None)
    assert snapshot.connected
    assert [group.name for group in snapshot.groups] == ["Inverter 1", "Inverter 2", "Host All"]
    assert {name: row.shown for name, row in rows(snapshot).items() if row.kind != "button"} == {
        "Inverter 1/Link": "connected",
        "Inverter 1/Battery Voltage": "13.2 V",
        "Inverter 1/Output": "off",
        "Inverter 1/Model": "RIV1220",
        "Inverter 2/Battery Voltage": "-",
        "Host All/Energy": "1.500 kWh",
        "Host All/Assumed": "off",
        "Host All/Poll": "30 s",
        "Host All/Mode": "ECO",
    }
    volts = rows(snapshot)["Inverter 1/Battery Voltage"]
    assert (volts.value, volts.key, volts.unit, volts.missing) == (13.2, "battery_voltage", "V", False)
    assert rows(snapshot)["Inverter 2/Battery Voltage"].missing


async def test_json_document(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    async with Watcher("127.0.0.1", server.port, psk(keys)) as watcher:
        await watcher.wait_complete(5)
        document = json.loads(json.dumps(watcher.table().to_json(), allow_nan=False))
    assert document["name"] == "host-all"
    assert document["entities_with_values"] == 8
    assert {"name": "Battery Voltage", "key": "battery_voltage", "kind": "sensor", "value": None, "unit": "V"} in (
        document["devices"][1]["entities"]
    )


async def test_changes_are_told(wire: Any, keys: Any) -> None:
    server, node, entities = await wire.server(keys)
    heard: list[Row | None] = []
    async with Watcher("127.0.0.1", server.port, psk(keys), on_change=heard.append) as watcher:
        await watcher.wait_complete(5)
        heard.clear()
        node.set_state(entities["volts1"], 14.6)
        assert await watcher.wait_for(lambda: bool(heard), 5)
    assert [row.line for row in heard if row] == ["Inverter 1 / Battery Voltage = 14.6 V"]


async def test_restarted_device_is_found_again(wire: Any, keys: Any) -> None:
    server, node, _ = await wire.server(keys)
    async with Watcher("127.0.0.1", server.port, psk(keys)) as watcher:
        await watcher.wait_complete(5)
        await server.stop()
        assert await watcher.wait_for(lambda: not watcher.connected, 5)
        assert not watcher.complete
        assert not watcher.table().connected
        assert rows(watcher.table())["Inverter 1/Battery Voltage"].shown == "-"
        assert await watcher.wait_for(lambda: watcher.failure is not None, 5)
        again = ApiServer(node, keys, host="127.0.0.1", port=server.port)
        await again.start()
        try:
            assert await watcher.wait_complete(5)
            assert watcher.failure is None
        finally:
            await again.stop()


async def test_states_that_never_come(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    async with Watcher("127.0.0.1", server.port, psk(keys)) as watcher:
        assert not await watcher.wait_for(lambda: False, 0.01)


@pytest.mark.parametrize(
    ("mode", "key", "message"),
    [
        (Mode.ENCRYPTED, None, "--key"),
        (Mode.ENCRYPTED, OTHER_KEY, "not this device's"),
        (Mode.PLAINTEXT, KEY, "leave the key out"),
    ],
)
async def test_key_troubles(wire: Any, make_keys: Any, mode: Mode, key: bytes | None, message: str) -> None:
    server, _, _ = await wire.server(make_keys(KEY) if mode is Mode.ENCRYPTED else make_keys(mode=mode))
    with pytest.raises(KeyRefusedError, match=message):
        async with Watcher("127.0.0.1", server.port, encode_key(key) if key else None):
            pass


async def test_nothing_listens(free_port: int) -> None:
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{free_port}"):
        async with Watcher("127.0.0.1", free_port):
            pass


async def test_silent_device() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(UnreachableError, match="no answer"):
        async with Watcher("127.0.0.1", mute.getsockname()[1], connect_s=0.1):
            pass


async def test_name_that_dns_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(UnreachableError, match="no address is known for van"):
        async with Watcher("van.example.org"):
            pass


async def test_name_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait() and [])
    try:
        with pytest.raises(UnreachableError, match="no answer"):
            async with Watcher("van.example.org", connect_s=0.1):
                pass
    finally:
        release.set()


async def test_name_that_dns_knows(wire: Any, keys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server, _, _ = await wire.server(keys)
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    async with Watcher("van.example.org", server.port, psk(keys)) as watcher:
        assert await watcher.wait_complete(5)


@pytest.fixture
def free_port() -> int:
    return ports.free_port()


async def command(
    *arguments: str, key: str | None = None, stdout: int = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    environment = {name: value for name, value in os.environ.items() if name != "BLUPOW_KEY"}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "blupow_proxy",
        "watch",
        *arguments,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment | {"TERM": "xterm"} | ({"BLUPOW_KEY": key} if key else {}),
    )


async def test_command_prints_once(wire: Any, keys: Any) -> None:
    server, _, _ = await wire.server(keys)
    target = f"127.0.0.1:{server.port}"
    process = await command(target, "--once", key=psk(keys))
    out, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")
    assert "Inverter 1 / Battery Voltage = 13.2 V" in out.decode().splitlines()
    given = ("--key", psk(keys) or "") if keys.key else ()
    process = await command(target, "--json", *given)
    out, _ = await process.communicate()
    assert json.loads(out)["entities_with_values"] == 8


async def test_command_prints_changes_until_interrupted(wire: Any, keys: Any) -> None:
    server, node, entities = await wire.server(keys)
    process = await command(f"127.0.0.1:{server.port}", key=psk(keys))
    assert process.stdout is not None
    async with asyncio.timeout(20):
        first = [await process.stdout.readline() for _ in range(9)]
        assert b"Host All / Mode = ECO\n" in first
        node.set_state(entities["volts1"], 14.6)
        assert await process.stdout.readline() == b"Inverter 1 / Battery Voltage = 14.6 V\n"
    process.send_signal(signal.SIGINT)
    async with asyncio.timeout(1):
        out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.parametrize("once", [False, True], ids=["live", "once"])
async def test_command_draws_on_a_terminal(wire: Any, keys: Any, once: bool) -> None:
    server, _, _ = await wire.server(keys)
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    arrived = asyncio.Event()
    drawn = bytearray()

    def readable() -> None:
        try:
            drawn.extend(os.read(master, 65536))
        except OSError:  # the terminal's other end is closed
            asyncio.get_running_loop().remove_reader(master)
        if b"13.2 V" in drawn:
            arrived.set()

    asyncio.get_running_loop().add_reader(master, readable)
    try:
        options = ["--once"] if once else []
        process = await command(f"127.0.0.1:{server.port}", *options, key=psk(keys), stdout=slave)
        os.close(slave)
        async with asyncio.timeout(20):
            await arrived.wait()
        if not once:
            process.send_signal(signal.SIGINT)
        async with asyncio.timeout(1):
            _, err = await process.communicate()
    finally:
        asyncio.get_running_loop().remove_reader(master)
        os.close(master)
    assert (process.returncode, err) == (0, b"")
    assert b"Inverter 1" in drawn


async def test_command_whose_reader_leaves(wire: Any, keys: Any) -> None:
    server, node, entities = await wire.server(keys)
    reader, writer = os.pipe()
    process = await command(f"127.0.0.1:{server.port}", key=psk(keys), stdout=writer)
    os.close(writer)
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(None, os.read, reader, 1)
    os.close(reader)
    volts = itertools.count()
    async with asyncio.timeout(20):
        while process.returncode is None:
            node.set_state(entities["volts1"], float(next(volts)))
            await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.1)
        _, err = await process.communicate()
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize(
    ("key", "code", "message"),
    [(None, os.EX_NOPERM, "--key"), (encode_key(OTHER_KEY), os.EX_NOPERM, "not this device's"), ("x", os.EX_USAGE, "")],
)
async def test_command_with_key_trouble(wire: Any, make_keys: Any, key: str | None, code: int, message: str) -> None:
    server, _, _ = await wire.server(make_keys(KEY))
    process = await command(f"127.0.0.1:{server.port}", "--once", key=key)
    out, err = await process.communicate()
    assert (process.returncode, out) == (code, b"")
    assert message in err.decode()
    assert err.count(b"\n") == 1


async def test_command_with_nothing_there(free_port: int) -> None:
    process = await command(f"127.0.0.1:{free_port}", "--once")
    out, err = await process.communicate()
    assert (process.returncode, out) == (os.EX_UNAVAILABLE, b"")
    assert err.count(b"\n") == 1


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("van", ("van", 6053)),
        ("192.0.2.7:6054", ("192.0.2.7", 6054)),
        ("[fd00::5]", ("fd00::5", 6053)),
        ("[fd00::5]:1", ("fd00::5", 1)),
    ],
)
def test_target(text: str, target: tuple[str, int]) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize("text", ["fd00::5", "[fd00::5", "[::1]6053", "", ":1", "van:", "van:x", "van:0", "van:65536"])
def test_target_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        parse_target(text)


@pytest.mark.parametrize("text", ["", "secret", "AAAA", "é" * 44])
def test_key_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="not a key: 44 characters"):
        parse_key(text)
    assert parse_key(encode_key(KEY)) == encode_key(KEY)


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        build_parser().parse_args(["watch", "::1"])
    assert stop.value.code == 64
    assert "[::1]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("info", "state", "value", "text"),
    [
        (SensorInfo(accuracy_decimals=2), SensorState(state=13.199999809), 13.2, "13.20"),
        (SensorInfo(accuracy_decimals=0), SensorState(state=63.6), 64, "64"),
        (SensorInfo(accuracy_decimals=-1), SensorState(state=64.0), 64, "64"),
        (SensorInfo(), SensorState(state=float("nan")), None, "-"),
        (SensorInfo(), SensorState(missing_state=True), None, "-"),
        (SensorInfo(), None, None, "-"),
        (NumberInfo(), NumberState(state=0.5), 0.5, "0.5"),
        (NumberInfo(), NumberState(state=float("inf")), None, "-"),
        (TextSensorInfo(), TextSensorState(state="a\x1b[2Jb\n"), "a [2Jb", "a [2Jb"),
        (TextSensorInfo(device_class="timestamp"), TextSensorState(state="soon"), "soon", "soon"),
        (TextInfo(mode=TextMode.PASSWORD), TextState(state="x"), "x", "********"),
        (CoverInfo(), CoverState(position=0.5), "50% open", "50% open"),
        (LockInfo(), LockEntityState(state=LockState.LOCKED), "locked", "locked"),
        (ClimateInfo(), ClimateState(mode=ClimateMode.HEAT, current_temperature=21.0), None, "heat, 21.0 °C"),
        (ClimateInfo(), ClimateState(mode=ClimateMode.OFF, current_temperature=float("nan")), "off", "off"),
        (DateInfo(), DateState(year=2026, month=1, day=2), "2026-01-02", "2026-01-02"),
        (TimeInfo(), TimeState(hour=1, minute=2, second=3), "01:02:03", "01:02:03"),
        (DateTimeInfo(), DateTimeState(epoch_seconds=0), "1970-01-01T00:00:00+00:00", "1970-01-01T00:00:00+00:00"),
        (EventInfo(), Event(event_type="press"), "press", "press"),
        (UpdateInfo(), UpdateState(current_version="1.2"), "1.2", "1.2"),
        (EntityInfo(), EntityState(), None, "-"),
        (EntityInfo(), MediaPlayerEntityState(), "none", "none"),
    ],
)
def test_values(info: EntityInfo, state: EntityState | None, value: object, text: str) -> None:
    got = read(info, state)
    assert got == ((text if value is None and text != "-" else value), text)


def test_instant_in_local_time() -> None:
    info, state = TextSensorInfo(device_class="timestamp"), TextSensorState(state="2026-11-24T12:36:22+00:00")
    value, text = read(info, state)
    assert value == state.state
    assert len(text) == 19
    assert ":36:22" in text


def large() -> Snapshot:
    """Five devices and more than a hundred entities."""
    groups = []
    for number in range(1, 6):
        device = f"Device {number}"
        names = [*(f"Cell voltage {n}" for n in range(1, 17)), "Battery voltage", "State of charge", "Status"]
        found = [row(device, name, device_class=_class(name)) for name in names]
        found.append(row(device, "Link", kind="binary_sensor", value=True, text="connected", category="diagnostic"))
        found.insert(0, row(device, "Model", value="RBT100LFP12S-G1 " * 3, category="diagnostic"))
        found.append(row(device, "Restart", kind="button", value=None))
        groups.append(Group(device, tuple(found)))
    return Snapshot(
        name="van", friendly_name="Van", api_version="1.19", encrypted=True, connected=True, groups=tuple(groups)
    )


def row(device: str, name: str, **changes: Any) -> Row:
    given = {"kind": "sensor", "value": 13.2, "unit": "", "key": name} | changes
    return Row(device=device, name=name, **({"text": str(given["value"])} | given))


def _class(name: str) -> str:
    return "battery" if "charge" in name else "voltage" if "voltage" in name else ""


def drawn(snapshot: Snapshot, width: int, height: int, **options: Any) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, force_terminal=True)
    console.print(render(snapshot, **options))
    return console.export_text().splitlines()


@pytest.mark.parametrize("size", [(80, 24), (160, 50), (120, 30)])
def test_table_fits_the_terminal(size: tuple[int, int]) -> None:
    lines = drawn(large(), *size, note="Ctrl-C ends")
    assert len(lines) < size[1]
    assert max(map(len, lines)) <= size[0]
    text = "\n".join(lines)
    assert all(text.count(f"Device {number} ─") == 1 for number in range(1, 6))
    assert text.count("State of charge") == 5
    assert text.count("Battery voltage") == 5
    assert "Restart" not in text
    assert lines[0].startswith("Van  5 devices, 110 entities")
    assert lines[-1] == "Ctrl-C ends"


def test_table_says_what_it_leaves_out() -> None:
    text = "\n".join(drawn(large(), 80, 24))
    assert text.count(" more") == 5
    assert "more" not in "\n".join(drawn(large(), 80, 24, cut=False))


def test_diagnostics_stand_last() -> None:
    lines = drawn(large(), 40, 24, cut=False)
    first = lines[: lines.index("")] if "" in lines else lines
    names = [line.split("  ")[0].strip() for line in first]
    assert names.index("Status") < names.index("Model") < names.index("Link")


def test_colours_of_alerts() -> None:
    found = (
        row("A", "Problem", kind="binary_sensor", value=True, text="problem", device_class="problem"),
        row("A", "Link", kind="binary_sensor", value=True, text="connected", device_class="connectivity"),
        row("A", "Gone", value=None, text="-"),
    )
    snapshot = Snapshot(
        name="a",
        friendly_name="A",
        api_version="1.19",
        encrypted=False,
        connected=False,
        groups=(Group("A", found),),
    )
    console = Console(width=80, height=24, file=io.StringIO(), record=True, force_terminal=True)
    console.print(render(snapshot))
    text = console.export_text(styles=True)
    assert "\x1b[1;31mproblem" in text
    assert "\x1b[32mconnected" in text
    assert "\x1b[2m-" in text
    assert "connection lost" in text


def test_device_without_entities_and_tiny_terminal() -> None:
    nothing = Snapshot(name="a", friendly_name="A", api_version="1", encrypted=False, connected=True, groups=())
    assert drawn(nothing, 80, 24)[0].startswith("A  0 devices")
    assert all(len(line) <= 20 for line in drawn(large(), 20, 5))
