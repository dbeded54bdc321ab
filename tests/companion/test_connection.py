"""Short conversations: what can go wrong within them, and a key that is taken back."""

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.blupow.connection import (
    ConnectionFailedError,
    Failure,
    Identified,
    async_identify,
    async_pair,
    async_who,
)
from homeassistant.core import HomeAssistant
from proxies import HOST, KEY, MAC, PORT, FakeClient, FakeProxy, device_info

WAITING = {"api_encryption_supported": True, "api_encryption_provisionable": True}


async def test_who_answers(hass: HomeAssistant, proxy: FakeProxy) -> None:
    found = await async_identify(hass, HOST, PORT, KEY)
    assert (found.mac, found.title, found.key, found.paired) == (MAC, "Solar shed", KEY, False)
    assert not proxy.connected


async def test_a_proxy_without_a_friendly_name(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.info = replace(proxy.info, friendly_name="")
    assert (await async_identify(hass, HOST, PORT, KEY)).title == "solar-shed"


async def test_who_never_answers(hass: HomeAssistant, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("custom_components.blupow.connection.ANSWER_S", 0.0)
    proxy.hangs = True
    with pytest.raises(ConnectionFailedError) as error:
        await async_identify(hass, HOST, PORT, KEY)
    assert error.value.failure is Failure.CANNOT_CONNECT


@pytest.mark.parametrize("answers", [True, False])
async def test_who_an_encrypted_proxy_is(hass: HomeAssistant, proxy: FakeProxy, answers: bool) -> None:
    proxy.reachable = answers
    assert await async_who(hass, HOST, PORT) == (MAC if answers else None)


async def test_who_has_no_encryption_says_nothing(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key = ""
    assert await async_who(hass, HOST, PORT) is None


async def test_an_answer_that_gets_lost_loses_no_key(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING)
    set_key = FakeClient.noise_encryption_set_key

    async def lost(client: FakeClient, key: bytes) -> bool:
        await set_key(client, key)
        raise TimeoutError

    found = Identified(info=proxy.info, key="")
    assert found.waits_for_key
    with patch.object(FakeClient, "noise_encryption_set_key", lost):
        paired = await async_pair(hass, HOST, PORT, found)
    assert paired.key == proxy.key
    assert paired.paired


async def test_nobody_but_the_proxy_that_was_found_is_paired(hass: HomeAssistant, proxy: FakeProxy) -> None:
    found = Identified(info=replace(device_info(), mac_address="02:00:00:00:00:99"), key="")
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING)
    with pytest.raises(ConnectionFailedError) as error:
        await async_pair(hass, HOST, PORT, found)
    assert error.value.failure is Failure.PAIRING_FAILED
    assert proxy.key == ""


async def test_a_key_that_was_set_is_taken_back(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    hass.config_entries.async_update_entry(loaded, data=loaded.data | {"paired": True})
    await hass.config_entries.async_remove(loaded.entry_id)
    assert proxy.key == ""
    assert not proxy.connected


async def test_a_key_of_the_users_stays(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    await hass.config_entries.async_remove(loaded.entry_id)
    assert proxy.key == KEY


async def test_a_key_that_can_not_be_taken_back_is_told(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    hass.config_entries.async_update_entry(loaded, data=loaded.data | {"paired": True})
    proxy.reachable = False
    await hass.config_entries.async_remove(loaded.entry_id)
    assert "pair FILE --forget" in caplog.text


async def test_what_is_stored_goes_with_the_entry(
    hass: HomeAssistant, loaded: MockConfigEntry, hass_storage: dict[str, Any]
) -> None:
    assert f"blupow.{loaded.entry_id}" in hass_storage
    await hass.config_entries.async_remove(loaded.entry_id)
    assert f"blupow.{loaded.entry_id}" not in hass_storage
