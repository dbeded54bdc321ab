"""The energy of a battery, added up of its power."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from unittest.mock import AsyncMock, patch

from aioesphomeapi import SensorInfo
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    mock_restore_cache_with_extra_data,
)

from homeassistant.core import HomeAssistant, State
from homeassistant.util import dt as dt_util
from proxies import BATTERY, FakeProxy, entity_id, lose, shown, try_again


@pytest.fixture
def pass_seconds() -> Iterator[Callable[[float], None]]:
    """Let time pass for the integration."""
    now_s = 1000.0
    with patch("custom_components.blupow.energy.monotonic", lambda: now_s):

        def tick(seconds: float) -> None:
            nonlocal now_s
            now_s += seconds

        yield tick


async def energy(hass: HomeAssistant) -> tuple[str, str]:
    """What is charged and discharged, as it is shown once a minute."""
    async_fire_time_changed(hass, dt_util.utcnow() + timedelta(seconds=61))
    await hass.async_block_till_done()
    return (
        shown(hass, "sensor", "battery_energy_charged", BATTERY),
        shown(hass, "sensor", "battery_energy_discharged", BATTERY),
    )


async def test_each_direction_has_its_own_total(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    assert await energy(hass) == ("0.0", "0.0")
    pass_seconds(100)  # at 360 W, as from the start
    proxy.push("battery_power", -720.0, BATTERY)
    pass_seconds(50)
    proxy.push("battery_power", 0.0, BATTERY)
    pass_seconds(1000)
    proxy.push("battery_power", 36.0, BATTERY)
    assert await energy(hass) == ("0.01", "0.01")
    state = hass.states.get(entity_id(hass, "sensor", "battery_energy_charged", BATTERY))
    assert state is not None
    assert state.attributes["unit_of_measurement"] == "kWh"
    assert state.attributes["device_class"] == "energy"
    assert state.attributes["state_class"] == "total"


async def test_a_power_that_does_not_change_goes_on(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry
) -> None:
    for total in ("0.006", "0.012"):
        pass_seconds(60)
        assert await energy(hass) == (total, "0.0")


def measured_in(proxy: FakeProxy, unit: str) -> None:
    """Let the battery's power be told in another unit."""
    listed = proxy.listed("battery_power", BATTERY)
    assert isinstance(listed, SensorInfo)
    proxy.infos[proxy.infos.index(listed)] = replace(listed, unit_of_measurement=unit)


@pytest.mark.parametrize(("unit", "power"), [("W", 360.0), ("kW", 0.36), ("mW", 360_000.0)])
async def test_a_power_counts_in_its_unit(
    hass: HomeAssistant,
    pass_seconds: Callable[[float], None],
    entry: MockConfigEntry,
    proxy: FakeProxy,
    unit: str,
    power: float,
) -> None:
    measured_in(proxy, unit)
    proxy.values[BATTERY, "battery_power"] = power
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    pass_seconds(100)
    assert await energy(hass) == ("0.01", "0.0")


async def test_a_power_counts_in_another_unit_from_the_moment_it_is_listed_so(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    pass_seconds(50)  # at 360 W
    with patch.object(hass.config_entries, "async_schedule_reload") as schedule_reload:  # which takes a while
        for unit, power in (("kW", 0.36), ("mW", 360_000.0), ("hp", 4711.0)):
            measured_in(proxy, unit)
            proxy.values[BATTERY, "battery_power"] = power
            await proxy.drop()
            await hass.async_block_till_done()
            schedule_reload.assert_called_with(loaded.entry_id)
            pass_seconds(25)
            if unit == "mW":
                assert await energy(hass) == ("0.01", "0.0")
    assert not [name for name in hass.states.async_entity_ids("sensor") if "charged" in name]


async def test_a_power_that_is_listed_no_more_counts_no_more(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    loaded.runtime_data.infos.clear()  # before its entities are gone
    proxy.push("battery_power", 360.0, BATTERY)
    pass_seconds(1000)
    assert await energy(hass) == ("0.0", "0.0")


@pytest.mark.parametrize("unit", ["", "%", "hp", "A", "watts"])
async def test_what_is_no_power_makes_no_energy(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, unit: str
) -> None:
    sensor = entity_id(hass, "sensor", "battery_energy_charged", BATTERY)
    measured_in(proxy, unit)
    await proxy.drop()
    await hass.async_block_till_done()
    assert hass.states.get(sensor) is None
    assert shown(hass, "sensor", "battery_power", BATTERY) == "360.0"


@pytest.mark.parametrize("gap", ["missing", "nan", "unit", "proxy"])
async def test_what_flows_while_nobody_looks_is_not_counted(
    hass: HomeAssistant,
    pass_seconds: Callable[[float], None],
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    port: AsyncMock,
    gap: str,
) -> None:
    pass_seconds(10)
    match gap:
        case "missing" | "nan":
            proxy.push("battery_power", None if gap == "missing" else float("nan"), BATTERY)
            pass_seconds(3600)
            proxy.push("battery_power", 360.0, BATTERY)
        case "unit":
            proxy.unit_link(False, BATTERY)
            assert await energy(hass) == ("unavailable", "unavailable")
            pass_seconds(3600)
            proxy.unit_link(True, BATTERY)
        case "proxy":
            await lose(hass, proxy)
            assert await energy(hass) == ("unavailable", "unavailable")
            pass_seconds(3600)
            proxy.reachable = True
            await try_again(hass, loaded)
    pass_seconds(10)
    proxy.push("battery_power", 0.0, BATTERY)
    assert await energy(hass) == ("0.002", "0.0")


async def test_a_total_goes_on_after_a_restart(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    name = entity_id(hass, "sensor", "battery_energy_charged", BATTERY)
    await hass.config_entries.async_unload(loaded.entry_id)
    stored = {"native_value": 41.5, "native_unit_of_measurement": "kWh"}
    mock_restore_cache_with_extra_data(hass, ((State(name, "41.5"), stored),))
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done()
    assert await energy(hass) == ("41.5", "0.0")
    pass_seconds(10)
    proxy.push("battery_power", 0.0, BATTERY)
    assert await energy(hass) == ("41.501", "0.0")


async def test_a_reload_loses_nothing(
    hass: HomeAssistant, pass_seconds: Callable[[float], None], loaded: MockConfigEntry
) -> None:
    pass_seconds(50)  # at 360 W, of which nothing is shown yet
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    assert await energy(hass) == ("0.005", "0.0")
