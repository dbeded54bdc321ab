"""What a real Home Assistant spends on proxies, by one integration; prints JSON.

usage: home_assistant.py blupow|esphome FIRST_PORT KEY COUNT SENSORS SECONDS
"""

import asyncio
import gc
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

import homeassistant  # noqa: F401 - first: it puts aliases in place for what is imported after it
from homeassistant import bootstrap, runner
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback

COMPANION = Path(__file__).parents[2] / "companion" / "custom_components"
CONFIGURATION = "homeassistant: {name: Bench}\nzeroconf:\nlogger: {default: warning}\n"
SETTLE_S = 3.0


async def add(hass: HomeAssistant, domain: str, port: int, key: str) -> ConfigEntry:
    """Add a proxy through the dialogue of the integration."""
    flows = hass.config_entries.flow
    result: Any = await flows.async_init(domain, context={"source": "user"}, data={"host": "127.0.0.1", "port": port})
    while result["type"] == "form":
        result = await flows.async_configure(result["flow_id"], {"noise_psk": key})
    assert result["type"] == "create_entry", result
    return result["result"]


def states_of(hass: HomeAssistant) -> int:
    return sum(state.state not in ("unavailable", "unknown") for state in hass.states.async_all("sensor"))


async def measure(
    hass: HomeAssistant, domain: str, port: int, key: str, count: int, sensors: int, seconds: float
) -> Any:
    before = states_of(hass)
    all_there = asyncio.Event()
    delays_ms: list[float] = []

    @callback
    def changed(event: Event) -> None:
        state = event.data["new_state"]
        if state is None:
            return
        if state.entity_id.endswith("_stamp") and state.state.isdecimal():
            delays_ms.append((time.monotonic_ns() - int(state.state)) / 1e6)
        elif not all_there.is_set() and states_of(hass) - before >= sensors:
            all_there.set()

    hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
    started = time.perf_counter()
    await add(hass, domain, port, key)
    async with asyncio.timeout(30):
        await all_there.wait()
    setup_s = time.perf_counter() - started
    await asyncio.sleep(SETTLE_S)
    delays_ms.clear()
    await asyncio.sleep(seconds)
    samples = len(delays_ms)
    latency = quantiles(delays_ms, n=100)
    for number in range(1, count):
        await add(hass, domain, port + number, key)
    await asyncio.sleep(SETTLE_S)
    shown = states_of(hass) - before
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    return {
        "setup_s": setup_s,
        "p50_ms": latency[49],
        "p99_ms": latency[98],
        "samples": samples,
        "cores": (time.process_time() - cpu) / (time.perf_counter() - wall),
        "shown": shown,
    }


async def main(folder: Path, domain: str, *arguments: Any) -> None:
    (folder / "configuration.yaml").write_text(CONFIGURATION)
    (folder / "custom_components").symlink_to(COMPANION)
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=str(folder), skip_pip=True))
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    result = await measure(hass, domain, *arguments)
    print(json.dumps(result), flush=True)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    name, port, key, count, sensors, seconds = sys.argv[1:]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        asyncio.run(main(Path(scratch), name, int(port), key, int(count), int(sensors), float(seconds)))
