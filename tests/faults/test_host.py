"""What the machine does to the proxy: its clock, its scheduler, its power, its disk, its limits."""

import asyncio
import contextlib
import json
import logging
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from client import Client
from ports import free_port
from processes import UNITS, ProxyProcess
from rig import Rig, booted
from simulated import configuration, running, units
from waiting import until

from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.storage import Storage
from conftest import Measured
from proxy import Proxy as RadioProxy
from proxy import Watcher

HOME: Final = "127.0.0.1"
FOUND_S: Final = 40.0
YEAR_S: Final = 365 * 86400
STEPS_S: Final = (10 * YEAR_S, -3600, -20 * YEAR_S, 10 * YEAR_S + 3600, 90)
STEP_S: Final = 12.0  # watched after each
WRITE_LOOP: Final = Path(__file__).with_name("write_loop.py")
CONNECTED_AGAIN: Final = ": connected again"  # of a unit, in the log; that values got old is no lost link
MOUNTED: Final = ("unshare", "--mount", "--propagation", "private", "sh", "-ec")


class Machine:
    """A guest with everything in it and a client outside, which counts what the proxy does."""

    def __init__(self, rig: Rig, watcher: Watcher) -> None:
        self.rig = rig
        self.watcher = watcher

    async def requests(self) -> dict[str, int]:
        """Return how many requests each unit has seen."""
        seen = (await self.rig.room("state"))["units"]
        return {address: unit["requests"] for address, unit in seen.items() if unit["requests"]}

    async def polls(self, seconds: float) -> dict[str, float]:
        """Return the requests a second to each unit during some time, measured by this machine's clock."""
        before, start = await self.requests(), time.monotonic()
        await asyncio.sleep(seconds)
        after, took = await self.requests(), time.monotonic() - start
        return {address: (after[address] - before[address]) / took for address in before}

    async def step_clock(self, seconds: int) -> None:
        """Set the guest's clock, forward or back."""
        now = int(await self.rig.run("date", "+%s"))
        await self.rig.run("date", "--set", f"@{now + seconds}")
        assert abs(int(await self.rig.run("date", "+%s")) - now - seconds) < 5


@contextlib.asynccontextmanager
async def machine(folder: Path) -> AsyncIterator[Machine]:
    """Boot a small machine with a real bluetoothd, and have all of the demo's units linked and read."""
    async with booted(folder) as rig:
        await rig.populate(adapters=1, units="demo", speed=10.0)
        proxy = RadioProxy(rig, UNITS)
        await proxy.start()
        async with Watcher() as watcher:
            await watcher.until_read(UNITS, 90.0)
            await asyncio.sleep(5)  # what is read once
            yield Machine(rig, watcher)


# S1


@pytest.mark.fault("S1")
async def test_the_clock_steps(tmp_path: Path, measured: Measured) -> None:
    """The whole machine's clock, as an administrator, or a time server's first answer, sets it."""
    async with machine(tmp_path) as host:
        usual = await host.polls(20.0)
        watcher = host.watcher
        lost, goodbyes, early, late, off_s, slowest = watcher.lost, watcher.goodbyes, 0.0, 0.0, 0.0, 0.0
        for step in STEPS_S:
            await host.step_clock(step)
            now = await host.polls(STEP_S)
            shares = [now[address] / usual[address] for address in usual]
            early, late = max(early, max(shares) - 1), max(late, 1 - min(shares))
            slowest = max(slowest, await watcher.ping_s())
            for name in UNITS:
                shown = datetime.fromisoformat(watcher.value(name, "last_reading")).timestamp()
                off_s = max(off_s, abs(time.time() - shown))
        assert watcher.value("", "clock") is True  # who looks at the proxy is told
        assert watcher.linked == set(UNITS)
        assert " E " not in host.rig.log("proxy")
        measured("steps, of up to 20 years", len(STEPS_S), 5, "", at_least=True)
        measured("sessions ended", watcher.goodbyes - goodbyes, 0, "")
        measured("links lost", watcher.lost - lost, 0, "")
        measured("polls more than usual", 100 * early, 25, "%")
        measured("polls fewer than usual", 100 * late, 25, "%")
        measured("answer", slowest, 1.0)
        measured("time of the last reading off by", off_s, 75.0)  # it is told to the minute


# S2


