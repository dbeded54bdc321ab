"""What users attach to reports, and the system information."""

import json
from typing import Any

from aioesphomeapi import Event, TextSensorInfo, UpdateInfo, UpdateState
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
from proxies import BATTERY, HOST, KEY, MAC, ROVER, FakeProxy, info


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
