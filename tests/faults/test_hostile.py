"""X: a hostile peer on the network or in the air."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mdns
import pytest
import rude
from aioesphomeapi import APIConnectionError
from attack import MAX_CPU_S, STATES, Attack, State, clear, plain
from bystander import Bystander
from frames import in_process, over_tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import Malformed
from proxy_process import ProxyProcess
from seeds import FUZZ_KEY, client_messages, noise_flight
from waiting import until

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.native_api import Limits, Mode
from blupow_proxy.native_api.wire import encode_varint
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.storage import Storage

FRAMES = 50_000
FRAMES_OVER_TCP = 5_000
DEADLINE_S = 10.2  # ten seconds, and what it takes to notice
LINES_A_MINUTE = 30  # of three kinds: a client, its commands, its actions; eight at once and two later
STORM_S = 4.0
CONNECTED_S = 2.0
CALM_S = 10.0
RUDE_S = 60.0  # in which all may be read anew once
NOTIFICATIONS_PER_S = 1000
FLOOD_S = 12.0
NO_UNITS = ("--units", "0")


@pytest.fixture
def apart() -> Iterator[Callable[..., Any]]:
    """Runs a function in a process of its own."""
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        yield lambda work, *arguments: asyncio.get_running_loop().run_in_executor(workers, work, *arguments)


@pytest.mark.fault("X1")
async def test_malformed_frames(measured, tmp_path: Path) -> None:
    done, slowest_s, broken = in_process(FRAMES, seed=2)
    total, _, found = await over_tcp(Mode.ENCRYPTED, FRAMES_OVER_TCP, 2, tmp_path)
    assert not broken + found
    measured("frames", done.total() + total.frames, FRAMES + FRAMES_OVER_TCP, "", at_least=True)
    measured("promises broken", len(broken + found), 0, "")
    measured("the slowest frame", 1000 * slowest_s, 1000 * MAX_CPU_S, "ms of CPU")


@pytest.mark.fault("X2")
def test_byte_by_byte(measured) -> None:
    same = []

    @settings(max_examples=200, deadline=None)
    @given(st.integers(0, 1 << 32), st.sampled_from(STATES), st.integers(1, 12))
    def any_stream(seed: int, state: State, count: int) -> None:
        malformed = Malformed(seed)
        kinds = list(malformed.kinds)
        captured = [clear(message) if state.sealed else plain(message) for message in client_messages()]
        frames = [
            *captured[: seed % len(captured)],
            *(malformed.frame(kinds[(seed + n) % 10], state) for n in range(count)),
        ]
        assert said_in_pieces(state, frames, 1 << 20) == said_in_pieces(state, frames, 1)
        same.append(seed)

    any_stream()
    measured("streams with the same events and bytes", len(same), 200, "", at_least=True)


def said_in_pieces(state: State, frames: list[bytes], size: int) -> tuple[list[Any], Any]:
    """Return events and output of a session that hears the frames in pieces of this size."""
    attack = Attack(state, Limits(unsent_bytes=1 << 30))
    peer = attack._peer
    stream = b"".join(frames if peer is None else map(peer.seal, frames))
    events = []
    for start in range(0, len(stream), size):
        events += attack.session.receive(stream[start : start + size], 1.0)
    output = b""
    while piece := attack.session.take_output():
        output += piece
    attack.output += output
    return [
        (type(event), getattr(event, "reason", None)) for event in events
    ], output if peer is None else attack.messages()


@pytest.mark.fault("X3")
async def test_without_the_key(measured, apart, tmp_path: Path) -> None:
    marker = b"INTRUDER"
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy:
        said, most, other = await apart(rude.before_the_key, proxy.port, b"\x0a" + bytes((len(marker),)) + marker)
        assert said > 200
        log = proxy.log
        reader, writer = await asyncio.open_connection(sock=rude.connect(proxy.port))
        opened = time.monotonic()
        writer.write(b"\1\0\0")
        received = await reader.read()
        measured("a connection without a Hello is closed after", time.monotonic() - opened, DEADLINE_S)
        writer.close()
    assert received.startswith(b"\1\0")
    measured("the reject", most, 64, "bytes")
    measured("answers besides hello and reject", other, 0, "")
    measured("its words in the log", log.count(marker.decode()), 0, "")


@pytest.mark.fault("X4")
async def test_replayed_handshake(measured, apart, tmp_path: Path) -> None:
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy:
        told, left, longest_s = await apart(rude.replay, proxy.port, 1000)
        async with Bystander(proxy.port, FUZZ_KEY):
            pass
    measured("replays that were told anything after the handshake", told, 0, "of 1000")
    measured("closed after", longest_s, DEADLINE_S)
    measured("left open", left, 0, "")


@pytest.mark.fault("X5")
async def test_slow_connections(measured, apart, tmp_path: Path) -> None:
    connects: list[float] = []
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy:
        async with Bystander(proxy.port, FUZZ_KEY):
            pass
        rss_kib = proxy.rss_kib
        attack = apart(rude.slow, proxy.port, 200, 6.0)
        grown_kib = 0
        while not attack.done():
            await asyncio.sleep(0.25)
            async with Bystander(proxy.port, FUZZ_KEY) as client:
                connects.append(client.connect_s)
            grown_kib = max(grown_kib, proxy.rss_kib - rss_kib)
        made = await attack
    assert made >= 400
    measured("growth", grown_kib / 1024, 4, "MiB")
    measured("a real client connects in", max(connects), 2)


async def connected_s(port: int, key: bytes | None) -> float:
    """Return how long a real client takes to connect; where none needs a key, the storm may come first."""
    started = time.monotonic()
    while True:
        try:
            async with Bystander(port, key):
                return time.monotonic() - started
        except APIConnectionError:
            if key is not None or time.monotonic() - started > CONNECTED_S:
                raise


@pytest.mark.fault("X6")
@pytest.mark.parametrize("kind", ["wrong key", "Hello in plaintext"])
async def test_connection_storm(measured, apart, tmp_path: Path, kind: str) -> None:
    hello, handshake, _ = noise_flight()
    key, opening = (None, plain(rude.HELLO)) if kind != "wrong key" else (bytes(range(1, 33)), hello + handshake)
    async with ProxyProcess(key, tmp_path, *NO_UNITS) as proxy:
        async with Bystander(proxy.port, key):
            pass
        files, lines = proxy.open_files, len(proxy.log.splitlines())
        cpu_s, started = proxy.cpu_s, time.monotonic()
        storm = apart(rude.storm, proxy.port, 1000, STORM_S, opening)
        connects = []
        while not storm.done():
            connects.append(await connected_s(proxy.port, key))
            await asyncio.sleep(0.1)
        made = await storm
        load = (proxy.cpu_s - cpu_s) / (time.monotonic() - started)
        await asyncio.sleep(1.0)
        left = proxy.open_files - files
        said = proxy.log.splitlines()[lines:]
    measured(f"{kind}: a real client connects meanwhile in", max(connects), CONNECTED_S)
    measured(f"{kind}: connections", made / STORM_S, 500, "a second", at_least=True)
    measured(f"{kind}: load", load, 1, "cores")
    measured(f"{kind}: files left open a second later", left, 0, "")
    measured(f"{kind}: log lines", len(said), 20, "")


@pytest.mark.fault("X7")
async def test_client_without_manners(measured, apart, tmp_path: Path) -> None:
    proxy = ProxyProcess(FUZZ_KEY, tmp_path)
    async with proxy, Bystander(proxy.port, FUZZ_KEY) as client:
        await asyncio.sleep(CALM_S)
        rude_from, lines, rss_kib, cpu_s = time.monotonic(), len(proxy.log.splitlines()), proxy.rss_kib, proxy.cpu_s
        client.waits_s.clear()
        asked, connections = await apart(rude.without_manners, proxy.port, 10_000, RUDE_S)
        rude_until = time.monotonic()
        grown_kib, lines = proxy.rss_kib - rss_kib, len(proxy.log.splitlines()) - lines
        load = (proxy.cpu_s - cpu_s) / (rude_until - rude_from)
        assert not client.lost
    measured("requests", asked / RUDE_S, 1000, "a second", at_least=True)
    measured("its connections", connections, 1000, "")
    for name, asked_for in proxy.report["asked"].items():
        calm = periods(asked_for, rude_from - CALM_S, rude_from)
        hurried = periods(asked_for, rude_from, rude_until)
        if calm:  # a shunt is not asked
            changes = [100 * abs(hurried[frame] / period - 1) for frame, period in calm.items()]
            measured(f"{name}: the period of {max(calm.values()):.2f} s changes by", max(changes), 20, "%")
    measured("growth", grown_kib / 1024, 16, "MiB")
    measured("load", load, 1, "cores")
    measured("log lines", lines, LINES_A_MINUTE, "")
    measured("another client's answers come in (99 %)", client.wait_s(0.99), 1)


def periods(asked: list[tuple[float, str]], start: float, end: float) -> dict[str, float]:
    """Return for each request that was repeated within a span how many seconds lay between."""
    times: dict[str, list[float]] = {}
    for at, frame in asked:
        if start <= at <= end:
            times.setdefault(frame, []).append(at)
    return {frame: (ats[-1] - ats[0]) / (len(ats) - 1) for frame, ats in times.items() if len(ats) > 2}


@pytest.mark.fault("X9")
async def test_names_that_are_no_names(measured, tmp_path: Path) -> None:
    names = (
        b"\x1b[2J\x1b]0;owned\x07\r\n2026-11-28 ERROR forged\xe2\x80\xae",
        "\u2028".encode(),
        b"A" * 32_000,
        b"\xff\xfe",
    )
    async with ProxyProcess(FUZZ_KEY, tmp_path, *NO_UNITS) as proxy:
        before = len(proxy.log.splitlines())
        for name in names:
            for hostile in (name, name * (32_000 // len(name))):
                with rude.connect(proxy.port) as connection:
                    body = b"\x0a" + encode_varint(len(hostile)) + hostile
                    connection.sendall(rude.shake_hands(connection).seal(clear((rude.HELLO[0], body))))
                    connection.recv(rude.READ_BYTES)
        async with Bystander(proxy.port, FUZZ_KEY):
            pass
        lines = proxy.log.split("\n")[before:-1]
    said = [
        re.fullmatch(r"I blupow_proxy\.server\.listener: Client (.*) \(127\.0\.0\.[12]\) connected", line)
        for line in lines
    ]
    measured("log lines of another kind", sum(one is None for one in said), 0, "")
    measured("the longest name", max(len(one[1]) for one in said if one), 64, "characters")
    measured("characters that can't be printed", sum(not c.isprintable() for line in lines for c in line), 0, "")
    assert len(said) > 2


@pytest.fixture
def two_hosts() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between: 10.77.8.1 and 10.77.8.2."""
    names = f"blupow-{os.getpid()}-one", f"blupow-{os.getpid()}-two"
    if os.geteuid():
        pytest.skip("network namespaces need root")
    for name in names:
        ip("netns", "add", name)
    try:
        one, two = (("netns", "exec", name, "ip") for name in names)
        ip(*one, "link", "add", "lan0", "type", "veth", "peer", "name", "lan0", "netns", names[1])
        for number, inside in ((1, one), (2, two)):
            ip(*inside, "addr", "add", f"10.77.8.{number}/24", "dev", "lan0")
            ip(*inside, "link", "set", "lo", "up")
            ip(*inside, "link", "set", "lan0", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "del", name)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.mark.fault("X8")
