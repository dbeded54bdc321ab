"""S3, S4, S8, S9: the process and who watches over it."""

import asyncio
import gc
import itertools
import os
import random
import signal
import socket
import subprocess
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from aioesphomeapi import APIClient, ButtonInfo, TextSensorInfo, TextSensorState
from ports import free_port
from service import END_S, PROGRAM, SIMULATED, WATCHDOG_S, Service, configuration, service

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.ble import link
from blupow_proxy.host import boots
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.storage import Storage
from conftest import Measured

ROVER = "renogy:\n  - {address: C4:D3:6A:00:00:01, name: Rover}\n"
TIMES = 188  # in one process
TIMES_FOR_REAL = 12
AT_ONCE = 12  # so many proxies side by side
LEARNED_S = 8.0  # until what was found out of a unit is kept
QUIET_S = 15.0
LONGEST_S = 3.0  # until all is read, even with a dozen of them side by side


def fed(proxy: Service, since: float) -> int:
    return sum(message == "WATCHDOG=1" and at > since for at, message in proxy.told)


@pytest.mark.fault("S3")
@pytest.mark.parametrize("fault", ["loop", "reader"])
def test_the_watchdog_goes_hungry(tmp_path: Path, measured: Measured, fault: str) -> None:
    port = free_port()
    file = configuration(tmp_path, port, ROVER)
    with service(tmp_path, fault, "run", str(file), "--state-dir", str(tmp_path / "s"), program=SIMULATED) as proxy:
        proxy.hear("READY=1")
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        proxy.listen(1.5)
        assert fed(proxy, 0) >= 2, "it is fed while all is well"
        proxy.listen(3 * WATCHDOG_S)  # it wedges within 2 s
        begun = time.monotonic()
        proxy.listen(2 * WATCHDOG_S)
        measured(f"fed after the {fault} wedged", fed(proxy, begun), 0, "times")
        if fault == "reader":
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            assert any("Rover: reading is stuck" in message for _, message in proxy.told)
        code, _, said = proxy.end(signal.SIGABRT)  # as systemd does
        assert code == -signal.SIGABRT
        assert "Fatal Python error: Aborted" in said
        assert ("in wedge" in said) is (fault == "loop"), "the log tells where it was stuck"


@pytest.mark.fault("S3")
def test_patience_is_no_wedge(tmp_path: Path, measured: Measured) -> None:
    """No Bluetooth, nothing but waiting: the watchdog is fed, the state is told once."""
    file = configuration(tmp_path, free_port(), ROVER)
    with service(tmp_path, "run", str(file), "--state-dir", str(tmp_path / "s")) as proxy:
        proxy.hear("READY=1")
        proxy.listen(3 * WATCHDOG_S)
        food = [at for at, message in proxy.told if message == "WATCHDOG=1"]
        measured("longest hunger of a healthy one", max(b - a for a, b in itertools.pairwise(food)), WATCHDOG_S)
        states = [message for _, message in proxy.told if message.startswith("STATUS=")]
        assert len(states) == len(set(states))
        assert states[-1].startswith("STATUS=0 of 1 units connected; Rover: ")
        assert proxy.end()[0] == 0
        proxy.listen(0.1)
        assert proxy.told[-1][1] == "STOPPING=1"


def simulated_config() -> ProxyConfig:
    return ProxyConfig(
        esphome=EsphomeConfig(name="shed", friendly_name="Shed"),
        api=ApiConfig(port=0, key=bytes(32)),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=(UnitConfig(id="rover", address=demo_units()[0].address, name="Rover"),),
    )


def phase(proxy: Proxy) -> str:
    (poller,) = proxy.pollers
    if poller.link is None:
        return "starting"
    if poller.link.rssi is None:
        return "scanning"
    if poller.link._client is None:
        return "connecting"
    return "reading" if poller.units[0].connected else "handshake"


