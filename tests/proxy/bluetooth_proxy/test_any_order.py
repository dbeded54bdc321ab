"""Requests, devices and losses in any order: what is owed to clients, whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from aioesphomeapi import api_pb2
from bluetooth_bench import LAMP, LOCK, OWN, TOY, Bench, device_request
from bluetooth_doubles import BATTERY_LEVEL, Device, Recorder
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from blupow_proxy.bluetooth_proxy import ProxyLimits, address_number
from blupow_proxy.errors import GattError, LinkLostError

THIRD = "AA:BB:CC:00:00:09"
ADDRESSES = st.sampled_from([TOY, TOY, TOY, LAMP, LAMP, THIRD, OWN, LOCK])
CLIENTS = st.sampled_from([0, 0, 0, 1])
SLOW = st.sampled_from(["connect", "read", "write", "notify", "pair", "unpair", "disconnect"])
KINDS = st.sampled_from(["read", "write", "services", "notify", "pair", "unpair", "clear"])
LIMITS = ProxyLimits(connects=10_000, requests=10_000)


def request(kind: str, address: str) -> Any:
    number = address_number(address)
    match kind:
        case "read":
            return api_pb2.BluetoothGATTReadRequest(address=number, handle=BATTERY_LEVEL)
        case "write":
            return api_pb2.BluetoothGATTWriteRequest(address=number, handle=0x30, response=True, data=b"x")
        case "services":
            return api_pb2.BluetoothGATTGetServicesRequest(address=number)
        case "notify":
            return api_pb2.BluetoothGATTNotifyRequest(address=number, handle=BATTERY_LEVEL, enable=True)
    return device_request({"pair": 2, "unpair": 3, "clear": 6}[kind], address)


class Ledger:
    """What is owed to one client, held against what it is told."""

    def __init__(self) -> None:
        self.client = Recorder()
        self.owed: Counter[int] = Counter()  # answers, by device
        self.connects: set[int] = set()  # devices of which it has to hear whether they are connected
        self.connected: set[int] = set()
        self.allocated: list[int] | None = None

    def read(self) -> None:
        for message in self.client.take():
            address = getattr(message, "address", 0)
            match type(message).__name__.removeprefix("Bluetooth").removesuffix("Response"):
                case "ConnectionsFree":
                    assert message.free + len(message.allocated) == message.limit == 3
                    assert message.allocated[0] == address_number(OWN)
                    assert len(set(message.allocated)) == len(message.allocated)
                    self.allocated = list(message.allocated)
                    # nobody loses a slot before hearing that it is disconnected
                    assert self.connected <= set(self.allocated)
                case "DeviceConnection":
                    self.connects.discard(address)
                    if message.connected:
                        assert address in self.allocated
                        self.connected.add(address)
                    else:
                        self.connected.discard(address)
                        assert not self.owed[address], "what was under way is answered first"
                case "ScannerState" | "GATTNotifyData":
                    pass
                case "GATTGetServices":
                    assert address in self.connected
                    assert self.owed[address]
                case _:
                    self.owed[address] -= 1
                    assert self.owed[address] >= 0, "one answer each"


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.ledgers = [Ledger(), Ledger()]

    @initialize()
    def start(self) -> None:
        async def make() -> Bench:
            return Bench(limits=LIMITS)

        self.bench = self.runner.run(make())
        for number in (1, 0):
            self.watch_slots(number)
            self.subscribe(number)
        self.connect(0, TOY, 4)

    def _ask(self, message: Any, number: int) -> None:
        self._do(lambda: self.bench.proxy.asked(self.ledgers[number].client, message))

    def _do(self, *steps: Callable[[], object]) -> None:
        async def do() -> None:
            for step in steps:
                step()
            await self.bench.settle()

        self.runner.run(do())
        for ledger in self.ledgers:
            ledger.read()

    def _devices(self) -> list[Device]:
        return [device for device in self.bench.devices.made if device.waiting or device.connected]

    @rule(number=CLIENTS)
    def subscribe(self, number: int) -> None:
        self._ask(api_pb2.SubscribeBluetoothLEAdvertisementsRequest(flags=1), number)

    @rule(number=CLIENTS)
    def watch_slots(self, number: int) -> None:
        self._ask(api_pb2.SubscribeBluetoothConnectionsFreeRequest(), number)

    @rule(number=CLIENTS)
    def unsubscribe(self, number: int) -> None:
        self._ask(api_pb2.UnsubscribeBluetoothLEAdvertisementsRequest(), number)

    @rule(number=CLIENTS)
    def gone(self, number: int) -> None:
        self._do(lambda: self.bench.proxy.gone(self.ledgers[number].client))
        assert not +self.ledgers[number].owed
        assert not self.ledgers[number].connected
        self.ledgers[number] = Ledger()
        self.watch_slots(number)

    @rule(number=CLIENTS, address=ADDRESSES, kind=st.sampled_from([0, 4, 5]))
    def connect(self, number: int, address: str, kind: int) -> None:
        self.ledgers[number].connects.add(address_number(address))
        self._ask(device_request(kind, address), number)

    @rule(number=CLIENTS, address=ADDRESSES)
    def disconnect(self, number: int, address: str) -> None:
        self.ledgers[number].connects.add(address_number(address))
        self._ask(device_request(1, address), number)
        assert address_number(address) not in self.ledgers[number].connects
        assert address_number(address) not in self.ledgers[number].connected

    @rule(number=CLIENTS, address=ADDRESSES, kinds=st.lists(KINDS, min_size=1, max_size=4), held=st.booleans())
    def ask(self, number: int, address: str, kinds: list[str], held: bool) -> None:
        for device in self._devices():
            if held and device.address == address:
                device.slow.update({"clear_cache" if kind == "clear" else kind for kind in kinds})
        ledger = self.ledgers[number]
        ledger.owed[address_number(address)] += len(kinds)
        requests = [request(kind, address) for kind in kinds]
        self._do(lambda: [self.bench.proxy.asked(ledger.client, one) for one in requests])

    @rule(steps=st.sets(SLOW, max_size=3))
    def next_devices_are_slow(self, steps: set[str]) -> None:
        self.bench.devices.prepare = lambda device: device.slow.update(steps)

    @rule(data=st.data(), step=SLOW, fails=st.booleans())
    def a_device_changes(self, data: st.DataObject, step: str, fails: bool) -> None:
        if step != "disconnect" and (devices := self._devices()):
            device = data.draw(st.sampled_from(devices))
            if fails:
                device.failing[step] = data.draw(st.sampled_from([GattError(TOY, 5, "x"), LinkLostError(TOY, "x")]))
            else:
                device.slow.symmetric_difference_update({step})

    @rule(data=st.data())
    def proceed(self, data: st.DataObject) -> None:
        if waiting := [(device, step) for device in self._devices() for step in device.waiting]:
            device, step = data.draw(st.sampled_from(waiting))
            self._do(lambda: device.proceed(step))

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        if devices := self._devices():
            self._do(data.draw(st.sampled_from(devices)).lose)

    @rule(data=st.data())
    def notify(self, data: st.DataObject) -> None:
        if devices := self._devices():
            device = data.draw(st.sampled_from(devices))
            self._do(lambda: device.on_notified(BATTERY_LEVEL, b"x"))

    @invariant()
    def slots_are_those_of_devices_in_use(self) -> None:
        for ledger in self.ledgers:
            if ledger.allocated is not None:
                connections = self.bench.proxy._connections
                assert ledger.allocated == [address_number(OWN), *self.bench.proxy._slots._reserved]
                assert set(ledger.allocated[1:]) == set(connections)

    def teardown(self) -> None:
        bench = self.bench

        async def end() -> None:
            stopping = asyncio.create_task(bench.proxy.stop())
            while not stopping.done():
                await bench.settle()
                for device in bench.devices.made:
                    for step in [*device.waiting]:
                        device.proceed(step)
            assert len(asyncio.all_tasks()) == 1

        try:
            self.runner.run(end())
            for ledger in self.ledgers:
                ledger.read()
                assert not +ledger.owed
                assert not ledger.connects
                assert not ledger.connected
            assert not bench.proxy._connections
            assert bench.air.run is None
            assert all(device.disconnects == 1 for device in bench.devices.made)
        finally:
            self.runner.close()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
