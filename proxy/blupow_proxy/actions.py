"""User-defined actions: ``refresh`` reads everything now, ``capture_frames`` returns raw frames for support."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from blupow_proxy.ble import Link
from blupow_proxy.errors import BleError, LocalProtocolError, NativeApiError
from blupow_proxy.native_api import Action, printable
from blupow_proxy.poller import Poller, Unit

REFRESH_S: Final = 25.0  # a hub's members, all their blocks; clients give up after 30 s

REFRESH: Final = Action(name="refresh", response="optional", description="Read all values of all units now")
CAPTURE_FRAMES: Final = Action(
    name="capture_frames",
    arguments={"unit": "string"},
    response="only",
    description="Return the last raw frames of a unit, for support",
)


async def run_action(pollers: Sequence[Poller[Link]], action: Action, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run an action and return its response; ProxyError when it fails."""
    match action.name:
        case REFRESH.name:
            return await _refresh(pollers)
        case CAPTURE_FRAMES.name:
            return _capture_frames(pollers, str(arguments.get("unit", "")))
        case _:
            raise LocalProtocolError(f"no action {action.name}")


async def _refresh(pollers: Sequence[Poller[Link]]) -> dict[str, Any]:
    """Refresh every unit; the answer has one status for each."""

    async def refresh(poller: Poller[Link]) -> str:
        try:
            async with asyncio.timeout(REFRESH_S):
                await poller.refresh()
        except BleError as error:
            return error.message
        except TimeoutError:
            return f"not done within {REFRESH_S:g} s"
        return "refreshed"

    outcomes = await asyncio.gather(*(refresh(poller) for poller in pollers))
    return {
        "units": {
            unit.spec.name: outcome for poller, outcome in zip(pollers, outcomes, strict=True) for unit in poller.units
        }
    }


def _capture_frames(pollers: Sequence[Poller[Link]], wanted: str) -> dict[str, Any]:
    """Return the frames of the unit with this name or id; of the only one when none is named."""
    found: list[tuple[Poller[Link], Unit]] = [
        (poller, unit)
        for poller in pollers
        for unit in poller.units
        if wanted.casefold() in ("", unit.spec.name.casefold(), unit.spec.id.casefold())
    ]
    if len(found) != 1:
        names = ", ".join(unit.spec.name for poller in pollers for unit in poller.units)
        raise NativeApiError(f"no single unit is named {printable(wanted)!r}: choose one of {names}")
    ((poller, unit),) = found
    frames = [] if poller.link is None else list(poller.link.raw_frames)
    profile = unit.profile
    return {
        "unit": unit.spec.name,
        "family": None if profile is None else str(profile.family),
        "model": None if profile is None else profile.model,
        "frames": [
            {"age_s": round(frames[-1].at_s - frame.at_s, 3), "sent": frame.sent, "hex": frame.data.hex()}
            for frame in frames
        ],
    }
