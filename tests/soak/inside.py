"""The soak itself, in the guest: the proxy on a real bluetoothd, five units, a client, and a fault every so often.

usage: inside.py --hours H --every SECONDS --seed N
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import logging
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from typing import Any

from aioesphomeapi import APIClient, APIConnectionError, SensorInfo

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "bluez"))

from faults import FAULTS, Fault  # noqa: E402
from machine import Machine  # noqa: E402

from blupow_config import ApiConfig, BluetoothConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig  # noqa: E402
from blupow_proxy.app import Proxy, Surroundings  # noqa: E402
from blupow_proxy.storage import Storage  # noqa: E402

UNITS = {
    "Rover": "C4:D3:6A:00:00:01",
    "Charger": "C4:D3:6A:00:00:02",
    "Battery": "C4:D3:6A:00:00:03",
    "Inverter": "D8:B6:73:00:00:04",
    "Shunt": "4C:E1:74:00:00:05",
}
KEY = "dGhlIGtleSBvZiB0aGUgcmVhbCBCbHVlWiEhISEhISE="
ADAPTER = "B8:27:EB:00:00:01"
INTERVAL_S = 2.0
WARM_UP_S = 120.0
RECOVERED_S = 75.0  # the slowest target of the catalogue: a unit that was held, found again after a minute's pause
QUIET_S = 15.0  # after a recovery, until what has failed is cleared away
AVAILABLE = 0.995
SLOPE_MIB_H = 1.0
VOLTAGE = {"battery_voltage", "house_battery_voltage"}
TOLERANCE_V = 0.25  # noise of the simulated units, and what the voltage moves within a poll
RANGES = {
    "voltage": (0, 80),
    "current": (-300, 300),
    "power": (-5000, 5000),
    "battery": (0, 100),
    "temperature": (-40, 100),
}
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
    memory: list[tuple[float, float]] = field(default_factory=list)


class Complaints(logging.Handler):
    """Collects what nobody foresaw."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info or record.levelno >= logging.ERROR:
            self._into.append(self.format(record))


class Soak:
    def __init__(self, machine: Machine, seed: int) -> None:
        self.machine = machine
        self.record = Record()
        self.random = random.Random(seed)
        self.disturbed = True
        self._truth: list[float] = []
        self._proxy = Proxy(_config(), Surroundings(storage=Storage(machine.folder / "state"), host="127.0.0.1"))

    async def run(self, duration_s: float, every_s: float) -> None:
        await self._proxy.start()
        parts = [asyncio.create_task(part) for part in (self._proxy.serve(), self._watch_truth(), self._be_client())]
        await self._settled(120.0)
        await asyncio.sleep(WARM_UP_S)
        baseline = await _holdings()
        started = time.monotonic()
        parts.append(asyncio.create_task(self._sample()))
        number = 0
        while (passed := time.monotonic() - started) < duration_s:
            if passed >= number * every_s:
                number += 1
                await self._suffer(self.random.choice(FAULTS), baseline)
            await asyncio.sleep(min(1.0, every_s))
        for part in parts[1:]:
            part.cancel()
        self._proxy.stop()
        await parts[0]

    async def _suffer(self, fault: Fault, baseline: tuple[int, int]) -> None:
        self.disturbed = True
        where = await self.machine.adapter_of(ADAPTER)
        async with fault.happening(self.machine, self.random, dict(UNITS), where):
            await asyncio.sleep(self.random.uniform(*fault.seconds))
        try:
            took = await self._settled(RECOVERED_S)
        except TimeoutError:
            self.record.late.append(f"{fault.name}: not recovered within {RECOVERED_S:.0f} s: {self._states()}")
            await self._settled(600.0)
        else:
            self.record.recovery_s.setdefault(fault.name, []).append(took)
        await asyncio.sleep(QUIET_S)
        if (holdings := await _holdings()) != baseline:
            self.record.leaks.append(f"{fault.name}: files and tasks {holdings} instead of {baseline}")
        self.disturbed = False

    async def _settled(self, timeout_s: float) -> float:
        """Return the seconds until every unit is connected, by readings made from now on."""
        start = time.monotonic()
        async with asyncio.timeout(timeout_s):
            await asyncio.sleep(3 * INTERVAL_S)
            while not all(unit.connected for unit in self._proxy.units):
                await asyncio.sleep(0.5)
        return time.monotonic() - start

    async def _sample(self) -> None:
        started, second = time.monotonic(), 0
        while True:
            await asyncio.sleep(1.0)
            second += 1
            if not self.disturbed:
                self.record.seconds += len(UNITS)
                self.record.available += sum(unit.connected for unit in self._proxy.units)
            if second % 60 == 0:
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
                entities, _ = await client.list_entities_services()
                infos = {(one.device_id, one.key): one for one in entities if isinstance(one, SensorInfo)}
                client.subscribe_states(lambda state, infos=infos: self._check(state, infos))
                await ended.wait()
            await client.disconnect(force=True)
            await asyncio.sleep(1.0)

    def _check(self, state: Any, infos: dict[tuple[int, int], SensorInfo]) -> None:
        self.record.states += 1
        info = infos.get((state.device_id, state.key))
        if info is None or state.missing_state:
            return
        low, high = RANGES.get(info.device_class, (-1e9, 1e9))
        if not low <= state.state <= high:
            self.record.wrong.append(f"{info.name} {state.state}")
        if info.object_id in VOLTAGE and self._truth:
            if not min(self._truth) - TOLERANCE_V <= state.state <= max(self._truth) + TOLERANCE_V:
                self.record.wrong.append(f"{info.name} {state.state} where it is {self._truth[-1]}")

    def _states(self) -> str:
        return ", ".join(f"{unit.spec.name}: {unit.status}" for unit in self._proxy.units if not unit.connected)


