"""Measures ours beside real ESPHome, same client, same machine, in turns; the entry is script/bench."""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from blupow_proxy.native_api import fnv1a_32
from blupow_proxy.renogy import Family, Schedule, register_map

ROOT = Path(__file__).parents[2]
SERVE = Path(__file__).parent / "serve.py"
SERVE_BLUETOOTH = SERVE.with_name("serve_bluetooth.py")
KEYS = {"plain": None, "noise": b64encode(bytes(range(32))).decode()}  # the real device's own
PORT = 16100
REPLY_S = 0.22  # of the simulated units: median of captured ones
BURST_SENSORS = 200  # changed in one pass, so that their messages leave in one write
SESSIONS = 8
ENTITIES = 500
UNITS = 32
READY_S = 90.0
MATCH_S = 0.02  # a callback later than this is of something else; many a reply changes nothing that is shown

for folder in ("reference", "support", "bench"):
    sys.path.insert(0, str(Path(__file__).parents[1] / folder))

import bluetooth  # noqa: E402 - all are beside this script
import client  # noqa: E402
import host  # noqa: E402
from private_bus import private_bus  # noqa: E402

import companion  # noqa: E402


@dataclass(frozen=True)
class Effort:
    """How long to measure."""

    connects: int = 120
    rounds: int = 3
    segment_s: float = 2.0
    starts: int = 5
    fragments_s: float = 30.0
    load_s: float = 30.0
    advertisements_s: float = 12.0
    reads: int = 2000
    home_assistant_rounds: int = 3
    home_assistant_s: float = 20.0


QUICK = Effort(
    connects=25,
    rounds=1,
    segment_s=1.0,
    starts=2,
    fragments_s=12.0,
    load_s=8.0,
    advertisements_s=1.0,
    reads=1000,
    home_assistant_rounds=1,
    home_assistant_s=8.0,
)


@dataclass
class Row:
    """One line of the table; ``met`` None is a figure without a target."""

    name: str
    ours: str
    reference: str = ""
    ratio: str = ""
    target: str = ""
    met: bool | None = None


@dataclass
class Report:
    """All lines, printed as they come when there is no terminal."""

    rows: list[Row] = field(default_factory=list)

    def add(self, *values: Any, **named: Any) -> None:
        self.rows.append(Row(*values, **named))

    def compared(self, name: str, ours: float, theirs: float | None, unit: str, at_most: float | None) -> None:
        ratio = None if theirs is None else ours / theirs
        self.add(
            name,
            f"{ours:.2f} {unit}",
            "not built" if theirs is None else f"{theirs:.2f} {unit}",
            "" if ratio is None else f"{ratio:.2f}x",
            "" if at_most is None else f"<= {at_most:g}x",
            None if ratio is None or at_most is None else ratio <= at_most,
        )

    def bounded(self, name: str, ours: float, unit: str, at_most: float, theirs: str = "") -> None:
        self.add(name, f"{ours:.2f} {unit}", theirs, "", f"<= {at_most:g} {unit}", ours <= at_most)

    def table(self) -> Table:
        table = Table()
        for heading in ("measured", "ours", "ESPHome", "ratio", "target", ""):
            table.add_column(heading, overflow="fold")
        verdicts = {None: "", True: "[green]met[/]", False: "[bold red]MISSED[/]"}
        for row in self.rows:
            table.add_row(row.name, row.ours, row.reference, row.ratio, row.target, verdicts[row.met])
        return table


BARE_SERVER = f"""
import asyncio, sys
import bleak.backends.bluezdbus.client, bleak.backends.bluezdbus.scanner
import blupow_proxy.app, blupow_proxy.native_api as native_api, blupow_proxy.server
from blupow_proxy.keys import FileKeyStore
info = native_api.NodeInfo(
    name="bench", friendly_name="Bench", mac="02:00:00:00:00:09", model="", manufacturer="", esphome_version="1"
)
async def main():
    keys = FileKeyStore(None, encryption=True, configured=bytes(range(32)))
    await blupow_proxy.server.ApiServer(native_api.Node(info), keys, port={PORT}).start()
    await asyncio.Event().wait()
asyncio.run(main())
"""  # everything that the proxy imports, around nothing but a server


