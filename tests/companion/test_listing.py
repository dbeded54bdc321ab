"""What changes when the proxy lists something else."""

from dataclasses import replace
import logging
from typing import Any
from unittest.mock import patch

from aioesphomeapi import EntityInfo, NumberInfo, SensorInfo, SubDeviceInfo
from aioesphomeapi.model import LightInfo
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.blupow.wire import device_identifier
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr, entity_registry as er
from proxies import BATTERY, MAC, ROVER, FakeProxy, info, link_infos, measurement, shown, try_again

SHUNT = 0x1003


def names(hass: HomeAssistant, entry: MockConfigEntry) -> set[str | None]:
    return {device.name for device in dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)}


def registered(hass: HomeAssistant, entry: MockConfigEntry) -> set[str]:
    return {entity.unique_id for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id)}


def described(hass: HomeAssistant, entry: MockConfigEntry, device_id: int) -> tuple[str | None, str | None]:
    """Return the model and the serial number of a unit, as the device registry has them."""
    identifier = "blupow", device_identifier(MAC, device_id)
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next((device.model, device.serial_number) for device in devices if identifier in device.identifiers)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was warned of, but that Home Assistant does not know the integration."""
    found = [record for record in caplog.records if record.levelno >= logging.WARNING]
    return [record.getMessage() for record in found if record.name != "homeassistant.loader"]


async def list_again(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    await proxy.drop()
    await hass.async_block_till_done()


@pytest.fixture
def reloads(hass: HomeAssistant) -> Any:
    with patch.object(hass.config_entries, "async_schedule_reload") as reload:
        yield reload


async def test_a_new_unit_appears(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, reloads: Any) -> None:
    proxy.info = replace(proxy.info, devices=[*proxy.info.devices, SubDeviceInfo(device_id=SHUNT, name="Shunt")])
    proxy.infos += [measurement("Battery power", SHUNT, "W", "power"), *link_infos(SHUNT)]
    proxy.values |= {(SHUNT, "battery_power"): 5.0, (SHUNT, "link"): True}
    await list_again(hass, loaded, proxy)
    assert "Shunt" in names(hass, loaded)
    assert shown(hass, "sensor", "battery_power", SHUNT) == "5.0"
    assert shown(hass, "sensor", "battery_energy_charged", SHUNT) == "0.0"
    reloads.assert_not_called()


async def test_a_new_entity_appears(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, reloads: Any
) -> None:
    proxy.infos.append(measurement("PV voltage", ROVER, "V", "voltage"))
    proxy.values[ROVER, "pv_voltage"] = 29.0
    await list_again(hass, loaded, proxy)
    assert shown(hass, "sensor", "pv_voltage", ROVER) == "29.0"
    reloads.assert_not_called()


async def test_a_unit_that_is_gone_goes(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, reloads: Any
) -> None:
    proxy.info = replace(proxy.info, devices=[unit for unit in proxy.info.devices if unit.device_id != BATTERY])
    proxy.infos = [listed for listed in proxy.infos if listed.device_id != BATTERY]
    await list_again(hass, loaded, proxy)
    assert names(hass, loaded) == {"Solar shed", "Rover"}
    assert not [name for name in registered(hass, loaded) if f"-{BATTERY:08x}-" in name]
    reloads.assert_not_called()


async def test_an_entity_that_is_gone_goes(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    before = registered(hass, loaded)
    proxy.infos = [listed for listed in proxy.infos if listed.object_id not in ("pv_power", "cell_voltage_2")]
    await list_again(hass, loaded, proxy)
    assert {name.rpartition("-")[2] for name in before - registered(hass, loaded)} == {"pv_power", "cell_voltage_2"}


async def test_a_unit_that_the_proxy_has_yet_to_find_out_keeps_what_it_had(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    before = registered(hass, loaded)
    proxy.infos = [listed for listed in proxy.infos if listed.device_id != ROVER] + link_infos(ROVER)
    await list_again(hass, loaded, proxy)
    assert registered(hass, loaded) == before


def known_by_name(listed: EntityInfo) -> bool:
    return listed.object_id in ("model", "serial_number", "battery_power")


async def test_what_is_hidden_from_the_start_is_but_missing(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither who a unit is nor the energy of its battery, and no trouble."""
    proxy.infos = [listed for listed in proxy.infos if not known_by_name(listed)]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert names(hass, entry) == {"Solar shed", "Rover", "Battery"}
    assert shown(hass, "sensor", "cell_voltage_1", BATTERY) == "3.3"
    assert not [name for name in registered(hass, entry) if "energy-" in name]
    assert not warnings(caplog)


