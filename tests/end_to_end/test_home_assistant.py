"""A user's story: a real Home Assistant, real proxies on simulated units, and cables between them."""

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import itertools
import json
import os
from pathlib import Path
import re
import signal
import tempfile
import time
from typing import Any

import pytest

from comparison import Client, Served, compare
from conftest import CORE_KEY, VAN_KEY, Figures, Home
import energy_dashboard
from home_assistant import ROOT
from home_assistant_api import Json, connect, log_in
from home_assistant_log import records
from network import Network
from proxy import SPARE, UNITS, Proxy

WRONG_KEY = "bm90IHRoZSBrZXkgb2YgYW55IHByb3h5ISEhISEhISE="
NEW_KEY = "YSBuZXcga2V5IGZvciB0aGUgc2hlZCEhISEhISEhISE="
WATCH_S = 15.0
CUT_S = 120.0
DEMO = [ROOT / "script" / "demo", "--home-assistant"]
STATISTICS_S = 320.0  # Home Assistant makes statistics every five minutes


@dataclass(slots=True)
class Added:
    """A proxy that was added to Home Assistant."""

    entry_id: str
    entity_ids: list[str]
    forms: list[str]
    clicked: float
    """When the last form was sent, in monotonic seconds."""


async def discovered(home: Home, domain: str, name: str, within_s: float = 10.0) -> Json:
    """Wait for the card of a proxy."""
    async with asyncio.timeout(within_s):
        while True:
            for flow in await home.api.flows(domain):
                if name in flow["context"].get("title_placeholders", {}).get("name", ""):
                    return flow
            await asyncio.sleep(0.05)


async def add(home: Home, domain: str, name: str, *keys: str) -> Added:
    """Add a discovered proxy, trying one key after the other where one is asked for."""
    form = await home.api.show_flow(await discovered(home, domain, name))
    forms, left, clicked = [], list(keys), 0.0
    while form["type"] == "form":
        forms.append(form["step_id"])
        asked = [one["name"] for one in form.get("data_schema") or []]
        answers = {"noise_psk": left.pop(0)} if "noise_psk" in asked else {}
        clicked = time.monotonic()
        form = await home.api.step(form, **answers)
        assert len(forms) < 6, forms
    assert form["type"] == "create_entry", form
    assert form["title"] == name
    entry_id = form["result"]["entry_id"]
    count = 0
    while count < len(entity_ids := await home.entity_ids(entry_id)) or count < 60:
        count = len(entity_ids)
        await asyncio.sleep(0.5)
    return Added(entry_id, entity_ids, forms, clicked)


def available(home: Home, entity_ids: list[str]) -> bool:
    return all(home.api.states.now(one) not in (None, "unavailable") for one in entity_ids)


def unavailable(home: Home, entity_ids: list[str]) -> bool:
    return all(home.api.states.now(one) == "unavailable" for one in entity_ids)


def last_change(home: Home, entity_ids: list[str], state: str | None, since: float) -> float:
    """When the last of some entities became ``state``, or anything else for None; the first time after ``since``."""
    moments = []
    for one in entity_ids:
        after = [change for change in home.api.states.history[one] if change.at >= since]
        fitting = [change.at for change in after if (change.state == state if state else change.state != "unavailable")]
        assert fitting, f"{one} did not become {state or 'available'}"
        moments.append(fitting[0])
    return max(moments)


def outages(home: Home, name: str) -> tuple[int, int]:
    """How often the companion has logged that a proxy is lost, and that it is back."""
    ours = [one.text for one in records(home.process.output) if one.logger.startswith("custom_components.blupow")]
    lost = sum(text.startswith(f"The connection to {name} is lost") for text in ours)
    return lost, sum(text == f"{name} is connected again" for text in ours)


def shed_key(folder: Path) -> str:
    return json.loads((folder / "solar-shed" / "key.json").read_text())["key"]


async def compare_with(home: Home, proxy: Proxy, key: str, entity_id_of: Any) -> Any:
    async with Client(proxy.address, key) as client:
        await asyncio.sleep(WATCH_S)
        until = time.monotonic() - 3.0
        return compare(client, home.api.states, entity_id_of(client), until)


@pytest.fixture(scope="session")
async def cabin_added(home: Home, cabin: Proxy) -> Added:
    return await add(home, "esphome", cabin.title, CORE_KEY)