class Ours:
    """A server process of ours; ``result`` is what it reports at its end."""

    def __init__(self, *arguments: str, script: Path = SERVE, **options: Any) -> None:
        self.result: dict[str, Any] = {}
        self._process = subprocess.Popen(
            [sys.executable, script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    def __enter__(self) -> int:
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != "ready":
            raise RuntimeError(self._process.communicate()[1])
        return self._process.pid

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        output, errors = self._process.communicate(timeout=READY_S)
        if self._process.returncode:
            raise RuntimeError(errors)
        self.result = json.loads(output)


@contextlib.contextmanager
def both(kind: str, sensors: int, reference: bool) -> Iterator[dict[str, client.Server]]:
    """Ours and, when it is built, the real device."""
    key = KEYS[kind]
    with contextlib.ExitStack() as stack:
        pid = stack.enter_context(Ours("node", str(PORT), key or "-", "--sensors", str(sensors)))
        servers = {"ours": client.Server(PORT, key, pid)}
        if reference:
            process = stack.enter_context(host.device(kind))
            servers["ESPHome"] = client.Server(host.PORTS[kind], key, process.pid)
        yield servers


async def connect_rows(report: Report, kind: str, effort: Effort, reference: bool) -> None:
    with both(kind, 0, reference) as servers:
        times: dict[str, list[float]] = {name: [] for name in servers}
        for turn in range(effort.connects + 5):
            for name, server in servers.items():
                elapsed, entities = await client.connect_and_list(server)
                assert entities == 20, f"{name} lists {entities} entities"
                if turn >= 5:  # the first warm up
                    times[name].append(elapsed)
        latency = await client.latencies(servers, 3 * effort.rounds * effort.segment_s)
    theirs = times.get("ESPHome")
    report.compared(
        f"connect + info + list of 20, p50 ({kind})",
        client.p50(times["ours"]),
        None if theirs is None else client.p50(theirs),
        "ms",
        0.25,
    )
    for name, kept in (("state", "alone"), ("last of 12 states", "last")):
        mine = getattr(latency["ours"], kept)
        its = getattr(latency["ESPHome"], kept) if reference else None
        report.compared(
            f"{name} to callback, p50 ({kind})",
            client.p50(mine),
            None if its is None else client.p50(its),
            "ms",
            1.2 if kept == "alone" else None,
        )
        report.compared(
            f"{name} to callback, p99 ({kind})", client.p99(mine), None if its is None else client.p99(its), "ms", None
        )


async def burst_rows(report: Report, kind: str, at_most_us: float, effort: Effort, reference: bool) -> None:
    with both(kind, BURST_SENSORS, reference) as servers:
        bursts = {name: client.Burst() for name in servers}
        for _ in range(effort.rounds):
            for name, server in servers.items():
                await client.burst(server, effort.segment_s, bursts[name])
    ours, theirs = bursts["ours"], bursts.get("ESPHome")
    rate, core = median(ours.rates), median(ours.client_cores)
    ratio = None if theirs is None else rate / median(theirs.rates)
    report.add(
        f"SensorState/s end to end ({kind})",
        f"{rate:,.0f} (client {core:.2f} core)",
        "not built"
        if theirs is None
        else f"{median(theirs.rates):,.0f} (client {median(theirs.client_cores):.2f} core)",
        "" if ratio is None else f"{ratio:.2f}x",
        ">= 0.9x or client >= 0.95 core",
        met=core >= 0.95 or (None if ratio is None else ratio >= 0.9),
    )
    report.bounded(
        f"server CPU per SensorState ({kind})",
        median(ours.server_us),
        "us",
        at_most_us,
        "" if theirs is None else f"{median(theirs.server_us):.2f} us",
    )


def rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


@contextlib.contextmanager
def listening(*arguments: str | Path) -> Iterator[tuple[int, float]]:
    """A Python process; its pid, and how long it took to listen."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        host.wait_until_listening(PORT, process)
        yield process.pid, time.perf_counter() - began
    finally:
        process.terminate()
        process.wait()


def command(folder: Path) -> contextlib.AbstractContextManager[tuple[int, float]]:
    """The command as users run it, with one unit that is not there."""
    file = folder / "proxy.yaml"
    file.write_text(
        f"esphome:\n  name: bench\n  friendly_name: Bench\napi:\n  port: {PORT}\n  encryption:\n"
        f'    key: "{KEYS["noise"]}"\nrenogy:\n  - address: "C4:D3:6A:00:00:01"\n    name: Rover\n'
    )
    return listening("-m", "blupow_proxy", "run", file, "--state-dir", folder)


async def process_rows(report: Report, effort: Effort) -> None:
    starts: list[float] = []
    rss: dict[str, list[float]] = {"run": [], "bare": []}

    async def visit(kind: str, pid: int) -> None:
        await client.connect_and_list(client.Server(PORT, KEYS["noise"], pid))
        await asyncio.sleep(1)  # for the unit to be looked for once
        assert mapped(pid, "dbus_fast"), "bleak's backend is not loaded: there is less in memory than usual"
        rss[kind].append(rss_mib(pid))

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(effort.starts):
            with command(Path(folder)) as (pid, took):
                starts.append(took)
                await visit("run", pid)
            with listening("-c", BARE_SERVER) as (pid, _):
                await visit("bare", pid)
    report.bounded("start of run to listening", median(starts), "s", 1.2)
    report.bounded("RSS of a server, all imported, after a visit", median(rss["bare"]), "MiB", 58)
    report.bounded("RSS of run, after a visit", median(rss["run"]), "MiB", 58)


def mapped(pid: int, library: str) -> bool:
    return library in Path(f"/proc/{pid}/maps").read_text()


async def live_rows(report: Report, effort: Effort) -> None:
    """The whole proxy, one simulated unit of each family, polled without a pause."""
    ours = Ours("proxy", str(PORT), "-", "--interval", "0.05", "--speed", "3600")
    with ours as pid:
        callbacks = await client.device_callbacks(client.Server(PORT, None, pid), effort.fragments_s)
    frames: list[tuple[int, float, bool, str]] = [tuple(frame) for frame in ours.result["frames"]]
    delays = fragment_delays(frames, callbacks)
    report.bounded(f"last fragment to callback, p50 of {len(delays)}", client.p50(delays), "ms", 1.0)
    report.add("last fragment to callback, p99", f"{client.p99(delays):.2f} ms")
    started = callbacks[0][0]
    for number, family in enumerate(ours.result["families"]):
        blocks = [block for block in register_map(Family(family)).blocks if block.schedule is Schedule.POLL]
        if not blocks:
            continue  # a shunt is not polled
        requests = [
            at for unit, at, sent, data in frames if unit == number and sent and reads(data, blocks[0].register)
        ]
        requests = [at for at in requests if at >= started]
        cycles = [after - before for before, after in pairwise(requests)]
        ideal = len(blocks) * (REPLY_S + register_map(Family(family)).gap_s)
        ratio = median(cycles) / ideal
        report.add(
            f"live cycle of {len(blocks)} blocks, {len(cycles)} times ({family})",
            f"{median(cycles):.3f} s",
            f"({ideal:.2f} s: replies and gaps)",
            f"{ratio:.2f}x",
            "<= 1.1x",
            ratio <= 1.1,
        )


def reads(request: str, register: int) -> bool:
    return int(request[4:8], 16) == register


def fragment_delays(frames: list[tuple[int, float, bool, str]], callbacks: list[tuple[float, int]]) -> list[float]:
    """Return milliseconds from each reply's last fragment to the first state of its unit."""
    delays: list[float] = []
    for number in {frame[0] for frame in frames}:
        device = fnv1a_32(f"unit_{number}")
        arrived = [at for at, device_id in callbacks if device_id == device]
        mine = [frame for frame in frames if frame[0] == number]
        for (_, at, sent, _), following in pairwise(mine):
            last = not sent and (following[2] or following[1] - at > MATCH_S)
            first = next((moment for moment in arrived if moment >= at), None)
            if last and first is not None and first - at < MATCH_S:
                delays.append((first - at) * 1000)
    return delays


async def load_rows(report: Report, effort: Effort) -> None:
    """Eight sessions, 500 entities, 32 units that are read each half second."""
    ours = Ours(
        *("proxy", str(PORT), KEYS["noise"] or "-", "--units", str(UNITS), "--sensors", str(ENTITIES)),
    )
    with ours as pid:
        taken = await client.many_sessions(client.Server(PORT, KEYS["noise"], pid), SESSIONS, effort.load_s)
    unsent, tasks = ours.result["unsent"], ours.result["tasks"]
    third = max(len(tasks) // 3, 1)
    grown = max(tasks[-third:]) - max(tasks[:third])
    even = min(taken["counts"]) > 0.98 * max(taken["counts"])
    report.add(
        f"{SESSIONS} sessions x {ours.result['entities']} entities, {UNITS} units: unsent, tasks",
        f"{max(unsent)} bytes at most, {max(tasks[:third])} -> {max(tasks[-third:])} tasks",
        target="no queue grows",
        met=max(unsent) < 64 * 1024 and grown <= SESSIONS and even,
    )
    report.add(
        "its CPU, simulated units and their radio included",
        f"{taken['core']:.2f} core at {taken['rate']:,.0f} states/s",
    )


def companion_rows(report: Report, effort: Effort) -> None:
    """The companion in a real Home Assistant, beside the ESPHome integration on the same proxies."""
    try:
        with Ours(
            *("farm", str(companion.FIRST_PORT), companion.KEY),
            *("--nodes", str(companion.PROXIES), "--sensors", str(companion.SENSORS)),
        ):
            measured = companion.compare(effort.home_assistant_rounds, effort.home_assistant_s)
    except companion.UnavailableError as error:
        report.add("in Home Assistant", f"not measured: {error}", met=False)
        return
    ours, theirs = measured.companion, measured.esphome
    for name, figure, at_most in (("p50", "p50_ms", 2.0), ("p99", "p99_ms", 20.0)):
        report.bounded(
            f"publish to Home Assistant's state write {name}", ours[figure], "ms", at_most, f"{theirs[figure]:.2f} ms"
        )
    report.bounded(
        f"one proxy with {companion.SENSORS} entities set up", ours["setup_s"], "s", 1.0, f"{theirs['setup_s']:.2f} s"
    )
    load = f"{companion.PROXIES} proxies x {companion.SENSORS} entities at 1 Hz, CPU in Home Assistant"
    report.bounded(load, 100 * ours["cores"], "% of a core", 25.0)
    report.compared("the same", 100 * ours["cores"], 100 * theirs["cores"], "% of a core", 1.0)
    report.add(
        "of which what any entities take to write as many states", f"{100 * measured.bare['cores']:.2f} % of a core"
    )


@contextlib.asynccontextmanager
async def house(*, kernel: bool) -> AsyncIterator[tuple[client.Server, bluetooth.Air]]:
    """The whole proxy on an adapter of ours; with ``kernel`` it may use the management socket."""
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        bus = await stack.enter_async_context(private_bus(Path(folder)))
        environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": bus.address}
        arguments = ["house", str(PORT), KEYS["noise"] or "-"]
        ours, theirs = map(stack.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        air = await stack.enter_async_context(bluetooth.Air.opened(bus.address, theirs if kernel else None))
        if kernel:
            arguments += ["--kernel", str(ours.fileno())]
        process = Ours(*arguments, script=SERVE_BLUETOOTH, env=environment, pass_fds=(ours.fileno(),))
        yield client.Server(PORT, KEYS["noise"], stack.enter_context(process)), air


async def advertisement_rows(report: Report, effort: Effort) -> None:
    """The whole proxy between what stands for the kernel and bluetoothd, and a client."""
    if shutil.which("dbus-daemon") is None:
        report.add("advertisements", "not measured: there is no dbus-daemon", met=False)
        return
    seconds = effort.advertisements_s
    async with house(kernel=True) as (server, air), client.connected(server) as connected:
        told = bluetooth.Told(connected)
        await air.scanning(told)
        idle = await bluetooth.idle_core(server, seconds)
        nearby = [(0, idle, rss_mib(server.pid))]
        for devices in (50, 500):
            taken = await air.steady(server, told, 2 * devices, devices, seconds)
            nearby.append((devices, taken.core, rss_mib(server.pid)))
        steady = await air.steady(server, told, 500, 100, seconds)
        many = await air.steady(server, told, 5000, 500, seconds)
    async with house(kernel=False) as (server, air), client.connected(server) as connected:
        told = bluetooth.Told(connected)
        await air.scanning(told)
        idle_without = await bluetooth.idle_core(server, seconds)
        without = await air.steady(server, told, 500, 100, seconds)
    cpu = "% of a core"
    report.bounded("500 advertisements/s, kernel to client, CPU", 100 * (steady.core - idle), cpu, 10)
    for one in (steady, many):
        report.add(
            f"of {one.count} at {one.rate:.0f}/s lost or changed",
            str(one.wrong),
            target="0",
            met=one.wrong == 0,
        )
    report.add("5000 advertisements/s, kernel to client, CPU", f"{100 * (many.core - idle):.2f} {cpu}")
    report.add(
        "500 advertisements/s, all told by bluetoothd, CPU",
        f"{100 * (without.core - idle_without):.2f} {cpu}, {without.wrong} lost or changed",
    )
    for devices, core, rss in nearby:
        report.add(f"{devices} devices nearby, 2 advertisements/s each", f"{100 * core:.2f} {cpu}, {rss:.1f} MiB RSS")


async def advertisement_burst_rows(report: Report, effort: Effort) -> None:
    """As many advertisements as the server forwards and a client takes, encrypted and not."""
    plain = 0.0
    for kind, key in KEYS.items():
        burst = client.Burst()
        with Ours("devices", str(PORT), key or "-", script=SERVE_BLUETOOTH) as pid:
            server = client.Server(PORT, key, pid)
            for _ in range(effort.rounds):
                async with client.connected(server) as connected:
                    await bluetooth.advertisements(connected, server, effort.segment_s, burst)
        us = median(burst.server_us)
        rate = 1e6 / us
        report.add(
            f"advertisements/s that a core of the server forwards ({kind})",
            f"{rate:,.0f} ({us:.2f} us each; client {median(burst.client_cores):.2f} core)",
            f"({plain:,.0f}: plain)" if plain else "",
            f"{rate / plain:.2f}x" if plain else "",
            ">= 100,000",
            rate >= 100_000,
        )
        plain = plain or rate


async def read_rows(report: Report, effort: Effort) -> None:
    """A client reads of a device that answers at once."""
    key = KEYS["noise"]
    with Ours("devices", str(PORT), key or "-", script=SERVE_BLUETOOTH) as pid:
        trips = await bluetooth.round_trips(client.Server(PORT, key, pid), effort.reads)
    mine, base = client.p50(trips.reads), client.p50(trips.infos)
    report.add(
        f"GATT read round trip of a device that answers at once, p50 of {effort.reads}",
        f"{mine:.3f} ms",
        f"({base:.3f} ms: device info)",
        f"{mine / base:.2f}x",
        "<= 0.5 ms",
        mine <= 0.5,
    )
    report.add("the same, p99", f"{client.p99(trips.reads):.3f} ms", f"({client.p99(trips.infos):.3f} ms)")


async def measure(effort: Effort, reference: bool, console: Console) -> Report:
    report = Report()
    for kind, at_most_us in (("plain", 4.0), ("noise", 5.0)):
        console.print(f"bench: {kind} ...")
        await connect_rows(report, kind, effort, reference)
        await burst_rows(report, kind, at_most_us, effort, reference)
    console.print("bench: start and memory ...")
    await process_rows(report, effort)
    console.print("bench: simulated units ...")
    await live_rows(report, effort)
    await load_rows(report, effort)
    console.print("bench: Bluetooth proxy ...")
    await advertisement_rows(report, effort)
    await advertisement_burst_rows(report, effort)
    await read_rows(report, effort)
    console.print("bench: Home Assistant ...")
    companion_rows(report, effort)
    return report


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run: coarse figures")
    args = parser.parse_args()
    progress = Console(stderr=True)
    reference = True
    try:
        host.isolate()
        host.check_built()
    except host.UnavailableError as error:
        progress.print(f"bench: without real ESPHome: {error}")
        reference = False
    report = asyncio.run(measure(QUICK if args.quick else Effort(), reference, progress))
    width = None if sys.stdout.isatty() else 150
    Console(width=width).print(report.table())
    missed = [row for row in report.rows if row.met is False]
    if not reference:
        print("Nothing was compared: real ESPHome is not built, or there is no network of its own for it.")
    print(f"{len(missed)} of {sum(row.met is not None for row in report.rows)} targets missed")
    return 1 if missed or not reference else os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
