"""Faults that pass: each an interval in which something is broken around the proxy."""

import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random
from typing import Any

from machine import Machine

STILLBORN = 0x3E  # "connection failed to be established"


@dataclass(frozen=True)
class Scene:
    """Where a fault happens."""

    machine: Machine
    random: Random
    units: dict[str, str]
    adapter: str

    def unit(self) -> str:
        """Return the address of any unit."""
        return self.random.choice(list(self.units.values()))

    async def drop(self, address: str) -> None:
        """Let a unit end its link."""
        await self.machine.room("drop", address=address)


type Happens = Callable[[Scene], AbstractAsyncContextManager[None]]


@dataclass(frozen=True)
class Fault:
    """One fault, and how long it lasts."""

    name: str
    seconds: tuple[float, float]
    happens: Happens

    def happening(
        self, machine: Machine, random: Random, units: dict[str, str], adapter: str
    ) -> AbstractAsyncContextManager[None]:
        """Break something; mended at the end."""
        return self.happens(Scene(machine, random, units, adapter))


@contextlib.asynccontextmanager
async def link_dropped(scene: Scene) -> AsyncIterator[None]:
    await scene.drop(scene.unit())
    yield


@contextlib.asynccontextmanager
async def all_links_dropped(scene: Scene) -> AsyncIterator[None]:
    for address in scene.units.values():
        await scene.drop(address)
    yield


def of_unit(op: str, broken: dict[str, Any], sound: dict[str, Any]) -> Happens:
    """Return the fault of any unit that one order brings about, and another mends."""

    @contextlib.asynccontextmanager
    async def happens(scene: Scene) -> AsyncIterator[None]:
        address = scene.unit()
        await scene.machine.room(op, address=address, **broken)
        yield
        await scene.machine.room(op, address=address, **sound)

    return happens


@contextlib.asynccontextmanager
async def fragments_lost(scene: Scene) -> AsyncIterator[None]:
    await scene.machine.room("air", fragment_loss=0.2)
    yield
    await scene.machine.room("air", fragment_loss=0.0)


@contextlib.asynccontextmanager
async def bluetoothd_killed(scene: Scene) -> AsyncIterator[None]:
    await scene.machine.signal("bluetoothd", signal.SIGKILL)
    yield
    await scene.machine.start_bluetoothd()


@contextlib.asynccontextmanager
async def bluetoothd_frozen(scene: Scene) -> AsyncIterator[None]:
    await scene.machine.signal("bluetoothd", signal.SIGSTOP)
    yield
    await scene.machine.signal("bluetoothd", signal.SIGCONT)


@contextlib.asynccontextmanager
async def adapter_unplugged(scene: Scene) -> AsyncIterator[None]:
    address = (await scene.machine.room("state"))["adapters"][scene.adapter]["address"]
    await scene.machine.room("remove_adapter", adapter=scene.adapter)
    yield
    await scene.machine.room("add_adapter", address=address)


@contextlib.asynccontextmanager
async def adapter_off(scene: Scene) -> AsyncIterator[None]:
    where = ("org.bluez", f"/org/bluez/{scene.adapter}", "org.bluez.Adapter1", "Powered")
    await scene.machine.run("busctl", "--system", "set-property", *where, "b", "false")
    yield


def of_adapter(**knobs: Any) -> Happens:
    """Return the fault of a controller that lasts until it is reset, with a unit that has to be found meanwhile."""

    @contextlib.asynccontextmanager
    async def happens(scene: Scene) -> AsyncIterator[None]:
        await scene.machine.room("adapter", adapter=scene.adapter, **knobs)
        await scene.drop(scene.unit())
        yield
        await scene.machine.room("adapter", adapter=scene.adapter, **dict.fromkeys(knobs, False))

    return happens


@contextlib.asynccontextmanager
async def stillborn(scene: Scene) -> AsyncIterator[None]:
    await scene.machine.room("adapter", adapter=scene.adapter, refusals=[STILLBORN] * scene.random.randint(1, 6))
    await scene.drop(scene.unit())
    yield
    await scene.machine.room("adapter", adapter=scene.adapter, refusals=[])


FAULTS = [
    Fault("a link dropped", (0, 0), link_dropped),
    Fault("all links dropped", (0, 0), all_links_dropped),
    Fault("a unit out of range", (5, 120), of_unit("range", {"within": False}, {"within": True})),
    Fault("a unit held by another", (5, 120), of_unit("hold", {"held": True}, {"held": False})),
    Fault("a link without notifications", (5, 60), of_unit("unit", {"notifies": False}, {"notifies": True})),
    Fault("a silent unit", (5, 60), of_unit("unit", {"silent": True}, {"silent": False})),
    Fault("bad checksums", (5, 60), of_unit("unit", {"corrupt": True}, {"corrupt": False})),
    Fault("another device's replies", (5, 60), of_unit("unit", {"wrong_address": True}, {"wrong_address": False})),
    Fault("late replies", (5, 60), of_unit("unit", {"reply_delay_s": 3.5}, {"reply_delay_s": None})),
    Fault("a fifth of the air lost", (5, 60), fragments_lost),
    Fault("bluetoothd killed", (0, 30), bluetoothd_killed),
    Fault("bluetoothd frozen", (1, 60), bluetoothd_frozen),
    Fault("the adapter unplugged", (1, 30), adapter_unplugged),
    Fault("the adapter turned off", (0, 0), adapter_off),
    Fault("a deaf scanner", (5, 60), of_adapter(deaf=True)),
    Fault("discovery refused", (5, 60), of_adapter(refuses_scans=True)),
    Fault("stillborn connections", (5, 30), stillborn),
]