async def test_what_is_hidden_later_is_forgotten(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    reloads: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert described(hass, loaded, ROVER) == ("RNG-CTRL-RVR40", "15010421")
    proxy.infos = [listed for listed in proxy.infos if not known_by_name(listed)]
    await list_again(hass, loaded, proxy)
    assert described(hass, loaded, ROVER) == (None, None)
    assert described(hass, loaded, 0) == ("Raspberry Pi 4 Model B", None)
    assert not [name for name in registered(hass, loaded) if "energy-" in name]
    assert not warnings(caplog)


async def test_a_unit_of_which_all_is_hidden_has_its_link_alone(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    """That a unit answers tells that it is found: what is not listed then is not yet to come."""
    proxy.infos = [listed for listed in proxy.infos if listed.device_id != BATTERY]
    proxy.infos += [*link_infos(BATTERY), info(SensorInfo, "Failed requests", BATTERY)]
    await list_again(hass, loaded, proxy)
    kept = {name for name in registered(hass, loaded) if f"-{BATTERY:08x}-" in name}
    assert len(kept) == len(link_infos(BATTERY)) + 1


async def test_an_entity_that_is_another_now_reloads_the_entry_once(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, reloads: Any
) -> None:
    proxy.infos = [
        replace(listed, accuracy_decimals=2) if listed.object_id == "battery_voltage" else listed
        for listed in proxy.infos
    ]
    await list_again(hass, loaded, proxy)
    reloads.assert_called_once_with(loaded.entry_id)
    await list_again(hass, loaded, proxy)
    reloads.assert_called_once()


async def test_kinds_that_are_not_known_are_passed_over(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos.append(info(LightInfo, "Lamp"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_unload(entry.entry_id)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor", "battery_voltage", ROVER)


async def test_a_listing_of_a_newer_companion_can_be_read(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    stored = hass_storage[f"blupow.{loaded.entry_id}"]["data"]
    stored["infos"].append(("hologram", {"object_id": "help_me", "key": 1}))
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done()
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


@pytest.mark.parametrize("stored", [{"version": 9}, {"data": {"infos": 1}}], ids=["newer", "damaged"])
async def test_a_listing_that_can_not_be_read_is_asked_for_anew(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_storage: dict[str, Any], stored: dict[str, Any]
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    hass_storage[f"blupow.{loaded.entry_id}"] |= stored
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done()
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


async def test_a_proxy_that_is_started_anew_tells_of_its_units_by_itself(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    proxy.values |= {(unit, "link"): False for unit in (ROVER, BATTERY)}
    await list_again(hass, loaded, proxy)
    for unit in (ROVER, BATTERY):
        proxy.unit_link(True, unit)
    assert [record.getMessage() for record in caplog.records if record.name == "custom_components.blupow"] == [
        "The connection to Solar shed is lost; its entities are unavailable until it is back",
        "Solar shed is connected again",
    ]


async def test_a_listing_that_fails_half_way_is_taken_up_the_next_time(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos.append(measurement("PV voltage", ROVER, "V", "voltage"))
    proxy.values[ROVER, "pv_voltage"] = 29.0
    with patch("custom_components.blupow.devices.async_register", side_effect=ValueError):
        await list_again(hass, loaded, proxy)
    await try_again(hass, loaded)
    assert shown(hass, "sensor", "pv_voltage", ROVER) == "29.0"


async def test_a_number_without_limits_is_passed_over(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, reloads: Any
) -> None:
    before = registered(hass, loaded)
    proxy.infos.append(info(NumberInfo, "Limit", ROVER, min_value=float("nan"), max_value=1.0, step=1.0))
    await list_again(hass, loaded, proxy)
    assert registered(hass, loaded) == before
    reloads.assert_not_called()


async def test_a_unit_that_begins_to_tell_of_its_link_reloads_the_entry(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, reloads: Any
) -> None:
    everything = proxy.infos
    proxy.infos = [listed for listed in everything if (listed.device_id, listed.object_id) != (ROVER, "link")]
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.infos = everything
    await list_again(hass, entry, proxy)
    reloads.assert_called_once_with(entry.entry_id)


async def test_the_name_that_wakes_the_client_is_the_proxys_own(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.info = replace(proxy.info, name="solar-shed-2")
    await list_again(hass, loaded, proxy)
    assert loaded.data["device_name"] == "solar-shed-2"


async def test_a_unit_out_of_reach_is_told_once(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    for _ in range(2):
        proxy.unit_link(False, ROVER, "the device ended the connection")
        await hass.async_block_till_done()
    for _ in range(2):
        proxy.unit_link(True, ROVER)
    assert [record.getMessage() for record in caplog.records if record.name == "custom_components.blupow"] == [
        "Solar shed: Rover is out of reach: the device ended the connection",
        "Solar shed: Rover is reached again",
    ]