@pytest.fixture(scope="session")
async def shed_added(home: Home, shed: Proxy, figures: Figures) -> Added:
    added = await add(home, "blupow", shed.title)
    await home.api.states.until(lambda: available(home, added.entity_ids), 10.0, "that all entities are available")
    shown = last_change(home, added.entity_ids, None, added.clicked)
    figures.add(f"a. one click to all {len(added.entity_ids)} entities", shown - added.clicked, 5.0)
    return added


@pytest.fixture(scope="session")
async def van_added(home: Home, van: Proxy, figures: Figures) -> Added:
    return await add(home, "blupow", van.title, WRONG_KEY, VAN_KEY)


# l. Home Assistant's own ESPHome integration


async def test_the_esphome_integration_takes_a_proxy_as_it_is(
    home: Home, cabin: Proxy, cabin_added: Added, figures: Figures
) -> None:
    devices = await home.api.devices(cabin_added.entry_id)
    names = {device["id"]: device["name"] for device in devices}
    assert set(names.values()) == {cabin.title, *UNITS}
    registry = [one for one in await home.api.entities("esphome") if one["config_entry_id"] == cabin_added.entry_id]
    ids = {
        (names[one["device_id"]], one["original_name"], one["entity_id"].partition(".")[0]): one["entity_id"]
        for one in registry
    }

    def entity_id_of(_: Client) -> Any:
        return lambda served: ids.get((served.device, served.info.name, served.platform))

    outcome = await compare_with(home, cabin, CORE_KEY, entity_id_of)
    assert not outcome.wrong
    assert outcome.compared >= 60
    figures.add("l. in the ESPHome integration", outcome)
    wrong = [
        one
        for one in records(home.process.output)
        if "esphome" in one.logger and one.level in ("ERROR", "CRITICAL", "WARNING")
    ]
    assert not wrong


async def test_a_proxy_in_the_esphome_integration_is_not_taken_unasked(
    home: Home, cabin: Proxy, cabin_added: Added
) -> None:
    form = await home.api.show_flow(await discovered(home, "blupow", cabin.title))
    menu = await home.api.step(form)
    assert (menu["type"], menu["step_id"]) == ("menu", "esphome_configured"), "its key is known there"
    kept = await home.api.step(menu, next_step_id="keep_esphome")
    assert (kept["type"], kept["reason"]) == ("abort", "kept_in_esphome")
    assert available(home, cabin_added.entity_ids)


# a. b. c. k. adding


async def test_a_proxy_is_found_and_added_with_one_click(home: Home, shed_added: Added) -> None:
    assert len(shed_added.forms) == 1


async def test_a_proxy_with_a_key_asks_for_it(van_added: Added) -> None:
    assert van_added.forms.count("key") == 2, "the wrong key has to be refused, and the right one taken"


def by_unique_id(home_entities: list[Json]) -> Any:
    ids = {(one["entity_id"].partition(".")[0], one["unique_id"]): one["entity_id"] for one in home_entities}

    def entity_id_of(client: Client) -> Any:
        mac = client.mac

        def find(served: Served) -> str | None:
            unique_id = f"{mac}-{served.info.device_id:08x}-{served.kind}-{served.info.object_id}"
            return ids.get((served.platform, unique_id))

        return find

    return entity_id_of


async def test_states_equal_what_the_proxy_serves(
    home: Home, shed: Proxy, shed_added: Added, folder: Path, figures: Figures
) -> None:
    devices = await home.api.devices(shed_added.entry_id)
    assert {device["name"] for device in devices} == {shed.title, *UNITS}
    outcome = await compare_with(home, shed, shed_key(folder), by_unique_id(await home.api.entities("blupow")))
    assert not outcome.wrong
    assert outcome.compared >= 60
    assert max(outcome.latencies_s) < 2.0
    figures.add("c. in the companion", outcome)
    figures.add("c. devices of units", len(devices) - 1)


async def test_units_of_the_same_names_do_not_collide(
    home: Home, shed_added: Added, van_added: Added, figures: Figures
) -> None:
    registry = await home.api.entities("blupow")
    mine = {
        entry_id: {one["unique_id"].split("-", 1)[1] for one in registry if one["config_entry_id"] == entry_id}
        for entry_id in (shed_added.entry_id, van_added.entry_id)
    }
    assert mine[shed_added.entry_id] == mine[van_added.entry_id]
    assert not set(shed_added.entity_ids) & set(van_added.entity_ids)
    assert available(home, van_added.entity_ids)
    devices = await home.api.devices(van_added.entry_id)
    assert len(devices) == 1 + len(UNITS)
    figures.add("k. two proxies with the same unit names", f"{len(van_added.entity_ids)} entities each")


