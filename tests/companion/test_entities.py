"""What the entities of each kind show, and what they send."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aioesphomeapi import (
    BinarySensorInfo,
    BinarySensorState,
    Event,
    EventInfo,
    NumberInfo,
    NumberMode,
    NumberState,
    SelectInfo,
    SelectState,
    SensorInfo,
    SensorState,
    SwitchInfo,
    TextInfo,
    TextMode,
    TextSensorInfo,
    TextState,
    UpdateCommand,
    UpdateInfo,
    UpdateState,
)
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from syrupy.assertion import SnapshotAssertion

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import device_registry as dr, entity_registry as er
from proxies import BATTERY, ROVER, FakeProxy, entity_id, info, lose, measurement, shown, try_again


async def test_all_entities(hass: HomeAssistant, loaded: MockConfigEntry, snapshot: SnapshotAssertion) -> None:
    registry = er.async_get(hass)
    for entity in sorted(er.async_entries_for_config_entry(registry, loaded.entry_id), key=lambda it: it.entity_id):
        state = hass.states.get(entity.entity_id)
        assert state is not None
        assert {
            "unique_id": entity.unique_id,
            "translation_key": entity.translation_key,
            "name": entity.original_name,
            "category": entity.entity_category,
            "state": state.state,
            "attributes": dict(state.attributes),
        } == snapshot(name=entity.entity_id)


async def test_devices(hass: HomeAssistant, loaded: MockConfigEntry, snapshot: SnapshotAssertion) -> None:
    registry = dr.async_get(hass)
    devices = dr.async_entries_for_config_entry(registry, loaded.entry_id)
    names = {device.id: device.name for device in devices}
    assert [
        {
            "identifiers": sorted(device.identifiers),
            "name": device.name,
            "manufacturer": device.manufacturer,
            "model": device.model,
            "serial_number": device.serial_number,
            "sw_version": device.sw_version,
            "area": device.area_id,
            "via": names.get(device.via_device_id or ""),
        }
        for device in sorted(devices, key=lambda it: str(it.name))
    ] == snapshot


@pytest.mark.parametrize(
    ("value", "expected"),
    [(13.199999809265137, "13.2"), (None, "unknown"), (float("nan"), "unknown"), (float("inf"), "unknown")],
)
async def test_a_number_has_the_devices_decimals_or_is_unknown(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, value: float | None, expected: str
) -> None:
    proxy.push("battery_voltage", value, ROVER)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == expected


async def test_a_unit_out_of_reach_shows_nothing_but_its_link(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.unit_link(False, ROVER, "the device ended the connection")
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    assert shown(hass, "switch", "load", ROVER) == "unavailable"
    assert shown(hass, "sensor", "link_status", ROVER) == "the device ended the connection"
    assert shown(hass, "binary_sensor", "link", ROVER) == "off"
    assert shown(hass, "sensor", "battery_power", BATTERY) == "360.0"
    proxy.push("battery_voltage", 12.0, ROVER)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    proxy.unit_link(True, ROVER)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "12.0"


def shown_by_kind(hass: HomeAssistant, entry: MockConfigEntry, device_id: int) -> dict[tuple[str, str], str]:
    """Return the states of a unit's entities, by kind on the wire and object id."""
    found = {}
    for entity in er.async_entries_for_config_entry(er.async_get(hass), entry.entry_id):
        state = hass.states.get(entity.entity_id)
        _, unit, kind, object_id = entity.unique_id.split("-", 3)
        if state is not None and int(unit, 16) == device_id:
            found[kind, object_id] = state.state
    return found


