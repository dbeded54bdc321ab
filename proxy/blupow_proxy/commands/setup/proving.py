"""Connecting to a unit to see what it is, and whether others are on the same cable."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from blupow_proxy.ble import Adapter, Link
from blupow_proxy.commands.radio import require_free
from blupow_proxy.errors import DeadlineExceededError
from blupow_proxy.modbus import UNIVERSAL_ADDRESS, ExceptionResponse, ReadRequest, Response
from blupow_proxy.poller import MODEL_REGISTERS, MODEL_WORDS, UnitSpec, identify
from blupow_proxy.renogy import Family, decode_block, identify_model, product_name, register_map

PROVE_S: Final = 30.0  # heard within seconds and connected within ten more; then it is a matter of a few requests
MEMBERS_S: Final = 60.0  # each address that nobody has takes three
REPLY_S: Final = 2.0  # as the register maps have it
GAP_S: Final = 0.3  # as the slowest family needs it

# Addresses that a device has only where it is one of several: in a daisy chain, or behind a Communication Hub.
# A battery has 48 alone as well; whether others are beside it, the next address tells.
_SHARED: Final = frozenset({16, 17, 33, 34, 35, 49, 50, 51, 52, 53, 54, 55, 96, 97})
_BATTERIES: Final = (48, 49, 50, 51, 52, 53, 54, 55)
_GROUPS: Final = (
    (Family.BATTERY, _BATTERIES),
    (Family.BATTERY, (33, 34, 35)),
    (Family.CONTROLLER, (96, 97)),
    (Family.CONTROLLER, (16, 17)),
    (Family.INVERTER, (32,)),
)
_KINDS: Final = {
    Family.CONTROLLER: "solar controller",
    Family.DCC: "DC-DC charger",
    Family.BATTERY: "battery",
    Family.INVERTER: "inverter",
    Family.SHUNT300: "Smart Shunt 300",
}


@dataclass(frozen=True, slots=True)
class Proof:
    """A device that has answered; ``modbus_address`` where it shares the link with others."""

    family: Family
    model: str | None = None
    modbus_address: int | None = None

    @property
    def label(self) -> str:
        """What it is, for a person."""
        kind = _KINDS[self.family]
        return kind if self.model is None else f"{product_name(self.model) or kind} ({self.model})"


async def prove(adapter: Adapter, address: str, *, family: Family | None = None) -> list[Proof]:
    """Return what answers behind ``address``, each device once; BleError or UnexpectedResponseError when none does."""
    try:
        async with _linked(adapter, address) as link:
            if link.pushes:
                return [Proof(Family.SHUNT300)]
            prober = _Prober(link)
            async with asyncio.timeout(PROVE_S):
                first = await prober.identify(family)
            async with asyncio.timeout(MEMBERS_S):
                others = await prober.others(first)
    except TimeoutError:
        raise DeadlineExceededError(address, "finding out what it is", PROVE_S) from None
    return [first, *others] if others else [replace(first, modbus_address=None)]


@asynccontextmanager
async def _linked(adapter: Adapter, address: str) -> AsyncIterator[Link]:
    link = Link(adapter, address)
    try:
        async with asyncio.timeout(PROVE_S):
            await require_free(adapter, address)
            await link.connect()
        yield link
    finally:
        await link.disconnect()


class _Prober:
    """Asks over one link, with the pauses that devices need."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def identify(self, family: Family | None) -> Proof:
        """Return what answers first, with its own address; UnexpectedResponseError."""
        link = self._link
        spec = UnitSpec(id="", name=link.name or link.address, address=link.address, family=family)
        profile = await identify(spec, None, link.name, self._ask, shared_link=False)
        asked = UNIVERSAL_ADDRESS if profile.modbus_address is None else profile.modbus_address
        own = asked if asked != UNIVERSAL_ADDRESS else await self._own_address(profile.family, asked)
        return Proof(profile.family, profile.model, own)

    async def others(self, first: Proof) -> list[Proof]:
        """Return the other devices on the cable, where ``first`` has an address that hints at some."""
        found: list[Proof] = []
        if first.modbus_address == _BATTERIES[0] and first.family is Family.BATTERY:
            found += await self._group(Family.BATTERY, _BATTERIES[1:], first)
            if not found:
                return []
        elif first.modbus_address not in _SHARED:
            return []
        seen = {first.modbus_address, *(one.modbus_address for one in found)}
        for family, addresses in _GROUPS:
            found += await self._group(family, [one for one in addresses if one not in seen], first)
        return found

    async def _group(self, family: Family, addresses: list[int] | tuple[int, ...], first: Proof) -> list[Proof]:
        """Return the devices at ``addresses``, which are given in turn: behind one that nobody has, there is none."""
        found: list[Proof] = []
        for address in addresses:
            reply = await self._ask(ReadRequest(address, MODEL_REGISTERS[family], MODEL_WORDS))
            if not isinstance(reply, Response):
                break
            model = decode_block(family, MODEL_REGISTERS[family], reply.data).get("model")
            if not isinstance(model, str) or not model:
                break
            proven = identify_model(model) or family
            # some controllers answer at addresses that are not theirs
            if (proven, model) == (first.family, first.model) and await self._own_address(proven, address) != address:
                break
            found.append(Proof(proven, model, address))
        return found

    async def _own_address(self, family: Family, asked: int) -> int | None:
        """Return the Modbus address that a device says it has; None when it does not."""
        row = next((row for row in register_map(family).registers if row.key == "device_address"), None)
        if row is None:
            return None
        reply = await self._ask(ReadRequest(asked, row.register, row.words))
        if not isinstance(reply, Response):
            return None
        own = decode_block(family, row.register, reply.data).get("device_address")
        return own if isinstance(own, int) else None

    async def _ask(self, request: ReadRequest) -> Response | ExceptionResponse | None:
        try:
            return await self._link.request(request, REPLY_S)
        except DeadlineExceededError:
            return None
        finally:
            await asyncio.sleep(GAP_S)
