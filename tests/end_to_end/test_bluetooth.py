"""A home's Bluetooth through the proxy: a real Home Assistant, a real bluetoothd, devices on a simulated radio.

In the house, a thermometer that only advertises and a lamp that is connected to; the proxy has a unit of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import signal
from typing import Any

import aiohttp
from machine import ADAPTER, KEY, UNITS
import pytest
from rig import ADDRESS, ROOT, Rig, booted

from home_assistant import HomeAssistant
from home_assistant_api import Api, Json, long_lived_token, onboard
from home_assistant_log import records

PROGRAM = ROOT / ".venv" / "bin" / "blupow-proxy"
PROBE = Path(__file__).with_name("bluetooth_probe")
OWNED = UNITS["Rover"]
MAC = "02:B1:00:00:00:10"
SOURCE = "02:B1:00:00:00:11"  # beside it
THERMOMETER = "A4:C1:38:00:00:01"
LAMP = "C0:DE:00:00:00:01"
LAMPS_TEXT = "5b1e0001-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
LAMPS_ECHO = "5b1e0003-9c2f-4f5a-8d3e-6a7b8c9d0e1f"
PORT = 6053
BLUETOOTH_LOGGERS = (
    *("bleak", "habluetooth", "custom_components.blupow"),
    *("homeassistant.components.bluetooth", "homeassistant.components.bthome", "homeassistant.components.esphome"),
)
SLOTS = 3  # what the proxy has for clients
SETTLED_S = 60.0  # it is two cores for a kernel, a Home Assistant and a proxy
NEWS_S = 30.0


def says(celsius: float, percent: int) -> str:
    """What a BTHome v2 thermometer with this temperature and battery advertises."""
    temperature = round(celsius * 100).to_bytes(2, "little", signed=True)
    values = bytes((0x40, 0x01, percent, 0x02)) + temperature
    service_data = b"\x16" + (0xFCD2).to_bytes(2, "little") + values
    return (bytes((2, 0x01, 0x06)) + bytes((len(service_data),)) + service_data).hex()


@dataclass
class House:
    """Home Assistant, the guest with the proxy in it, and what Home Assistant's Bluetooth tells its frontend."""

    rig: Rig
    process: HomeAssistant
    token: str
    session: aiohttp.ClientSession
    api: Api = field(init=False)
    scanners: dict[str, Json] = field(default_factory=dict)  # by source
    states: dict[str, Json] = field(default_factory=dict)
    allocations: dict[str, Json] = field(default_factory=dict)
    most_allocated: set[str] = field(default_factory=set)
    heard: dict[str, Json] = field(default_factory=dict)  # by address
    celsius: float = 21.5

    async def watch(self) -> None:
        """Log in, and subscribe to all that the frontend's Bluetooth pages show."""
        self.api = await Api(self.process.url, self.token, self.session).open()
        for told in (self.scanners, self.states, self.allocations, self.heard):
            told.clear()
        await self.api.follow_states()
        await self.api.subscribe("bluetooth/subscribe_scanner_details", self._scanners_changed)
        await self.api.subscribe("bluetooth/subscribe_scanner_state", self._state_changed)
        await self.api.subscribe("bluetooth/subscribe_connection_allocations", self._allocations_changed)
        await self.api.subscribe("bluetooth/subscribe_advertisements", self._heard)

    def _scanners_changed(self, event: Json) -> None:
        self.scanners |= {scanner["source"]: scanner for scanner in event.get("add", ())}
        for scanner in event.get("remove", ()):
            self.scanners.pop(scanner["source"], None)

    def _state_changed(self, event: Json) -> None:
        self.states[event["source"]] = event

    def _allocations_changed(self, event: list[Json]) -> None:
        for allocations in event:
            self.allocations[allocations["source"]] = allocations
            self.most_allocated |= set(allocations["allocated"])

    def _heard(self, event: Json) -> None:
        self.heard |= {one["address"]: one for one in event.get("add", ())}

    async def until(self, condition: Callable[[], bool], what: str, within_s: float = NEWS_S) -> None:
        """Wait for something that Home Assistant tells by itself."""
        await self.api.states.until(condition, within_s, what)

    async def until_asked(self, condition: Callable[[], Any], what: str, within_s: float = NEWS_S) -> Any:
        """Wait for something that has to be asked for, and return it."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await condition()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{what} did not come within {within_s:.0f} s") from None
        return found

    async def restart(self) -> None:
        """Restart Home Assistant."""
        await self.api.close()
        await self.process.stop()
        await self.process.start()
        await self.watch()

    async def start_proxy(self) -> None:
        """Start the proxy, as its service would."""
        arguments = (self.rig.folder / "proxy.yaml", "--state-dir", self.rig.folder / "state")
        await self.rig.start("proxy", PROGRAM, "run", *arguments)

    async def add(self, domain: str) -> Json:
        """Add the proxy, which has announced itself, to an integration."""

        async def card() -> Json | None:
            return next(iter(await self.api.flows(domain)), None)

        form = await self.api.show_flow(await self.until_asked(card, f"the proxy's card in {domain}", SETTLED_S))
        return await self.finish(form)

    async def add_by_hand(self, domain: str) -> Json:
        """Add the proxy where it has not announced itself."""
        return await self.finish(await self.api.step(await self.api.start_flow(domain), host=ADDRESS, port=PORT))

    async def finish(self, form: Json) -> Json:
        """Answer what is asked until there is an entry, and return it."""
        for _ in range(6):
            if form["type"] == "create_entry":
                entry: Json = form["result"]
                return entry
            if form["type"] == "menu":
                form = await self.api.step(form, next_step_id="add_anyway")
                continue
            asked = [one["name"] for one in form.get("data_schema") or []]
            form = await self.api.step(form, **({"noise_psk": KEY} if "noise_psk" in asked else {}))
        raise AssertionError(form)

    async def remove(self, entry_id: str) -> None:
        """Delete a config entry."""
        await self.api.delete_entry(entry_id)

    async def owner(self) -> str | None:
        """Return whose Home Assistant says that the scanner is."""
        found = [one for one in await self.api.entries("bluetooth") if SOURCE in one["title"]]
        if not found:
            return None
        (device,) = await self.api.devices(found[0]["entry_id"])
        return str(device["manufacturer"])

    async def issues(self) -> set[str]:
        """Return what the companion wants somebody to put right."""
        return {issue["translation_key"] for issue in await self.api.issues("blupow")}

    async def measure(self, celsius: float) -> str:
        """Let the thermometer tell this temperature from now on, and return its bytes: it is heard when it changes."""
        data = says(celsius, 93)
        await self.rig.room("add_broadcaster", address=THERMOMETER, data=data, interval_ms=500)
        return data

    async def ask(self) -> Json:
        """Connect to the lamp, as an integration does."""
        data = {"address": LAMP, "read": LAMPS_TEXT, "echo": LAMPS_ECHO, "data": "0102ff"}
        answer = await self.api.call(
            "call_service", domain="bluetooth_probe", service="ask", service_data=data, return_response=True
        )
        found: Json = answer["response"]
        return found

    async def works(self) -> None:
        """See that the scanner is there with its slots, hears, and connects."""
        await self.until(lambda: {SOURCE} <= self.scanners.keys() & self.states.keys(), "the scanner", SETTLED_S)
        assert self.scanners[SOURCE]["connectable"]
        await self.until(lambda: bool(self.states[SOURCE]["current_mode"]), "that it scans")
        assert self.states[SOURCE]["requested_mode"] == "auto"
        await self.until(self._is_free, "that all slots are free")
        await self.until(lambda: LAMP in self.heard, "the lamp")
        self.celsius += 0.25
        data = await self.measure(self.celsius)
        await self.until(lambda: self.heard.get(THERMOMETER, {}).get("raw") == data, "what the thermometer says now")
        assert self.heard[THERMOMETER]["source"] == SOURCE
        assert OWNED not in self.heard  # the proxy's own units are its own
        self.most_allocated.clear()
        found = await self.ask()
        assert found["source"] == SOURCE
        assert (bytes.fromhex(found["read"]), found["echoed"]) == (b"hello", "0102ff")
        assert found["mtu"] > 23
        assert LAMP in self.most_allocated
        await self.until(self._is_free, "that the lamp's slot is free again")

    def _is_free(self) -> bool:
        now = self.allocations.get(SOURCE, {})
        return now.get("free") == SLOTS and now["allocated"] == [OWNED] and now["slots"] == SLOTS + 1


@pytest.fixture(scope="module")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    """A guest with a proxy on a real bluetoothd, and devices around it; this process is on the proxy's network."""
    async with booted(tmp_path_factory.mktemp("bluetooth")) as rig:
        await rig.populate(adapters=1, units="demo")
        config = {
            "esphome": {"name": "shed"},
            "api": {"encryption": {"key": KEY}},
            "bluetooth": {"adapter": ADAPTER},
            "bluetooth_proxy": {"connection_slots": SLOTS},
            "renogy": [{"address": OWNED, "name": "Rover", "update_interval": "2s"}],
        }
        (rig.folder / "proxy.yaml").write_text(json.dumps(config))  # which is YAML
        (rig.folder / "state").mkdir()
        (rig.folder / "state" / "identity.json").write_text(json.dumps({"mac": MAC}))
        await rig.room("add_broadcaster", address=THERMOMETER, data=says(20.0, 93), interval_ms=500)
        await rig.room("add_peripheral", address=LAMP, name="Lamp")
        yield rig


