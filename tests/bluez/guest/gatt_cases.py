"""GattClient on a real BlueZ, with peripherals of gatt_peripheral.py; a case is one order, its failure the answer.

usage: gatt_cases.py ADAPTER

  {"op": "case", "name": ...}                            {"told": what was measured} or {"failure": traceback}
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Final, Self

import gatt_uuids as uuids
from machine import Machine
from orders import serve

from blupow_proxy.ble import CCCD, Adapter, ConnectionParameters, GattClient, Link, gatt_client
from blupow_proxy.errors import BleError, GattError, LinkLostError

PORT: Final = 7003
ONE, TWO, THREE = "C0:00:00:00:00:01", "00:11:22:33:44:02", "C0:00:00:00:00:03"
UNIT: Final = "D8:B6:73:00:01:01"  # the first of the room's inverters
STEP_S: Final = 10.0
LOOK_S: Final = 0.02
CYCLES: Final = 20
HANG_UPS: Final = 6
MOMENT_S: Final = 0.002  # an order of ours, and what BlueZ makes of it, takes a few
BLUEZ_WAITS_S: Final = 2.0  # before it ends a link by itself
PENDING_S: Final = 0.5  # after that the kernel waits for the device to be heard
STATISTICS: Final = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus.Debug.Stats")
STEPS: Final = 40  # ATT requests that a connection and its discovery take at most


class One:
    """A client, and what it was told."""

    def __init__(self, adapter: Adapter, address: str, visited: set[str]) -> None:
        self.notified: list[tuple[int, bytes]] = []
        self.lost: list[BleError] = []
        self.client = GattClient(
            adapter,
            address,
            on_notified=lambda handle, data: self.notified.append((handle, data)),
            on_lost=self.lost.append,
            visited=visited,
        )

    async def __aenter__(self) -> Self:
        await self.client.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.disconnect()

    def handle(self, uuid: str) -> int:
        return next(
            one.handle for service in self.client.services for one in service.characteristics if one.uuid == uuid
        )

    def descriptor(self, uuid: str, kind: str) -> int:
        return next(
            descriptor.handle
            for service in self.client.services
            for one in service.characteristics
            for descriptor in one.descriptors
            if (one.uuid, descriptor.uuid) == (uuid, kind)
        )

    async def read(self, uuid: str) -> bytes:
        return await self.client.read(self.handle(uuid))

    async def write(self, uuid: str, data: bytes, *, response: bool = True) -> None:
        await self.client.write(self.handle(uuid), data, response=response)

    def values(self, uuid: str) -> list[bytes]:
        return [data for handle, data in self.notified if handle == self.handle(uuid)]


async def until(condition: Any, what: str) -> float:
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > STEP_S:
            raise TimeoutError(f"in vain {what}")
        await asyncio.sleep(LOOK_S)
    return time.monotonic() - start


async def failure(work: Any) -> BleError:
    """Return what comes of what can't be done."""
    try:
        await work
    except BleError as error:
        return error
    raise AssertionError("it was done")


async def refused(work: Any, code: int) -> None:
    error = await failure(work)
    assert isinstance(error, GattError), error
    assert error.code == code, f"{error.code}: {error}"