# f. a cable that is cut, while everything else goes on


class Cut:
    """The cable of the van: out for two minutes."""

    def __init__(self) -> None:
        self.out = self.back = 0.0
        self.task: asyncio.Task[None]

    async def run(self, network: Network) -> None:
        self.out = time.monotonic()
        network.cut("van")
        await asyncio.sleep(CUT_S)
        self.back = time.monotonic()
        network.mend("van")


@pytest.fixture(scope="session")
def cut() -> Cut:
    return Cut()


async def test_the_cable_of_the_van_is_cut(network: Network, van_added: Added, cut: Cut) -> None:
    assert van_added.entity_ids
    cut.task = asyncio.create_task(cut.run(network))
    await asyncio.sleep(0.1)
    assert cut.out
    assert not cut.back


# e. h. i. j. the shed meanwhile


async def test_a_killed_proxy_is_unavailable_at_once_and_comes_back(
    home: Home, shed: Proxy, shed_added: Added, figures: Figures
) -> None:
    ids = await home.entity_ids(shed_added.entry_id)
    for number in range(2):
        await shed.stop(9)
        took = await home.api.states.until(lambda: unavailable(home, ids), 10.0, "that all entities are unavailable")
        figures.add("e. killed, to all unavailable", took, 5.0)
        await asyncio.sleep(10.0 * number)  # at once, and after the first attempts to connect again
        start_s = await shed.start()
        took = await home.api.states.until(lambda: available(home, ids), 30.0, "that all entities are available")
        assert outages(home, shed.title) == (number + 1, number + 1), "one line down and one up, for each outage"
        figures.add(f"e. back after {10 * number} s: start to listening", start_s)
        figures.add("e. listening to all available", took, 5.0)
        figures.add("e. start to all available", start_s + took)


async def test_the_load_is_switched(home: Home, shed: Proxy, shed_added: Added, figures: Figures) -> None:
    (load,) = [
        one["entity_id"]
        for one in await home.api.entities("blupow")
        if one["config_entry_id"] == shed_added.entry_id
        and one["entity_id"].startswith("switch.")
        and one["unique_id"].endswith("-load")
    ]
    assert home.api.states.now(load) == "on"
    for service, state, register in (("turn_off", "off", 0), ("turn_on", "on", 1)):
        started = time.monotonic()
        await home.api.service("switch", service, {"entity_id": load})
        await home.api.states.until(lambda state=state: home.api.states.now(load) == state, 10.0, service)
        figures.add(f"j. Load {service}, to the state read back", time.monotonic() - started, 5.0)
        rover = (await shed.units())[UNITS["Rover"]]
        assert rover["load_on"] is bool(register)
        assert rover["registers"]["load_switch"] == register
        assert rover["writes"][-1][2:12] == f"06010a{register:04x}"


async def test_units_come_and_go_without_a_reload(home: Home, shed: Proxy, shed_added: Added, figures: Figures) -> None:
    name, address = SPARE
    before = set(await home.entity_ids(shed_added.entry_id))
    home.entries.clear()

    async def spare() -> list[str]:
        devices = await home.api.devices(shed_added.entry_id)
        found = [device["id"] for device in devices if device["name"] == name]
        registry = await home.api.entities("blupow")
        return [one["entity_id"] for one in registry if one["device_id"] in found and not one["disabled_by"]]

    await shed.stop()
    shed.config["renogy"].append({"name": name, "address": address})
    await shed.start()
    started = time.monotonic()
    async with asyncio.timeout(30):
        while len(ids := await spare()) < 30 or not available(home, ids):
            await asyncio.sleep(0.1)
    figures.add(f"i. added, listening to {len(ids)} new entities available", time.monotonic() - started, 30.0)

    await shed.stop()
    shed.config["renogy"].pop()
    await shed.start()
    started = time.monotonic()
    async with asyncio.timeout(30):
        while await spare() or any(device["name"] == name for device in await home.api.devices(shed_added.entry_id)):
            await asyncio.sleep(0.1)
    figures.add("i. removed, listening to device and entities gone", time.monotonic() - started, 10.0)
    assert set(await home.entity_ids(shed_added.entry_id)) == before
    await home.api.states.until(lambda: available(home, list(before)), 10.0, "that the others are available")
    reloads = {
        event["entry"]["state"] for event in home.entries if event["entry"]["entry_id"] == shed_added.entry_id
    } - {"loaded"}
    assert not reloads


