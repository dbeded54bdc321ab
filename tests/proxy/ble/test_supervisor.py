"""The adapter's supervisor, with an org.bluez of ours on a bus of its own; tests/faults has the real one."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import waiting
from bleak.backends.bluezdbus.manager import get_global_bluez_manager
from dbus_fast import BusType, DBusError, PropertyAccess
from dbus_fast.aio import MessageBus
from dbus_fast.service import ServiceInterface, dbus_property, method
from private_bus import PrivateBus, private_bus

from blupow_proxy.ble import Adapter, GattClient, bluez, supervisor
from blupow_proxy.ble.bluez import AdapterFacts
from blupow_proxy.ble.supervisor import Supervisor, choose
from blupow_proxy.errors import BusLostError

until = partial(waiting.until, within_s=5.0)
ONE, TWO = "B8:27:EB:00:00:01", "B8:27:EB:00:00:02"
DEVICE, DEVICE_PATH = "C4:D3:6A:00:00:01", "/org/bluez/hci0/dev_C4_D3_6A_00_00_01"


class Adapter1(ServiceInterface):
    """An adapter that can be turned on, unless ``blocked``."""

    def __init__(self, address: str, *, powered: bool = True) -> None:
        super().__init__("org.bluez.Adapter1")
        self._address = address
        self._powered = powered
        self.blocked = False
        self.turned: list[bool] = []
        self.removed: list[str] = []

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._address

    @dbus_property()
    def Powered(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._powered

    @Powered.setter
    def Powered(self, value: "b") -> None:  # type: ignore[name-defined]  # noqa: F821, N802
        if self.blocked:
            raise DBusError("org.bluez.Error.Blocked", "Blocked through rfkill")
        self.turned.append(value)
        self._powered = value
        self.emit_properties_changed({"Powered": value})

    @method()
    def RemoveDevice(self, device: "o") -> None:  # type: ignore[name-defined]  # noqa: F821, N802
        self.removed.append(device)


class Device1(ServiceInterface):
    """A device that may be connected."""

    def __init__(self, *, connected: bool = False, paired: bool = False, address: str = DEVICE) -> None:
        super().__init__("org.bluez.Device1")
        self._connected = connected
        self._paired = paired
        self._address = address

    @dbus_property(access=PropertyAccess.READ)
    def Address(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._address

    @dbus_property(access=PropertyAccess.READ)
    def Alias(self) -> "s":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._address

    @dbus_property(access=PropertyAccess.READ)
    def Connected(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._connected

    @dbus_property(access=PropertyAccess.READ)
    def Paired(self) -> "b":  # type: ignore[name-defined]  # noqa: F821, N802
        return self._paired

    @method()
    def Connect(self) -> None:  # noqa: N802
        self._connected = True
        self.emit_properties_changed({"Connected": True})

    @method()
    def Disconnect(self) -> None:  # noqa: N802
        self._connected = False
        self.emit_properties_changed({"Connected": False})


class System:
    """A bus; ``serve`` puts an org.bluez with adapters on it."""

    def __init__(self, bus: PrivateBus) -> None:
        self.daemon = bus.daemon
        self._address = bus.address

    async def serve(self, adapters: dict[str, Adapter1]) -> MessageBus:
        bus = await MessageBus(self._address, bus_type=BusType.SYSTEM).connect()
        for name, adapter in adapters.items():
            bus.export(f"/org/bluez/{name}", adapter)
        await bus.request_name("org.bluez")
        return bus


@pytest.fixture
async def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[System]:
    monkeypatch.setattr(supervisor, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(supervisor, "RETRY_S", 0.1)
    monkeypatch.setattr(supervisor, "ADAPTERS_S", 0.5)
    monkeypatch.setattr(bluez, "CALL_S", 0.5)
    monkeypatch.setattr(bluez, "OFF_S", 0.05)
    async with private_bus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
        yield System(bus)


@asynccontextmanager
async def supervised(
    wanted: str | None = None, recover: Callable[[AdapterFacts], Awaitable[bool]] | None = None
) -> AsyncIterator[tuple[Supervisor, list[str | None]]]:
    """Run a supervisor; yields it, and the problems that it has told."""
    problems: list[str | None] = []
    subject = Supervisor(wanted, lambda one: problems.append(one.problem and one.problem.message), recover)
    task = asyncio.create_task(subject.run())
    yield subject, problems
    task.cancel()
    await asyncio.wait([task])


def facts(name: str, address: str, *, powered: bool = True) -> dict[str, AdapterFacts]:
    path = f"/org/bluez/{name}"
    return {path: AdapterFacts(path, address, powered)}


@pytest.mark.parametrize(
    ("adapters", "wanted", "last", "chosen"),
    [
        ({}, None, None, None),
        (facts("hci1", ONE) | facts("hci0", TWO), None, None, "hci0"),
        (facts("hci10", ONE) | facts("hci9", TWO), None, None, "hci9"),
        (facts("hci0", ONE, powered=False) | facts("hci1", TWO), None, None, "hci1"),
        (facts("hci0", ONE) | facts("hci1", TWO), None, TWO, "hci1"),
        (facts("hci0", ONE) | facts("hci1", TWO), TWO, None, "hci1"),
        (facts("hci0", ONE) | facts("hci1", TWO), "hci1", ONE, "hci1"),
        (facts("hci0", ONE), TWO, None, None),
    ],
)
def test_which_adapter_is_chosen(
    adapters: dict[str, AdapterFacts], wanted: str | None, last: str | None, chosen: str | None
) -> None:
    found = choose(adapters, wanted, last)
    assert (found and found.name) == chosen


def test_another_adapter_is_tried_when_the_last_one_is_no_good() -> None:
    both = facts("hci0", ONE) | facts("hci1", TWO)
    found = choose(both, None, ONE, last_is_bad=True)
    assert found is not None
    assert found.address == TWO
    assert choose(facts("hci0", ONE), None, ONE, last_is_bad=True) is not None


def test_an_adapter_without_links_to_peripherals_is_none() -> None:
    only_classic = AdapterFacts("/org/bluez/hci0", ONE, powered=True, central=False)
    assert choose({only_classic.path: only_classic}, None, None) is None


async def test_power_that_comes_while_all_is_asked_for_is_not_missed(system: System) -> None:
    for _ in range(10):
        adapter = Adapter1(ONE, powered=False)
        async with supervised() as (subject, _):
            await until(lambda: subject.problem)
            bus = await system.serve({"hci0": adapter})
            adapter._powered = True
            adapter.emit_properties_changed({"Powered": True})  # as bluetoothd does right after its start
            await until(lambda: subject.adapter)
            bus.disconnect()


async def test_a_quiet_night_does_not_hold_up_the_next_reset(system: System) -> None:
    adapter = Adapter1(ONE)
    bus = await system.serve({"hci0": adapter})
    async with supervised() as (subject, _):
        await until(lambda: subject.adapter)
        now = asyncio.get_running_loop().time()
        subject._resets, subject._reset_at = 5, now + 3600.0
        subject.heard()
        assert subject._reset_at <= now + supervisor.RESET_AFTER_S + 1.0
    bus.disconnect()


async def test_an_adapter_that_is_there_is_used(system: System) -> None:
    bus = await system.serve({"hci0": Adapter1(ONE)})
    async with supervised() as (subject, problems):
        await until(lambda: subject.adapter)
        assert subject.adapter is not None
        assert subject.adapter.name == "hci0"
        assert problems == [None]
    bus.disconnect()


async def test_the_service_comes_goes_and_comes_again(system: System) -> None:
    async with supervised() as (subject, _):
        await until(lambda: subject.problem and "systemctl start bluetooth" in subject.problem.message)
        bus = await system.serve({"hci0": Adapter1(ONE)})
        await until(lambda: subject.adapter and not subject.problem)
        generation = subject.generation
        bus.disconnect()
        await until(lambda: subject.problem)
        assert subject.adapter is None
        bus = await system.serve({"hci0": Adapter1(ONE)})
        await until(lambda: subject.adapter and not subject.problem)
        assert subject.generation >= generation + 2
        bus.disconnect()


async def test_a_service_that_starts_has_time_to_tell_of_its_adapters(system: System) -> None:
    async with supervised() as (subject, problems):
        await until(lambda: subject.problem)
        bus = await system.serve({})
        await asyncio.sleep(0.1)
        assert len(set(problems)) == 1
        bus.export("/org/bluez/hci0", Adapter1(ONE))
        await until(lambda: subject.adapter)
        assert len(set(problems)) == 2
        bus.unexport("/org/bluez/hci0")
        await until(lambda: subject.problem and "plugged in" in subject.problem.message)
    bus.disconnect()


async def test_an_adapter_is_followed_by_its_address(system: System) -> None:
    adapter = Adapter1(ONE)
    bus = await system.serve({"hci0": adapter})
    async with supervised(ONE) as (subject, problems):
        await until(lambda: subject.adapter)
        bus.unexport("/org/bluez/hci0")
        await until(lambda: subject.problem)
        assert problems[-1] == f"there is no Bluetooth adapter {ONE}: is it plugged in (bluetoothctl list)?"
        bus.export("/org/bluez/hci3", adapter)
        await until(lambda: subject.adapter and subject.adapter.name == "hci3")
    bus.disconnect()


async def test_what_is_off_is_turned_on(system: System) -> None:
    adapter = Adapter1(ONE, powered=False)
    bus = await system.serve({"hci0": adapter})
    async with supervised() as (subject, problems):
        await until(lambda: subject.adapter)
        assert adapter.turned == [True]
        assert set(problems) == {None}
    bus.disconnect()


async def test_a_block_is_named_with_its_remedy(system: System) -> None:
    adapter = Adapter1(ONE, powered=False)
    adapter.blocked = True
    bus = await system.serve({"hci0": adapter})
    async with supervised() as (subject, _):
        await until(lambda: subject.problem and "rfkill unblock bluetooth" in subject.problem.message)
        adapter.blocked = False
        await until(lambda: subject.adapter and not subject.problem)
    bus.disconnect()


async def test_a_service_that_hangs_is_named_and_its_links_are_left(system: System) -> None:
    bus = await system.serve({"hci0": Adapter1(ONE)})
    async with supervised() as (subject, _):
        await until(lambda: subject.adapter)
        generation = subject.generation
        bus._loop.remove_reader(bus._fd)  # as if it were stopped
        await until(lambda: subject.problem and "systemctl restart bluetooth" in subject.problem.message)
        assert subject.generation == generation
    bus._finalize()


async def test_a_reset_turns_it_off_and_on_and_is_not_repeated_soon(system: System) -> None:
    adapter = Adapter1(ONE)
    bus = await system.serve({"hci0": adapter})
    async with supervised() as (subject, _):
        await until(lambda: subject.adapter)
        generation = subject.generation
        subject.reset("Nothing was heard")
        await until(lambda: adapter.turned == [False, True])
        await until(lambda: subject.adapter)
        assert subject.generation > generation
        subject.reset("Nothing was heard")
        await asyncio.sleep(0.3)
        assert adapter.turned == [False, True]
    bus.disconnect()


async def test_the_last_resort_unblocks(system: System) -> None:
    adapter = Adapter1(ONE, powered=False)
    adapter.blocked = True
    bus = await system.serve({"hci0": adapter})
    recovered: list[AdapterFacts] = []

    async def recover(facts: AdapterFacts) -> bool:
        recovered.append(facts)
        adapter.blocked = False
        return True

    async with supervised(recover=recover) as (subject, _):
        await until(lambda: subject.adapter)
        assert [(facts.index, facts.address) for facts in recovered] == [(0, ONE)]
    bus.disconnect()


async def test_the_last_resort_comes_after_power_cycles_in_vain(system: System, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "RESET_AFTER_S", 0.0)
    adapter = Adapter1(ONE)
    bus = await system.serve({"hci0": adapter})
    recovered: list[AdapterFacts] = []

    async def recover(facts: AdapterFacts) -> bool:
        recovered.append(facts)
        return True

    async with supervised(recover=recover) as (subject, _):
        for times in range(1, 4):
            await until(lambda: subject.adapter)
            subject.reset("Nothing was heard")
            await until(lambda times=times: len(adapter.turned) // 2 + len(recovered) == times)
        assert len(recovered) == 1
        subject.heard()
        await until(lambda: subject.adapter)
        subject.reset("Nothing was heard")
        await until(lambda: len(adapter.turned) == 6)
    bus.disconnect()


async def test_an_old_connection_is_ended(system: System) -> None:
    adapter, device = Adapter1(ONE), Device1(connected=True)
    bus = await system.serve({"hci0": adapter})
    bus.export(DEVICE_PATH, device)
    async with supervised() as (subject, _):
        await until(lambda: subject.adapter)
        await subject.disconnect(DEVICE)
        manager = await get_global_bluez_manager()
        assert not device._connected
        assert not manager.is_connected(DEVICE_PATH)
        assert adapter.removed == []
    bus.disconnect()


async def test_old_connections_are_ended_but_no_link_of_ours_and_nobody_elses(system: System) -> None:
    others = (DEVICE, "F0:0D:00:00:00:02", "F0:0D:00:00:00:03")
    devices = {address: Device1(connected=True, address=address) for address in others}
    bus = await system.serve({"hci0": Adapter1(ONE)})
    for address, device in devices.items():
        bus.export(f"/org/bluez/hci0/{bluez.device_name(address)}", device)
    adapter = Adapter()
    task = asyncio.create_task(adapter.run())
    await until(lambda: adapter.bluez)
    adapter.links.add(GattClient(adapter, others[1], on_notified=lambda _handle, _data: None, on_lost=lambda _: None))
    await adapter.end_old_connections(others[:2])
    assert [device._connected for device in devices.values()] == [False, True, True]
    task.cancel()
    await asyncio.wait([task])
    bus.disconnect()


@pytest.mark.parametrize("paired", [False, True])
async def test_an_end_that_bleak_has_missed(system: System, monkeypatch: pytest.MonkeyPatch, *, paired: bool) -> None:
    monkeypatch.setattr(bluez, "AGREEMENT_S", 0.1)
    adapter, device = Adapter1(ONE), Device1(paired=paired)
    bus = await system.serve({"hci0": adapter})
    bus.export(DEVICE_PATH, device)
    async with supervised() as (subject, _):
        await until(lambda: subject.adapter)
        manager = await get_global_bluez_manager()
        device.emit_properties_changed({"Connected": True})  # which it is not
        await until(lambda: manager.is_connected(DEVICE_PATH))
        await subject.disconnect(DEVICE)
        if paired:  # its bond would go with it
            assert adapter.removed == []
            await until(lambda: not manager.is_connected(DEVICE_PATH))
        else:
            assert adapter.removed == [DEVICE_PATH]
    bus.disconnect()


async def test_without_the_bus_nothing_can_go_on(system: System) -> None:
    subject = Supervisor(None, lambda _: None)
    task = asyncio.create_task(subject.run())
    await until(lambda: subject.problem)
    system.daemon.kill()
    with pytest.raises(BusLostError):
        await asyncio.wait_for(task, 5.0)


async def test_a_bus_that_is_not_there_yet_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    monkeypatch.setattr(supervisor, "RETRY_S", 0.05)
    async with supervised() as (subject, problems):
        await until(lambda: subject.problem)
        await asyncio.sleep(0.3)
        assert problems == ["the system's message bus (D-Bus) does not answer: is it running?"]