class Cases:
    """The adapter that all cases share, and the room."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.visited: set[str] = set()
        self.room = Machine(Path())

    async def do_case(self, name: str, timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - of the protocol
        try:
            async with asyncio.timeout(timeout):
                return {"told": await getattr(self, name)()}
        except Exception:  # noqa: BLE001 - whoever asked is told
            return {"failure": traceback.format_exc()}

    def to(self, address: str) -> One:
        return One(self.adapter, address, self.visited)

    async def state(self, address: str, **knobs: Any) -> dict[str, Any]:
        return await self.room.room("peripheral", address=address, **knobs)

    async def links(self) -> int:
        adapters = (await self.room.room("state"))["adapters"]
        return sum(adapter["links"] for adapter in adapters.values())

    async def until_no_link(self) -> None:
        end = time.monotonic() + STEP_S
        while await self.links():
            assert time.monotonic() < end, "a link is left"
            await asyncio.sleep(LOOK_S)

    async def table(self) -> Any:
        async with self.to(ONE) as one:
            real = {handle: text.lower() for handle, text in (await self.state(ONE))["table"]}
            shown = set()
            for service in one.client.services:
                assert "2800" in real[service.handle]
                shown.add(service.handle)
                for characteristic in service.characteristics:
                    short = characteristic.uuid.removesuffix("-0000-1000-8000-00805f9b34fb").removeprefix("0000")
                    assert short in real[characteristic.handle], (characteristic, real[characteristic.handle])
                    assert "2803" in real[characteristic.handle - 1]
                    shown |= {characteristic.handle - 1, characteristic.handle}
                    for descriptor in characteristic.descriptors:
                        assert descriptor.uuid[4:8] in real[descriptor.handle]
                        shown.add(descriptor.handle)
            properties = {one.uuid: one.properties for it in one.client.services for one in it.characteristics}
            assert properties[uuids.GREETING] == 0x02 | 0x04 | 0x08
            assert properties[uuids.ECHO] == 0x04 | 0x08 | 0x10
            assert properties[uuids.INDICATED] == 0x08 | 0x20
            assert properties[uuids.SIGNED] == 0x01 | 0x02 | 0x80
            hidden = sorted(set(real) - shown)
            assert hidden == [1, 2, 3, 4, 5], hidden  # Generic Access, which BlueZ uses itself
            assert one.client.mtu == 247 == (await self.state(ONE))["mtu"]
        async with self.to(TWO) as two:
            assert two.client.mtu == 100
        async with self.to(THREE) as three:
            assert three.client.mtu == 23
        return {"hidden": [real[handle] for handle in hidden]}

    async def values(self) -> Any:
        async with self.to(ONE) as one:
            await one.write(uuids.GREETING, b"hello")
            assert await one.read(uuids.GREETING) == b"hello"
            await one.write(uuids.LONG, bytes(range(256)) * 2)
            assert await one.read(uuids.LONG) == bytes(range(256)) * 2
            await one.write(uuids.GREETING, bytes(244), response=False)
            await refused(one.write(uuids.GREETING, bytes(245), response=False), 0x0D)
            await refused(one.write(uuids.LONG, bytes(513)), 0x0D)
            await refused(one.read(uuids.REFUSING), 0x80)
            await refused(one.write(uuids.REFUSING, b"x"), 0x80)
            await refused(one.client.read(0x0FFF), 0x01)
            text = one.descriptor(uuids.GREETING, uuids.full("2901"))
            assert await one.client.read_descriptor(text) == b"what it says"
            await one.client.write_descriptor(text, b"says more")
            assert await one.client.read_descriptor(text) == b"says more"
            await one.client.write_descriptor(text, b"what it says")
            assert (await self.state(ONE))["written"][-1] == bytes(244).hex()
            assert not one.lost

    async def notifications(self) -> Any:
        async with self.to(ONE) as one:
            counter, cccd = one.handle(uuids.COUNTER), one.descriptor(uuids.COUNTER, CCCD)
            assert await one.client.read_descriptor(cccd) == b"\0\0"
            await one.client.notify(counter, enable=True)
            await one.client.write_descriptor(cccd, b"\1\0")
            await one.client.notify(counter, enable=True)
            assert counter in (await self.state(ONE))["subscribed"]
            before = int.from_bytes(await one.read(uuids.COUNTER), "little")
            reading = asyncio.create_task(self._read_often(one, uuids.COUNTER, 50))
            for _ in range(20):
                await self.room.room("count", address=ONE, times=10)
            read = await reading
            await until(lambda: len(one.values(uuids.COUNTER)) >= 200, "for 200 notifications")
            await asyncio.sleep(0.5)  # for echoes
            told = [int.from_bytes(value, "little") for value in one.values(uuids.COUNTER)]
            assert told == list(range(before + 1, before + 201)), told
            await one.client.write_descriptor(cccd, b"\0\0")
            end = time.monotonic() + STEP_S
            while counter in (await self.state(ONE))["subscribed"]:  # BlueZ answers before it has told the device
                assert time.monotonic() < end
                await asyncio.sleep(LOOK_S)
            await one.client.notify(one.handle(uuids.ECHO), enable=True)
            await one.write(uuids.ECHO, b"back", response=False)
            await one.client.write_descriptor(one.descriptor(uuids.INDICATED, CCCD), b"\2\0")
            assert await one.client.read_descriptor(one.descriptor(uuids.INDICATED, CCCD)) == b"\2\0"
            await one.write(uuids.INDICATED, b"surely")
            await one.client.notify(one.handle(uuids.LEVEL), enable=True)
            await until(lambda: one.values(uuids.ECHO) == [b"back"], "for an echo")
            await until(lambda: one.values(uuids.INDICATED) == [b"surely"], "for an indication")
            await refused(one.client.notify(one.handle(uuids.GREETING), enable=True), 0x06)
            return {"reads": read}

    @staticmethod
    async def _read_often(one: One, uuid: str, times: int) -> int:
        for _ in range(times):
            await one.read(uuid)
        return times

    async def pairing(self) -> Any:
        told = {}
        async with self.to(ONE) as one:
            assert not (await self.state(ONE))["encrypted"]
            await one.client.pair()
            assert (await self.state(ONE))["encrypted"]
            await one.client.pair()
            assert await one.read(uuids.SECRET) == b"between us"
            await refused(one.client.clear_cache(), 0x06)
        async with self.to(ONE) as one:
            assert await one.read(uuids.SECRET) == b"between us"
            start = time.monotonic()
            await one.client.unpair()
            told["unpair_s"] = round(time.monotonic() - start, 2)
            await until(lambda: one.lost, "for the end")
            assert [error.reason for error in one.lost if isinstance(error, LinkLostError)] == [0x16]
        await self.room.room("forget_bonds", address=ONE)
        async with self.to(ONE) as one:
            assert not (await self.state(ONE))["encrypted"]
            await one.client.pair()
            assert await one.read(uuids.SECRET) == b"between us"
            await one.client.unpair()
        await self.room.room("forget_bonds", address=ONE)
        return told

    async def unasked_pairing(self) -> Any:
        """BlueZ pairs by itself where a value wants that; now and then it hangs then, and the link is ended."""
        before, gatt_client.OPERATION_S = gatt_client.OPERATION_S, 3.0  # type: ignore[misc]
        told = []
        try:
            for _ in range(4):
                async with self.to(ONE) as one:
                    try:
                        assert await one.read(uuids.SECRET) == b"between us"
                        told.append("read")
                    except BleError:
                        assert len(one.lost) == 1
                        told.append("lost")
                    await one.client.unpair()
                await self.room.room("forget_bonds", address=ONE)
        finally:
            gatt_client.OPERATION_S = before  # type: ignore[misc]
        await self.until_no_link()
        return told

    async def lost_keys(self) -> Any:
        """The device has forgotten its bond: what it refuses then is no hang."""
        async with self.to(ONE) as one:
            await one.client.pair()
        await self.room.room("forget_bonds", address=ONE)
        told: list[str] = []
        try:
            async with self.to(ONE) as one:
                for what in (one.read(uuids.GREETING), one.read(uuids.SECRET), one.client.pair()):
                    try:
                        told.append(repr(await what))
                    except BleError as error:
                        told.append(repr(error))
                with contextlib.suppress(BleError):
                    await one.client.unpair()
        except BleError as error:
            told.append(repr(error))
            await self.to(ONE).client.unpair()
        async with self.to(ONE) as one:
            await one.client.pair()
            await one.client.unpair()
        await self.room.room("forget_bonds", address=ONE)
        return told

    async def cache(self) -> Any:
        async def discovered(*, clears: bool) -> int:
            async with self.to(ONE) as one:
                if clears:
                    await one.client.clear_cache()
                return int((await self.state(ONE))["discovered"])

        await discovered(clears=True)
        new = await discovered(clears=False)
        cached = await discovered(clears=True)
        cleared = await discovered(clears=False)
        assert cached < new == cleared, (cached, new, cleared)
        return {"new": new, "cached": cached, "cleared": cleared}

    async def ends(self) -> Any:
        one = self.to(ONE)
        await one.client.connect()
        await self.room.room("drop", address=ONE)
        dropped_s = await until(lambda: one.lost, "for the end")
        await one.client.disconnect()
        one = self.to(TWO)
        await one.client.connect()
        await self.room.room("range", address=TWO, within=False)
        gone_s = await until(lambda: one.lost, "for the end")
        await one.client.disconnect()
        assert len(one.lost) == 1
        start = time.monotonic()
        away = repr(await failure(self.to(TWO).client.connect()))
        away_s = time.monotonic() - start
        assert away_s < gatt_client.CONNECT_S
        await self.room.room("range", address=TWO, within=True)
        async with self.to(TWO) as one:
            await self.state(TWO, slow_s=5.0)
            reading = asyncio.create_task(one.read(uuids.SLOW))
            await self.room.room("drop", address=TWO)
            assert isinstance(await failure(reading), LinkLostError)
            assert len(one.lost) == 1
        await self.state(TWO, slow_s=0.0)
        await self.until_no_link()
        return {"dropped_s": dropped_s, "gone_s": gone_s, "away": away, "away_s": away_s}

    async def hanging_up(self) -> Any:
        """A link that is given up is down at once, or once bluetoothd, which is made to hang around that, goes on."""
        at_once_s = [await self._hang_up() for _ in range(HANG_UPS)]
        assert max(at_once_s) < BLUEZ_WAITS_S, at_once_s
        frozen_s = [await self._hang_up(number * MOMENT_S, 1.0) for number in range(HANG_UPS)]
        frozen_s.append(await self._hang_up(0.0, gatt_client.DISCONNECT_S + 1.0))
        return {"at_once_s": at_once_s, "frozen_s": frozen_s}

    async def _hang_up(self, after_s: float | None = None, frozen_s: float = 0.0) -> float:
        """Connect, disconnect, and have bluetoothd hang ``after_s`` that has begun; return what it took in all."""
        async with self.to(ONE) as one:
            assert await one.read(uuids.MAKER) == b"Somebody"
            start = time.monotonic()
            ending = asyncio.create_task(one.client.disconnect())
            if after_s is not None:
                await asyncio.sleep(after_s)
                await self.room.signal("bluetoothd", signal.SIGSTOP)
                await asyncio.sleep(frozen_s)
                await self.room.signal("bluetoothd", signal.SIGCONT)
            await ending
            await self.until_no_link()
            took_s = time.monotonic() - start
        await until(lambda: self.adapter.usable, "for bluetoothd")
        return took_s

    async def silence(self) -> Any:
        before, gatt_client.OPERATION_S = gatt_client.OPERATION_S, 1.0  # type: ignore[misc]
        try:
            async with self.to(ONE) as one:
                await self.state(ONE, silent=True)
                start = time.monotonic()
                told = repr(await failure(one.read(uuids.GREETING)))
                took_s = time.monotonic() - start
                await self.state(ONE, silent=False)
                assert took_s < 2.0
                assert len(one.lost) == 1
            await self.until_no_link()
        finally:
            gatt_client.OPERATION_S = before  # type: ignore[misc]
        return {"told": told, "took_s": took_s}

    async def vanishing(self) -> Any:
        """It ends the connection with one ATT request or another; no link is left, whatever came of it."""
        told: dict[str, int] = {}
        for step in range(1, STEPS + 1, 3):
            one = self.to(ONE)
            await self.state(ONE, ends_at=step)
            try:
                await one.client.connect()
                what = "connected"
                await one.client.clear_cache()
            except BleError as error:
                what = type(error).__name__
            await one.client.disconnect()
            await one.client.clear_cache()
            told[what] = told.get(what, 0) + 1
        await self.state(ONE, ends_at=None)
        await self.until_no_link()
        async with self.to(ONE) as one:
            assert await one.read(uuids.MAKER) == b"Somebody"
        assert not self.adapter.links
        return told

    async def cycles(self) -> Any:
        """Three at once, 20 times each: nothing is left of it."""

        async def cycle(address: str) -> None:
            for number in range(CYCLES):
                async with self.to(address) as one:
                    await one.client.notify(one.handle(uuids.ECHO), enable=True)
                    await one.write(uuids.ECHO, bytes((number,)))
                    await until(lambda one=one, n=number: one.values(uuids.ECHO) == [bytes((n,))], "for an echo")
                    assert not one.lost

        async with self.to(ONE):
            pass
        before = await self._held()
        start = time.monotonic()
        await asyncio.gather(*(cycle(address) for address in (ONE, TWO, THREE)))
        took_s = time.monotonic() - start
        await self.until_no_link()
        after = await self._held()
        assert after == before, (before, after)
        return {"took_s": took_s, "held": after}

    async def _held(self) -> dict[str, int]:
        rules = await self.room.run("busctl", "--system", "call", *STATISTICS, "GetStats")
        return {
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only how many
            "connections": rules.partition('"ActiveConnections" ')[2].split()[1],
            "rules": rules.partition('"MatchRules" ')[2].split()[1],
            "links": len(self.adapter.links),
            "tasks": len(asyncio.all_tasks()),
        }

    async def giving_way_while_it_discovers(self) -> Any:
        """A unit of ours connects while another device is connected, and does not answer."""
        await self.state(ONE, silent=True)
        one = self.to(ONE)
        connecting = asyncio.create_task(one.client.connect())
        end = time.monotonic() + STEP_S
        while not (await self.state(ONE))["connected"]:
            assert time.monotonic() < end
            await asyncio.sleep(LOOK_S)
        told = await self._give_way(one, connecting)
        await self.state(ONE, silent=False)
        async with self.to(ONE) as one:
            assert await one.read(uuids.MAKER) == b"Somebody"
        return told

    async def giving_way_while_it_connects(self) -> Any:
        """A unit of ours connects while another device, which has gone after it was heard, is tried."""
        one = self.to(ONE)
        establish, tried = one.client._establish, asyncio.Event()

        async def leave(device: Any) -> Any:
            await self.room.room("range", address=ONE, within=False)
            asyncio.get_running_loop().call_later(PENDING_S, tried.set)
            return await establish(device)

        one.client._establish = leave  # type: ignore[method-assign]
        connecting = asyncio.create_task(one.client.connect())
        await tried.wait()
        told = await self._give_way(one, connecting)
        await self.room.room("range", address=ONE, within=True)
        async with self.to(ONE) as one:
            assert await one.read(uuids.MAKER) == b"Somebody"
        return told

    async def _give_way(self, one: One, connecting: asyncio.Task[None]) -> Any:
        took_s = await self._connect_unit()
        error = await failure(connecting)
        assert isinstance(error, LinkLostError)
        assert error.reason == 0x100
        assert not one.lost
        await one.client.disconnect()
        alone_s = await self._connect_unit()
        assert took_s < alone_s + 5.0
        return {"told": repr(error), "took_s": took_s, "alone_s": alone_s}

    async def _connect_unit(self) -> float:
        link = Link(self.adapter, UNIT)
        start = time.monotonic()
        await link.connect()
        took_s = time.monotonic() - start
        await link.disconnect()
        return took_s

    async def parameters(self) -> Any:
        async with self.to(ONE) as one:
            told = [(await self.state(ONE))["interval_ms"]]
            for least, most in ((80, 80), (24, 40), (8, 12), (800, 900)):
                await one.client.set_connection_parameters(ConnectionParameters(least, most, 0, 600))
                end = time.monotonic() + STEP_S
                while not least * 1.25 <= (interval_ms := (await self.state(ONE))["interval_ms"]) <= most * 1.25:
                    assert time.monotonic() < end, (least, most, interval_ms)
                    await asyncio.sleep(LOOK_S)
                told.append(interval_ms)
            await refused(one.client.set_connection_parameters(ConnectionParameters(80, 8, 0, 600)), 0x0D)
            return told

    async def restart(self) -> Any:
        """bluetoothd is started anew by the test meanwhile."""
        one = self.to(ONE)
        await one.client.connect()
        await self.state(ONE, slow_s=30.0)
        reading = asyncio.create_task(one.read(uuids.SLOW))
        Path("ready.restart").touch()  # noqa: ASYNC240 - in an instant
        took_s = await until(lambda: one.lost, "for the restart")
        told = [repr(one.lost[0]), repr(await failure(reading))]
        await one.client.disconnect()
        assert len(one.lost) == 1
        await self.state(ONE, slow_s=0.0)
        await until(lambda: self.adapter.usable, "for bluetoothd")
        async with self.to(ONE) as one:
            assert await one.read(uuids.MAKER) == b"Somebody"
        return {"took_s": took_s, "told": told}


async def main(name: str) -> None:
    adapter = Adapter(name)
    running = asyncio.create_task(adapter.run())
    server = await serve(Cases(adapter), PORT)
    print("ready", flush=True)
    async with server:
        await running


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
