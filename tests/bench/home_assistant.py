"""What a real Home Assistant spends on proxies, by one integration; prints JSON.

usage: home_assistant.py blupow|esphome FIRST_PORT KEY COUNT SENSORS SECONDS
       home_assistant.py bare COUNT SENSORS SECONDS    no proxy, no integration: entities that only write as many states
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
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity, SensorStateClass
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import EVENT_STATE_CHANGED
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.setup import async_setup_component

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


class BareSensor(SensorEntity):
    """What any integration has to have at the least."""

    _attr_device_class = SensorDeviceClass.VOLTAGE
    _attr_native_unit_of_measurement = "V"
    _attr_should_poll = False
    _attr_state_class = SensorStateClass.MEASUREMENT
    _attr_suggested_display_precision = 1
    value = 0.0

    def __init__(self, number: int) -> None:
        self._attr_unique_id = self._attr_name = f"bare {number}"

    @property
    def native_value(self) -> float:
        return self.value


async def measure_bare(hass: HomeAssistant, count: int, sensors: int, seconds: float) -> dict[str, float]:
    written = 0

    @callback
    def changed(_: Event) -> None:
        nonlocal written
        written += 1

    hass.bus.async_listen(EVENT_STATE_CHANGED, changed)
    assert await async_setup_component(hass, "sensor", {})
    proxies = [[BareSensor(proxy * sensors + number) for number in range(sensors)] for proxy in range(count)]
    await hass.data["sensor"].async_add_entities([entity for proxy in proxies for entity in proxy])
    await hass.async_block_till_done()

    rounds = round(seconds)
    gc.collect()
    written = 0
    cpu, start = time.process_time(), time.perf_counter()
    for round_ in range(rounds):
        for number, proxy in enumerate(proxies):
            await asyncio.sleep(max(0.0, start + round_ + number / count - time.perf_counter()))
            for entity in proxy:
                entity.value = 0.1 * (round_ + 1)
                entity.async_write_ha_state()
    await asyncio.sleep(max(0.0, start + rounds - time.perf_counter()))
    cores = (time.process_time() - cpu) / (time.perf_counter() - start)
    assert written == rounds * count * sensors, written
    return {"cores": cores}


async def main(folder: Path, domain: str, *arguments: Any) -> None:
    (folder / "configuration.yaml").write_text(CONFIGURATION)
    (folder / "custom_components").symlink_to(COMPANION)
    hass = await bootstrap.async_setup_hass(runner.RuntimeConfig(config_dir=str(folder), skip_pip=True))
    assert hass is not None
    await hass.async_start()
    await hass.async_block_till_done()
    result = await (measure_bare(hass, *arguments) if domain == "bare" else measure(hass, domain, *arguments))
    print(json.dumps(result), flush=True)
    await hass.async_stop(force=True)


if __name__ == "__main__":
    name, *place, count, sensors, seconds = sys.argv[1:]
    connection = [int(place[0]), place[1]] if place else []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        asyncio.run(main(Path(scratch), name, *connection, int(count), int(sensors), float(seconds)))