async def test_a_new_key_is_asked_for(home: Home, shed: Proxy, shed_added: Added, figures: Figures) -> None:
    ids = await home.entity_ids(shed_added.entry_id)
    await shed.stop()
    shed.config["api"] = {"encryption": {"key": NEW_KEY}}
    await shed.start()
    started = time.monotonic()
    async with asyncio.timeout(30):
        while not (flows := [one for one in await home.api.flows("blupow") if one["context"]["source"] == "reauth"]):
            await asyncio.sleep(0.05)
    figures.add("h. new key, listening to the question for it", time.monotonic() - started, 10.0)
    assert len(flows) == 1
    form = await home.api.show_flow(flows[0])
    form = await home.api.step(form, noise_psk=WRONG_KEY)
    assert form["type"] == "form"
    assert form["errors"]
    started = time.monotonic()
    form = await home.api.step(form, noise_psk=NEW_KEY)
    assert (form["type"], form["reason"]) == ("abort", "reauth_successful")
    await home.api.states.until(lambda: available(home, ids), 15.0, "that all entities are available")
    figures.add("h. key entered, to all available", time.monotonic() - started, 10.0)


# the demo, in which the same is to be looked at


async def test_the_demo_shows_the_same(home: Home, figures: Figures) -> None:
    taken = await asyncio.create_subprocess_exec(*DEMO, stdout=DEVNULL, stderr=PIPE)
    _, errors = await taken.communicate()
    assert (taken.returncode, errors.decode()) == (
        os.EX_UNAVAILABLE,
        "demo: port 8123 is taken, perhaps by another Home Assistant: choose another --port\n",
    )

    started = time.monotonic()
    demo = await asyncio.create_subprocess_exec(*DEMO, "--port", "8124", stdout=PIPE, stderr=PIPE)
    try:
        assert demo.stdout is not None
        printed = ""
        while "Ctrl-C ends it." not in printed:
            printed += (await demo.stdout.readline()).decode()
            assert not demo.stdout.at_eof(), printed + (await demo.communicate())[1].decode()
        figures.add("demo: start to everything to be looked at", time.monotonic() - started, 60.0)
        url, user, password = (re.search(rf"{name} +(\S+)\n", printed)[1] for name in ("Assistant", "User", "Password"))
        token = await log_in(home.session, url, user, password)
        folders = [part for part in Path(tempfile.gettempdir()).glob("blupow-demo-*") if str(part) in processes()]
        assert len(folders) == 1
        async with connect(url, token) as api:
            await api.follow_states()
            entities = await api.entities("blupow")
            known = [
                one for one in entities if api.states.now(one["entity_id"]) not in (None, "unknown", "unavailable")
            ]
            assert len(known) >= 60
            prefs = await api.call("energy/get_prefs")
            assert len(prefs["energy_sources"]) == 3
            yesterday = datetime.now(UTC) - timedelta(hours=24)
            past = await api.call(
                "recorder/statistics_during_period",
                start_time=yesterday.isoformat(),
                statistic_ids=[prefs["energy_sources"][0]["stat_energy_from"]],
                period="hour",
                types=["change"],
            )
            assert sum(hour["change"] for hours in past.values() for hour in hours) > 0.5
    finally:
        started = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            demo.send_signal(signal.SIGINT)
        _, errors = await demo.communicate()
    figures.add("demo: Ctrl-C to the end", time.monotonic() - started, 10.0)
    assert (demo.returncode, errors) == (0, b"")
    assert not folders[0].exists()
    assert str(folders[0]) not in processes()


