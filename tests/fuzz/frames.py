"""Many malformed frames: through sessions in this process, and over TCP to a running proxy that serves a real client.

usage: frames.py [N] [--seed S]; exit code 1 when a promise was broken
"""

import argparse
import asyncio
import gc
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final

from attack import MAX_CPU_S, STATES, Attack, Peer, State, clear, plain
from bystander import ASK_EVERY_S, Bystander
from malformed import Malformed, attack_with
from proxy_process import ProxyProcess
from seeds import FUZZ_KEY

from blupow_proxy.native_api import Mode

OVER_TCP: Final = 0.2  # of the frames: a connection costs more than its frames do
FRAMES_A_CONNECTION: Final = 4  # of which one or another ends it
WORKERS: Final = 2  # processes that attack
WARM_UP: Final = 2_000  # frames
ANSWER_S: Final = 5.0  # a connection whose peer has finished is closed at once
MAX_WAIT_S: Final = 1.0  # for the real client's answer, while attackers keep all cores busy
MAX_GROWTH_KIB: Final = 16 * 1024
BAD_SIGNS: Final = ("Traceback", "broke down", "exception was never retrieved", "socket.send() raised")
READ_BYTES: Final = 65536
SHOWN: Final = 20


def in_process(count: int, seed: int) -> tuple[Counter[str], float, list[str]]:
    """Attack a session in each state; returns frames by kind, the slowest one's CPU seconds, and what was broken."""
    malformed = Malformed(seed)
    done: Counter[str] = Counter()
    broken: list[str] = []
    slowest_s = 0.0
    attacks = {state: Attack(state) for state in STATES}
    gc.collect()
    gc.freeze()  # or else a frame pays for what the interpreter has loaded
    for state, kind in _rounds(malformed):
        if done.total() == count:
            break
        frame = malformed.frame(kind, state)
        attack = attacks[state]
        attack.slowest_s = 0.0
        try:
            attacks[state] = attack_with(attack, frame)
        except Exception as error:  # noqa: BLE001 - that there is one at all is the finding
            broken.append(f"{state.name}, {kind}: {error!r}: {frame[:100].hex()}")
            attacks[state] = Attack(state)
        took = attack.slowest_s
        if took > MAX_CPU_S:  # it has to be slow again: this machine may have been busy
            again = Attack(state)
            again.slowest_s = 0.0
            again.send(frame)
            took = min(took, again.slowest_s)
            if took > MAX_CPU_S:
                broken.append(f"{state.name}, {kind}: {took:.3f} s of CPU: {frame[:100].hex()}")
        slowest_s = max(slowest_s, took)
        done[kind] += 1
    gc.unfreeze()
    return done, slowest_s, broken


def _rounds(malformed: Malformed) -> Iterator[tuple[State, str]]:
    while True:
        for state in STATES:
            for kind in malformed.kinds:
                yield state, kind


@dataclass(slots=True)
class Onslaught:
    """What a worker has sent to a proxy, and what was broken."""

    frames: int = 0
    connections: int = 0
    broken: list[str] = field(default_factory=list)


def attack_port(port: int, mode: Mode, count: int, seed: int) -> Onslaught:
    """Send ``count`` frames, a few a connection, and wait until each connection is closed."""
    malformed = Malformed(seed)
    random = Random(seed)  # noqa: S311 - the same frames for the same seed
    kinds = list(malformed.kinds)
    states = [state for state in STATES if state.mode is mode]
    done = Onslaught()
    while done.frames < count and not done.broken:
        state = random.choice(states)
        number = min(FRAMES_A_CONNECTION, count - done.frames)
        frames = [malformed.frame(random.choice(kinds), state) for _ in range(number)]
        _attack_once(port, state, frames, done.broken)
        done.frames += number
        done.connections += 1
    return done


def _attack_once(port: int, state: State, frames: list[bytes], broken: list[str]) -> None:
    try:
        connection = socket.create_connection(("127.0.0.1", port), ANSWER_S)
    except OSError as error:
        broken.append(f"no connection: {error}")
        return
    with connection:
        try:
            seal = _shake_hands(connection) if state.sealed else bytes
        except OSError as error:
            broken.append(f"{state.name}: no handshake: {error!r}")
            return
        reading = threading.Thread(target=_read_all, args=(connection, state, broken))
        reading.start()
        try:
            connection.sendall(state.prelude)
            for message in state.said:
                connection.sendall(seal(clear(message) if state.sealed else plain(message)))
            for frame in frames:
                connection.sendall(seal(frame))
            connection.shutdown(socket.SHUT_WR)
        except TimeoutError:
            broken.append(f"{state.name}: nothing was read for {ANSWER_S:g} s")
        except OSError:
            pass  # turned away
        reading.join()


