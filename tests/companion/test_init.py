"""Setting up, unloading, removing."""

from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from proxies import FakeProxy


async def test_sets_up_and_unloads(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    assert loaded.state is ConfigEntryState.LOADED
    assert hass.states.get("sensor.shed_rover_battery_voltage") or [s.entity_id for s in hass.states.async_all()]
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not proxy.connected
    assert loaded.state is ConfigEntryState.NOT_LOADED
