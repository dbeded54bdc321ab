"""The actions."""

from typing import Any
from unittest.mock import patch

from aioesphomeapi.model import ExecuteServiceResponse
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import device_registry as dr
from proxies import MAC, ROVER, FakeClient, FakeProxy, lose


def device(hass: HomeAssistant, identifier: str) -> str:
    (entry,) = hass.config_entries.async_entries("blupow")
    devices = dr.async_entries_for_config_entry(dr.async_get(hass), entry.entry_id)
    return next(device.id for device in devices if ("blupow", identifier) in device.identifiers)


async def call(hass: HomeAssistant, action: str, device_id: str, *, response: bool = True) -> Any:
    return await hass.services.async_call(
        "blupow", action, {"device_id": device_id}, blocking=True, return_response=response
    )


@pytest.mark.parametrize("identifier", [MAC, f"{MAC}-{ROVER:08x}"], ids=["proxy", "unit"])
@pytest.mark.parametrize("response", [True, False])
async def test_refresh(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, identifier: str, response: bool
) -> None:
    answer = await call(hass, "refresh", device(hass, identifier), response=response)
    assert answer == ({"units": {"Rover": "refreshed"}} if response else None)
    assert proxy.calls == [("refresh", {})]


async def test_capture_frames(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.answer = ExecuteServiceResponse(success=True, response_data=b'{"unit": "Rover", "frames": []}')
    answer = await call(hass, "capture_frames", device(hass, f"{MAC}-{ROVER:08x}"))
    assert answer == {"unit": "Rover", "frames": []}
    assert proxy.calls == [("capture_frames", {"unit": "Rover"})]


async def test_an_action_that_asks_for_more(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    with (
        patch.object(FakeClient, "execute_service", side_effect=KeyError("depth")),
        pytest.raises(HomeAssistantError) as error,
    ):
        await call(hass, "refresh", device(hass, MAC))
    assert error.value.translation_key == "action_changed"


async def test_an_answer_without_data_is_empty(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.answer = ExecuteServiceResponse(success=True)
    assert await call(hass, "refresh", device(hass, MAC)) == {}


async def test_frames_are_a_units(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "capture_frames", device(hass, MAC))
    assert error.value.translation_key == "not_a_unit"


async def test_a_device_has_to_be_one_of_a_proxy(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    other = MockConfigEntry(domain="other")
    other.add_to_hass(hass)
    foreign = dr.async_get(hass).async_get_or_create(config_entry_id=other.entry_id, identifiers={("other", "1")})
    for device_id in ("nothing", foreign.id):
        with pytest.raises(ServiceValidationError) as error:
            await call(hass, "refresh", device_id)
        assert error.value.translation_key == "device_not_found"


async def test_an_entry_has_to_be_loaded(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    device_id = device(hass, MAC)
    await hass.config_entries.async_unload(loaded.entry_id)
    with pytest.raises(ServiceValidationError) as error:
        await call(hass, "refresh", device_id)
    assert error.value.translation_key == "entry_not_loaded"


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"answer": ExecuteServiceResponse(success=False, error_message="no unit")}, "action_failed"),
        ({"answer": ExecuteServiceResponse(success=True, response_data=b"{")}, "action_failed"),
        ({"answer": None}, "no_answer"),
        ({"closed": True}, "no_answer"),
    ],
    ids=["failed", "unreadable", "silent", "closed"],
)
async def test_what_goes_wrong_is_told(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, change: dict[str, Any], key: str
) -> None:
    for name, value in change.items():
        setattr(proxy, name, value)
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "refresh", device(hass, MAC))
    assert error.value.translation_key == key


async def test_a_proxy_has_to_be_connected(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    await lose(hass, proxy)
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "refresh", device(hass, MAC))
    assert error.value.translation_key == "not_connected"


async def test_a_proxy_has_to_know_the_action(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.actions = []
    assert await hass.config_entries.async_setup(entry.entry_id)
    with pytest.raises(HomeAssistantError) as error:
        await call(hass, "refresh", device(hass, MAC))
    assert error.value.translation_key == "action_unknown"
