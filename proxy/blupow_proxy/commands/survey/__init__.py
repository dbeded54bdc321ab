"""``survey``: how good a place is for the proxy, while it is carried around."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from probatio import Invalid

from blupow_config import ProxyConfig, load_config
from blupow_config.schema import fields
from blupow_proxy.commands.complaint import complain
from blupow_proxy.commands.config import add_substitutions
from blupow_proxy.commands.radio import adapter_in_use
from blupow_proxy.errors import BleError

if TYPE_CHECKING:
    from blupow_proxy.ble import Adapter

    from .survey import Line, Survey

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_complain: Final = partial(complain, "survey")

REDRAW_S: Final = 0.25  # a signal says nothing new sooner
TELL_S: Final = 1.0  # a line per unit
LOOK_S: Final = 2.0  # at what is connected, while a unit is silent
_LONGEST_S: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Target:
    """What to listen to: units by address, or every one where there is none; and with which adapter."""

    names: dict[str, str]
    adapter: str | None = None


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``survey`` and its options."""
    parser = subparsers.add_parser(
        "survey",
        help="show the signal, live, to find a good place",
        description="Show how strongly each unit is heard while you move the proxy, and whether the place is good. "
        "Stop a proxy that reads the units first: a unit that is connected is silent. Ctrl-C ends.",
    )
    parser.add_argument(
        "target",
        nargs="?",
        metavar="ADDRESS|FILE",
        help="a unit, or the YAML file that lists some (default: every Renogy unit nearby)",
    )
    add_substitutions(parser)
    parser.add_argument("--link", action="store_true", help="connect to the units, and read them again and again")
    parser.add_argument("--seconds", type=_seconds, help="end after so many (default: with Ctrl-C)")
    parser.add_argument("--adapter", help="such as hci0 (default: that of FILE, or any)")
    parser.add_argument("--demo", action="store_true", help="listen to simulated devices")
    parser.add_argument("--json", action="store_true", help="a JSON object per unit and second")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the signal; 69 without Bluetooth or a unit, 64 when a link test has no unit, 78 a mistake in FILE."""
    target = _target(args.target, dict(args.substitutions))
    if args.link and not target.names:
        return _complain("--link needs a unit: name its address, or FILE", os.EX_USAGE)
    try:
        heard = asyncio.run(_survey(args, target))
    except KeyboardInterrupt:
        return os.EX_OK
    except BleError as error:
        return _complain(error.message, os.EX_UNAVAILABLE)
    return os.EX_OK if heard else os.EX_UNAVAILABLE


def _target(text: str | None, substitutions: Mapping[str, str]) -> Target:
    if text is None:
        return Target({})
    with suppress(Invalid):
        return Target({fields.mac_address(text): ""})
    config: ProxyConfig = load_config(Path(text), substitutions)
    names: dict[str, str] = {}
    for unit in config.renogy:  # several may be behind one Bluetooth module
        names[unit.address] = ", ".join(filter(None, (names.get(unit.address), unit.name)))
    return Target(names, config.bluetooth.adapter)


def _seconds(text: str) -> float:
    seconds = float(text)  # argparse reports the ValueError
    if not 0 < seconds <= _LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text}: more than 0, at most {_LONGEST_S:g}")
    return seconds


async def _survey(args: argparse.Namespace, target: Target) -> bool:
    """Show until the time is up; whether a unit was heard."""
    shown = _Shown(as_json=args.json)
    async with adapter_in_use(args.adapter or target.adapter, demo=args.demo) as adapter:
        await adapter.ready()
        work = _link(adapter, target, shown) if args.link else _listen(adapter, target, shown)
        doing = asyncio.create_task(work)
        showing = asyncio.create_task(shown.run())
        try:
            await asyncio.wait([doing, showing], timeout=args.seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            doing.cancel()
            showing.cancel()
            await asyncio.wait([doing, showing])
        for task in (doing, showing):
            if not task.cancelled():
                task.result()
    return shown.heard


class _Shown:
    """What is shown, on a terminal or as lines."""

    def __init__(self, *, as_json: bool) -> None:
        self.lines: Callable[[], list[Line]] = list
        self.trouble: str | None = None
        self._as_json = as_json

    @property
    def heard(self) -> bool:
        """Whether there is a verdict on any unit, or was a moment ago."""
        return any(line.summary is not None or line.verdict is not None for line in self.lines())

    async def run(self) -> None:
        """Show what there is, until cancelled."""
        if sys.stdout.isatty() and not self._as_json:
            await self._on_terminal()
        else:
            await self._in_pipe()

    async def _on_terminal(self) -> None:
        from rich.live import Live  # noqa: PLC0415

        from .view import View  # noqa: PLC0415

        with Live(auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(View(self.lines(), self.trouble), refresh=True)
                await asyncio.sleep(REDRAW_S)

    async def _in_pipe(self) -> None:
        said = None
        while True:
            await asyncio.sleep(TELL_S)
            if self.trouble != said:
                said = self.trouble
                print(f"blupow-proxy survey: {said or 'Bluetooth works again'}", file=sys.stderr)
            for line in self.lines():
                print(json.dumps(line.to_json(), ensure_ascii=False) if self._as_json else line.text, flush=True)


async def _listen(adapter: "Adapter", target: Target, shown: _Shown) -> None:
    from blupow_proxy.ble import Advertisement, listen  # noqa: PLC0415 - bleak takes a while to import

    from .survey import Survey  # noqa: PLC0415

    clock = asyncio.get_running_loop().time
    survey = Survey(target.names)
    shown.lines = lambda: survey.lines(clock())

    def heard(advertisement: Advertisement) -> None:
        survey.heard(advertisement, clock())

    def trouble(error: BleError | None) -> None:
        shown.trouble = None if error is None else error.message

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(listen(adapter, heard, trouble))
        tasks.create_task(_look_for_links(adapter, survey, clock))


async def _look_for_links(adapter: "Adapter", survey: "Survey", clock: Callable[[], float]) -> None:
    """Keep track of what is connected, which explains a silence."""
    while True:
        await asyncio.sleep(LOOK_S)
        if survey.is_missing_any(clock()):
            with suppress(BleError):  # what is wrong, listening says
                survey.connected = await adapter.connected_devices()


async def _link(adapter: "Adapter", target: Target, shown: _Shown) -> None:
    from .link_test import LinkTest  # noqa: PLC0415
    from .survey import link_line  # noqa: PLC0415

    tests = [LinkTest(address, name) for address, name in target.names.items()]
    shown.lines = lambda: [link_line(test) for test in tests]
    async with asyncio.TaskGroup() as tasks:
        for test in tests:
            tasks.create_task(test.run(adapter))
