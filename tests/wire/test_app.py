"""The whole proxy on simulated units, read by the real client."""

import asyncio
import gc
import json
import logging
import os
import threading
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aioesphomeapi import (
    APIClient,
    BinarySensorState,
    EntityInfo,
    EntityState,
    SensorInfo,
    SensorState,
    SwitchInfo,
    TextSensorState,
)

from blupow_config import (
    ApiConfig,
    ConfigError,
    ConfigErrors,
    EsphomeConfig,
    ProxyConfig,
    UnitConfig,
    ZeroconfConfig,
    load_config,
)
from blupow_proxy.app import Outcome, Proxy, Surroundings
from blupow_proxy.ble import link
from blupow_proxy.cli import main
from blupow_proxy.clock import Clock
from blupow_proxy.discovery import Announcer
from blupow_proxy.poller import polling
from blupow_proxy.renogy import register_map
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.storage import Storage

KEY = bytes(range(32))
PSK = b64encode(KEY).decode()
NAMES = ("Rover", "Charger", "Battery", "Inverter", "Shunt")
FOUND_S = 30.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses that real devices need, shorter."""
    monkeypatch.setattr(link, "WAKE_S", 0.0)
    monkeypatch.setattr(link, "QUIET_S", 0.1)


def config(**changes) -> ProxyConfig:
    units = demo_units()
    defaults = {
        "esphome": EsphomeConfig(name="shed", friendly_name="Shed", area="Garden"),
        "api": ApiConfig(port=0, key=KEY),
        "zeroconf": ZeroconfConfig(enabled=False),
        "renogy": tuple(
            UnitConfig(id=name.lower(), address=unit.address, name=name, load_switch=name == "Rover", area="Shed")
            for name, unit in zip(NAMES, units, strict=True)
        ),
    }
    return ProxyConfig(**defaults | changes)


class Running:
    def __init__(self, proxy: Proxy, radio: VirtualRadio) -> None:
        self.proxy = proxy
        self.radio = radio

    async def client(self) -> APIClient:
        client = APIClient("127.0.0.1", self.proxy.server.port, None, noise_psk=PSK)
        await client.connect(login=True)
        return client


@asynccontextmanager
async def running(folder: Path, settings: ProxyConfig | None = None) -> AsyncIterator[Running]:
    units = demo_units()
    for unit in units:
        unit.latency_s = 0.0
    async with VirtualRadio(units) as radio:
        proxy = Proxy(
            settings or config(),
            Surroundings(storage=Storage(folder), adapter=radio.adapter, host="127.0.0.1", interfaces=["127.0.0.1"]),
        )
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        try:
            yield Running(proxy, radio)
        finally:
            proxy.stop()
            started = time.monotonic()
            await serving
            assert time.monotonic() - started < 3.0


async def states_until(client: APIClient, condition: Callable[[dict[int, EntityState]], bool]) -> None:
    """Subscribe and wait until the condition holds."""
    states: dict[tuple[type, int, int], EntityState] = {}
    done = asyncio.Event()

    def received(state: EntityState) -> None:
        states[type(state), state.device_id, state.key] = state
        if condition(states):
            done.set()

    client.subscribe_states(received)
    async with asyncio.timeout(FOUND_S):
        await done.wait()


def named(entities: list[EntityInfo], name: str, device_id: int = 0) -> EntityInfo:
    (found,) = [e for e in entities if e.name == name and (not device_id or e.device_id == device_id)]
    return found


async def test_every_unit_is_a_device_with_readings(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        info, entities, actions = await client.device_info_and_list_entities()
        assert [device.name for device in info.devices] == list(NAMES)
        areas = {area.name: area.area_id for area in info.areas}
        assert list(areas) == ["Garden", "Shed"]
        assert {device.area_id for device in info.devices} == {areas["Shed"]}
        assert [action.name for action in actions] == ["refresh", "capture_frames"]
        assert info.project_name == "blupow.renogy-proxy"
        assert len(entities) > 150
        for device in info.devices:
            mine = {entity.name for entity in entities if entity.device_id == device.device_id}
            assert {"Link", "Link status", "Signal strength", "Last reading", "Release link"} <= mine
        shunt = info.devices[4].device_id
        volts = named(entities, "Battery voltage", shunt)
        await states_until(
            client, lambda states: 12 < getattr(states.get((SensorState, shunt, volts.key)), "state", 0) < 14.5
        )
        await client.disconnect()


async def test_a_disk_that_hangs_holds_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hangs, goes_on, fsync = threading.Event(), threading.Event(), os.fsync

    def slow(descriptor: int) -> None:
        hangs.set()
        assert goes_on.wait(FOUND_S)
        fsync(descriptor)

    async with running(tmp_path) as run:
        monkeypatch.setattr("blupow_proxy.storage.os.fsync", slow)
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        assert len((await client.device_info()).devices) == len(NAMES)
        assert hangs.is_set()
        assert not (tmp_path / "units.json").exists()
        goes_on.set()
        await client.disconnect()
    assert Storage(tmp_path).read("units") is not None


async def test_readings_are_shown_as_the_configuration_wishes(tmp_path: Path) -> None:
    file = tmp_path / "proxy.yaml"
    file.write_text(f"""
