"""X: a hostile peer on the network or in the air."""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import rude
from attack import MAX_CPU_S, STATES, Attack, State, clear, plain
from bystander import Bystander
from frames import in_process, over_tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import Malformed
from proxy_process import ProxyProcess
from seeds import FUZZ_KEY, client_messages, noise_flight

from blupow_proxy.native_api import Limits, Mode

FRAMES = 50_000
FRAMES_OVER_TCP = 5_000
DEADLINE_S = 10.2  # ten seconds, and what it takes to notice
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
    seen = []

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
        seen.append(len(frames))
        assert said_in_pieces(state, frames, 1 << 20) == said_in_pieces(state, frames, 1)

    any_stream()
    measured("streams that differ", 0, 0, "")
    measured("streams", len(seen), 200, "", at_least=True)


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
        silent = rude.connect(proxy.port)
        opened = time.monotonic()
        said, most, other = await apart(rude.before_the_key, proxy.port, b"\x0a" + bytes((len(marker),)) + marker)
        assert said > 200
        log = proxy.log
        reader, writer = await asyncio.open_connection(sock=rude.connect(proxy.port))
        opened = time.monotonic()
        writer.write(b"\1\0\0")
        received = await reader.read()
        measured("a connection without a Hello is closed after", time.monotonic() - opened, DEADLINE_S)
        writer.close()
        silent.close()
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
    measured("closed after", longest_s, DEADLINE_S + 1.0, "s at most, a second of which they took to connect")
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
    assert made > 400
    measured("growth", grown_kib / 1024, 4, "MiB")
    measured("a real client connects in", max(connects), 2)


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
        storm = apart(rude.storm, proxy.port, 1000, 5.0, opening)
        made = await storm
        load = (proxy.cpu_s - cpu_s) / (time.monotonic() - started)
        await asyncio.sleep(1.0)
        left = proxy.open_files - files
        said = proxy.log.splitlines()[lines:]
        async with Bystander(proxy.port, key) as client:
            measured(f"{kind}: a real client connects afterwards in", client.connect_s, 2)
    measured(f"{kind}: connections", made / 5.0, 500, "a second", at_least=True)
    measured(f"{kind}: load", load, 1, "cores")
    measured(f"{kind}: files left open a second later", left, 0, "")
    measured(f"{kind}: log lines", len(said), 20, "")
