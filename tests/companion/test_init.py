"""Setting up, unloading, devices that are gone."""

from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.blupow import async_remove_config_entry_device, async_unload_entry
from homeassistant.config_entries import ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_CLOSE
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import device_registry as dr
from proxies import KEY, MAC, ROVER, FakeProxy, shown, try_again


async def test_sets_up_and_unloads(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    assert loaded.state is ConfigEntryState.LOADED
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"
    (client,) = proxy.connected
    assert client.options["noise_psk"] == KEY
    assert client.options["expected_mac"] == MAC.replace(":", "")
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert loaded.state is ConfigEntryState.NOT_LOADED
    assert not proxy.connected


async def test_platforms_that_do_not_unload_keep_the_connection(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    with patch.object(hass.config_entries, "async_unload_platforms", return_value=False):
        assert not await async_unload_entry(hass, loaded)
    assert proxy.connected


async def test_a_first_setup_without_the_proxy_is_tried_again(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.reachable = False
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"
    proxy.reachable = True
    assert await hass.config_entries.async_reload(entry.entry_id)
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.parametrize(("key", "reason"), [("", "no_encryption"), ("other", "wrong_key")])
async def test_a_first_setup_with_a_wrong_key_asks_for_the_right_one(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, key: str, reason: str
) -> None:
    proxy.key = key
    assert not await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.SETUP_ERROR
    assert entry.error_reason_translation_key == reason
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == ["reauth"]


async def test_a_first_setup_that_nobody_answers_ends(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.blupow.session.FIRST_S", 0.0)
    proxy.hangs = True
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert entry.state is ConfigEntryState.SETUP_RETRY
    assert entry.error_reason_translation_key == "cannot_connect"


async def test_after_a_restart_without_the_proxy_its_entities_exist(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    await hass.config_entries.async_unload(loaded.entry_id)
    proxy.reachable = False
    assert await hass.config_entries.async_setup(loaded.entry_id)
    await hass.async_block_till_done()
    assert loaded.state is ConfigEntryState.LOADED
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    assert shown(hass, "button", "restart") == "unavailable"
    assert shown(hass, "sensor", "battery_energy_charged", 0x1002) == "unavailable"
    proxy.reachable = True
    await try_again(hass, loaded)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"
    assert shown(hass, "button", "restart") == "unknown"


async def test_an_entry_that_was_never_set_up_is_removed(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    await hass.config_entries.async_remove(entry.entry_id)
    assert hass.config_entries.async_entries("blupow") == []


async def test_while_home_assistant_stops_states_are_kept(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    hass.set_state(CoreState.stopping)
    await proxy.drop()
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"
    hass.bus.async_fire(EVENT_HOMEASSISTANT_CLOSE)
    await hass.async_block_till_done()
    assert not proxy.connected
    hass.set_state(CoreState.running)


@pytest.mark.parametrize(("listed", "removable"), [("proxy", False), ("unit", False), ("gone", True)])
async def test_only_devices_that_are_gone_can_be_removed(
    hass: HomeAssistant, loaded: MockConfigEntry, listed: str, removable: bool
) -> None:
    identifier = {"proxy": MAC, "unit": f"{MAC}-{ROVER:08x}", "gone": f"{MAC}-00000bad"}[listed]
    device: Any = dr.async_get(hass).async_get_or_create(
        config_entry_id=loaded.entry_id, identifiers={("blupow", identifier)}
    )
    assert await async_remove_config_entry_device(hass, loaded, device) is removable
