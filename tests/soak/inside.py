"""The soak itself, in the guest: the proxy on a real bluetoothd, five units, a client, and a fault every so often.

usage: inside.py --hours H --every SECONDS --seed N    (leaves record.json)
"""

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import random
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aioesphomeapi import APIClient, APIConnectionError, EntityInfo, SensorInfo
from entities import follow, listed
from in_guest import make_proxy
from machine import ADAPTER, KEY, UNITS, Machine
from passing_faults import FAULTS, Fault

INTERVAL_S = 2.0
BRIEF_S = 5.0
SAMPLE_S = 10  # of memory
RECOVERED_S = 75.0  # the slowest target of the catalogue: a unit that was held, found again after a minute's pause
QUIET_S = 15.0  # after a recovery, until what has failed is cleared away
VOLTAGE = {"battery_voltage", "house_battery_voltage"}
TOLERANCE_V = 0.25  # noise of the simulated units, and what the voltage moves within a poll
RANGES = {
    "voltage": (0, 450),
    "current": (-300, 300),
    "power": (-5000, 5000),
    "battery": (0, 100),
    "temperature": (-40, 100),
}
WAITS = "Event.wait"  # tasks that come and go with each pause
MIB = 1 << 20


@dataclass
class Record:
    """What went on, and what should not have."""

    wrong: list[str] = field(default_factory=list)
    unforeseen: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    seconds: int = 0  # outside of faults, of each unit
    available: int = 0
    states: int = 0
    recovery_s: dict[str, list[float]] = field(default_factory=dict)
    memory: list[tuple[float, float]] = field(default_factory=list)  # seconds, MiB


class Complaints(logging.Handler):
    """Collects what nobody foresaw."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self._into.append(self.format(record))


class Soak:
    def __init__(self, machine: Machine, seed: int) -> Record:
        self.machine = machine
        self.record = Record()
        self.random = random.Random(seed)  # noqa: S311
        self.disturbed = True
        self._truth: list[float] = []
        self._proxy = make_proxy(machine, UNITS, INTERVAL_S)
        self._units = self._proxy.units

    async def run(self, duration_s: float, every_s: float) -> None:
        await self._proxy.start()
        parts = [asyncio.create_task(part) for part in (self._proxy.serve(), self._watch_truth(), self._be_client())]
        await self._settled(120.0)
        for fault in FAULTS:  # what is loaded, cached and allocated once
            await self._suffer(fault, BRIEF_S)
        parts.append(asyncio.create_task(self._sample()))
        await asyncio.sleep(QUIET_S)
        baseline = await _holdings()
        started = time.monotonic()
        longest_s = every_s / 2
        number = 0
        while (passed := time.monotonic() - started) < duration_s:
            if passed >= number * every_s:
                number += 1
                fault = self.random.choice(FAULTS)
                await self._suffer(fault, longest_s)
                await asyncio.sleep(min(QUIET_S, every_s / 4))
                if (holdings := await _holdings()) != baseline:
                    self.record.leaks.append(f"{fault.name}: files and tasks {holdings} instead of {baseline}")
            await asyncio.sleep(min(1.0, every_s))
        for part in parts[1:]:
            part.cancel()
        self._proxy.stop()
        await parts[0]

    async def _suffer(self, fault: Fault, longest_s: float) -> None:
        """Let a fault happen, for ``longest_s`` at most, and wait until all is well again."""
        self.disturbed = True
        where = await self.machine.adapter_of(ADAPTER)
        async with fault.happening(self.machine, self.random, dict(UNITS), where):
            await asyncio.sleep(min(self.random.uniform(*fault.seconds), longest_s))
        try:
            took = await self._settled(RECOVERED_S)
        except TimeoutError:
            self.record.late.append(f"{fault.name}: not recovered within {RECOVERED_S:.0f} s: {self._states()}")
            await self._settled(600.0)
        else:
            self.record.recovery_s.setdefault(fault.name, []).append(took)
        self.disturbed = False

    async def _settled(self, timeout_s: float) -> float:
        """Return the seconds until every unit is connected, by readings made from now on."""
        start, since = time.monotonic(), datetime.now(UTC)
        while any(
            unit.last_reading is None or unit.last_reading <= since or not unit.connected for unit in self._units
        ):
            if time.monotonic() > start + timeout_s:
                raise TimeoutError
            await asyncio.sleep(0.25)
        return time.monotonic() - start

    async def _sample(self) -> None:
        started, second = time.monotonic(), 0
        while True:
            await asyncio.sleep(1.0)
            second += 1
            if not self.disturbed:
                self.record.seconds += len(UNITS)
                self.record.available += sum(unit.connected for unit in self._units)
            if second % SAMPLE_S == 0:
                gc.collect()
                self.record.memory.append((time.monotonic() - started, _rss_mib()))

    async def _watch_truth(self) -> None:
        while True:
            world = await self.machine.room("world")
            self._truth = [*self._truth[-9:], world["battery_v"]]
            await asyncio.sleep(1.0)

    async def _be_client(self) -> None:
        """Watch as a client does, and connect again whenever that ends."""
        while True:
            ended = asyncio.Event()

            async def stopped(_: bool, ended: asyncio.Event = ended) -> None:
                ended.set()

            client = APIClient("127.0.0.1", self._proxy.server.port, None, noise_psk=KEY)
            with contextlib.suppress(APIConnectionError):
                await client.connect(on_stop=stopped, login=True)
                _, infos = await listed(client)
                follow(client, infos, lambda entity, state, infos=infos: self._check(infos[entity], state))
                await ended.wait()
            await client.disconnect(force=True)
            await asyncio.sleep(1.0)

    def _check(self, info: EntityInfo, state: Any) -> None:
        self.record.states += 1
        if state is None or not isinstance(info, SensorInfo):
            return
        low, high = RANGES.get(info.device_class, (-1e9, 1e9))
        if not low <= state <= high:
            self.record.wrong.append(f"{info.name} {state}")
        if info.object_id in VOLTAGE and any(self._truth):
            low, high = min(self._truth) - TOLERANCE_V, max(self._truth) + TOLERANCE_V
            if not low <= state <= high:
                self.record.wrong.append(f"{info.name} {state} where it is {self._truth[-1]}")

    def _states(self) -> str:
        return ", ".join(f"{unit.spec.name}: {unit.status}" for unit in self._units if not unit.connected)


async def _holdings() -> tuple[int, int]:
    """Return the open files and tasks, which a command or a timer may exceed for a moment: the least of a few looks."""
    files, tasks = [], []
    for _ in range(20):
        files.append(len(os.listdir("/proc/self/fd")) - 1)  # noqa: PTH208 - leaves no open folder behind
        names = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]
        tasks.append(sum(name != WAITS for name in names))
        await asyncio.sleep(0.05)
    return min(files), min(tasks)


def _rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


async def main(hours: float, every_s: float, seed: int) -> Record:
    machine = Machine(Path.cwd())
    await machine.until(machine.answers, "that the agent is there")
    await machine.populate(adapters=2, units="demo")
    soak = Soak(machine, seed)
    logging.basicConfig(format="%(asctime)s %(levelname).1s %(name)s: %(message)s", level=logging.WARNING)
    logging.getLogger().addHandler(Complaints(soak.record.unforeseen))
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: soak.record.unforeseen.append(f"{context['message']}: {context.get('exception')!r}")
    )
    await soak.run(hours * 3600, every_s)
    return soak.record


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    record = asyncio.run(main(options.hours, options.every, options.seed))
    Path("record.json").write_text(json.dumps(asdict(record)))