@pytest.fixture(scope="module")
async def house(rig: Rig) -> AsyncIterator[House]:
    process = HomeAssistant(rig.folder / "home-assistant")
    process.configure(components=[PROBE], more="bluetooth:\nbluetooth_probe:\n")
    try:
        await process.start()
        token = await long_lived_token(process.url, (await onboard(process.url))["access_token"])
        async with aiohttp.ClientSession() as session:
            house = House(rig, process, token, session)
            await house.watch()
            await house.start_proxy()
            yield house
            await house.api.close()
    finally:
        await process.stop()


@pytest.fixture(scope="module")
async def in_esphome(house: House) -> Json:
    """The proxy, in Home Assistant's own ESPHome integration, and its unit: once that is known, clients list anew."""
    entry = await house.add("esphome")

    async def voltage() -> bool:
        found = await house.api.entities("esphome")
        return any(one["entity_id"].endswith("rover_battery_voltage") for one in found)

    await house.until_asked(voltage, "what the unit measures", SETTLED_S)
    return entry


async def test_it_is_a_source_through_home_assistants_own_integration(house: House, in_esphome: Json) -> None:
    await house.works()
    assert "esphome" in (await house.owner() or "")


async def test_a_thermometer_that_advertises_becomes_a_device(house: House, in_esphome: Json) -> None:
    async def card() -> Json | None:
        return next(iter(await house.api.flows("bthome")), None)

    form = await house.api.show_flow(await house.until_asked(card, "the thermometer's card"))
    added = await house.api.step(form)
    assert added["type"] == "create_entry"

    async def temperature() -> str | None:
        found = await house.api.entities("bthome")
        return next((one["entity_id"] for one in found if one["entity_id"].endswith("_temperature")), None)

    entity_id = await house.until_asked(temperature, "its temperature")
    for celsius in (21.5, -3.25):
        await house.measure(celsius)
        await house.until(lambda celsius=celsius: house.api.states.now(entity_id) == str(celsius), f"{celsius} degrees")
    assert house.api.states.attributes(entity_id)["unit_of_measurement"] == "°C"


