"""Adding a proxy, and changing what is known of it: every form, everything that can go wrong, and how it goes on."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from unittest.mock import patch

from aioesphomeapi import BluetoothProxyFeature
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from homeassistant.config_entries import (
    SOURCE_IGNORE,
    SOURCE_USER,
    SOURCE_ZEROCONF,
    ConfigEntryDisabler,
    ConfigEntryState,
)
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType, UnknownFlow
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.service_info.zeroconf import ZeroconfServiceInfo
from proxies import (
    HOST,
    KEY,
    MAC,
    OTHER_KEY,
    OTHER_MAC,
    PORT,
    ROVER,
    FakeClient,
    FakeProxy,
    device_info,
    entity_id,
    shown,
)

PLACE = {"host": HOST, "port": PORT}
ELSEWHERE = {"host": "192.0.2.9", "port": PORT}
WAITING = {"api_encryption_supported": True, "api_encryption_provisionable": True}


@pytest.fixture(autouse=True)
def _setup(request: pytest.FixtureRequest) -> Iterator[None]:
    """What is added is not set up, unless the test looks at that."""
    if "loaded" in request.fixturenames:
        yield
        return
    with patch("custom_components.blupow.async_setup_entry", return_value=True):
        yield


@pytest.fixture
def other(proxies: dict[tuple[str, int], FakeProxy]) -> FakeProxy:
    """Another proxy, elsewhere."""
    proxies["192.0.2.9", PORT] = FakeProxy(
        info=replace(device_info(), mac_address=OTHER_MAC, name="other", friendly_name="Other shed")
    )
    return proxies["192.0.2.9", PORT]


def announced(host: str = HOST, **properties: Any) -> ZeroconfServiceInfo:
    return ZeroconfServiceInfo(
        ip_address=ip_address(host),
        ip_addresses=[ip_address(host)],
        port=PORT,
        hostname="solar-shed.local.",
        type="_blupow._tcp.local.",
        name="solar-shed._blupow._tcp.local.",
        properties={"mac": MAC.replace(":", ""), "friendly_name": "Solar shed"} | properties,
    )


async def start(hass: HomeAssistant, source: str, data: Any = None) -> Any:
    return await hass.config_entries.flow.async_init("blupow", context={"source": source}, data=data)


async def go_on(hass: HomeAssistant, result: Any, **answers: Any) -> Any:
    result = await hass.config_entries.flow.async_configure(result["flow_id"], answers)
    await hass.async_block_till_done()
    return result


def is_form(result: Any, step: str, error: str | None = None) -> bool:
    return bool(
        result["type"] is FlowResultType.FORM
        and result["step_id"] == step
        and result["errors"] == ({} if error is None else {"base": error})
    )


def succeeded(result: Any, reason: str) -> bool:
    return (result["type"], result["reason"]) == (FlowResultType.ABORT, reason)


def made(result: Any) -> dict[str, Any]:
    assert result["type"] is FlowResultType.CREATE_ENTRY, result
    entry = result["result"]
    assert (entry.title, entry.unique_id) == ("Solar shed", MAC)
    data: dict[str, Any] = dict(entry.data)
    return data


ENTRY = PLACE | {"noise_psk": KEY, "device_name": "solar-shed", "paired": False}


async def test_by_hand_with_a_key(hass: HomeAssistant) -> None:
    result = await start(hass, SOURCE_USER)
    assert is_form(result, "user")
    result = await go_on(hass, result, host=f" {HOST} ", port=PORT)
    assert is_form(result, "key")
    assert made(await go_on(hass, result, noise_psk=f" {KEY} ")) == ENTRY


async def test_discovered_with_a_key(hass: HomeAssistant) -> None:
    result = await start(hass, SOURCE_ZEROCONF, announced())
    assert is_form(result, "discovery_confirm")
    assert hass.config_entries.flow.async_progress()[0]["context"]["title_placeholders"] == {"name": "Solar shed"}
    result = await go_on(hass, result)
    assert is_form(result, "key")
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_ZEROCONF])
async def test_paired_with_one_click(hass: HomeAssistant, proxy: FakeProxy, source: str) -> None:
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING)
    result = await start(hass, source, announced() if source == SOURCE_ZEROCONF else None)
    result = await go_on(hass, result, **(PLACE if source == SOURCE_USER else {}))
    data = made(result)
    assert data["noise_psk"] == proxy.key != ""
    assert data["paired"]


async def test_a_proxy_that_wants_no_encryption(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key = ""
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert is_form(result, "plaintext")
    assert made(await go_on(hass, result)) == ENTRY | {"noise_psk": ""}


@pytest.mark.parametrize("step", ["discovery_confirm", "key", "pair", "plaintext"])
async def test_a_form_is_shown_again(hass: HomeAssistant, proxy: FakeProxy, step: str) -> None:
    result = await start(hass, SOURCE_ZEROCONF, announced())
    match step:
        case "key":
            result = await go_on(hass, result)
        case "pair":
            proxy.key, proxy.info, proxy.accepts_key = "", replace(proxy.info, **WAITING), False
            result = await go_on(hass, result)
        case "plaintext":
            result = await go_on(hass, result)
            proxy.key = ""
            result = await go_on(hass, result, noise_psk=KEY)
    assert result["step_id"] == step
    again = await hass.config_entries.flow.async_configure(result["flow_id"])
    assert is_form(again, step)


async def test_a_proxy_that_is_not_reached_at_first(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.reachable = False
    result = await start(hass, SOURCE_ZEROCONF, announced())
    result = await go_on(hass, result)
    assert is_form(result, "discovery_confirm", "cannot_connect")
    proxy.reachable = True
    result = await go_on(hass, result)
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


async def test_a_place_where_nothing_is(hass: HomeAssistant) -> None:
    result = await go_on(hass, await start(hass, SOURCE_USER), **ELSEWHERE)
    assert is_form(result, "user", "cannot_connect")
    result = await go_on(hass, result, **PLACE)
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", "key_needed"),
        (OTHER_KEY, "wrong_key"),
        ("no key", "invalid_key"),
        ("AAAA", "invalid_key"),
        ("A" * 43 + "=", "invalid_key"),
    ],
)
async def test_a_key_that_is_none_or_another(hass: HomeAssistant, key: str, error: str) -> None:
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    result = await go_on(hass, result, noise_psk=key)
    assert is_form(result, "key", error)
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


async def test_a_key_for_a_proxy_without_encryption(hass: HomeAssistant, proxy: FakeProxy) -> None:
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    proxy.key = ""
    result = await go_on(hass, result, noise_psk=KEY)
    assert is_form(result, "plaintext")
    assert made(await go_on(hass, result)) == ENTRY | {"noise_psk": ""}


async def test_leaving_the_key_empty_is_no_consent_to_do_without(hass: HomeAssistant, proxy: FakeProxy) -> None:
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    proxy.key = ""
    result = await go_on(hass, result)
    assert is_form(result, "plaintext")
    proxy.key = KEY
    result = await go_on(hass, result)
    assert is_form(result, "key")
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


async def test_a_key_for_a_proxy_that_has_forgotten_it(hass: HomeAssistant, proxy: FakeProxy) -> None:
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING)
    result = await go_on(hass, result, noise_psk=KEY)
    assert is_form(result, "pair")
    assert made(await go_on(hass, result))["paired"]


async def test_the_time_to_pair_is_over(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info, proxy.closed = "", replace(proxy.info, **WAITING), True
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert is_form(result, "pair", "pairing_closed")
    proxy.closed = False
    assert made(await go_on(hass, result))["paired"]


async def test_the_proxy_takes_no_key(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info, proxy.accepts_key = "", replace(proxy.info, **WAITING), False
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert is_form(result, "pair", "pairing_failed")
    proxy.accepts_key = True
    assert made(await go_on(hass, result))["paired"]


async def test_somebody_pairs_first(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info, proxy.accepts_key = "", replace(proxy.info, **WAITING), False
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    proxy.key, proxy.info = KEY, device_info()
    result = await go_on(hass, result)
    assert is_form(result, "key")
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


async def test_a_dialogue_that_is_closed_while_it_pairs_leaves_no_key(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING)
    result = await start(hass, SOURCE_USER)
    set_key = FakeClient.noise_encryption_set_key

    async def closed_meanwhile(client: FakeClient, key: bytes) -> bool:
        if key:
            hass.config_entries.flow.async_abort(result["flow_id"])
        return await set_key(client, key)

    with patch.object(FakeClient, "noise_encryption_set_key", closed_meanwhile), pytest.raises(UnknownFlow):
        await go_on(hass, result, **PLACE)
    assert proxy.key == ""
    assert hass.config_entries.async_entries("blupow") == []


async def test_to_agree_to_pairing_is_no_consent_to_do_without(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info, proxy.closed = "", replace(proxy.info, **WAITING), True
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert is_form(result, "pair", "pairing_closed")
    proxy.info, proxy.closed = device_info(), False
    result = await go_on(hass, result)
    assert is_form(result, "plaintext")
    proxy.info = replace(proxy.info, **WAITING)
    assert made(await go_on(hass, result))["paired"]


async def test_another_device_is_no_proxy(hass: HomeAssistant, proxy: FakeProxy) -> None:
    proxy.key, proxy.info = "", replace(proxy.info, project_name="esphome.voice-assistant")
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert is_form(result, "user", "not_blupow")


async def test_another_proxy_answers_than_was_announced(
    hass: HomeAssistant, proxies: dict[tuple[str, int], FakeProxy], proxy: FakeProxy, other: FakeProxy
) -> None:
    proxies[HOST, PORT] = other
    other.key = ""
    result = await go_on(hass, await start(hass, SOURCE_ZEROCONF, announced()))
    assert is_form(result, "discovery_confirm", "another_proxy")
    proxies[HOST, PORT] = proxy
    result = await go_on(hass, result)
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


async def test_what_says_not_who_it_is(hass: HomeAssistant) -> None:
    result = await start(hass, SOURCE_ZEROCONF, announced(mac=""))
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "no_identity")


@pytest.mark.parametrize("unused", [{"source": SOURCE_IGNORE}, {"disabled_by": ConfigEntryDisabler.USER}])
async def test_the_esphome_integration_knows_it_but_does_not_use_it(hass: HomeAssistant, unused: Any) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC, **unused).add_to_hass(hass)
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    assert made(await go_on(hass, result, noise_psk=KEY)) == ENTRY


@pytest.mark.parametrize("choice", ["add_anyway", "keep_esphome"])
async def test_already_in_the_esphome_integration(hass: HomeAssistant, choice: str) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC).add_to_hass(hass)
    result = await go_on(hass, await start(hass, SOURCE_USER), **PLACE)
    result = await go_on(hass, result, noise_psk=KEY)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "esphome_configured")
    result = await go_on(hass, result, next_step_id=choice)
    if choice == "add_anyway":
        assert made(result) == ENTRY
    else:
        assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "kept_in_esphome")


@pytest.mark.parametrize("key", [KEY, OTHER_KEY])
async def test_announced_elsewhere_an_entry_follows(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy], key: str
) -> None:
    proxies["192.0.2.9", PORT] = proxies.pop((HOST, PORT))
    proxies["192.0.2.9", PORT].key = key
    assert succeeded(await start(hass, SOURCE_ZEROCONF, announced("192.0.2.9")), "already_configured")
    assert entry.data == ENTRY | ELSEWHERE


@pytest.mark.parametrize("answers", [True, False])
async def test_an_announcement_alone_moves_no_entry(
    hass: HomeAssistant, entry: MockConfigEntry, other: FakeProxy, answers: bool
) -> None:
    other.reachable = answers
    assert succeeded(await start(hass, SOURCE_ZEROCONF, announced("192.0.2.9")), "already_configured")
    assert entry.data == ENTRY


async def test_an_entry_that_works_is_left_alone(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert succeeded(await start(hass, SOURCE_ZEROCONF, announced("192.0.2.9")), "already_configured")
    assert loaded.data == ENTRY


async def test_announced_where_it_is_an_entry_stays(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    await start(hass, SOURCE_ZEROCONF, announced())
    await proxy.drop()
    await hass.async_block_till_done(wait_background_tasks=True)
    assert loaded.data == ENTRY


@pytest.mark.parametrize("there", [True, False])
async def test_announced_elsewhere_before_its_connection_is_lost_an_entry_follows(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxies: dict[tuple[str, int], FakeProxy],
    proxy: FakeProxy,
    there: bool,
) -> None:
    await start(hass, SOURCE_ZEROCONF, announced("192.0.2.9"))
    if there:
        proxies["192.0.2.9", PORT] = proxies.pop((HOST, PORT))
    await proxy.drop()
    await hass.async_block_till_done(wait_background_tasks=True)
    await hass.async_block_till_done()
    assert loaded.data == ENTRY | (ELSEWHERE if there else {})
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


async def test_added_again_by_hand_an_entry_has_the_new_place_and_key(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy], proxy: FakeProxy
) -> None:
    proxies["192.0.2.9", PORT] = proxies.pop((HOST, PORT))
    proxy.key = OTHER_KEY
    result = await go_on(hass, await start(hass, SOURCE_USER), **ELSEWHERE)
    result = await go_on(hass, result, noise_psk=OTHER_KEY)
    assert (result["type"], result["reason"]) == (FlowResultType.ABORT, "already_configured")
    assert entry.data == ENTRY | ELSEWHERE | {"noise_psk": OTHER_KEY}


async def test_added_again_by_hand_a_known_key_is_not_asked_for(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy]
) -> None:
    proxies["192.0.2.9", PORT] = proxies.pop((HOST, PORT))
    result = await go_on(hass, await start(hass, SOURCE_USER), **ELSEWHERE)
    assert succeeded(result, "already_configured")
    assert entry.data == ENTRY | ELSEWHERE


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_ZEROCONF])
async def test_a_key_that_the_esphome_integration_has_is_not_asked_for(hass: HomeAssistant, source: str) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC, data={"noise_psk": KEY}).add_to_hass(hass)
    result = await start(hass, source, announced() if source == SOURCE_ZEROCONF else None)
    result = await go_on(hass, result, **(PLACE if source == SOURCE_USER else {}))
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "esphome_configured")
    assert made(await go_on(hass, result, next_step_id="add_anyway")) == ENTRY


@pytest.mark.parametrize("known", ["", OTHER_KEY])
async def test_a_key_that_is_no_help_is_passed_over(hass: HomeAssistant, known: str) -> None:
    MockConfigEntry(domain="esphome", unique_id=MAC, data={"noise_psk": known}).add_to_hass(hass)
    assert is_form(await go_on(hass, await start(hass, SOURCE_USER), **PLACE), "key")


async def test_who_answers_without_encryption_takes_no_key_away(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy]
) -> None:
    proxies["192.0.2.9", PORT] = FakeProxy(key="")
    result = await go_on(hass, await start(hass, SOURCE_USER), **ELSEWHERE)
    assert succeeded(result, "already_configured")
    assert entry.data == ENTRY | ELSEWHERE


async def test_who_answers_without_encryption_changes_nothing_that_works(
    hass: HomeAssistant, loaded: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy]
) -> None:
    proxies["192.0.2.9", PORT] = FakeProxy(key="")
    result = await go_on(hass, await start(hass, SOURCE_USER), **ELSEWHERE)
    assert succeeded(result, "already_configured")
    assert loaded.data == ENTRY


# a key that is wrong


async def reauth(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    return await entry.start_reauth_flow(hass)


async def test_a_changed_key(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.key = OTHER_KEY
    result = await reauth(hass, entry)
    assert is_form(result, "reauth_key")
    result = await go_on(hass, result, noise_psk=KEY)
    assert is_form(result, "reauth_key", "wrong_key")
    assert succeeded(await go_on(hass, result, noise_psk=OTHER_KEY), "reauth_successful")
    assert entry.data == ENTRY | {"noise_psk": OTHER_KEY}


@pytest.mark.parametrize("closed", [False, True])
async def test_a_forgotten_key(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, closed: bool) -> None:
    proxy.key, proxy.info, proxy.closed = "", replace(proxy.info, **WAITING), closed
    result = await reauth(hass, entry)
    assert is_form(result, "pair", "pairing_closed" if closed else None)
    if closed:
        assert is_form(result := await go_on(hass, result), "pair", "pairing_closed")
    proxy.closed = False
    assert succeeded(await go_on(hass, result), "reauth_successful")
    assert entry.data["noise_psk"] == proxy.key != KEY
    assert entry.data["paired"]


async def test_encryption_that_was_turned_off(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.key = ""
    result = await reauth(hass, entry)
    assert is_form(result, "plaintext")
    assert entry.data["noise_psk"] == KEY
    assert succeeded(await go_on(hass, result), "reauth_successful")
    assert entry.data["noise_psk"] == ""


async def test_a_proxy_that_is_not_reached_meanwhile(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.reachable = False
    result = await reauth(hass, entry)
    assert is_form(result, "reauth_key", "cannot_connect")
    proxy.reachable = True
    assert succeeded(await go_on(hass, result, noise_psk=KEY), "reauth_successful")


async def test_a_key_that_is_right_again_is_not_asked_for(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy
) -> None:
    assert succeeded(await reauth(hass, loaded), "reauth_successful")


async def test_another_proxy_is_not_given_the_entry(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy], other: FakeProxy
) -> None:
    proxies[HOST, PORT] = other
    other.key = OTHER_KEY
    result = await go_on(hass, await reauth(hass, entry), noise_psk=OTHER_KEY)
    assert is_form(result, "reauth_key", "another_proxy")
    assert entry.data == ENTRY


# changes


async def reconfigure(hass: HomeAssistant, entry: MockConfigEntry) -> Any:
    return await entry.start_reconfigure_flow(hass)


async def test_another_place(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy]
) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"paired": True})
    proxies["192.0.2.9", PORT] = proxies.pop((HOST, PORT))
    result = await reconfigure(hass, entry)
    assert is_form(result, "reconfigure")
    result = await go_on(hass, result, **PLACE)
    assert is_form(result, "reconfigure", "cannot_connect")
    assert succeeded(await go_on(hass, result, **ELSEWHERE), "reconfigure_successful")
    assert entry.data == ENTRY | ELSEWHERE | {"paired": True}


async def test_another_key(hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.key = OTHER_KEY
    result = await go_on(hass, await reconfigure(hass, entry), **PLACE)
    assert is_form(result, "reconfigure", "known_key_wrong")
    result = await go_on(hass, result, **PLACE, noise_psk=ENTRY["noise_psk"])
    assert is_form(result, "reconfigure", "wrong_key")
    assert succeeded(await go_on(hass, result, **PLACE, noise_psk=OTHER_KEY), "reconfigure_successful")
    assert entry.data == ENTRY | {"noise_psk": OTHER_KEY}


@pytest.mark.parametrize("choice", ["replace_proxy", "reconfigure"])
async def test_another_proxy(hass: HomeAssistant, loaded: MockConfigEntry, other: FakeProxy, choice: str) -> None:
    battery = entity_id(hass, "sensor", "battery_voltage", ROVER)
    devices = {device.id for device in dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)}
    result = await go_on(hass, await reconfigure(hass, loaded), **ELSEWHERE)
    assert (result["type"], result["step_id"]) == (FlowResultType.MENU, "replace")
    assert result["description_placeholders"]["found"] == "Other shed"
    result = await go_on(hass, result, next_step_id=choice)
    if choice == "reconfigure":
        assert is_form(result, "reconfigure")
        assert succeeded(await go_on(hass, result, **PLACE), "reconfigure_successful")
        assert loaded.unique_id == MAC
        return
    assert succeeded(result, "reconfigure_successful")
    assert loaded.unique_id == OTHER_MAC
    assert loaded.state is ConfigEntryState.LOADED
    assert entity_id(hass, "sensor", "battery_voltage", ROVER, OTHER_MAC) == battery
    assert hass.states.get(battery) is not None
    assert {device.id for device in dr.async_entries_for_config_entry(dr.async_get(hass), loaded.entry_id)} == devices


async def test_the_proxy_that_is_replaced_forgets_the_key_that_pairing_has_set(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, other: FakeProxy
) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"paired": True})
    other.key, other.info = "", replace(other.info, **WAITING)
    result = await go_on(hass, await reconfigure(hass, entry), **ELSEWHERE)
    assert is_form(result, "pair")
    result = await go_on(hass, await go_on(hass, result), next_step_id="replace_proxy")
    assert succeeded(result, "reconfigure_successful")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert proxy.key == ""
    assert entry.data["noise_psk"] == other.key != ""


async def test_the_same_key_on_another_machine_is_not_taken_back(
    hass: HomeAssistant, entry: MockConfigEntry, proxies: dict[tuple[str, int], FakeProxy]
) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"paired": True})
    moved = FakeProxy(info=replace(device_info(), mac_address=OTHER_MAC))  # the memory card is in another machine
    proxies[HOST, PORT] = moved
    result = await go_on(hass, await reconfigure(hass, entry), **PLACE)
    assert succeeded(await go_on(hass, result, next_step_id="replace_proxy"), "reconfigure_successful")
    await hass.async_block_till_done(wait_background_tasks=True)
    assert moved.key == KEY


@pytest.mark.parametrize("waits", [True, False])
async def test_an_entry_without_a_key(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, waits: bool
) -> None:
    hass.config_entries.async_update_entry(entry, data=entry.data | {"noise_psk": ""})
    proxy.key, proxy.info = "", replace(proxy.info, **WAITING) if waits else proxy.info
    result = await go_on(hass, await reconfigure(hass, entry), **PLACE)
    assert succeeded(result, "reconfigure_successful")
    assert entry.data["noise_psk"] == proxy.key
    assert bool(proxy.key) is waits


@pytest.mark.parametrize("source", [SOURCE_USER, SOURCE_IGNORE])
async def test_another_proxy_that_has_an_entry(
    hass: HomeAssistant, entry: MockConfigEntry, other: FakeProxy, source: str
) -> None:
    MockConfigEntry(domain="blupow", unique_id=OTHER_MAC, source=source, data=ENTRY).add_to_hass(hass)
    result = await go_on(hass, await reconfigure(hass, entry), **ELSEWHERE)
    if source == SOURCE_USER:
        assert is_form(result, "reconfigure", "other_entry")
        assert succeeded(await go_on(hass, result, **PLACE), "reconfigure_successful")
    else:
        result = await go_on(hass, result, next_step_id="replace_proxy")
        assert succeeded(result, "reconfigure_successful")
        assert [it.unique_id for it in hass.config_entries.async_entries("blupow")] == [OTHER_MAC]


async def test_a_proxy_that_takes_anothers_place_is_no_discovery_any_more(
    hass: HomeAssistant, entry: MockConfigEntry, other: FakeProxy
) -> None:
    await start(hass, SOURCE_ZEROCONF, announced("192.0.2.9", mac=OTHER_MAC))
    result = await go_on(hass, await reconfigure(hass, entry), **ELSEWHERE)
    assert succeeded(await go_on(hass, result, next_step_id="replace_proxy"), "reconfigure_successful")
    assert hass.config_entries.flow.async_progress() == []


# options


async def test_options(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    result: Any = await hass.config_entries.options.async_init(loaded.entry_id)
    assert [str(key) for key in result["data_schema"].schema] == ["report_after", "subscribe_logs"]
    result = await hass.config_entries.options.async_configure(
        result["flow_id"], {"report_after": 30.0, "subscribe_logs": True}
    )
    await hass.async_block_till_done()
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert loaded.options == {"report_after": 30, "subscribe_logs": True}
    assert shown(hass, "sensor", "battery_voltage", ROVER) == "13.2"


@pytest.mark.parametrize(
    ("flags", "found"),
    [
        (BluetoothProxyFeature.PASSIVE_SCAN, ["bluetooth_source"]),
        (
            BluetoothProxyFeature.PASSIVE_SCAN | BluetoothProxyFeature.FEATURE_STATE_AND_MODE,
            ["bluetooth_source", "bluetooth_scanning_mode"],
        ),
    ],
)
async def test_bluetooth_is_an_option_of_a_proxy_that_has_it(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, flags: BluetoothProxyFeature, found: list[str]
) -> None:
    proxy.info = replace(proxy.info, bluetooth_proxy_feature_flags=int(flags))
    await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    result: Any = await hass.config_entries.options.async_init(loaded.entry_id)
    assert [str(key) for key in result["data_schema"].schema if "bluetooth" in str(key)] == found


async def test_an_option_that_was_chosen_before_stays_while_nothing_is_known(
    hass: HomeAssistant, entry: MockConfigEntry
) -> None:
    chosen = {"bluetooth_source": False, "bluetooth_scanning_mode": "passive"}
    hass.config_entries.async_update_entry(entry, options=chosen)
    result: Any = await hass.config_entries.options.async_init(entry.entry_id)
    assert chosen.keys() <= {str(key) for key in result["data_schema"].schema}
