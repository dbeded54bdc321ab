"""Choosing units: those that are heard, or those that were named."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Final

from blupow_proxy.ble import Adapter, Advertisement, listen
from blupow_proxy.commands.scan import shown_name
from blupow_proxy.errors import BleError
from blupow_proxy.renogy import identify_advertisement

from .nearby import HeardUnit, Nearby
from .outcome import StoppedError
from .picker import Picker, nothing_to_pick
from .questions import Questions

LISTEN_S: Final = 8.0  # where nobody looks on: each unit is heard several times
DEMO_LISTEN_S: Final = 1.0
_TITLE: Final = "Which units shall this proxy read?"


def named(units: list[tuple[str, str]], known: Collection[str]) -> list[HeardUnit]:
    """Return units that are not to be looked for; StoppedError when one is there already, or twice."""
    addresses = [address for address, _ in units]
    for address in addresses:
        if address in known or addresses.count(address) > 1:
            raise StoppedError(os.EX_USAGE, f"--unit {address}: this unit is there already")
    return [HeardUnit(address, name, None, None, 0.0) for address, name in units]


@asynccontextmanager
async def _listening(adapter: Adapter, nearby: Nearby, picker: Picker | None = None) -> AsyncIterator[None]:
    clock = asyncio.get_running_loop().time

    def heard(advertisement: Advertisement) -> None:
        nearby.heard(advertisement, clock())

    def trouble(error: BleError | None) -> None:
        if picker is not None:
            picker.trouble = None if error is None else error.message
        elif error is not None:
            failed.append(error)

    failed: list[BleError] = []
    task = asyncio.create_task(listen(adapter, heard, trouble))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if failed and not nearby.units:
        raise failed[-1]


async def pick(adapter: Adapter, known: Collection[str], questions: Questions, *, demo: bool) -> list[HeardUnit]:
    """Return the units that are to be read, of those that are heard; StoppedError when there is none."""
    nearby = Nearby(known)
    silent = [
        shown_name(name)
        for address, name in (await adapter.connected_devices()).items()
        if address not in known and identify_advertisement(name, ()) is not None
    ]
    note = f"Connected to this machine already, and so silent: {', '.join(silent)}. Is another proxy running?"
    if questions.has_keys:
        picker = Picker(nearby, asyncio.get_running_loop().time, _TITLE)
        if silent:
            picker.notes.append(note)
        async with _listening(adapter, nearby, picker):
            return await picker.run()
    while True:
        questions.say("Listening for Renogy units ...")
        async with _listening(adapter, nearby):
            await asyncio.sleep(DEMO_LISTEN_S if demo else LISTEN_S)
        if silent:
            questions.warn(note)
        if nearby.left_out and nearby.units:
            questions.say(f"Nearby, and in the file already: {', '.join(sorted(nearby.left_out))}")
        for number, unit in enumerate(nearby.units, 1):
            questions.say(f"  {number}  {unit.signal}  {unit.title:<19}  {unit.label:<32}  {unit.address}")
        if not nearby.units and not questions.interactive:
            code = os.EX_OK if nearby.left_out else os.EX_UNAVAILABLE
            raise StoppedError(code, nothing_to_pick(nearby))
        if not questions.interactive:
            return nearby.units
        chosen = await _numbers(nearby, questions)
        if chosen:
            return [nearby.units[index] for index in chosen]


async def _numbers(nearby: Nearby, questions: Questions) -> list[int]:
    """Return the indices of what was chosen; none to listen again."""
    count = len(nearby.units)
    if not count:
        questions.warn(nothing_to_pick(nearby))
        await questions.text("Enter listens again", "")
        return []

    def indices(typed: str) -> list[int] | None:
        words = typed.replace(",", " ").split()
        numbers = [int(word) for word in words if word.isdecimal() and 1 <= int(word) <= count]
        return [number - 1 for number in dict.fromkeys(numbers)] if len(numbers) == len(words) else None

    def check(typed: str) -> str | None:
        if typed in ("all", "again") or indices(typed):
            return None
        return f"numbers from 1 to {count}, such as 1 2, or: all, again"

    answer = await questions.text("Which of them shall this proxy read? Numbers, or: all, again", "all", check)
    if answer == "again":
        return []
    return list(range(count)) if answer == "all" else indices(answer) or []
