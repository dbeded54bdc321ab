"""One room of simulated units, read by the Python proxy and by the ESP32's firmware at once."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from aioesphomeapi import APIClient, EntityInfo, EntityState, UserService
from driver import FAMILIES, VARIANTS
from real_esphome import FIRST_UNIT_PORT, PORT

from blupow_config import ApiConfig, EsphomeConfig, ProxyConfig, UnitConfig, ZeroconfConfig
from blupow_config.ids import device_number
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.renogy import Family
from blupow_proxy.simulator import VirtualRadio, demo_units
from blupow_proxy.simulator.world import World
from blupow_proxy.storage import Storage

FRAGMENT_BYTES: Final = 20  # of a notification, at the MTU that every device starts with
VECTORS: Final = Path(__file__).parents[1] / "data" / "vectors.json"

type EntityKey = tuple[str, int, int]  # kind, device, key


class StillWorld(World):
    """Nothing changes by itself: both sides are to read the same."""

    def advance(self, now: float) -> None:
        """Let no time pass."""


class Room:
    """The units, and what each side has asked them."""

    def __init__(self) -> None:
        units = demo_units(StillWorld())
        self.units: dict[Family, Any] = {unit.members[0].family: unit for unit in units if unit.members}
        for unit in self.units.values():
            unit.latency_s = 0.02
        self.writers: dict[Family, asyncio.StreamWriter] = {}
        # the same devices over TCP, with a record of their own
        self.twins = {family: replace(unit, requests=[]) for family, unit in self.units.items()}

    def hold_captures(self) -> None:
        """Have the units hold what real devices have sent; of registers that several captures hold, the last counts."""
        for vector in json.loads(VECTORS.read_text())["vectors"]:
            if vector["kind"] == "read" and (unit := self.units.get(Family(vector["family"]))):
                data = bytes.fromhex(vector["response_hex"])[3:-2]
                for place in range(0, len(data), 2):
                    unit.faults.overrides[vector["register"] + place // 2] = int.from_bytes(data[place : place + 2])

    @contextlib.asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        """Serve each unit over TCP as well, its replies cut as notifications are."""
        async with contextlib.AsyncExitStack() as stack:
            for number, family in enumerate(FAMILIES):
                server = await asyncio.start_server(
                    lambda reader, writer, family=family: self._serve(family, reader, writer),
                    "127.0.0.1",
                    FIRST_UNIT_PORT + number,
                )
                await stack.enter_async_context(server)
            yield

    async def _serve(self, family: Family, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unit = self.twins[family]
        self.writers[family] = writer
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                request = await reader.readexactly(8)
                reply = unit.respond(request, time.monotonic())
                if reply is None:
                    continue
                await asyncio.sleep(unit.latency_of(request))
                for part in (reply,) if unit.faults.mangle is None else unit.faults.mangle(reply):
                    for place in range(0, len(part), FRAGMENT_BYTES):
                        writer.write(part[place : place + FRAGMENT_BYTES])
                        await writer.drain()
                        await asyncio.sleep(0.01)  # a connection interval: or they arrive as one
        writer.close()


class Side:
    """What a client sees of one proxy."""

    def __init__(self, client: APIClient) -> None:
        self.client = client
        self.refresh: UserService
        self.entities: dict[EntityKey, EntityInfo] = {}
        self.states: dict[EntityKey, EntityState] = {}

    async def listen(self) -> None:
        """List the entities and follow their states."""
        entities, actions = await self.client.list_entities_services()
        (self.refresh,) = [action for action in actions if action.name == "refresh"]
        self.entities = {key_of(entity, type(entity).__name__.removesuffix("Info")): entity for entity in entities}
        self.client.subscribe_states(self._received)

    def _received(self, state: EntityState) -> None:
        self.states[key_of(state, type(state).__name__.removesuffix("State"))] = state

    def _key(self, family: Family, name: str) -> EntityKey:
        device = device_number(str(family))
        (key,) = [key for key, entity in self.entities.items() if (entity.device_id, entity.name) == (device, name)]
        return key

    def of(self, family: Family, name: str) -> Any:
        """Return the state of a unit's entity."""
        return self.value(self._key(family, name))

    def switch(self, family: Family, name: str, *, on: bool) -> None:
        """Turn a unit's switch."""
        _, device, key = self._key(family, name)
        self.client.switch_command(key, on, device_id=device)

    def value(self, key: EntityKey) -> Any:
        """Return the state of an entity; None when it is missing."""
        state: Any = self.states.get(key)
        return None if state is None or state.missing_state else state.state


def key_of(entity: Any, kind: str) -> EntityKey:
    return kind, entity.device_id, entity.key


@contextlib.asynccontextmanager
async def firmware(program: Path, home: Path) -> AsyncIterator[Side]:
    """Run the firmware and connect to it."""
    with (home / "firmware.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            program, env={"HOME": str(home)}, stdout=log, stderr=asyncio.subprocess.STDOUT
        )
    try:
        async with _side(APIClient("127.0.0.1", PORT, None)) as side:
            yield side
    finally:
        process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def python_proxy(room: Room, folder: Path) -> AsyncIterator[Side]:
    """Run the Python proxy on the same units and connect to it once it has listed them."""
    key = bytes(range(32))
    units = tuple(
        UnitConfig(
            id=str(family),
            address=unit.address,
            name=str(family),
            family=family,
            variant=VARIANTS.get(family),
            load_switch=family is Family.CONTROLLER,
        )
        for family, unit in room.units.items()
    )
    config = ProxyConfig(
        esphome=EsphomeConfig(name="parity", friendly_name="Parity"),
        api=ApiConfig(port=0, key=key),
        zeroconf=ZeroconfConfig(enabled=False),
        renogy=units,
    )
    async with VirtualRadio(room.units.values()) as radio:
        around = Surroundings(
            storage=Storage(folder), adapter=radio.adapter, host="127.0.0.1", interfaces=["127.0.0.1"]
        )
        proxy = Proxy(config, around)
        await proxy.start()
        serving = asyncio.create_task(proxy.serve())
        client = APIClient(
            "127.0.0.1", proxy.server.port, None, noise_psk="AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
        )
        try:
            async with asyncio.timeout(60):
                await proxy.all_listed()
            async with _side(client) as side:
                yield side
        finally:
            proxy.stop()
            await serving


@contextlib.asynccontextmanager
async def _side(client: APIClient) -> AsyncIterator[Side]:
    """Connect, and listen until the end."""
    try:
        await _connected(client)
        side = Side(client)
        await side.listen()
        yield side
    finally:
        await client.disconnect(force=True)


async def _connected(client: APIClient) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await client.connect(login=True)
            except Exception:  # noqa: BLE001 - it is about to listen
                await asyncio.sleep(0.1)
            else:
                return


def differences(ours: Side, theirs: Side, keys: Mapping[EntityKey, EntityInfo]) -> dict[str, tuple[Any, Any]]:
    """Return which of the entities differ in their states, and how."""
    found = {}
    for key, entity in keys.items():
        values = ours.value(key), theirs.value(key)
        if values[0] != values[1]:
            found[f"{entity.device_id}:{entity.name}"] = values
    return found