async def test_flood_of_mdns(measured, apart, two_hosts: tuple[str, str], tmp_path: Path) -> None:
    one, two = two_hosts
    options = (*NO_UNITS, "--announce", "flooded")
    async with ProxyProcess(FUZZ_KEY, tmp_path, *options, environment=("ip", "netns", "exec", one)) as proxy:
        assert await apart(mdns.resolve, two, "flooded") == ("10.77.8.1", proxy.port)
        rss_kib = proxy.rss_kib
        watching = apart(mdns.watch_client, two, "10.77.8.1", proxy.port, FUZZ_KEY, FLOOD_S)
        sent = await apart(mdns.flood, two, FLOOD_S - 2.0)
        states, slowest_s = await watching
        grown_kib = proxy.rss_kib - rss_kib
        assert await apart(mdns.resolve, two, "flooded") == ("10.77.8.1", proxy.port)
        assert states
    measured("packets", sent / (FLOOD_S - 2.0), 1000, "a second", at_least=True)
    measured("growth", grown_kib / 1024, 20, "MiB")
    measured("a client's slowest answer", slowest_s, 1)


class Flood:
    """Notifies 1000 times a second, at the place where bleak hands on what a unit sends."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self.count = 0
        self.most_buffered = 0

    async def run(self, make: Callable[[], bytes], seconds: float) -> float:
        """Returns the process's load meanwhile, in cores."""
        loop = asyncio.get_running_loop()
        started, cpu_s, sent = loop.time(), time.process_time(), 0
        while (passed := loop.time() - started) < seconds:
            link = self._link()
            while link is not None and sent < passed * NOTIFICATIONS_PER_S:
                link._notified(None, bytearray(make()))
                sent += 1
                self.most_buffered = max(self.most_buffered, link._parser.buffered)
            await asyncio.sleep(0.001)
        self.count += sent
        return (time.process_time() - cpu_s) / (loop.time() - started)


