"""``scan``: the Renogy devices nearby."""

import argparse
import asyncio
import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from blupow_proxy.errors import BleError
from blupow_proxy.renogy import Candidate, identify_advertisement

if TYPE_CHECKING:
    from blupow_proxy.ble import Adapter

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_BARS: Final = ((-60, "####"), (-70, "### "), (-80, "##  "), (-90, "#   "))  # dBm: from the next room to hardly at all
_NOTHING: Final = (
    "No Renogy device was heard. Is it on and within a few metres? Is the phone app closed? "
    "A device that is connected to something else is silent."
)


@dataclass(frozen=True, slots=True)
class Found:
    """A device nearby and what it may be; ``rssi`` in dBm."""

    address: str
    name: str | None
    rssi: int
    candidate: Candidate


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``scan`` and its options."""
    parser = subparsers.add_parser(
        "scan",
        help="list the Renogy devices nearby",
        description="Listen for Renogy devices and list them with their address, signal and what they are.",
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="how long to listen (default: 8)")
    parser.add_argument("--adapter", help="such as hci0 (default: the first)")
    parser.add_argument("--demo", action="store_true", help="listen to simulated devices")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print what was heard; 69 when the adapter can't listen."""
    if sys.stderr.isatty():
        print(f"Listening for {args.seconds:g} s ...", file=sys.stderr, flush=True)
    try:
        found = asyncio.run(_simulated(args.seconds) if args.demo else _nearby(args.adapter, args.seconds))
    except KeyboardInterrupt:
        return os.EX_OK
    except BleError as error:
        print(f"blupow-proxy scan: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    if args.json:
        print(json.dumps([_json(device) for device in found], ensure_ascii=False, indent=1))
    elif not found:
        print(_NOTHING)
    for device in [] if args.json else found:
        families = ", ".join(device.candidate.families)
        print(
            f"{device.address}  {_bar(device.rssi)} {device.rssi:>4} dBm  {device.name or '-':<20}  "
            f"{device.candidate.label} ({families})"
        )
    return os.EX_OK


async def _nearby(adapter: str | None, seconds: float) -> list[Found]:
    from blupow_proxy.ble import Adapter  # noqa: PLC0415 - the library takes a while

    return await _listen(Adapter(adapter), seconds)


async def _simulated(seconds: float) -> list[Found]:
    from blupow_proxy.simulator import VirtualRadio, demo_units  # noqa: PLC0415

    async with VirtualRadio(demo_units()) as radio:
        return await _listen(radio.adapter, min(seconds, 1.0))


async def _listen(adapter: "Adapter", seconds: float) -> list[Found]:
    from blupow_proxy.ble import scan  # noqa: PLC0415

    found: list[Found] = []
    for heard in await scan(adapter, seconds):
        candidate = identify_advertisement(heard.name, heard.service_uuids)
        if candidate is not None:
            found.append(Found(heard.address, heard.name, heard.rssi, candidate))
    return found


def _bar(rssi: int) -> str:
    return next((bar for least, bar in _BARS if rssi >= least), "    ")


def _json(device: Found) -> dict[str, Any]:
    return {
        "address": device.address,
        "name": device.name,
        "rssi": device.rssi,
        "label": device.candidate.label,
        "families": list(device.candidate.families),
    }