def processes() -> str:
    """The command lines of all processes."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            lines.append(file.read_text(errors="replace").replace("\0", " "))
    return "\n".join(lines)


# f. again


async def test_the_van_was_unavailable_while_its_cable_was_cut(
    home: Home, van: Proxy, van_added: Added, cut: Cut, figures: Figures
) -> None:
    await cut.task
    ids = van_added.entity_ids
    down = last_change(home, ids, "unavailable", cut.out)
    figures.add("f. cable cut, to all unavailable", down - cut.out, 95.0)
    await home.api.states.until(lambda: available(home, ids), 30.0, "that all entities are available")
    back = last_change(home, ids, None, max(cut.back, down))
    figures.add("f. cable mended, to all available", back - cut.back, 10.0)
    assert outages(home, van.title) == (1, 1), "one line down and one up"


# g. restarts


async def test_the_energy_of_a_battery_is_added_up(
    home: Home, shed: Proxy, shed_added: Added, figures: Figures
) -> None:
    ids = await shed_ids(home, shed_added)
    power, total = ids["Battery", "battery_power"], home.api.states.now(ids["Battery", "battery_energy_charged"])
    history = home.api.states.history[power]
    changes = [*((change.at, change.state) for change in history), (time.monotonic(), None)]
    watt_seconds = sum(
        (until - at) * max(0.0, float(state))
        for (at, state), (until, _) in itertools.pairwise(changes)
        if state not in (None, "unknown", "unavailable")
    )
    assert total is not None
    counted, expected = 1000 * float(total), watt_seconds / 3600
    figures.add("d. battery charged", f"{counted:.0f} Wh, {expected:.1f} Wh by its power")
    assert expected > 1
    assert abs(counted - expected) <= 1.0  # it is shown in Wh


async def shed_ids(home: Home, shed_added: Added) -> dict[tuple[str, str], str]:
    """The entities of the shed, by unit and key."""
    names = {device["id"]: device["name"] for device in await home.api.devices(shed_added.entry_id)}
    return {
        (names[one["device_id"]], one["unique_id"].rpartition("-")[2]): one["entity_id"]
        for one in await home.api.entities("blupow")
        if one["config_entry_id"] == shed_added.entry_id
    }


async def test_home_assistant_starts_without_the_proxy(
    home: Home, shed: Proxy, shed_added: Added, van_added: Added, figures: Figures
) -> None:
    ids = await home.entity_ids(shed_added.entry_id)
    charged = (await shed_ids(home, shed_added))["Battery", "battery_energy_charged"]
    before = float(home.api.states.now(charged) or 0)
    await home.api.close()
    figures.add("g. Home Assistant: stop", await home.process.stop())
    await shed.stop()
    figures.add("g. Home Assistant: start without the proxy", await home.process.start())
    await home.log_in()
    assert set(await home.entity_ids(shed_added.entry_id)) == set(ids)
    assert unavailable(home, ids)
    took = await home.api.states.until(lambda: available(home, van_added.entity_ids), 15.0, "that the van is available")
    figures.add("g. the other proxy, to all available", took)
    await shed.start()
    took = await home.api.states.until(lambda: available(home, ids), 60.0, "that all entities are available")
    figures.add("g. listening to all available", took, 10.0)
    assert before <= float(home.api.states.now(charged) or 0) < before + 0.005, "the total goes on where it was"


# d. energy and statistics


async def energy_complaints(home: Home) -> list[Json]:
    sections = await home.api.call("energy/validate")
    return [issue for section in sections.values() for source in section for issue in source]


async def test_energy_is_accepted(home: Home, shed_added: Added, figures: Figures) -> None:
    (entry,) = [one for one in await home.api.entries("blupow") if one["entry_id"] == shed_added.entry_id]
    used = await energy_dashboard.statistics_of(home.api, entry, *list(UNITS)[:4])
    await energy_dashboard.configure(home.api, used)
    await home.api.states.until(  # totals are read after everything else
        lambda: all(home.api.states.now(one) not in ("unknown", "unavailable") for one in used.values()), 30.0
    )
    started = time.monotonic()
    complaints = await energy_complaints(home)
    async with asyncio.timeout(STATISTICS_S):
        while "statistics_not_defined" in {one["type"] for one in complaints}:
            await asyncio.sleep(1)
            complaints = await energy_complaints(home)
    figures.add("d. waited for statistics", time.monotonic() - started)
    assert complaints == []
    assert await home.api.call("recorder/validate_statistics") == {}
    figures.add("d. energy/validate, recorder/validate_statistics", "no complaint")


# m. the log


async def test_the_log_is_clean(home: Home, figures: Figures) -> None:
    everything = list(records(home.process.output))
    # what is not installed here, and nobody needs
    missing = ("haffmpeg", "homeassistant.components.camera.img_util")
    assert not [one for one in everything if "Traceback" in one.text and not one.logger.startswith(missing)]
    ours = [one for one in everything if one.ours]
    assert not [one for one in ours if one.level in ("ERROR", "CRITICAL", "WARNING")]
    figures.add("m. records of the companion", f"{len(ours)}, none above INFO, no traceback of anybody")
