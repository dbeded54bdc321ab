"""The proxy as a source of Bluetooth: Home Assistant's own, and bleak-esphome, over a client that is none."""

from dataclasses import replace
import json
from typing import Any
from unittest.mock import AsyncMock, Mock

from aioesphomeapi import BluetoothProxyFeature, BluetoothScannerMode
from bleak_esphome.backend.device import ESPHomeBluetoothDevice
from habluetooth import BaseHaRemoteScanner, BluetoothScanningMode, get_manager
import pytest
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    MockModule,
    mock_config_flow,
    mock_integration,
    mock_platform,
)
from pytest_homeassistant_custom_component.components.diagnostics import get_diagnostics_for_config_entry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from custom_components.blupow.bluetooth import Subscriptions
from homeassistant.components import bluetooth
from homeassistant.config_entries import SOURCE_IGNORE, SOURCE_REAUTH, ConfigEntryDisabler, ConfigFlow
from homeassistant.core import HomeAssistant
from homeassistant.helpers import device_registry as dr
from homeassistant.setup import async_setup_component
from proxies import MAC, OTHER_KEY, FakeProxy, issues, lose, try_again

SOURCE = "B8:27:EB:00:00:01"
FLAGS = (
    BluetoothProxyFeature.PASSIVE_SCAN
    | BluetoothProxyFeature.ACTIVE_CONNECTIONS
    | BluetoothProxyFeature.REMOTE_CACHING
    | BluetoothProxyFeature.RAW_ADVERTISEMENTS
    | BluetoothProxyFeature.FEATURE_STATE_AND_MODE
)
EVERYTHING = ["advertisements", "scanner state", "slots"]
WANTED = {"bluetooth_source": True}
THERMOMETER = 0xA4C138000001
ADVERTISEMENT = bytes.fromhex("0201060a16d2fc4002c409031027")  # BTHome: 25.00 degrees, 100.00 %


@pytest.fixture
def offering(proxy: FakeProxy) -> FakeProxy:
    """The proxy forwards Bluetooth."""
    proxy.info = replace(proxy.info, bluetooth_mac_address=SOURCE, bluetooth_proxy_feature_flags=int(FLAGS))
    return proxy


@pytest.fixture
async def bluetooth_is_set_up(hass: HomeAssistant, offering: FakeProxy, mock_bluetooth: None) -> None:
    """Home Assistant's Bluetooth is set up, with an adapter of its own that nobody has added."""
    assert await async_setup_component(hass, "bluetooth", {})
    await hass.async_block_till_done()


@pytest.fixture
async def source(hass: HomeAssistant, bluetooth_is_set_up: None, entry: MockConfigEntry) -> MockConfigEntry:
    """The companion has registered the proxy's scanner."""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert scanner() is not None
    return entry


def scanner() -> Any:
    return get_manager().async_scanner_by_source(SOURCE)


def known(hass: HomeAssistant) -> dict[str, Any] | None:
    """What Home Assistant keeps of the scanner."""
    kept = hass.config_entries.async_entry_for_domain_unique_id("bluetooth", SOURCE)
    return None if kept is None else dict(kept.data)