@pytest.fixture(scope="module")
async def in_companion(house: House, in_esphome: Json) -> Json:
    """The proxy, in the companion as well, of which its Bluetooth is wanted."""
    entry = await house.add("blupow")
    form = await house.api.start_options(entry["entry_id"])
    asked = {one["name"]: one.get("default") for one in form["data_schema"]}
    assert asked["bluetooth_source"] is False  # unless told: the other has it
    answers = {"report_after": 10, "subscribe_logs": False, "bluetooth_scanning_mode": asked["bluetooth_scanning_mode"]}
    done = await house.api.step_options(form, **answers, bluetooth_source=True)
    assert done["type"] == "create_entry"
    return entry


async def test_never_both(house: House, in_companion: Json) -> None:
    await house.until_asked(lambda: shown(house, "duplicate_scanner"), "the repair issue")
    await house.works()
    assert "esphome" in (await house.owner() or "")
    assert len(await house.api.entries("bluetooth")) == 1


async def test_never_both_after_a_start_of_home_assistant(house: House, in_companion: Json) -> None:
    await house.restart()
    await house.works()
    await house.until_asked(lambda: shown(house, "duplicate_scanner"), "the repair issue")
    assert "esphome" in (await house.owner() or "")


async def test_the_companion_takes_over_when_the_other_is_deleted(
    house: House, in_esphome: Json, in_companion: Json
) -> None:
    await house.remove(in_esphome["entry_id"])
    await house.until_asked(lambda: gone(house, "duplicate_scanner"), "that the repair issue is gone")
    await house.works()
    await house.until_asked(lambda: is_owned(house, "blupow"), "that the companion owns the scanner")
    await house.api.reload_entry(in_companion["entry_id"])
    await house.works()


async def test_a_proxy_that_restarts_is_back(house: House, in_companion: Json) -> None:
    await house.rig.signal("proxy", signal.SIGTERM)
    assert await house.rig.wait("proxy", 15.0) == 0
    await house.until(lambda: SOURCE not in house.scanners, "that the scanner is gone")
    await house.start_proxy()
    await house.works()


async def test_the_other_takes_it_back(house: House, in_companion: Json) -> None:
    again = await house.add_by_hand("esphome")  # to whoever has the companion, the proxy announces itself there alone
    await house.until_asked(lambda: is_owned(house, "esphome"), "that the ESPHome integration owns the scanner")
    await house.until_asked(lambda: shown(house, "duplicate_scanner"), "the repair issue")
    await house.works()
    await house.remove(in_companion["entry_id"])
    await house.works()
    assert "esphome" in (await house.owner() or "")
    await house.remove(again["entry_id"])
    await house.until_asked(lambda: is_owned(house, None), "that nothing of the scanner is left")


async def test_nobody_has_complained(house: House) -> None:
    found = [
        f"{one.logger}: {one.text}"
        for one in records(house.process.output)
        if one.level in ("WARNING", "ERROR") and one.logger.startswith(BLUETOOTH_LOGGERS)
    ]
    assert found == []
    log = house.rig.log("proxy")
    assert re.findall(r" [EC] blupow_proxy.*|Traceback", log) == []
    assert "takes Bluetooth over" not in log  # from one that had not given it back before


async def shown(house: House, issue: str) -> bool:
    return issue in await house.issues()


async def gone(house: House, issue: str) -> bool:
    return issue not in await house.issues()


async def is_owned(house: House, by: str | None) -> bool:
    owner = await house.owner()
    return owner is None if by is None else by in (owner or "")