class Endings:
    """Proxies that are told to end, and how they did."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.slowest_s = 0.0
        self.phases: dict[str, int] = {}
        self.links_left = 0
        self.untold_clients = 0

    async def one(self, number: int, after_s: float, *, with_client: bool) -> None:
        unit = demo_units()[0]
        unit.latency_s = 0.0
        told: list[bool] = []
        async with VirtualRadio([unit]) as radio:
            storage = Storage(self.folder / str(number))
            proxy = Proxy(simulated_config(), Surroundings(storage=storage, adapter=radio.adapter, host="127.0.0.1"))
            await proxy.start()
            serving = asyncio.create_task(proxy.serve())
            client = None
            if with_client:
                psk = b64encode(bytes(32)).decode()
                client = APIClient("127.0.0.1", proxy.server.port, None, noise_psk=psk)

                async def on_stop(expected: bool) -> None:
                    told.append(expected)

                await client.connect(on_stop=on_stop, login=True)
            await asyncio.sleep(after_s)
            here = phase(proxy)
            self.phases[here] = self.phases.get(here, 0) + 1
            started = time.monotonic()
            proxy.stop()
            await serving
            self.slowest_s = max(self.slowest_s, time.monotonic() - started)
            self.links_left += len(radio.central.connections)
            if client is not None:
                for _ in range(100):
                    if told:
                        break
                    await asyncio.sleep(0.01)
                self.untold_clients += told != [True]


@pytest.mark.fault("S4")
async def test_told_to_end_at_any_moment(
    tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(link, "WAKE_S", 0.0)
    monkeypatch.setattr(link, "QUIET_S", 0.1)
    unhandled: list[dict[str, Any]] = []

    def unhandled_by_us(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # the emulated controller asserts that whom it sends to is still there
        if "Host.on_packet" not in context["message"]:
            unhandled.append(context)

    asyncio.get_running_loop().set_exception_handler(unhandled_by_us)
    before = asyncio.all_tasks()
    endings = Endings(tmp_path)
    dice = random.Random(4)  # noqa: S311
    free = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with free:
            # most of what happens happens at first
            await endings.one(number, LONGEST_S * dice.random() ** 3, with_client=number % 4 == 0)

    await asyncio.gather(*(one(number) for number in range(TIMES)))
    await asyncio.sleep(0.1)
    gc.collect()
    assert not unhandled
    assert "Task was destroyed" not in caplog.text
    assert asyncio.all_tasks() == before
    assert min(endings.phases.get(name, 0) for name in ("scanning", "connecting", "handshake", "reading")) >= 3, (
        endings.phases
    )
    measured("told to end, in one process", TIMES, 188, "times", at_least=True)
    measured("slowest end", endings.slowest_s, END_S)
    measured("links left", endings.links_left, 0, "")
    measured("clients not told", endings.untold_clients, 0, "")


def catches(pid: int, number: int) -> bool:
    """Whether the program's own code handles a signal already: the interpreter's start is not ours."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt:")]
    return bool(int(line.split()[1], 16) >> (number - 1) & 1)


@pytest.mark.fault("S4")
def test_signals_to_real_processes(tmp_path: Path, measured: Measured) -> None:
    dice = random.Random(40)  # noqa: S311
    plans = [(number, dice.uniform(0, 4)) for number in range(TIMES_FOR_REAL)]

    def one(plan: tuple[int, float]) -> float:
        number, after_s = plan
        folder = tmp_path / str(number)
        folder.mkdir()
        file = configuration(folder, free_port(), ROVER)
        arguments = ("none", "run", str(file), "--state-dir", str(folder / "s"))
        with service(folder, *arguments, program=SIMULATED) as proxy:
            while not catches(proxy.process.pid, signal.SIGTERM):
                time.sleep(0.005)
            time.sleep(after_s)
            code, took_s, said = proxy.end((signal.SIGTERM, signal.SIGINT)[number % 2])
        assert code == 0, said
        for trace in ("Traceback", "Task was destroyed", "never retrieved", "links left: 1"):
            assert trace not in said, said
        return took_s

    with ThreadPoolExecutor(3) as pool:
        slowest = max(pool.map(one, plans))
    measured("told to end, real processes", TIMES_FOR_REAL, 12, "times", at_least=True)
    measured("slowest end of a process", slowest, END_S)


