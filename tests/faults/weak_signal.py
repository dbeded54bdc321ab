"""Ten minutes of a weak signal, in the guest and in virtual time: the share of polls that brought a reading.

usage: weak_signal.py MINUTES    (leaves share.json)
"""

import asyncio
import json
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from in_guest import make_proxy
from machine import UNITS, Machine

READ = {name: address for name, address in UNITS.items() if name != "Shunt"}  # which is not asked
INTERVAL_S = 10.0
LOSS = 0.3  # of the fragments that units send
TOLERANCE_V = 0.25


async def weak_signal(minutes: float) -> dict[str, Any]:
    machine = Machine(Path.cwd())
    await machine.until(machine.answers, "that the agent is there")
    await machine.populate(adapters=1, units="demo")
    proxy = make_proxy(machine, READ, INTERVAL_S)
    await proxy.start()
    serving = asyncio.create_task(proxy.serve())
    await proxy.all_listed()
    await machine.room("air", fragment_loss=LOSS)
    wrong: list[str] = []
    readings: dict[str, list[float]] = {name: [] for name in READ}
    last = {unit.spec.name: unit.last_reading for unit in proxy.units}
    start = time.monotonic()
    drops = 0
    while (passed := time.monotonic() - start) < minutes * 60:
        if passed >= drops * 60:
            await machine.room("drop", address=list(READ.values())[drops % len(READ)])
            drops += 1
        truth = (await machine.room("world"))["battery_v"]
        for unit in proxy.units:
            shown = unit.states.get("battery_voltage", unit.states.get("house_battery_voltage"))
            if isinstance(shown, float) and abs(shown - truth) > TOLERANCE_V:
                wrong.append(f"{unit.spec.name}: {shown} V where it is {truth} V")
            if unit.last_reading != last[unit.spec.name]:
                last[unit.spec.name] = unit.last_reading
                readings[unit.spec.name].append(passed)
        await asyncio.sleep(0.5)
    missed = sum(_missed([0.0, *times, passed]) for times in readings.values())
    polls = minutes * 60 / INTERVAL_S * len(READ)
    proxy.stop()
    await serving
    return {"share": 1 - missed / polls, "wrong": wrong}


def _missed(times: list[float]) -> int:
    """Return how many polls brought no reading: a poll comes in each interval, a repeated one later in it."""
    return sum(max(round((later - sooner) / INTERVAL_S) - 1, 0) for sooner, later in pairwise(times))


if __name__ == "__main__":
    result = asyncio.run(weak_signal(float(sys.argv[1])))
    Path("share.json").write_text(json.dumps(result))
