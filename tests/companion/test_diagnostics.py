"""What users attach to reports, and the system information."""

import json
from typing import Any

from aioesphomeapi import Event, SelectInfo, SensorInfo, SensorState, TextInfo, TextSensorInfo, UpdateInfo, UpdateState
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
from syrupy.assertion import SnapshotAssertion
from syrupy.filters import props

from custom_components.blupow.system_health import _async_info, async_register
from custom_components.blupow.wire import value
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
from proxies import BATTERY, HOST, KEY, MAC, ROVER, FakeProxy, info, key_of


@pytest.fixture(autouse=True)
async def _diagnostics(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "diagnostics", {})


async def test_diagnostics(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    snapshot: SnapshotAssertion,
) -> None:
    proxy.push("link_status", "C4:D3:6A:00:00:09 is not heard at 192.0.2.7", ROVER)
    proxy.push("link_status", "/org/bluez/hci0/dev_C4_D3_6A_00_00_0A is gone", BATTERY)
    proxy.infos.append(info(TextSensorInfo, "Pack serial number", BATTERY))
    proxy.values[BATTERY, "pack_serial_number"] = "PACK-0815"
    await proxy.drop()
    await hass.async_block_till_done()
    found = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert found == snapshot(exclude=props("created_at", "modified_at", "entry_id"))
    text = json.dumps(found).lower()
    for secret in (
        KEY,
        HOST,
        MAC,
        MAC.replace(":", ""),
        "15010421",
        "c4:d3:6a:00:00:09",
        "c4_d3_6a",
        "192.0.2.7",
        "pack-0815",
    ):
        assert secret.lower() not in text


async def test_a_text_is_told_of_which_is_known_that_it_identifies_nothing(
    hass: HomeAssistant,
    hass_client: ClientSessionGenerator,
    entry: MockConfigEntry,
    proxy: FakeProxy,
) -> None:
    """Whatever the user has named it: only the names of what may be told are known."""
    proxy.infos[:] = [listed for listed in proxy.infos if listed.object_id != "serial_number"]
    proxy.infos += [
        info(TextSensorInfo, "Plate", ROVER),
        info(SelectInfo, "Network", ROVER),
        info(TextInfo, "Owner", ROVER),
        info(TextSensorInfo, "Mode", ROVER),
        info(TextSensorInfo, "Controller faults", ROVER),
        info(SensorInfo, "Model", ROVER),
    ]
    proxy.values |= {
        (ROVER, "plate"): "15010421",
        (ROVER, "network"): "Home of Ada",
        (ROVER, "owner"): "Ada",
        (ROVER, "mode"): "Current limiting",
        (ROVER, "controller_faults"): "fan alarm",
    }
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.push_state(SensorState(key=key_of("model"), device_id=ROVER, state=13.0))
    proxy.push("link_status", "15010421 does not answer", ROVER)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, entry)
    states = found["states"]["Rover"]
    redacted = {name for name, state in states.items() if state == "**REDACTED**"}
    assert redacted == {"text_sensor.plate", "select.network", "text.owner"}
    assert states["text_sensor.link_status"] == "**REDACTED** does not answer"
    assert states["text_sensor.model"] == "RNG-CTRL-RVR40"
    assert states["text_sensor.mode"] == "Current limiting"
    assert states["text_sensor.controller_faults"] == "fan alarm"
    assert states["sensor.model"] == 13.0


async def test_diagnostics_of_an_entry_without_a_listing(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, loaded: MockConfigEntry
) -> None:
    loaded.runtime_data.listing = None
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert found["device_info"] is None
    assert found["actions"] == []


async def test_diagnostics_of_an_entry_that_is_not_loaded(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, loaded: MockConfigEntry
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, loaded)
    assert found["state"] == "not_loaded"
    text = json.dumps(found).lower()
    for secret in (KEY, HOST, MAC):
        assert secret.lower() not in text


async def test_system_health(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    registered: list[Any] = []

    class Registration:
        def async_register_info(self, callback: Any) -> None:
            registered.append(callback)

    registration: Any = Registration()
    async_register(hass, registration)
    assert registered == [_async_info]
    assert await _async_info(hass) == {
        "proxies_connected": "1 / 1",
        "units_reached": "2 / 2",
        "proxy_versions": "0.1.0",
    }
    proxy.unit_link(False, ROVER)
    assert (await _async_info(hass))["units_reached"] == "1 / 2"


def test_an_updates_value_is_its_version_and_an_events_its_type() -> None:
    assert value(Event(event_type="overload")) == "overload"
    listed = info(UpdateInfo, "Firmware")
    assert value(UpdateState(key=listed.key, current_version="1.0")) == "1.0"
    assert value(UpdateState(key=listed.key, missing_state=True)) is None
    assert value(None) is None