RIGHT = "esphome: {name: shed}\n"
UNIT = RIGHT + "renogy:\n  - address: C4:D3:6A:00:00:01\n    name: Rover\n"
MISTAKES = {  # what is in the file: what the line names beside the file
    "": "empty",
    "just a text": "expected options",
    "- a\n- list\n": "expected options",
    "esphome: {name: shed": "not valid YAML",
    "esphome:\n\tname: shed\n": "not valid YAML",
    "api: {port: 6053}\n": "esphome: is required",
    "esphome: {}\n": "esphome.name: is required",
    "esphome: shed\n": "esphome: expected options",
    "esphome: {name: Shed with a roof}\n": "esphome.name:",
    "esphome: {name: shed, frendly_name: Shed}\n": "esphome.frendly_name:",
    RIGHT + "esphome: {name: shed}\n": "not valid YAML",
    RIGHT + "apy: {port: 6053}\n": "apy:",
    RIGHT + "api: {port: 0}\n": "api.port:",
    RIGHT + "api: {port: 65536}\n": "api.port:",
    RIGHT + "api: {port: six}\n": "api.port:",
    RIGHT + "api: {encryption: {key: short}}\n": "api.encryption.key:",
    RIGHT + "api: {encryption: maybe}\n": "api.encryption:",
    RIGHT + "api: {encryption: {key: !secret api_key}}\n": "api.encryption.key: there is no secret",
    RIGHT + "api: {password: hunter2}\n": "api.password:",
    RIGHT + "bluetooth: {adapter: usb}\n": "bluetooth.adapter:",
    RIGHT + "zeroconf: {disabled: perhaps}\n": "zeroconf.disabled:",
    RIGHT + "zeroconf: {esphome: sometimes}\n": "zeroconf.esphome:",
    RIGHT + "logger: {level: LOUD}\n": "logger.level:",
    RIGHT + "renogy: C4:D3:6A:00:00:01\n": "renogy: expected a list",
    RIGHT + "renogy:\n  - name: Rover\n": "renogy.0.address: is required",
    RIGHT + "renogy:\n  - address: C4:D3:6A:00:00:01\n": "renogy.0.name: is required",
    RIGHT + "renogy:\n  - {address: C4:D3:6A, name: Rover}\n": "renogy.0.address:",
    UNIT + "    family: toaster\n": "renogy.0.family:",
    UNIT + "    variant: deluxe\n    family: battery\n": "renogy.0.variant:",
    UNIT + "    modbus_address: 300\n": "renogy.0.modbus_address:",
    UNIT + "    update_interval: 1ms\n": "renogy.0.update_interval:",
    UNIT + "    load_switch: 7\n": "renogy.0.load_switch:",
    UNIT + "  - address: C4:D3:6A:00:00:01\n    name: Rover again\n": "renogy.1",
    UNIT + "    name: !include rover.yaml\n": "not valid YAML",
    "esphome: !include shed.yaml\n": "esphome: shed.yaml: there is no shed.yaml",
    "x" * 1_000_001: "too large",
}


@pytest.mark.fault("S8")
def test_mistakes_in_the_configuration(tmp_path: Path, measured: Measured) -> None:
    def one(numbered: tuple[int, str]) -> tuple[str, subprocess.CompletedProcess[str]]:
        number, text = numbered
        file = tmp_path / f"{number}.yaml"
        file.write_text(text)
        command = [*PROGRAM, "run", str(file), "--state-dir", str(tmp_path / "s")]
        return str(file), subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(one, enumerate(MISTAKES)))
    told = 0
    for (file, process), (text, expected) in zip(done, MISTAKES.items(), strict=True):
        lines = process.stderr.splitlines()
        assert process.returncode == 78, (text[:80], process.stderr)
        assert len(lines) == 1, process.stderr
        assert lines[0].startswith(file), lines
        assert expected in lines[0], (expected, lines)
        assert not process.stdout
        told += 1
    assert not (tmp_path / "s").exists(), "nothing is begun before the configuration is right"
    measured("mistakes told in a line each", told, 30, "", at_least=True)


@pytest.mark.fault("S8")
@pytest.mark.parametrize("content", ["", "{}", '{"key": "short"}', "\0\0\0"])
def test_a_key_file_that_is_damaged_lets_nobody_in(tmp_path: Path, content: str) -> None:
    file = configuration(tmp_path, free_port())
    file.write_text(file.read_text().replace(", encryption: false", ""))
    state = tmp_path / "s"
    state.mkdir()
    (state / "key.json").write_text(content)
    with service(tmp_path, "run", str(file), "--state-dir", str(state)) as proxy:
        proxy.hear("READY=1")
        code, _, said = proxy.end()
    assert code == 0
    assert "The stored key is damaged and nobody can connect: run `blupow-proxy pair FILE --forget`" in said
    assert "Traceback" not in said