esphome: {{name: shed}}
api: {{encryption: {{key: {PSK}}}}}
renogy:
  - {{address: "{demo_units()[0].address}", name: Rover, id: rover, entities: [battery_voltage, pv_voltage, model]}}
sensor:
  - platform: renogy
    battery_voltage: {{id: volts, name: Bank, unit_of_measurement: mV, filters: [multiply: 1000], accuracy_decimals: 0}}
    pv_voltage: {{internal: true, id: panel}}
  - {{platform: uptime, name: Running, update_interval: 1s}}
  - {{platform: template, name: Difference, lambda: return id(panel).state - id(volts).state / 1e3;}}
text_sensor:
  - platform: renogy
    model: {{icon: "mdi:solar-power"}}
""")
    given = load_config(file)
    settings = replace(given, api=replace(given.api, port=0), zeroconf=ZeroconfConfig(enabled=False))
    async with running(tmp_path, settings) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        info, entities, _ = await client.device_info_and_list_entities()
        own = {entity.name for entity in entities if not entity.device_id}
        assert {"Running", "Difference"} <= own
        assert "Uptime" not in own
        rover = info.devices[0].device_id
        readings = {entity.name for entity in entities if entity.device_id == rover}
        assert {"Bank", "Model"} <= readings
        assert not {"Battery voltage", "PV voltage", "State of charge", "Problem"} & readings
        bank = named(entities, "Bank")
        assert isinstance(bank, SensorInfo)
        assert (bank.object_id, bank.unit_of_measurement, bank.accuracy_decimals) == ("bank", "mV", 0)
        assert bank.device_class == "voltage"
        assert named(entities, "Model").icon == "mdi:solar-power"
        difference = named(entities, "Difference")

        def sensible(states: dict[int, EntityState]) -> bool:
            volts = getattr(states.get((SensorState, rover, bank.key)), "state", 0)
            between = getattr(states.get((SensorState, 0, difference.key)), "state", 0)
            return 12000 < volts < 14500 and 5 < between < 100

        await states_until(client, sensible)
        await client.disconnect()


async def test_the_hash_that_is_announced_is_the_one_that_the_command_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "proxy.yaml"
    hashes = []
    for name, value in (("area", "Shed"), ("area", "Garage")):
        file.write_text("esphome: {name: shed, area: $area}\nrenogy: [{address: 'C4:D3:6A:00:00:01', name: Rover}]\n")
        around = Surroundings(storage=Storage(tmp_path), host="127.0.0.1")
        announcer = Proxy(load_config(file, {name: value}), around)._announcer
        assert main(["config-hash", "-s", name, value, str(file)]) == os.EX_OK
        hashes.append(announcer._properties()["config_hash"])
        assert capsys.readouterr().out == f"0x{hashes[-1]}\n"
    assert len(set(hashes)) == 2
    assert "config_hash" not in Proxy(config(), around)._announcer._properties()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_left_of_a_proxy_that_was_stopped(tmp_path: Path) -> None:
    """Twice, as the first leaves what the process keeps; with everything on: links, clients, an action, zeroconf."""
    left: list[tuple[int, int]] = []
    for _ in range(2):
        async with running(
            tmp_path, config(esphome=EsphomeConfig(name="left", friendly_name="Left"), zeroconf=ZeroconfConfig())
        ) as run:
            async with asyncio.timeout(FOUND_S):
                await run.proxy.all_listed()
            clients = [await run.client() for _ in range(3)]
            for client in clients:
                client.subscribe_states(lambda _: None)
                client.subscribe_logs(lambda _: None)
            _, actions = await clients[0].list_entities_services()
            refresh = asyncio.create_task(clients[0].execute_service(actions[0], {}, return_response=True))
            await asyncio.sleep(0.1)
        refresh.cancel()  # the client would wait for its answer to the end
        for client in clients:
            await client.disconnect(force=True)
        await asyncio.sleep(0.1)
        gc.collect()
        left.append((len(asyncio.all_tasks()), open_files()))
    assert left[0] == left[1]
    assert left[0][0] == 1, asyncio.all_tasks()


async def client_that_notices(run: Running) -> tuple[APIClient, asyncio.Event]:
    """Return a connected client, and what is set once the proxy has sent it away in order."""
    stopped = asyncio.Event()

    async def on_stop(expected: bool) -> None:
        assert expected
        stopped.set()

    client = APIClient("127.0.0.1", run.proxy.server.port, None, noise_psk=PSK)
    await client.connect(on_stop=on_stop, login=True)
    return client, stopped


async def test_the_first_client_is_told_to_list_again(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        client, stopped = await client_that_notices(run)
        first, _ = await client.list_entities_services()
        async with asyncio.timeout(FOUND_S):
            await stopped.wait()
        again = await run.client()
        second, _ = await again.list_entities_services()
        assert len(second) > len(first)
        await again.disconnect()


async def test_who_has_not_listed_yet_may_go_on(tmp_path: Path) -> None:
    """A user who pairs while the units are found out would see it fail."""
    async with running(tmp_path, config(renogy=())) as run:
        client, stopped = await client_that_notices(run)
        run.proxy._list_anew()
        await client.device_info()
        assert not stopped.is_set()
        await client.list_entities_services()
        run.proxy._list_anew()
        async with asyncio.timeout(1):
            await stopped.wait()


async def test_a_restart_lists_known_units_before_they_are_read(tmp_path: Path) -> None:
    async with running(tmp_path) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        before, _ = await client.list_entities_services()
        await client.disconnect()
    async with running(tmp_path) as run:
        client = await run.client()
        after, _ = await client.list_entities_services()
        assert {(e.device_id, e.key, type(e)) for e in after} >= {(e.device_id, e.key, type(e)) for e in before}
        await client.disconnect()


async def test_load_release_refresh_and_capture(tmp_path: Path) -> None:
    rover = config().renogy[:1]
    async with running(tmp_path, config(renogy=rover)) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        entities, actions = await client.list_entities_services()
        load = named([e for e in entities if isinstance(e, SwitchInfo)], "Load")
        status = named(entities, "Load status")
        unit = run.radio.peripherals[rover[0].address].unit
        assert unit.world.load_on
        client.switch_command(load.key, False, device_id=load.device_id)
        await states_until(
            client,
            lambda states: not getattr(states.get((BinarySensorState, status.device_id, status.key)), "state", True),
        )
        assert not unit.world.load_on

        refresh, capture = actions
        answer = await client.execute_service(refresh, {}, return_response=True)
        assert json.loads(answer.response_data) == {"units": {"Rover": "refreshed"}}
        answer = await client.execute_service(capture, {"unit": ""}, return_response=True)
        captured = json.loads(answer.response_data)
        assert captured["model"] == "RNG-CTRL-RVR40"
        assert {frame["sent"] for frame in captured["frames"]} == {True, False}
        answer = await client.execute_service(capture, {"unit": "nobody"}, return_response=True)
        assert not answer.success
        assert "Rover" in answer.error_message

        release = named(entities, "Release link")
        client.switch_command(release.key, True, device_id=release.device_id)
        link_info = named(entities, "Link")
        again = await run.client()
        await states_until(
            again,
            lambda states: (
                not getattr(states.get((BinarySensorState, link_info.device_id, link_info.key)), "state", True)
            ),
        )
        assert run.proxy.pollers[0].released
        assert run.proxy.pollers[0].link is None
        await again.disconnect()
        await client.disconnect()


async def test_who_has_not_set_a_key_in_time_has_to_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = time.monotonic()
    monkeypatch.setattr("blupow_proxy.keys.PROVISIONING_S", 0.5)
    monkeypatch.setattr("blupow_proxy.app.KEYS_S", 0.0)
    monkeypatch.setattr("blupow_proxy.app.TICK_S", 0.05)
    async with running(tmp_path, config(renogy=(), api=ApiConfig(port=0))) as run:
        stopped = asyncio.Event()

        async def on_stop(_expected: bool) -> None:
            stopped.set()

        client = APIClient("127.0.0.1", run.proxy.server.port, None)
        await client.connect(on_stop=on_stop, login=True)
        assert not stopped.is_set()
        async with asyncio.timeout(5):
            await stopped.wait()
        assert time.monotonic() - opened >= 0.5
        assert not run.proxy.keys.changeable


async def test_a_client_tells_the_time_to_a_host_whose_clock_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "blupow_proxy.app.Clock", lambda: Clock(wall=lambda: time.time() - 86_400, synchronised=tmp_path / "not")
    )
    async with running(tmp_path, config(renogy=config().renogy[:1])) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        entities, _ = await client.list_entities_services()
        clock, last = named(entities, "Clock"), named(entities, "Last reading")

        def corrected(states: dict) -> bool:
            problem = states.get((BinarySensorState, 0, clock.key))
            shown = states.get((TextSensorState, last.device_id, last.key))
            if not (problem and problem.state and shown and shown.state):
                return False
            return abs(datetime.now(UTC) - datetime.fromisoformat(shown.state)) < timedelta(minutes=1)

        await states_until(client, corrected)
        await client.disconnect()


async def test_only_the_companion_ends_the_announcement_of_the_esphome_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    withdrawn = asyncio.Event()

    def companion_authenticated(_: Announcer) -> None:
        withdrawn.set()

    monkeypatch.setattr(Announcer, "companion_authenticated", companion_authenticated)
    async with running(tmp_path, config(renogy=())) as run:
        for info, companion in (("blupow-proxy watch", False), ("BluPow companion 0.1.0", True)):
            client = APIClient("127.0.0.1", run.proxy.server.port, None, noise_psk=PSK, client_info=info)
            await client.connect(login=True)
            await client.device_info()
            assert withdrawn.is_set() is companion
            await client.disconnect()
    assert Storage(tmp_path).read("companion") == {"seen": True}


async def test_who_has_no_key_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def companion_authenticated(_: Announcer) -> None:
        raise AssertionError

    monkeypatch.setattr(Announcer, "companion_authenticated", companion_authenticated)
    async with running(tmp_path, config(renogy=(), api=ApiConfig(port=0))) as run:
        client = APIClient("127.0.0.1", run.proxy.server.port, None, client_info="BluPow companion")
        await client.connect(login=True)
        client.subscribe_states(lambda _: None)
        await client.device_info()
        run.proxy.server.on_time(4_000_000_000)
        assert not run.proxy._clock.wrong
        await client.disconnect()
    assert Storage(tmp_path).read("companion") is None


async def test_a_release_outlasts_a_new_listing(tmp_path: Path) -> None:
    async with running(tmp_path, config(renogy=config().renogy[:1])) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        (unit,) = run.proxy.units
        run.proxy.pollers[0].release(released=True)
        run.proxy._learned(unit)
        entities = run.proxy._unit_entities[unit.spec.id]
        assert run.proxy.node.state(entities.release) is True


async def test_what_goes_missing_is_missing_at_once_also_before_a_new_listing(tmp_path: Path) -> None:
    async with running(tmp_path, config(renogy=config().renogy[:1])) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        entities, _ = await client.list_entities_services()
        (unit,) = run.proxy.units
        volts = named(entities, "Battery voltage")
        link_status = named(entities, "Link status")
        await states_until(
            client, lambda states: getattr(states.get((SensorState, volts.device_id, volts.key)), "state", 0) > 10
        )
        run.proxy.pollers[0].release(released=True)
        run.proxy._learned(unit)
        assert unit.spec.id in run.proxy._relist
        unit.down("switched off")
        unit.expire(float("inf"))

        def gone(states: dict) -> bool:
            reading = states.get((SensorState, volts.device_id, volts.key))
            status = states.get((TextSensorState, link_status.device_id, link_status.key))
            return bool(reading and reading.missing_state and status and status.state != "connected")

        await states_until(client, gone)
        assert unit.spec.id in run.proxy._relist
        await client.disconnect()


async def test_restart_ends_serving_with_that_outcome(tmp_path: Path) -> None:
    async with VirtualRadio([]) as radio:
        proxy = Proxy(
            config(renogy=()), Surroundings(storage=Storage(tmp_path), adapter=radio.adapter, host="127.0.0.1")
        )
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        client = await Running(proxy, radio).client()
        entities, _ = await client.list_entities_services()
        client.button_command(named(entities, "Restart").key)
        async with asyncio.timeout(5):
            assert await serving is Outcome.RESTART


class OnDisk:
    """A configuration that has a mistake the first few times that it is read."""

    def __init__(self, settings: ProxyConfig, mistaken: int) -> None:
        self.settings = settings
        self.mistaken = mistaken
        self.reads = 0
        self.was_read = asyncio.Event()

    def read(self) -> ProxyConfig:
        self.reads += 1
        self.was_read.set()
        if self.reads <= self.mistaken:
            raise ConfigErrors([ConfigError("shed.yaml", 2, 1, "apy", "not a valid option")])
        return self.settings


MISTAKE = "shed.yaml:2:1: apy: not a valid option"
NOT_RESTARTED = f"not restarted, the configuration before is in use: {MISTAKE}"


async def test_restart_does_nothing_while_the_configuration_has_a_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with VirtualRadio([]) as radio:
        disk = OnDisk(config(renogy=()), mistaken=1)
        around = Surroundings(storage=Storage(tmp_path), adapter=radio.adapter, host="127.0.0.1", read_config=disk.read)
        proxy = Proxy(disk.settings, around)
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        client = await Running(proxy, radio).client()
        entities, _ = await client.list_entities_services()
        async with asyncio.timeout(5):
            client.button_command(named(entities, "Restart").key)
            await disk.was_read.wait()
            assert f"Not restarted: {MISTAKE}" in caplog.messages
            assert proxy.report.troubles == {"reload": NOT_RESTARTED}
            await client.device_info()  # who would start anew would end this session first
            client.button_command(named(entities, "Restart").key)
            assert await serving is Outcome.RESTART
        assert disk.reads == 2
        assert not proxy.report.troubles


async def test_safe_mode_lists_the_units_and_touches_no_bluetooth(
    tmp_path: Path,
) -> None:
    async with running(tmp_path) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        client = await run.client()
        before, _ = await client.list_entities_services()
        await client.disconnect()
    async with VirtualRadio(demo_units()) as radio:
        around = Surroundings(
            storage=Storage(tmp_path), adapter=radio.adapter, host="127.0.0.1", safe_mode="not used: safe mode"
        )
        proxy = Proxy(config(), around)
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        client = await Running(proxy, radio).client()
        after, actions = await client.list_entities_services()
        assert {(e.device_id, e.key) for e in after} == {(e.device_id, e.key) for e in before}
        status, adapter = named(after, "Bluetooth adapter status"), named(after, "Bluetooth adapter")
        rover = named(after, "Link status", (await client.device_info()).devices[0].device_id)

        def told(states: dict) -> bool:
            return (
                getattr(states.get((TextSensorState, 0, status.key)), "state", "") == "not used: safe mode"
                and getattr(states.get((BinarySensorState, 0, adapter.key)), "state", False)
                and getattr(states.get((TextSensorState, rover.device_id, rover.key)), "state", "")
                == "Bluetooth is not used: safe mode"
            )

        await states_until(client, told)
        assert not radio.central.connections
        for action, arguments in zip(actions, ({}, {"unit": "Rover"}), strict=True):
            answer = await client.execute_service(action, arguments, return_response=True)
            assert not answer.success
            assert answer.error_message == "Bluetooth is not used: safe mode"
        client.button_command(named(after, "Restart").key)
        async with asyncio.timeout(5):
            assert await serving is Outcome.RESTART


async def test_safe_mode_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blupow_proxy.app.SAFE_MODE_S", 0.2)
    proxy = Proxy(config(), Surroundings(storage=Storage(tmp_path), host="127.0.0.1", safe_mode="not used"))
    async with asyncio.timeout(5):
        assert await proxy.serve() is Outcome.SAFE_MODE_OVER


async def test_safe_mode_goes_on_while_the_configuration_has_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("blupow_proxy.app.SAFE_MODE_S", 0.05)
    disk = OnDisk(config(), mistaken=2)
    around = Surroundings(storage=Storage(tmp_path), host="127.0.0.1", safe_mode="not used", read_config=disk.read)
    proxy = Proxy(disk.settings, around)
    serving = asyncio.create_task(proxy.serve())
    async with asyncio.timeout(5):
        await disk.was_read.wait()
        assert proxy.report.troubles["reload"] == NOT_RESTARTED
        assert await serving is Outcome.SAFE_MODE_OVER
    assert disk.reads == 3
    assert caplog.messages.count(f"Not restarted: {MISTAKE}") == 2
    assert "reload" not in proxy.report.troubles


async def test_who_is_told_to_end_does_not_start_again(tmp_path: Path) -> None:
    for orders in ((Outcome.STOPPED, Outcome.RESTART), (Outcome.RESTART, Outcome.STOPPED)):
        proxy = Proxy(config(renogy=()), Surroundings(storage=Storage(tmp_path), host="127.0.0.1"))
        for order in orders:
            proxy.stop(order)
        assert await proxy.serve() is Outcome.STOPPED


async def test_a_part_that_breaks_down_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("blupow_proxy.app.FAILED_PAUSE_S", 0.01)
    real = polling.identify
    broken = iter([True])

    async def identify(*args, **kwargs):
        if next(broken, False):
            raise ZeroDivisionError
        return await real(*args, **kwargs)

    monkeypatch.setattr(polling, "identify", identify)
    with caplog.at_level(logging.ERROR):
        async with running(tmp_path, config(renogy=config().renogy[:1])) as run, asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
    assert "Rover broke down (1 times)" in caplog.text
    assert "ZeroDivisionError" in caplog.text


async def test_no_unit_reaches_another(tmp_path: Path) -> None:
    """Each unit's readings come from its own device: models and families are those of the peripherals."""
    async with running(tmp_path) as run:
        async with asyncio.timeout(FOUND_S):
            await run.proxy.all_listed()
        found = {unit.spec.name: unit.profile.family for unit in run.proxy.units}
        assert list(found.values()) == ["controller", "dcc", "battery", "inverter", "shunt300"]
        assert register_map(found["Rover"]).title.startswith("Rover")