def _read_all(connection: socket.socket, state: State, broken: list[str]) -> None:
    """Read until the proxy closes the connection."""
    try:
        while connection.recv(READ_BYTES):
            pass
    except TimeoutError:
        broken.append(f"{state.name}: a connection is open {ANSWER_S:g} s after its last byte")
    except OSError:
        pass  # turned away


def _shake_hands(connection: socket.socket) -> Callable[[bytes], bytes]:
    """Prove to have the key; returns what encrypts a message."""
    peer = Peer()
    connection.sendall(peer.first_flight)
    answer = b""
    while not peer.is_whole(answer):
        data = connection.recv(READ_BYTES)
        if not data:
            raise ConnectionResetError
        answer += data
    peer.finish(answer)
    return peer.seal


async def over_tcp(mode: Mode, count: int, seed: int, folder: Path) -> tuple[Onslaught, str, list[str]]:
    """Attack a running proxy from several processes while it serves a real client."""
    key = FUZZ_KEY if mode is Mode.ENCRYPTED else None
    total = Onslaught()
    loop = asyncio.get_running_loop()
    async with ProxyProcess(key, folder, name=mode.name) as proxy, Bystander(proxy.port, key) as bystander:
        with ProcessPoolExecutor(WORKERS, get_context("spawn")) as workers:
            share = count // WORKERS
            # what a first part makes it allocate is no growth
            await loop.run_in_executor(workers, attack_port, proxy.port, mode, min(share, WARM_UP), seed)
            rss_kib, cpu_s, started = proxy.rss_kib, proxy.cpu_s, time.monotonic()
            parts = [
                loop.run_in_executor(workers, attack_port, proxy.port, mode, share, seed + 1 + number)
                for number in range(WORKERS)
            ]
            for part in await asyncio.gather(*parts):
                total.frames += part.frames
                total.connections += part.connections
                total.broken += part.broken
        took = time.monotonic() - started
        grown_kib = proxy.rss_kib - rss_kib
        load = (proxy.cpu_s - cpu_s) / took
        await asyncio.sleep(ASK_EVERY_S)
        log = proxy.log
    if bystander.lost or not bystander.states:
        total.broken.append("the real client was disconnected or got no states")
    if (slowest := max(bystander.waits_s)) > MAX_WAIT_S:
        total.broken.append(f"the real client waited {slowest:.2f} s for an answer")
    if grown_kib > MAX_GROWTH_KIB:
        total.broken.append(f"it has grown by {grown_kib} KiB")
    total.broken += [f"its log says: {line}" for line in log.splitlines() if any(sign in line for sign in BAD_SIGNS)]
    figures = (
        f"{total.frames} frames on {total.connections} connections in {took:.0f} s: {100 * load:.0f} % of a core, "
        f"{grown_kib:+d} KiB; the real client got {bystander.states} states and "
        f"{len(bystander.waits_s)} answers, 99 % within {1000 * bystander.wait_s(0.99):.0f} ms, "
        f"the slowest after {1000 * slowest:.0f} ms"
    )
    return total, figures, total.broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", type=int, nargs="?", default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    tcp = int(args.frames * OVER_TCP) // 2
    started = time.monotonic()
    done, slowest_s, broken = in_process(args.frames - 2 * tcp, args.seed)
    print(f"in process: {done.total()} frames in {time.monotonic() - started:.0f} s, in {len(STATES)} states")
    print("  " + ", ".join(f"{kind}: {count}" for kind, count in done.items()))
    print(f"  slowest frame {1000 * slowest_s:.1f} ms of CPU (limit {1000 * MAX_CPU_S:.0f} ms)")
    with tempfile.TemporaryDirectory(prefix="blupow-frames-") as folder:
        for mode in (Mode.PLAINTEXT, Mode.ENCRYPTED):
            _, figures, found = asyncio.run(over_tcp(mode, tcp, args.seed, Path(folder)))
            print(f"over TCP, {mode.name.lower()}: {figures}")
            broken += found
    for line in broken[:SHOWN]:
        print(f"BROKEN: {line}")
    print(f"promises broken: {len(broken)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