async def set_up(hass: HomeAssistant, entry: MockConfigEntry, **options: Any) -> None:
    hass.config_entries.async_update_entry(entry, options=options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


async def add_to_esphome(hass: HomeAssistant, **more: Any) -> MockConfigEntry:
    """Let the ESPHome integration have the proxy, which finds no scanner when it comes to register its own."""
    found = []

    async def set_up(*_: Any) -> bool:
        found.append(scanner())
        return True

    mock_integration(
        hass, MockModule("esphome", async_setup_entry=set_up, async_unload_entry=AsyncMock(return_value=True))
    )
    mock_platform(hass, "esphome.config_flow", None)
    other = MockConfigEntry(domain="esphome", unique_id=MAC, **more)
    with mock_config_flow("esphome", ConfigFlow):
        await hass.config_entries.async_add(other)
        if other.disabled_by:
            assert found == []
            await hass.config_entries.async_set_disabled_by(other.entry_id, None)
    await hass.async_block_till_done()
    assert found == ([None] if other.source != SOURCE_IGNORE else [])
    return other


async def test_a_scanner_is_there_while_the_proxy_is(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    assert offering.subscribed == EVERYTHING
    kept = known(hass)
    assert kept is not None
    assert kept["source_config_entry_id"] == source.entry_id
    registered_as = dr.async_get(hass).async_get(kept["source_device_id"])
    assert registered_as is not None
    assert registered_as.name == "Solar shed"
    (allocations,) = get_manager().async_current_allocations(SOURCE) or ()
    assert (allocations.slots, allocations.free, allocations.allocated) == (3, 2, ["C4:D3:6A:00:00:01"])
    used = source.runtime_data.bluetooth
    disconnected = Mock()
    used.disconnect_callbacks.add(disconnected)
    await lose(hass, offering)
    assert scanner() is None
    disconnected.assert_called_once()
    offering.reachable = True
    await try_again(hass, source)
    assert scanner() is not None
    assert offering.subscribed == EVERYTHING
    assert known(hass) == kept


async def test_whoever_waits_for_a_connection_is_told_that_the_proxy_is_gone(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    device = source.runtime_data.bluetooth._device
    await lose(hass, offering)
    assert not device.available
    with pytest.raises(TimeoutError, match="unavailable"):
        await device.wait_for_ble_connections_free(10.0)


async def test_before_home_assistant_2026_9(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = source.runtime_data.bluetooth._device
    monkeypatch.delattr(ESPHomeBluetoothDevice, "async_set_unavailable")
    await lose(hass, offering)
    assert not device.available


async def test_an_advertisement_reaches_home_assistant(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    offering.advertise(THERMOMETER, ADVERTISEMENT)
    found = bluetooth.async_last_service_info(hass, "A4:C1:38:00:00:01", connectable=False)
    assert found is not None
    assert found.source == SOURCE
    assert found.raw == ADVERTISEMENT


@pytest.mark.parametrize(
    ("options", "requested", "told"),
    [
        ({}, BluetoothScanningMode.AUTO, BluetoothScannerMode.PASSIVE),
        ({"bluetooth_scanning_mode": "active"}, BluetoothScanningMode.ACTIVE, BluetoothScannerMode.ACTIVE),
        ({"bluetooth_scanning_mode": "passive"}, BluetoothScanningMode.PASSIVE, BluetoothScannerMode.PASSIVE),
    ],
)
async def test_it_scans_as_the_user_wants(
    hass: HomeAssistant,
    bluetooth_is_set_up: None,
    entry: MockConfigEntry,
    offering: FakeProxy,
    options: dict[str, str],
    requested: BluetoothScanningMode,
    told: BluetoothScannerMode,
) -> None:
    await set_up(hass, entry, **options)
    assert scanner().requested_mode is requested
    assert offering.modes == [told]


async def test_a_proxy_that_knows_no_modes_is_told_none(
    hass: HomeAssistant, bluetooth_is_set_up: None, entry: MockConfigEntry, offering: FakeProxy
) -> None:
    flags = FLAGS & ~BluetoothProxyFeature.FEATURE_STATE_AND_MODE
    offering.info = replace(offering.info, bluetooth_proxy_feature_flags=int(flags))
    await set_up(hass, entry)
    assert scanner() is not None
    assert offering.modes == []


async def test_not_unless_the_user_wants(hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy) -> None:
    offering.asked.clear()
    hass.config_entries.async_update_entry(source, options={"bluetooth_source": False})
    await hass.config_entries.async_reload(source.entry_id)
    await hass.async_block_till_done()
    assert scanner() is None
    assert known(hass) is None  # what is not offered is not shown either
    assert offering.asked == []


@pytest.mark.parametrize(("options", "found"), [({}, set()), (WANTED, {"duplicate_scanner"})])
async def test_never_beside_the_esphome_integration(
    hass: HomeAssistant,
    bluetooth_is_set_up: None,
    entry: MockConfigEntry,
    offering: FakeProxy,
    options: dict[str, bool],
    found: set[str],
) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC).add_to_hass(hass)
    await set_up(hass, entry, **options)
    assert scanner() is None
    assert offering.asked == []  # the proxy has one subscriber: it would be taken from the other
    assert issues(hass).keys() == found


async def test_the_esphome_integration_comes_and_goes(
    hass: HomeAssistant, bluetooth_is_set_up: None, entry: MockConfigEntry, offering: FakeProxy
) -> None:
    await set_up(hass, entry, **WANTED)
    assert scanner() is not None
    other = await add_to_esphome(hass)
    assert scanner() is None
    assert offering.subscribed == []
    assert offering.connected  # all else goes on
    assert known(hass) is not None  # for the other to take over
    assert issues(hass).keys() == {"duplicate_scanner"}
    await hass.config_entries.async_remove(other.entry_id)
    await hass.async_block_till_done()
    assert scanner() is not None
    assert offering.subscribed == EVERYTHING
    assert issues(hass) == {}


async def test_the_esphome_integrations_entry_is_disabled_and_enabled(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    other = await add_to_esphome(hass, disabled_by=ConfigEntryDisabler.USER)
    assert scanner() is None
    assert offering.subscribed == []
    await hass.config_entries.async_set_disabled_by(other.entry_id, ConfigEntryDisabler.USER)
    await hass.async_block_till_done()
    assert scanner() is not None


async def test_an_ignored_discovery_of_the_esphome_integration_changes_nothing(
    hass: HomeAssistant, source: MockConfigEntry
) -> None:
    await add_to_esphome(hass, source=SOURCE_IGNORE)
    assert scanner() is not None


async def test_a_source_that_is_registered_already_is_left_alone_until_it_is_free(
    hass: HomeAssistant, bluetooth_is_set_up: None, entry: MockConfigEntry, offering: FakeProxy
) -> None:
    other = BaseHaRemoteScanner(SOURCE, "other", None, connectable=False)
    unregister = bluetooth.async_register_scanner(hass, other)
    await set_up(hass, entry)
    assert scanner() is other
    assert offering.asked == []
    assert issues(hass).keys() == {"duplicate_scanner"}
    unregister()
    await hass.async_block_till_done()
    assert scanner() not in (None, other)
    assert issues(hass) == {}


async def test_another_scanner_changes_nothing(hass: HomeAssistant, source: MockConfigEntry) -> None:
    ours = scanner()
    unregister = bluetooth.async_register_scanner(
        hass, BaseHaRemoteScanner("00:00:00:00:00:02", "other", None, connectable=False)
    )
    await hass.async_block_till_done()
    unregister()
    await hass.async_block_till_done()
    assert scanner() is ours


async def test_an_entry_that_is_unloaded_stays_without(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    offering.asked.clear()
    assert await hass.config_entries.async_unload(source.entry_id)
    await hass.async_block_till_done()
    assert scanner() is None
    assert offering.asked == []
    assert known(hass) is not None


async def test_a_connection_that_ends_right_then(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy
) -> None:
    other = await add_to_esphome(hass)
    offering.closed = True  # and the client has not noticed yet
    await hass.config_entries.async_remove(other.entry_id)
    await hass.async_block_till_done()
    assert scanner() is None
    offering.closed = False
    await lose(hass, offering)
    offering.reachable = True
    await try_again(hass, source)
    ours = scanner()
    assert ours is not None
    offering.closed = True
    await add_to_esphome(hass)
    assert scanner() is None


async def test_the_proxys_key_changes(hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy) -> None:
    offering.key = OTHER_KEY
    await offering.drop()
    await try_again(hass, source)
    assert scanner() is None
    (flow,) = source.async_get_active_flows(hass, {SOURCE_REAUTH})
    await hass.config_entries.flow.async_configure(flow["flow_id"], {"noise_psk": OTHER_KEY})
    await hass.async_block_till_done()
    assert scanner() is not None
    assert offering.subscribed == EVERYTHING


async def test_a_scanner_that_will_not_come_back_is_forgotten(hass: HomeAssistant, source: MockConfigEntry) -> None:
    await hass.config_entries.async_remove(source.entry_id)
    await hass.async_block_till_done()
    assert known(hass) is None


async def test_a_scanner_of_another_integration_is_not_forgotten(hass: HomeAssistant, source: MockConfigEntry) -> None:
    kept = hass.config_entries.async_entry_for_domain_unique_id("bluetooth", SOURCE)
    assert kept is not None
    other = await add_to_esphome(hass)
    data = {**kept.data, "source_config_entry_id": other.entry_id}  # as it does when it registers
    hass.config_entries.async_update_entry(kept, data=data)
    await hass.config_entries.async_remove(source.entry_id)
    await hass.async_block_till_done()
    assert known(hass) == data


@pytest.mark.parametrize(
    "changes", [{"bluetooth_mac_address": "B8:27:EB:00:00:02"}, {"bluetooth_proxy_feature_flags": 0}]
)
async def test_a_scanner_that_the_proxy_has_no_more_is_forgotten(
    hass: HomeAssistant, source: MockConfigEntry, offering: FakeProxy, changes: dict[str, Any]
) -> None:
    await lose(hass, offering)
    offering.info = replace(offering.info, **changes)
    offering.reachable = True
    await try_again(hass, source)
    await hass.async_block_till_done()
    assert scanner() is None
    assert known(hass) is None


async def test_bluetooth_is_set_up_later(
    hass: HomeAssistant, loaded: MockConfigEntry, offering: FakeProxy, mock_bluetooth: None
) -> None:
    await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    assert offering.asked == []
    await hass.config_entries.async_remove(loaded.entry_id)
    again = MockConfigEntry(domain="blupow", title=loaded.title, unique_id=MAC, data=dict(loaded.data))
    again.add_to_hass(hass)
    assert await hass.config_entries.async_setup(again.entry_id)
    assert await async_setup_component(hass, "bluetooth", {})
    await hass.async_block_till_done()
    assert scanner() is not None
    assert offering.subscribed == EVERYTHING


async def test_diagnostics_tell_how_it_is_used(
    hass: HomeAssistant, hass_client: ClientSessionGenerator, source: MockConfigEntry, offering: FakeProxy
) -> None:
    assert await async_setup_component(hass, "diagnostics", {})
    offering.advertise(THERMOMETER, ADVERTISEMENT)
    found: Any = await get_diagnostics_for_config_entry(hass, hass_client, source)
    used = found["bluetooth"]
    silent_s = used["scanner"].pop("silent_s")
    assert 0 <= silent_s < 60
    assert used == {
        "offered": True,
        "in_esphome_integration": False,
        "scanner": {
            "connections_free": 2,
            "connections_limit": 3,
            "connections_allocated": 1,
            "connectable": True,
            "requested_mode": "auto",
            "current_mode": "passive",
            "devices_heard": 1,
        },
    }
    assert "A4:C1:38" not in json.dumps(found)
    await lose(hass, offering)
    found = await get_diagnostics_for_config_entry(hass, hass_client, source)
    assert found["bluetooth"]["scanner"] is None


def test_what_is_subscribed_twice_is_ended_once() -> None:
    client, ended, on_message = Mock(), Mock(), Mock()
    client.subscribe_bluetooth_le_raw_advertisements.side_effect = lambda _: ended
    subscriptions = Subscriptions(client)
    subscriptions.subscribe_bluetooth_le_raw_advertisements(on_message)
    subscriptions.subscribe_bluetooth_le_raw_advertisements(on_message)
    subscriptions.end()
    subscriptions.end()
    ended.assert_called_once()
