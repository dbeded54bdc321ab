"""Runs the proxy with one unit of each family at 500 ms and one client, and watches what it holds."""

import argparse
import asyncio
import gc
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import linear_regression

from aioesphomeapi import APIClient

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.storage import Storage

WARM_UP_S = 120.0  # caches and allocators fill
SAMPLE_S = 5.0
MIB = 1 << 20
SLOPE_LIMIT = 1.0  # MiB per hour
KEY = bytes(range(1, 33))


def rss_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir()) - 1


async def settled_tasks() -> int:
    """The number of tasks, which a command or a timer may exceed for a moment: the least of a few looks."""
    counts = []
    for _ in range(20):
        counts.append(len(asyncio.all_tasks()))
        await asyncio.sleep(0.01)
    return min(counts)


async def soak(minutes: float, folder: Path) -> bool:
    units = demo_units()
    config = ProxyConfig(
        esphome=EsphomeConfig(name="soak", friendly_name="Soak"),
        api=ApiConfig(port=0, key=KEY),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=tuple(
            UnitConfig(id=f"unit{number}", address=unit.address, name=f"Unit {number}", update_interval_s=0.5)
            for number, unit in enumerate(units)
        ),
    )
    async with VirtualRadio(units) as radio:
        proxy = Proxy(config, Surroundings(storage=Storage(folder), adapter=radio.adapter, host="127.0.0.1"))
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        await proxy.all_listed()
        client = APIClient(
            "127.0.0.1", proxy.server.port, None, noise_psk="AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA="
        )
        await client.connect(login=True)
        states = 0

        def received(_: object) -> None:
            nonlocal states
            states += 1

        await client.list_entities_services()
        client.subscribe_states(received)
        warm_up = min(WARM_UP_S, minutes * 60 / 3)
        await asyncio.sleep(warm_up)
        samples: list[tuple[float, float, int, int]] = []
        started, cpu = time.monotonic(), time.process_time()
        while (passed := time.monotonic() - started) < minutes * 60 - warm_up:
            gc.collect()
            samples.append((passed, rss_mib(), open_files(), await settled_tasks()))
            await asyncio.sleep(SAMPLE_S)
        load = (time.process_time() - cpu) / (time.monotonic() - started)
        failed = sum(unit.failed_requests for unit in proxy.units)
        await client.disconnect()
        proxy.stop()
        await serving
    slope = linear_regression([s[0] for s in samples], [s[1] for s in samples]).slope * 3600
    files, tasks = {s[2] for s in samples}, {s[3] for s in samples}
    print(f"samples {len(samples)}, states {states}, failed requests {failed}")
    print(f"CPU {100 * load:.1f} % of a core, the simulated units and the client included")
    print(f"RSS {samples[0][1]:.1f} -> {samples[-1][1]:.1f} MiB, slope {slope:+.2f} MiB/h (limit {SLOPE_LIMIT})")
    print(f"open files {sorted(files)}, tasks {sorted(tasks)}")
    return slope < SLOPE_LIMIT and len(files) == 1 and len(tasks) == 1 and failed == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=10.0)
    with tempfile.TemporaryDirectory(prefix="blupow-soak-") as folder:
        good = asyncio.run(soak(parser.parse_args().minutes, Path(folder)))
    print("passed" if good else "FAILED")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
