"""``scan``: the Renogy devices nearby."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from blupow_proxy.errors import BleError
from blupow_proxy.renogy import Candidate, identify_advertisement

from .signal import bars

if TYPE_CHECKING:
    from blupow_proxy.ble import Adapter

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_DEFAULT_S: Final = 8.0  # devices advertise about every second; a weak one is heard now and then
_LONGEST_S: Final = 600.0
_REDRAW_S: Final = 0.1
_NAME_CHARACTERS: Final = 29  # what fits an advertisement
_NOTHING: Final = (
    "No Renogy device was heard. Is one on and within a few metres? Is the phone app closed (a device that is "
    "connected is silent)? Is the right adapter in use (--adapter hci1)?"
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
    parser.add_argument(
        "--seconds", type=_seconds, default=_DEFAULT_S, help=f"how long to listen (default: {_DEFAULT_S:g})"
    )
    parser.add_argument("--adapter", help="such as hci0 (default: the first)")
    parser.add_argument("--demo", action="store_true", help="listen to simulated devices")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=run)


def shown_name(name: str | None) -> str:
    """Return an advertised name, fit for a terminal: anybody nearby may send anything."""
    return "".join(c if c.isprintable() else " " for c in name or "-")[:_NAME_CHARACTERS]


def run(args: argparse.Namespace) -> int:
    """Print what was heard; 69 when the adapter can't listen."""
    search = _simulated(args.seconds) if args.demo else _nearby(args.adapter, args.seconds)
    try:
        found = asyncio.run(_with_progress(search, args.seconds))
    except KeyboardInterrupt:
        return os.EX_OK
    except BleError as error:
        print(f"blupow-proxy scan: {error.message}", file=sys.stderr)
        return os.EX_UNAVAILABLE
    if args.json:
        print(json.dumps([_json(device) for device in found], ensure_ascii=False, indent=2))
    elif not found:
        print(_NOTHING)
    elif sys.stdout.isatty():
        _print_table(found)
    else:
        for device in found:
            print(
                f"{device.address}  {device.rssi:>4} dBm  {_name(device):<20}  {device.candidate.label} "
                f"({_families(device)})"
            )
    return os.EX_OK


def _seconds(text: str) -> float:
    seconds = float(text)  # argparse reports the ValueError
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text}: more than 0, at most {_LONGEST_S:g}")
    return seconds


async def _with_progress(search: Coroutine[Any, Any, list[Found]], seconds: float) -> list[Found]:
    if not sys.stderr.isatty():
        return await search
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True, auto_refresh=False) as progress:
        bar = progress.add_task("Listening", total=seconds)
        listening = asyncio.ensure_future(search)
        try:
            while not (await asyncio.wait([listening], timeout=_REDRAW_S))[0]:
                progress.update(bar, advance=_REDRAW_S, refresh=True)
        finally:
            listening.cancel()
        return await listening


def _print_table(found: list[Found]) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Column, Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    fixed = [Column(name, no_wrap=True) for name in ("Name", "Address", "", "dBm")]
    table = Table(*fixed, "What it is", box=None, pad_edge=False)
    for device in found:
        what = Text.assemble(device.candidate.label, (f" ({_families(device)})", "dim"))
        cells = (_name(device), device.address, bars(device.rssi), str(device.rssi))
        table.add_row(*(Text(cell) for cell in cells), what)
    Console().print(table)


def _families(device: Found) -> str:
    return " or ".join(device.candidate.families)


def _name(device: Found) -> str:
    return shown_name(device.name)


async def _nearby(adapter: str | None, seconds: float) -> list[Found]:
    from blupow_proxy.ble import Adapter  # noqa: PLC0415 - bleak takes a while to import

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


def _json(device: Found) -> dict[str, Any]:
    return {
        "address": device.address,
        "name": device.name,
        "rssi": device.rssi,
        "label": device.candidate.label,
        "families": list(device.candidate.families),
    }