@pytest.mark.fault("S9")
async def test_a_crash_loop_ends_in_safe_mode(tmp_path: Path, measured: Measured) -> None:
    port = free_port()
    file = configuration(tmp_path, port, ROVER)
    arguments = ("run", str(file), "--state-dir", str(tmp_path / "s"))
    for _ in range(boots.CRASHES):
        with service(tmp_path, "start", *arguments, program=SIMULATED) as proxy:
            said = proxy.hear("STATUS=")
            assert proxy.process.wait(timeout=10) == 1
        assert said.startswith("STATUS=crashed: ZeroDivisionError: a wheel came off in simulated_run.py, line "), said
    measured("crashes before safe mode", boots.CRASHES, 10, "")
    # what crashed would crash now if it was used: nothing of Bluetooth is
    with service(tmp_path, "none", *arguments, program=SIMULATED) as proxy:
        proxy.hear("READY=1")
        status = proxy.hear("STATUS=")
        assert "safe mode after 5 crashes in a row, the last: ZeroDivisionError: a wheel came off" in status
        client = APIClient("127.0.0.1", port, None)
        await client.connect(login=True)
        entities, _ = await client.list_entities_services()
        (restart,) = [entity for entity in entities if isinstance(entity, ButtonInfo)]
        (shown,) = [
            entity for entity in entities if isinstance(entity, TextSensorInfo) and "adapter" in entity.object_id
        ]
        said_on_the_wire: asyncio.Future[str] = asyncio.get_running_loop().create_future()

        def received(state: Any) -> None:
            if isinstance(state, TextSensorState) and state.key == shown.key and not said_on_the_wire.done():
                said_on_the_wire.set_result(state.state)

        client.subscribe_states(received)
        async with asyncio.timeout(5):
            assert "safe mode after 5 crashes" in await said_on_the_wire
        proxy.told.clear()
        proxy.listen(2 * WATCHDOG_S)
        assert fed(proxy, 0) >= 2, "it is a service that works"
        client.button_command(restart.key)
        pid = proxy.process.pid
        proxy.hear("RELOADING=1")
        proxy.hear("READY=1")
        assert "0 of 1 units connected; Rover: " in proxy.hear("STATUS=0 of 1 units connected")
        assert proxy.process.pid == pid
        await client.disconnect(force=True)
        code, _, said = proxy.end()
    assert code == 0
    assert said.count("safe mode after") == 1, "once in the log"
    assert not (tmp_path / "s" / "boots.json").exists()


def test_a_reload_takes_a_right_configuration_and_no_other(tmp_path: Path) -> None:
    file = configuration(tmp_path, free_port())
    with service(tmp_path, "run", str(file), "--state-dir", str(tmp_path / "s")) as proxy:
        proxy.hear("STATUS=no units to read")
        pid = proxy.process.pid

        def change(text: str) -> None:
            file.write_text(text)
            proxy.told.clear()
            proxy.process.send_signal(signal.SIGHUP)

        right = file.read_text()
        change(right + "renogy: 7\n")
        status = proxy.hear("STATUS=")
        assert status.startswith(
            f"STATUS=not reloaded, the configuration before is in use: {file}:4:9: renogy: expected"
        )
        change(right)
        assert proxy.hear("STATUS=") == "STATUS=no units to read"
        proxy.listen(WATCHDOG_S)
        assert not any("RELOADING" in message for _, message in proxy.told), "nothing has changed"
        change(right + ROVER)
        assert proxy.hear("RELOADING=1").startswith("RELOADING=1\nMONOTONIC_USEC=")
        proxy.hear("READY=1")
        assert proxy.hear("STATUS=").startswith("STATUS=0 of 1 units connected; Rover: ")
        assert proxy.process.pid == pid
        code, _, said = proxy.end()
    assert code == 0
    assert "Not reloaded: " in said
    assert "has not changed" in said
    assert "has changed: starting anew with it" in said


def test_who_closes_the_terminal_ends_the_proxy(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    file = configuration(tmp_path, free_port())
    command = [*PROGRAM, "run", str(file), "--state-dir", str(tmp_path / "s")]
    with subprocess.Popen(command, stdin=theirs, stderr=subprocess.PIPE, text=True) as process:
        while not catches(process.pid, signal.SIGHUP):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        assert process.wait(timeout=END_S) == 0
    os.close(ours)
    os.close(theirs)


def test_nothing_is_written_to_the_disk_while_it_runs(tmp_path: Path) -> None:
    """Of the ten minutes that were looked at by hand, the part that a test can wait for."""
    config = configuration(tmp_path, free_port(), ROVER)
    with service(
        tmp_path, "none", "run", str(config), "--state-dir", str(tmp_path / "state"), program=SIMULATED
    ) as one:
        one.hear("1 of 1 units connected")
        one.listen(LEARNED_S)
        before = written(one.process.pid)
        one.listen(QUIET_S)
        assert written(one.process.pid) == before
        one.end()


def written(pid: int) -> int:
    """Return the bytes that a process has had written to a disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))