@pytest.mark.fault("S2")
async def test_the_process_is_stopped_for_a_while(tmp_path: Path, measured: Measured) -> None:
    async with machine(tmp_path) as host:
        watcher, requests = host.watcher, 2.0
        usual = await host.polls(20.0)
        goodbyes, links = watcher.goodbyes, host.rig.log("proxy").count(CONNECTED_AGAIN)
        await host.rig.signal("proxy", signal.SIGSTOP)
        await asyncio.sleep(30.0)
        before = await host.requests()
        await host.rig.signal("proxy", signal.SIGCONT)
        start = time.monotonic()
        answered = await watcher.ping_s(10.0)
        await asyncio.sleep(max(start + requests - time.monotonic(), 0.0))
        after, took = await host.requests(), time.monotonic() - start
        burst = max((after[address] - before[address]) / (usual[address] * took) for address in usual)
        read = time.monotonic() - start + await watcher.until_read(UNITS, 60.0)
        measured("answer after SIGCONT", answered, 1.0)
        measured("polls right after it, against usual", burst, 2.5, "times")  # each block is due at once, and once
        measured("data", read, 15.0)
        measured("sessions ended", watcher.goodbyes - goodbyes, 0, "")
        measured("links lost", host.rig.log("proxy").count(CONNECTED_AGAIN) - links, 0, "")


@pytest.mark.fault("S2")
async def test_the_process_is_stopped_for_longer_than_a_session_may_be_silent(
    tmp_path: Path, measured: Measured
) -> None:
    """75 s are more than the proxy's patience with a client, and less than a client's with the proxy."""
    port = free_port()
    async with ProxyProcess(tmp_path, port=port, announce=False) as proxy, Client(HOME, port) as client:
        await proxy.settle(client)
        lost = len(client.lost_s)
        proxy.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(75)
        proxy.process.send_signal(signal.SIGCONT)
        answered = await client.ping_s()
        await asyncio.sleep(5)
        await client.until_read(*UNITS, timeout_s=FOUND_S)
        assert not proxy.lines("ERROR")
        measured("answer after 75 s", answered, 1.0)
        measured("sessions ended after 75 s", len(client.lost_s) - lost, 0, "")


# S5


