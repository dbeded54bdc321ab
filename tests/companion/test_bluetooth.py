"""The proxy as a source of Bluetooth."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from unittest.mock import Mock, patch

from aioesphomeapi import BluetoothProxyFeature
from bleak_esphome.backend.device import ESPHomeBluetoothDevice
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import SOURCE_IGNORE
from homeassistant.core import HomeAssistant
from proxies import MAC, FakeProxy, issues, lose, try_again


@dataclass
class Scanners:
    """Home Assistant's Bluetooth, as far as a scanner sees it."""

    registered: set[str] = field(default_factory=set)
    device: Mock = field(default_factory=lambda: Mock(ESPHomeBluetoothDevice))
    data: Any = None
    forgotten: list[str] = field(default_factory=list)

    def connect(self, client: Any, info: Any, available: bool) -> Any:
        self.data = Mock(scanner=Mock(source=info.bluetooth_mac_address), bluetooth_device=self.device)
        return self.data

    def register(self, hass: HomeAssistant, scanner: Any, **_: Any) -> Any:
        self.registered.add(scanner.source)
        return lambda: self.registered.discard(scanner.source)

    def forget(self, hass: HomeAssistant, source: str) -> None:
        self.forgotten.append(source)

    def by_source(self, hass: HomeAssistant, source: str) -> Any:
        return source if source in self.registered else None


@pytest.fixture
def scanners(hass: HomeAssistant, proxy: FakeProxy) -> Iterator[Scanners]:
    """Bluetooth is set up, and the proxy forwards it."""
    proxy.info = replace(
        proxy.info,
        bluetooth_mac_address=MAC,
        bluetooth_proxy_feature_flags=int(
            BluetoothProxyFeature.PASSIVE_SCAN | BluetoothProxyFeature.RAW_ADVERTISEMENTS
        ),
    )
    hass.config.components.add("bluetooth")
    found = Scanners()
    with (
        patch("bleak_esphome.connect_scanner", found.connect),
        patch("homeassistant.components.bluetooth.async_register_scanner", found.register),
        patch("homeassistant.components.bluetooth.async_scanner_by_source", found.by_source),
        patch("homeassistant.components.bluetooth.async_remove_scanner", found.forget),
    ):
        yield found


@pytest.mark.parametrize("spec", [ESPHomeBluetoothDevice, ["available"]], ids=["newest", "2026.8"])
async def test_a_scanner_is_there_while_the_proxy_is(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry, proxy: FakeProxy, spec: Any
) -> None:
    scanners.device = Mock(spec, ble_connections_free=2, ble_connections_limit=3)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert scanners.registered == {MAC}
    assert entry.runtime_data.bluetooth.slots == {"free": 2, "limit": 3}
    disconnected = Mock()
    scanners.data.disconnect_callbacks.add(disconnected)
    await lose(hass, proxy)
    assert scanners.registered == set()
    assert entry.runtime_data.bluetooth.slots is None
    assert scanners.device.available is False
    disconnected.assert_called_once()
    proxy.reachable = True
    await try_again(hass, entry)
    assert scanners.registered == {MAC}


async def test_not_unless_the_user_wants(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    hass.config_entries.async_update_entry(entry, options={"bluetooth_source": False})
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert scanners.registered == set()


@pytest.mark.parametrize(("options", "found"), [({}, set()), ({"bluetooth_source": True}, {"duplicate_scanner"})])
async def test_never_beside_the_esphome_integration(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry, options: dict[str, bool], found: set[str]
) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC).add_to_hass(hass)
    hass.config_entries.async_update_entry(entry, options=options)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert scanners.registered == set()
    assert issues(hass).keys() == found


async def test_the_esphome_integration_comes_and_goes(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry
) -> None:
    hass.config_entries.async_update_entry(entry, options={"bluetooth_source": True})
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert scanners.registered == {MAC}
    other = MockConfigEntry(domain="esphome", unique_id=MAC)
    with patch.object(hass.config_entries, "async_setup", return_value=True):
        await hass.config_entries.async_add(other)
    assert scanners.registered == set()
    assert issues(hass).keys() == {"duplicate_scanner"}
    await hass.config_entries.async_remove(other.entry_id)
    assert scanners.registered == {MAC}
    assert issues(hass) == {}


async def test_an_ignored_discovery_of_the_esphome_integration_changes_nothing(
    hass: HomeAssistant, scanners: Scanners, loaded: MockConfigEntry
) -> None:
    await hass.config_entries.async_add(MockConfigEntry(domain="esphome", unique_id=MAC, source=SOURCE_IGNORE))
    assert scanners.registered == {MAC}


async def test_a_scanner_that_will_not_come_back_is_forgotten(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry
) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.config_entries.async_remove(entry.entry_id)
    assert scanners.forgotten == [MAC]


async def test_a_source_that_is_registered_already_is_left_alone(
    hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry
) -> None:
    scanners.registered.add(MAC)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert issues(hass).keys() == {"duplicate_scanner"}
    await hass.config_entries.async_unload(entry.entry_id)
    assert scanners.registered == {MAC}


async def test_nothing_without_bluetooth(hass: HomeAssistant, scanners: Scanners, entry: MockConfigEntry) -> None:
    hass.config.components.remove("bluetooth")
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert scanners.registered == set()