@pytest.mark.fault("X10")
async def test_unit_that_floods_the_link(measured, tmp_path: Path) -> None:
    controller, *_, shunt = demo_units()
    config = ProxyConfig(
        esphome=EsphomeConfig(name="flooded", friendly_name="Flooded"),
        api=ApiConfig(port=0, encryption=False),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(UnitConfig(id=unit.name, address=unit.address, name=unit.name) for unit in (controller, shunt)),
    )
    async with VirtualRadio([controller, shunt]) as radio:
        proxy = Proxy(config, Surroundings(storage=Storage(tmp_path), adapter=radio.adapter, host="127.0.0.1"))
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        await proxy.all_listed()
        pollers = {poller.units[0].spec.id: poller for poller in proxy.pollers}
        links = [lambda poller=pollers[unit.name]: poller.link for unit in (controller, shunt)]
        reply = bytes.fromhex("ff03040001000275f3")
        kinds: dict[str, tuple[Flood, Callable[[], bytes]]] = {
            "noise": (Flood(links[0]), lambda: os.urandom(512)),
            "starts of frames": (Flood(links[0]), lambda: b"\xff\x03\xf8" * 170),
            "replies": (Flood(links[0]), lambda: reply * 56),
            "pushes": (Flood(links[1]), lambda: shunt.push(time.monotonic()) * 4),
        }
        async with Bystander(proxy.server.port, None) as client:
            calm_cpu_s, calm_from = time.process_time(), time.monotonic()
            await asyncio.sleep(2.0)
            calm = (time.process_time() - calm_cpu_s) / (time.monotonic() - calm_from)
            for kind, (flood, make) in kinds.items():
                load = await flood.run(make, 3.0)
                assert flood.count > 2000
                measured(f"{kind}: load above the {calm:.2f} of before", load - calm, 0.5, "cores")
                measured(f"{kind}: waiting for a frame's end", flood.most_buffered, 512, "bytes")
                (frames,) = (link().raw_frames for link in links[:1])
                measured(f"{kind}: kept for support", sum(len(frame.data) for frame in frames) / 1024, 16.25, "KiB")
            ended = datetime.now(UTC)
            fresh_s = await until(lambda: all(unit.last_reading > ended for unit in proxy.units), 60)
            measured("readings again after", fresh_s, 60)
            assert not client.lost
        proxy.stop()
        await serving
