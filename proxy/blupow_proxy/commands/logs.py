"""``logs``: what any ESPHome device logs, as it happens."""

import argparse
import asyncio
import logging
import os
import sys
from collections import deque
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from .device import add_device, talk
from .pipe import write

if TYPE_CHECKING:
    from blupow_proxy.client import ClientError, LogLine

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

_LEVELS: Final = ("ERROR", "WARN", "INFO", "CONFIG", "DEBUG", "VERBOSE", "VERY_VERBOSE")
MAX_WAITING: Final = 1000  # lines that nobody has read; a reader that is slower for long loses the oldest
_COLOURS: Final = {1: "1;31", 2: "33", 3: "32", 4: "35", 5: "36"}  # ESPHome's
_PLAIN: Final = "\x1b[0m"


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``logs`` and its options."""
    parser = subparsers.add_parser(
        "logs",
        help="show the log of an ESPHome device",
        description="Connect to any ESPHome device and show its log as it happens, over every loss of the connection. "
        "Ctrl-C ends.",
        epilog="example: blupow-proxy logs van-power.local --key 'xW9...=' --level DEBUG",
    )
    add_device(parser)
    parser.add_argument(
        "--level", type=str.upper, choices=_LEVELS, default="DEBUG", help="the least that is shown (default: DEBUG)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the log; 69 when the device cannot be reached at first, 77 when the key is the trouble, 0 on Ctrl-C."""
    return talk("logs", args, partial(_show, level=args.level))


async def _show(host: str, port: int, key: str | None, *, level: str) -> None:
    from blupow_proxy.client import LogReader  # noqa: PLC0415

    logging.getLogger("aioesphomeapi").addHandler(logging.NullHandler())  # our own line says what to do
    lines = _Lines()
    reader = LogReader(host, port, key, level=level, on_line=lines.add, on_loss=lines.lost)
    reading = asyncio.create_task(reader.run())
    writing = asyncio.create_task(lines.write())
    try:
        await asyncio.wait([reading, writing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        reading.cancel()
        writing.cancel()
        await asyncio.wait([reading, writing])
    for task in (reading, writing):
        if not task.cancelled():
            task.result()


class _Lines:
    """Lines that wait to be written."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque(maxlen=MAX_WAITING)
        self._left_out = 0
        self._some = asyncio.Event()
        self._loss: str | None = None
        self._has_colours = (
            sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
        )

    def add(self, line: "LogLine") -> None:
        colour = _COLOURS.get(line.level, "90")
        text = f"\x1b[{colour}m{line.text}{_PLAIN}" if self._has_colours else line.text
        self._left_out += len(self._waiting) == MAX_WAITING
        self._waiting.append(f"[{datetime.now().astimezone():%H:%M:%S}]{text}\n")
        self._some.set()

    def lost(self, error: "ClientError | None") -> None:
        reason = None if error is None else str(error)
        if reason != self._loss:
            self._loss = reason
            print(f"blupow-proxy logs: {reason or 'connected again'}", file=sys.stderr, flush=True)

    async def write(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            text = "".join(self._waiting)
            self._waiting.clear()
            if self._left_out:
                text = f"(lines left out: {self._left_out})\n{text}"
                self._left_out = 0
            await write(text)