def _config() -> ProxyConfig:
    return ProxyConfig(
        esphome=EsphomeConfig(name="soak", friendly_name="Soak"),
        api=ApiConfig(port=0, key=base64.b64decode(KEY)),
        bluetooth=BluetoothConfig(adapter=ADAPTER),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(
            UnitConfig(id=name.lower(), address=address, name=name, update_interval_s=INTERVAL_S)
            for name, address in UNITS.items()
        ),
    )


async def _holdings() -> tuple[int, int]:
    """Return the open files and tasks, which a command or a timer may exceed for a moment: the least of a few looks."""
    looks = []
    for _ in range(20):
        files = sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1
        looks.append((files, len(asyncio.all_tasks())))
        await asyncio.sleep(0.05)
    return min(files for files, _ in looks), min(tasks for _, tasks in looks)


def _rss_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MIB


def report(record: Record, hours: float, real_hours: float) -> bool:
    """Print the table; whether all is well."""
    share = record.available / max(record.seconds, 1)
    slope = linear_regression(*zip(*record.memory, strict=True)).slope * 3600
    by_real = slope * hours / max(real_hours, 1e-9)
    print(f"{'fault':28}{'times':>6}{'recovered after, s':>22}")
    for name, took in sorted(record.recovery_s.items()):
        print(f"{name:28}{len(took):6}{sum(took) / len(took):12.1f} (at most {max(took):.1f})")
    print(f"states {record.states}, wrong values {len(record.wrong)}, unforeseen exceptions {len(record.unforeseen)}")
    print(f"available outside of faults {100 * share:.3f} % (at least {100 * AVAILABLE} %)")
    print(f"late recoveries {len(record.late)}, files or tasks left over {len(record.leaks)} times")
    print(
        f"RSS {record.memory[0][1]:.1f} -> {record.memory[-1][1]:.1f} MiB,"
        f" slope {slope:+.3f} MiB/h of the soak's time, {by_real:+.2f} of real time (limit {SLOPE_MIB_H})"
    )
    kinds = {"wrong": record.wrong, "unforeseen": record.unforeseen, "late": record.late, "left over": record.leaks}
    for kind, lines in kinds.items():
        for line, times in Counter(lines).most_common(5):
            print(f"  {kind} ({times} times): {line}")
    return share >= AVAILABLE and not any(kinds.values()) and min(slope, by_real) <= SLOPE_MIB_H


async def main(hours: float, every_s: float, seed: int, real_time: Any = time.process_time) -> bool:
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
    return report(soak.record, hours, real_time() / 3600)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    sys.exit(not asyncio.run(main(options.hours, options.every, options.seed)))
