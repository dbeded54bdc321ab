"""Repair issues: raised when something is wrong, and taken back when it is not any more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import AsyncMock

from aioesphomeapi import SensorInfo
from freezegun.api import FrozenDateTimeFactory
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry, async_fire_time_changed

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from proxies import BATTERY, OTHER_MAC, ROVER, FakeProxy, device_info, info, issues, lose, try_again

HELD = "not heard: out of range, switched off, or held by another central such as the phone app"


def reported(hass: HomeAssistant) -> list[ir.IssueEntry]:
    return [issue for issue in ir.async_get(hass).issues.values() if issue.domain == "blupow"]


async def pass_minutes(hass: HomeAssistant, freezer: FrozenDateTimeFactory, minutes: float) -> None:
    freezer.tick(timedelta(minutes=minutes))
    async_fire_time_changed(hass)
    await hass.async_block_till_done()


async def test_nothing_is_wrong_at_first(hass: HomeAssistant, loaded: MockConfigEntry) -> None:
    assert issues(hass) == {}


async def test_the_adapter(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.push("bluetooth_adapter", True)
    proxy.push("bluetooth_adapter_status", "the Bluetooth adapter is off")
    assert issues(hass) == {"adapter_problem": {"name": "Solar shed", "reason": "the Bluetooth adapter is off"}}
    proxy.push("bluetooth_adapter", False)
    assert issues(hass) == {}


async def test_an_adapter_of_which_nothing_more_is_told(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos = [listed for listed in proxy.infos if listed.object_id != "bluetooth_adapter_status"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    proxy.push("bluetooth_adapter", True)
    assert issues(hass) == {"adapter_problem": {"name": "Solar shed", "reason": ""}}


async def test_the_clock(hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy) -> None:
    proxy.push("clock", True)
    assert issues(hass) == {"clock_wrong": {"name": "Solar shed"}}
    proxy.push("clock", False)
    assert issues(hass) == {}


def number_named(name: str, device_id: int = 0) -> SensorInfo:
    """List a number whose name a text of the proxy has too."""
    return info(SensorInfo, name, device_id)


async def test_an_adapter_whose_status_a_number_is_named_as(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.infos.append(number_named("Bluetooth adapter status"))
    assert await hass.config_entries.async_setup(entry.entry_id)
    proxy.push("bluetooth_adapter", True)
    proxy.push("bluetooth_adapter_status", "the Bluetooth adapter is off")
    assert issues(hass) == {"adapter_problem": {"name": "Solar shed", "reason": "the Bluetooth adapter is off"}}


async def test_a_unit_whose_link_status_a_number_is_named_as(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.infos.append(number_named("Link status", ROVER))
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    proxy.unit_link(False, ROVER, HELD)
    await pass_minutes(hass, freezer, 10)
    assert issues(hass)["link_held"]["reason"] == HELD


@pytest.mark.parametrize(
    ("status", "key"), [(HELD, "link_held"), ("the device ended the connection", "link_down")], ids=["held", "down"]
)
async def test_a_unit_out_of_reach_for_ten_minutes(
    hass: HomeAssistant,
    loaded: MockConfigEntry,
    proxy: FakeProxy,
    freezer: FrozenDateTimeFactory,
    status: str,
    key: str,
) -> None:
    proxy.unit_link(False, ROVER, status)
    await pass_minutes(hass, freezer, 9)
    assert issues(hass) == {}
    await pass_minutes(hass, freezer, 1.1)
    assert issues(hass) == {key: {"name": "Solar shed", "unit": "Rover", "reason": status, "minutes": "10"}}
    proxy.unit_link(True, ROVER)
    assert issues(hass) == {}


async def test_an_issue_says_why_a_unit_is_out_of_reach_now(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.unit_link(False, ROVER, HELD)
    await pass_minutes(hass, freezer, 11)
    assert issues(hass).keys() == {"link_held"}
    proxy.unit_link(False, ROVER, "the device ended the connection")
    assert issues(hass).keys() == {"link_down"}


async def test_a_unit_that_does_not_say_why(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.infos = [listed for listed in proxy.infos if listed.object_id != "link_status"]
    assert await hass.config_entries.async_setup(entry.entry_id)
    proxy.push("link", None, ROVER)
    proxy.push("link", False, ROVER)
    await pass_minutes(hass, freezer, 11)
    assert issues(hass)["link_down"]["reason"] == ""


async def test_a_unit_that_comes_back_in_time_is_none(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.unit_link(False, ROVER, HELD)
    await pass_minutes(hass, freezer, 9)
    proxy.unit_link(True, ROVER)
    await pass_minutes(hass, freezer, 9)
    assert issues(hass) == {}


async def test_a_released_unit_is_none(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.push("release_link", True, ROVER)
    proxy.unit_link(False, ROVER, "released: the phone app may connect now")
    await pass_minutes(hass, freezer, 20)
    assert issues(hass) == {}


async def test_units_are_not_reported_with_zero_minutes(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    hass.config_entries.async_update_entry(entry, options={"report_after": 0})
    assert await hass.config_entries.async_setup(entry.entry_id)
    proxy.unit_link(False, ROVER, HELD)
    await pass_minutes(hass, freezer, 60)
    assert issues(hass) == {}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("0.0.9", {"proxy_too_old": {"name": "Solar shed", "version": "0.0.9", "minimum": "0.1.0"}}),
        ("0.1.0", {}),
        ("0.9.9", {}),
        ("1.0.0", {"proxy_too_new": {"name": "Solar shed", "version": "1.0.0", "maximum": "1.0.0"}}),
        ("", {}),
        ("dev", {}),
        ("of my own", {}),
    ],
)
async def test_versions(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy, version: str, expected: dict[str, Any]
) -> None:
    proxy.info = replace(device_info(), project_version=version)
    assert await hass.config_entries.async_setup(entry.entry_id)
    assert issues(hass) == expected


async def test_what_was_wrong_stays_an_issue_until_it_is_known_to_be_right(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.push("clock", True)
    proxy.unit_link(False, ROVER, HELD)
    await pass_minutes(hass, freezer, 11)
    ids = [issue.issue_id for issue in reported(hass)]
    assert len(ids) == 2
    for issue_id in ids:
        ir.async_ignore_issue(hass, "blupow", issue_id, True)
    await lose(hass, proxy)
    assert issues(hass).keys() == {"clock_wrong", "link_held"}
    proxy.reachable = True
    await try_again(hass, loaded)
    assert await hass.config_entries.async_reload(loaded.entry_id)
    await hass.async_block_till_done()
    proxy.unit_link(False, ROVER, HELD)
    for issue_id in ids:
        issue = ir.async_get(hass).async_get_issue("blupow", issue_id)
        assert issue is not None
        assert issue.dismissed_version is not None
    proxy.unit_link(True, ROVER)
    proxy.push("clock", False)
    assert issues(hass) == {}


async def test_time_without_the_proxy_does_not_count(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, port: AsyncMock, freezer: FrozenDateTimeFactory
) -> None:
    proxy.unit_link(False, ROVER, HELD)
    proxy.reachable = False
    await proxy.drop()
    await pass_minutes(hass, freezer, 20)
    assert issues(hass) == {}


async def test_a_unit_that_is_gone_is_none(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    proxy.push("clock", True)
    for unit in (ROVER, BATTERY):
        proxy.unit_link(False, unit, HELD)
    await pass_minutes(hass, freezer, 11)
    proxy.info = replace(proxy.info, devices=[unit for unit in proxy.info.devices if unit.device_id != ROVER])
    proxy.infos = [listed for listed in proxy.infos if listed.device_id != ROVER]
    await proxy.drop()
    await hass.async_block_till_done()
    assert len(reported(hass)) == 2
    assert issues(hass).keys() == {"clock_wrong", "link_held"}
    assert issues(hass)["link_held"]["unit"] == "Battery"


async def test_an_entry_that_was_never_set_up_has_none_once_it_is_disabled(
    hass: HomeAssistant, entry: MockConfigEntry, proxy: FakeProxy
) -> None:
    proxy.info = replace(proxy.info, mac_address=OTHER_MAC)
    assert not await hass.config_entries.async_setup(entry.entry_id)
    assert issues(hass).keys() == {"wrong_device"}
    await hass.config_entries.async_set_disabled_by(entry.entry_id, ConfigEntryDisabler.USER)
    assert issues(hass) == {}


async def test_without_an_adapter_no_unit_is_to_blame(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, freezer: FrozenDateTimeFactory
) -> None:
    for unit in (ROVER, BATTERY):
        proxy.unit_link(False, unit, "waiting for the Bluetooth adapter")
    proxy.push("bluetooth_adapter", True)
    await pass_minutes(hass, freezer, 20)
    assert issues(hass).keys() == {"adapter_problem"}
    proxy.push("bluetooth_adapter", False)
    await pass_minutes(hass, freezer, 11)
    assert issues(hass).keys() == {"link_down"}


@pytest.mark.parametrize("ends", ["disabled", "removed"])
async def test_an_entry_that_is_used_no_more_has_none(
    hass: HomeAssistant, loaded: MockConfigEntry, proxy: FakeProxy, ends: str
) -> None:
    proxy.push("clock", True)
    assert await hass.config_entries.async_unload(loaded.entry_id)
    assert issues(hass).keys() == {"clock_wrong"}
    if ends == "disabled":
        assert await hass.config_entries.async_setup(loaded.entry_id)
        await hass.config_entries.async_set_disabled_by(loaded.entry_id, ConfigEntryDisabler.USER)
    else:
        await hass.config_entries.async_remove(loaded.entry_id)
    assert issues(hass) == {}
