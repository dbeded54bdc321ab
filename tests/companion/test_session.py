"""The connection: kept, lost, refused, and taken up again."""

import asyncio
from dataclasses import replace
from datetime import timedelta
import logging
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

from aioesphomeapi import LogLevel
from aioesphomeapi.core import SocketClosedAPIError
from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from custom_components.blupow.connection import async_identify
from custom_components.blupow.coordinator import BluPowCoordinator
from custom_components.blupow.store import Listing, ListingStore
from homeassistant.core import HomeAssistant
from proxies import (
    HOST,
    KEY,
    OTHER_KEY,
    OTHER_MAC,
    PORT,
    ROVER,
    FakeClient,
    FakeProxy,
    device_info,
    issues,
    lose,
    settle,
    shown,
    try_again,
)

PROBE = timedelta(seconds=6)
PAUSE = timedelta(seconds=61)


def logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name == "custom_components.blupow" and record.levelno >= logging.INFO
    ]


async def pass_time(hass: HomeAssistant, freezer: FrozenDateTimeFactory, span: timedelta) -> None:
    freezer.tick(span)
    async_fire_time_changed(hass)
    await hass.async_block_till_done(wait_background_tasks=True)


async def look(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    """Let the session look whether it can connect, before the client tries again by itself."""
    session: Any = entry.runtime_data.session
    session._look_no_more()
    session._look(None)
    await hass.async_block_till_done(wait_background_tasks=True)


def asked(hass: HomeAssistant) -> list[str]:
    return [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()]


async def test_a_lost_connection_is_taken_up_again_and_told_once(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.clear()
    await lose(hass, proxy)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    proxy.reachable = True
    proxy.values[ROVER, "battery_voltage"] = 12.9
    await try_again(hass, loaded)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "12.9"
    assert logged(caplog) == [
        "The connection to Solar shed is lost; its entities are unavailable until it is back",
        "Solar shed is connected again",
    ]


async def test_a_port_that_is_open_again_is_used_at_once(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock, freezer: FrozenDateTimeFactory
) -> None:
    proxy.reachable = False
    await proxy.drop()
    await pass_time(hass, freezer, PROBE)
    port.assert_awaited_once_with(HOST, PORT)
    assert not proxy.connected
    port.side_effect, port.return_value = None, (Mock(), writer := Mock())
    proxy.reachable = True
    await look(hass, loaded)
    writer.close.assert_called_once()
    assert proxy.connected
    await pass_time(hass, freezer, PROBE)
    assert port.await_count == 2


async def test_an_open_port_that_leads_nowhere_is_tried_once(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock, freezer: FrozenDateTimeFactory
) -> None:
    port.side_effect, port.return_value = None, (Mock(), Mock())
    proxy.reachable = False
    await proxy.drop()
    for _ in range(3):
        await pass_time(hass, freezer, PROBE)
    assert port.await_count == 1


async def test_a_session_that_ends_during_a_probe_stays_ended(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock
) -> None:
    session = loaded.runtime_data.session
    await lose(hass, proxy)
    proxy.reachable = True

    async def opened(*_: Any) -> tuple[Mock, Mock]:
        await session.async_stop()
        return Mock(), Mock()

    port.side_effect = opened
    await look(hass, loaded)
    assert port.await_count == 1
    assert not proxy.connected


async def test_a_probe_holds_nothing_up(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock, freezer: FrozenDateTimeFactory
) -> None:
    answer = hass.loop.create_future()

    async def unanswered(*_: Any) -> Any:
        return await answer

    port.side_effect = unanswered
    proxy.reachable = False
    await proxy.drop()
    freezer.tick(PROBE)
    async_fire_time_changed(hass)
    await hass.async_block_till_done()
    assert port.await_count == 1
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert answer.cancelled()


async def test_a_proxy_that_says_no_more_than_hello_holds_nothing_up(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.silent = True
    await proxy.drop()
    await hass.async_block_till_done()
    assert proxy.connected
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not proxy.connected


async def test_a_connection_that_ends_while_it_begins_is_not_tried_without_end(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock, freezer: FrozenDateTimeFactory
) -> None:
    tried = len(proxy.clients)
    with patch.object(FakeClient, "device_info_and_list_entities", side_effect=SocketClosedAPIError("gone")):
        await proxy.drop()
        await hass.async_block_till_done()
        for _ in range(8):
            await pass_time(hass, freezer, PROBE)
    assert len(proxy.clients) - tried == 2
    await pass_time(hass, freezer, PAUSE)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


async def test_a_proxy_that_does_not_say_goodbye_holds_nothing_up(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("custom_components.blupow.session.GOODBYE_S", 0.0)
    disconnect = FakeClient.disconnect

    async def unanswered(client: FakeClient, force: bool = False) -> None:
        if not force:
            await asyncio.Event().wait()
        await disconnect(client)

    with patch.object(FakeClient, "disconnect", unanswered):
        assert await hass.config_entries.async_unload(loaded.entry_id)
    assert not proxy.connected


async def test_a_loss_that_can_not_be_told_keeps_nobody_from_connecting_again(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    with patch.object(BluPowCoordinator, "async_lost", side_effect=ValueError("a bug")):
        await proxy.drop()
        await hass.async_block_till_done()
    assert proxy.connected
    assert "could not be told" in caplog.text


async def test_unloading_asks_for_no_key(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"noise_psk": ""})
    proxy.key = ""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.closed = True
    await proxy.drop()
    await hass.async_block_till_done()
    proxy.closed, proxy.silent = False, True
    await entry.runtime_data.session._logic.start()
    await settle()
    assert proxy.connected
    await hass.config_entries.async_unload(entry.entry_id)
    assert asked(hass) == []


async def test_a_session_that_ends_while_a_listing_is_stored_stays_ended(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos = [
        replace(listed, accuracy_decimals=2) if listed.object_id == "battery_voltage" else listed
        for listed in proxy.infos
    ]
    save, stored = ListingStore.async_save, hass.loop.create_future()

    async def slowly(store: ListingStore, listing: Listing) -> None:
        stored.set_result(hass.async_create_task(hass.config_entries.async_remove(loaded.entry_id)))
        await settle()
        await save(store, listing)

    with patch.object(ListingStore, "async_save", slowly):
        await proxy.drop()
        await (await stored)
    await hass.async_block_till_done(wait_background_tasks=True)
    assert not proxy.connected


async def test_a_key_that_gets_right_while_it_is_about_to_be_asked_for(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    async def meanwhile(*_: Any) -> Any:
        proxy.key = KEY
        await try_again(hass, loaded)
        return await async_identify(hass, HOST, PORT, "")

    proxy.key = OTHER_KEY
    with patch("custom_components.blupow.config_flow.async_identify", meanwhile):
        await proxy.drop()
        await hass.async_block_till_done()
    assert asked(hass) == []
    assert proxy.connected


async def test_what_can_not_be_taken_up_is_told_once_and_tried_again(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    port: AsyncMock,
    freezer: FrozenDateTimeFactory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with patch.object(BluPowCoordinator, "async_listed", side_effect=ValueError("a bug")) as listed:
        await proxy.drop()
        await hass.async_block_till_done()
        for _ in range(12):
            await pass_time(hass, freezer, PROBE)
    assert listed.await_count == 2
    assert [text for text in logged(caplog) if "taken up" in text] == [
        "Solar shed: what the proxy lists could not be taken up"
    ]
    assert not proxy.connected
    await pass_time(hass, freezer, PAUSE)
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"
    assert proxy.connected


async def test_a_connection_that_ends_while_it_begins_is_tried_again(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock
) -> None:
    proxy.closed = True
    await proxy.drop()
    await hass.async_block_till_done()
    assert not proxy.connected
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    proxy.closed = False
    await try_again(hass, loaded)
    assert proxy.connected


async def test_a_key_that_has_become_wrong_is_asked_for_until_it_is_right(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.key = OTHER_KEY
    await proxy.drop()
    await hass.async_block_till_done()
    assert [flow["context"]["source"] for flow in hass.config_entries.flow.async_progress()] == ["reauth"]
    assert not proxy.connected
    proxy.key = KEY
    await try_again(hass, loaded)
    assert proxy.connected
    assert hass.config_entries.flow.async_progress() == []


async def test_a_session_that_ends_while_a_connection_begins_stays_ended(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    session: Any = loaded.runtime_data.session
    ends = hass.loop.create_future()

    async def listed(*_: Any) -> None:
        ends.set_result(hass.async_create_task(session.async_stop()))
        await settle()
        raise ValueError

    with patch.object(BluPowCoordinator, "async_listed", side_effect=listed):
        await proxy.drop()
        await (await ends)
    await hass.async_block_till_done()
    assert not proxy.connected


@pytest.mark.parametrize("closed", [False, True])
async def test_a_proxy_without_encryption_that_has_it_now_is_to_be_paired(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, closed: bool
) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"noise_psk": ""})
    proxy.key = ""
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    assert asked(hass) == []
    proxy.info = replace(proxy.info, api_encryption_supported=True, api_encryption_provisionable=True)
    proxy.closed = closed
    await proxy.drop()
    await hass.async_block_till_done()
    if closed:
        assert asked(hass) == []  # it may have been about to restart
        await try_again(hass, entry)
    assert asked(hass) == ["reauth"]
    (flow,) = hass.config_entries.flow.async_progress()
    assert flow["step_id"] == "pair"
    assert shown(hass, "sensor", "battery_voltage", ROVER) == ("unavailable" if closed else "13.2")
    proxy.closed = False
    await hass.config_entries.flow.async_configure(flow["flow_id"], {})
    await hass.async_block_till_done()
    assert entry.data["noise_psk"] == proxy.key != ""
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


async def test_a_removed_key_is_an_issue_until_it_is_back(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.key = ""
    await proxy.drop()
    await hass.async_block_till_done()
    assert issues(hass).keys() == {"key_removed"}
    proxy.key = KEY
    await try_again(hass, loaded)
    assert issues(hass) == {}


@pytest.mark.parametrize("encrypted", [True, False])
async def test_another_proxy_at_the_address_changes_nothing(
    hass: HomeAssistant,
    entry: MockConfigEntry,
    proxies: dict[tuple[str, int], FakeProxy],
    port: AsyncMock,
    freezer: FrozenDateTimeFactory,
    encrypted: bool,
) -> None:
    right = proxies[HOST, PORT]
    if not encrypted:
        right.key = ""
        hass.config_entries.async_update_entry(entry, data=entry.data | {"noise_psk": ""})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    other = FakeProxy(info=replace(device_info(), mac_address=OTHER_MAC, name="other"), key=right.key)
    other.values[ROVER, "battery_voltage"] = 48.0
    proxies[HOST, PORT] = other
    await right.drop()
    await hass.async_block_till_done()
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "unavailable"
    assert issues(hass).keys() == {"wrong_device"}
    assert not other.connected
    made = len(other.clients)
    proxies[HOST, PORT] = right
    if encrypted:  # the client waits by itself
        await try_again(hass, entry)
    else:
        port.side_effect, port.return_value = None, (Mock(), Mock())
        await pass_time(hass, freezer, PROBE)
        assert len(other.clients) == made
        assert not right.connected
        await pass_time(hass, freezer, PAUSE)
    assert right.connected
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"
    assert issues(hass) == {}


@pytest.mark.parametrize("key", ["key_removed", "wrong_device"])
async def test_who_is_not_reached_is_not_known_to_be_right(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxies: dict[tuple[str, int], FakeProxy],
    port: AsyncMock,
    key: str,
) -> None:
    right = proxies[HOST, PORT]
    if key == "key_removed":
        right.key = ""
    else:
        other = replace(device_info(), mac_address=OTHER_MAC, name="other")
        proxies[HOST, PORT] = FakeProxy(info=other, key=OTHER_KEY)
    await right.drop()
    await hass.async_block_till_done()
    assert issues(hass).keys() == {key}
    proxies[HOST, PORT].reachable = False
    await try_again(hass, loaded)
    assert issues(hass).keys() == {key}


async def test_the_proxys_log_is_shown_on_request(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, caplog: pytest.LogCaptureFixture
) -> None:
    hass.config_entries.async_update_entry(entry, options={"subscribe_logs": True})
    assert await hass.config_entries.async_setup(entry.entry_id)
    (client,) = proxy.connected
    assert client.on_log is not None
    caplog.clear()
    for level in (
        LogLevel.LOG_LEVEL_ERROR,
        LogLevel.LOG_LEVEL_WARN,
        LogLevel.LOG_LEVEL_INFO,
        LogLevel.LOG_LEVEL_CONFIG,
    ):
        client.on_log(Mock(level=level, message=b"Rover: connected\n"))
    assert logged(caplog) == ["Solar shed: Rover: connected"] * 4
    levels = [record.levelname for record in caplog.records if record.name == "custom_components.blupow"]
    assert levels == ["ERROR", "WARNING", "INFO", "INFO"]