async def test_a_number_and_a_text_of_one_name_are_both_shown(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    number = info(SensorInfo, "Model", ROVER, unit_of_measurement="V", accuracy_decimals=1)
    proxy.infos.append(number)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.push_state(SensorState(key=number.key, device_id=ROVER, state=13.5))
    found = shown_by_kind(hass, entry, ROVER)
    assert found["text_sensor", "model"] == "RNG-CTRL-RVR40"
    assert found["sensor", "model"] == "13.5"
    assert "unique ID" not in caplog.text


@pytest.mark.parametrize("name", ["Link", "Last reading", "Release link"])
async def test_a_reading_named_as_what_tells_of_the_link_goes_with_its_unit(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, name: str
) -> None:
    number = info(SensorInfo, name, ROVER)
    proxy.infos.append(number)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.push_state(SensorState(key=number.key, device_id=ROVER, state=13.5))
    proxy.unit_link(False, ROVER)
    assert shown_by_kind(hass, entry, ROVER)["sensor", number.object_id] == "unavailable"


async def test_a_value_from_before_is_never_shown_as_current(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    await lose(hass, proxy)
    del proxy.values[ROVER, "battery_voltage"]  # comes later
    proxy.reachable = True
    await try_again(hass, loaded)
    assert shown(hass, "sensor", "pv_power", ROVER) == "332"
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    proxy.push("battery_voltage", 13.0, ROVER)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.0"


@pytest.mark.parametrize(("text", "expected"), [("mppt", "mppt"), ("current limiting", "current_limiting")])
async def test_a_known_state_has_a_text_of_its_own(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, text: str, expected: str
) -> None:
    proxy.push("charging_state", text, ROVER)
    state = hass.states.get(entity_id(hass, "sensor", "charging_state", ROVER))
    assert state is not None
    assert state.state == expected
    assert expected in state.attributes["options"]


async def test_a_state_of_a_newer_proxy_is_shown_all_the_same(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.push("charging_state", "Lunar power", ROVER)
    state = hass.states.get(entity_id(hass, "sensor", "charging_state", ROVER))
    assert state is not None
    assert state.state == "lunar_power"
    assert state.attributes["options"][-1] == "lunar_power"


async def test_a_state_without_a_name_is_unknown(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.push("charging_state", "", ROVER)
    assert shown(hass, "sensor", "charging_state", ROVER) == "unknown"


async def test_a_name_without_a_text_is_that_of_the_wire(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos.append(replace(measurement("Flux capacity", ROVER, "GW", "power"), icon="mdi:flash"))
    proxy.values[ROVER, "flux_capacity"] = 1.21
    assert await hass.config_entries.async_setup(entry.entry_id)
    state = hass.states.get(entity_id(hass, "sensor", "flux_capacity", ROVER))
    assert state is not None
    assert state.attributes["friendly_name"] == "Rover Flux capacity"
    assert state.attributes["icon"] == "mdi:flash"


@pytest.mark.parametrize(("value", "expected"), [("26-11-25", "unknown"), ("2026-11-25", "2026-11-25")])
async def test_dates(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, value: str, expected: str) -> None:
    proxy.infos.append(info(TextSensorInfo, "Built on", ROVER, device_class="date"))
    proxy.values[ROVER, "built_on"] = value
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert shown(hass, "sensor", "built_on", ROVER) == expected


@pytest.mark.parametrize(
    "value", ["2026-13-45T12:00:00+00:00", "2026-11-25T12:00:00", "just now", ""], ids=["none", "no zone", "text", ""]
)
async def test_what_is_no_time_is_unknown(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, value: str
) -> None:
    proxy.push("last_reading", value, ROVER)
    assert shown(hass, "sensor", "last_reading", ROVER) == "unknown"


@pytest.mark.parametrize(("value", "expected"), [("x" * 255, "x" * 255), ("x" * 256, "x" * 254 + "…")])
async def test_a_text_that_is_too_long_for_a_state_is_cut(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, value: str, expected: str
) -> None:
    proxy.push("link_status", value, ROVER)
    assert shown(hass, "sensor", "link_status", ROVER) == expected


async def test_a_missing_text_or_switch_is_unknown(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.push("model", None, ROVER)
    proxy.push("load", None, ROVER)
    proxy.push("bluetooth_adapter", None)
    assert shown(hass, "sensor", "model", ROVER) == "unknown"
    assert shown(hass, "switch", "load", ROVER) == "unknown"
    assert shown(hass, "binary_sensor", "bluetooth_adapter") == "unknown"


# an entity of each further kind, its state on the wire, what is shown of it
KINDS: dict[str, tuple[str, Any, Any, str]] = {
    "number": (
        "number",
        info(NumberInfo, "Poll", min_value=1, max_value=600, step=1, unit_of_measurement="s", mode=NumberMode.BOX),
        {"state": 30.0},
        "30.0",
    ),
    "select": ("select", info(SelectInfo, "Mode", options=["APL", "UPS"]), {"state": "UPS"}, "UPS"),
    "text": ("text", info(TextInfo, "Note", max_length=20, mode=TextMode.PASSWORD), {"state": "a"}, "a"),
}
STATES = {"number": NumberState, "select": SelectState, "text": TextState}


async def set_up_with(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, *listed: Any) -> None:
    proxy.infos += listed
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


@pytest.mark.parametrize("kind", KINDS)
async def test_settings_show_their_value(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, kind: str
) -> None:
    platform, listed, value, expected = KINDS[kind]
    await set_up_with(hass, entry, proxy, listed)
    assert shown(hass, platform, listed.object_id) == "unavailable"
    proxy.push_state(STATES[kind](key=listed.key, **value))
    assert shown(hass, platform, listed.object_id) == expected
    proxy.push_state(STATES[kind](key=listed.key, missing_state=True))
    assert shown(hass, platform, listed.object_id) == "unknown"


@pytest.mark.parametrize(
    ("kind", "service", "data", "sent"),
    [
        ("number", "set_value", {"value": 60}, ("number_command", 60.0)),
        ("select", "select_option", {"option": "APL"}, ("select_command", "APL")),
        ("text", "set_value", {"value": "b"}, ("text_command", "b")),
    ],
)
async def test_settings_are_sent(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    proxy: FakeProxy,
    kind: str,
    service: str,
    data: dict[str, Any],
    sent: tuple[str, Any],
) -> None:
    platform, listed, value, _ = KINDS[kind]
    await set_up_with(hass, entry, proxy, listed)
    proxy.push_state(STATES[kind](key=listed.key, **value))
    target = {"entity_id": entity_id(hass, platform, listed.object_id)}
    await hass.services.async_call(platform, service, data | target, blocking=True)
    assert proxy.calls == [(sent[0], listed.key, sent[1], {"device_id": 0})]


@pytest.mark.parametrize(
    ("platform", "service", "object_id", "device_id", "sent"),
    [
        ("switch", "turn_on", "load", ROVER, ("switch_command", True)),
        ("switch", "turn_off", "load", ROVER, ("switch_command", False)),
        ("button", "press", "restart", 0, ("button_command",)),
    ],
)
async def test_switches_and_buttons_are_sent(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    platform: str,
    service: str,
    object_id: str,
    device_id: int,
    sent: tuple[Any, ...],
) -> None:
    target = {"entity_id": entity_id(hass, platform, object_id, device_id)}
    await hass.services.async_call(platform, service, target, blocking=True)
    key = proxy.listed(object_id, device_id).key
    assert proxy.calls == [(sent[0], key, *sent[1:], {"device_id": device_id})]


async def test_a_command_that_can_not_be_sent_is_an_error(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.closed = True
    target = {"entity_id": entity_id(hass, "switch", "load", ROVER)}
    with pytest.raises(HomeAssistantError) as error:
        await hass.services.async_call("switch", "turn_on", target, blocking=True)
    assert error.value.translation_key == "not_connected"


async def test_events(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    listed = info(EventInfo, "Alarm", ROVER, event_types=["overload", "short_circuit"])
    await set_up_with(hass, entry, proxy, listed)
    assert shown(hass, "event", "alarm", ROVER) == "unknown"
    proxy.push_state(Event(key=listed.key, device_id=ROVER, event_type="overload"))
    state = hass.states.get(entity_id(hass, "event", "alarm", ROVER))
    assert state is not None
    assert state.attributes["event_type"] == "overload"
    await lose(hass, proxy)
    assert shown(hass, "event", "alarm", ROVER) == "unavailable"


async def test_updates(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    listed = info(UpdateInfo, "Firmware", device_class="firmware")
    await set_up_with(hass, entry, proxy, listed)
    proxy.push_state(
        UpdateState(
            key=listed.key, current_version="1.0", latest_version="1.1", title="Proxy", has_progress=True, progress=41.6
        )
    )
    state = hass.states.get(entity_id(hass, "update", "firmware"))
    assert state is not None
    assert state.state == "on"
    assert state.attributes["installed_version"] == "1.0"
    assert state.attributes["title"] == "Proxy"
    await hass.services.async_call("update", "install", {"entity_id": state.entity_id}, blocking=True)
    assert proxy.calls == [("update_command", listed.key, UpdateCommand.INSTALL, {"device_id": 0})]
    proxy.push_state(UpdateState(key=listed.key, missing_state=True))
    assert shown(hass, "update", "firmware") == "unknown"


async def test_a_disabled_entity_is_listed_and_not_shown(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    listed = info(SensorInfo, "Settings", ROVER, disabled_by_default=True, entity_category=1)
    await set_up_with(hass, entry, proxy, listed)
    registered = er.async_get(hass).async_get(entity_id(hass, "sensor", "settings", ROVER))
    assert registered is not None
    assert registered.disabled_by is er.RegistryEntryDisabler.INTEGRATION
    assert registered.entity_category == "diagnostic"  # a sensor can't be configuration


async def test_a_unit_without_a_link_of_its_own_is_reached_with_its_proxy(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos = [listed for listed in proxy.infos if listed.object_id != "link"]
    await set_up_with(hass, entry, proxy)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


@pytest.mark.parametrize("listed", [info(BinarySensorInfo, "Odd", ROVER), info(SwitchInfo, "Odd", ROVER)])
async def test_entities_without_a_class(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, listed: Any
) -> None:
    await set_up_with(hass, entry, proxy, listed)
    proxy.push("odd", True, ROVER)
    platform = "switch" if isinstance(listed, SwitchInfo) else "binary_sensor"
    assert shown(hass, platform, "odd", ROVER) == "on"


async def test_one_entitys_trouble_is_not_that_of_all(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    broken: Callable[[Any], None] = {}.__getitem__
    key = BinarySensorState, 0, proxy.listed("clock").key
    loaded.runtime_data.async_listen_state(key, broken)
    proxy.push("clock", False)
    assert "a state could not be shown" in caplog.text
    assert proxy.connected