@pytest.mark.fault("S5")
def test_killed_while_it_writes(tmp_path: Path, measured: Measured) -> None:
    command = [sys.executable, WRITE_LOOP, tmp_path / "state", "1000"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    measured("processes killed", report["rounds"], 1000, "", at_least=True)
    measured("of them in the middle of a write", report["in the middle"], 200, "", at_least=True)
    measured("neither the last state nor the one before", report["wrong"], 0, "")
    measured("files, of one document", report["most files"], 2, "")


@pytest.mark.fault("S5")
def test_what_is_kept_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, measured: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process loses nothing that it has written; a machine without power does."""
    order: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        order.append("folder" if Path(f"/proc/self/fd/{descriptor}").resolve().is_dir() else "file")
        fsync(descriptor)

    def noted_replace(path: Path, target: Path) -> Path:
        order.append("name")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    assert Storage(tmp_path).write("units", {"x": 1})
    assert order == ["file", "name", "folder"]
    measured("steps of a write in another order", 0, 0, "")


@pytest.mark.fault("S5")
async def test_it_starts_with_damaged_files(
    tmp_path: Path, measured: Measured, caplog: pytest.LogCaptureFixture
) -> None:
    """Every file that a proxy has written, cut off anywhere, or with anything in it."""
    simulated = units()
    whole = tmp_path / "whole"
    async with running(whole, simulated):
        Storage(whole).write("key", {"key": "dGhlIGtleSBvZiB0aGUgZmF1bHQgdGVzdHMhISEhISE="})
        Storage(whole).write("companion", {"seen": True})
    caplog.set_level(logging.CRITICAL, "blupow_proxy")
    dice = random.Random(55)  # noqa: S311
    names = sorted(path.name for path in whole.iterdir())
    assert names == ["companion.json", "identity.json", "key.json", "units.json"]
    starts, wrong = 0, 0
    mac = json.loads((whole / "identity.json").read_text())["mac"]
    damaged = tmp_path / "damaged"
    for name in names:
        content = (whole / name).read_bytes()
        cut = [content[:length] for length in range(0, len(content), max(len(content) // 200, 1))]
        for _ in range(200):
            place = dice.randrange(len(content))
            cut.append(content[:place] + dice.randbytes(dice.randrange(1, 64)) + content[place + dice.randrange(9) :])
        cut += [bytes(len(content)), b"null", b"[]", b'{"mac": null, "key": 5, "seen": []}', b"{" * 9999]
        for data in cut:
            shutil.copytree(whole, damaged)
            (damaged / name).write_bytes(data)
            one = Proxy(configuration(simulated), Surroundings(storage=Storage(damaged), host=HOME))
            await one.start()
            starts += 1
            wrong += one.node.info.mac != mac
            await one.server.stop()
            shutil.rmtree(damaged)
    measured("starts with a damaged file", starts, 1000, "", at_least=True)
    measured("under another MAC", wrong, 0, "")

    for path in whole.iterdir():
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
    async with running(whole, simulated) as run:
        assert run.client.mac == mac
    measured("documents that are whole again", sum(Storage(whole).read(name) is not None for name in ("units",)), 1, "")


# S6


def needs_mounts() -> None:
    done = subprocess.run([*MOUNTED, "mount -t tmpfs none /mnt"], check=False, capture_output=True, text=True)
    if done.returncode:
        if os.environ.get("CI"):
            raise RuntimeError(done.stderr)
        pytest.skip(f"no mounts of our own here: {done.stderr}")


@pytest.mark.fault("S6")
@pytest.mark.parametrize("how", ["full", "read-only", "all read-only"])
async def test_the_disk(tmp_path: Path, measured: Measured, how: str) -> None:
    needs_mounts()
    state = tmp_path / "state"
    state.mkdir()
    scripts = {
        "full": f"mount -t tmpfs -o size=64k none {state}; cat /dev/zero >{state}/fill 2>/dev/null || true",
        "read-only": f"mount -t tmpfs -o ro none {state}",
        "all read-only": f"mount --bind -o ro {tmp_path} {tmp_path}; mount --bind / /mnt; mount -o remount,bind,ro /",
    }
    port = free_port()
    options = {"port": port, "announce": False, "state": state, "controlled": False}
    prefix = (*MOUNTED, f'{scripts[how]}; exec "$@"', "sh")
    async with ProxyProcess(tmp_path / "proxy", prefix=prefix, **options) as proxy, Client(HOME, port) as client:
        read = await client.until_read(*UNITS, timeout_s=FOUND_S)
        await asyncio.sleep(15)
        warned = proxy.lines("WARNING")
        assert client.is_connected
        assert not proxy.lines("ERROR"), proxy.text
        if warned:
            assert "Can't write to" in warned[0]
        client_mac = client.mac
        assert await proxy.stop() == 0
        assert list(state.iterdir()) == []  # what is seen outside
        await proxy.start()
        await client.until_read(*UNITS, timeout_s=FOUND_S)
        assert client.mac == client_mac
    measured(f"{how}: data", read, FOUND_S)
    measured(f"{how}: warnings", len(warned), 1, "")
    assert len(warned) == 1, warned


# S7


def crowd(port: int, count: int) -> list[socket.socket]:
    """Return as many connections as can be had, which say nothing."""
    found = []
    for _ in range(count):
        with contextlib.suppress(OSError):
            found.append(socket.create_connection((HOME, port), timeout=0.05))
    return found


@pytest.mark.fault("S7")
@pytest.mark.parametrize("spare", [None, 6], ids=["64 files", "6 files more than it needs"])
async def test_few_files(tmp_path: Path, measured: Measured, spare: int | None) -> None:
    """200 connections, where 64 files are allowed, and where there are fewer than the proxy's own limits allow for."""
    port = free_port()
    prefix = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    # not announced: it stands on the machine's own network
    options = {"port": port, "announce": False, "prefix": prefix}
    async with ProxyProcess(tmp_path, **options) as proxy, Client(HOME, port) as client:
        await proxy.settle(client)
        baseline = proxy.open_files
        if spare is not None:
            resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (baseline + spare, baseline + spare))
        lost, before, start = len(client.lost_s), await requests(proxy), time.monotonic()
        most, served = proxy.open_files, [0.0]
        connections = await asyncio.to_thread(crowd, port, 200)
        while time.monotonic() < start + 30:
            most = max(most, proxy.open_files)
            served.append(await client.ping_s())
            await asyncio.sleep(0.5)
        after, took = await requests(proxy), time.monotonic() - start
        assert all(client.states[name, "link"] for name in UNITS)
        ended = len(client.lost_s) - lost
        for connection in connections:
            connection.close()
        left = time.monotonic()
        async with Client(HOME, port) as anew:
            await anew.until_connected(30)
            recovered = time.monotonic() - left
        files = await until(lambda: proxy.open_files == baseline, 15)
        quiet = proxy.lines("WARNING", "ERROR")
        assert proxy.process.poll() is None
        polls = min((after[address] - before[address]) / took for address in before if after[address])
    what = "64 files" if spare is None else "6 spare"
    measured(f"{what}: files open", most, 64 if spare is None else baseline + spare, "")
    measured(f"{what}: sessions ended", ended, 0, "")
    measured(f"{what}: answer meanwhile", max(served), 1.0)
    measured(f"{what}: polls of each unit in a second", polls, 0.45, "", at_least=True)
    measured(f"{what}: a new client, once the crowd has left", recovered, 5.0)
    measured(f"{what}: files as before", files, 15.0)
    measured(f"{what}: lines in the log", len(quiet), 20, "")


async def requests(proxy: ProxyProcess) -> dict[str, int]:
    """Return how many requests each unit has seen."""
    return {address: held["requests"] for address, held in (await proxy.tell()).items()}
