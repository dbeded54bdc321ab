"""``watch``: what any ESPHome device says, as a client sees it."""

import argparse
import asyncio
import json
import logging
import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Final

from .device import add_device, talk
from .pipe import write

if TYPE_CHECKING:
    from blupow_proxy.client import Row, Watcher

type _Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name

COMPLETE_S: Final = 10.0  # a device sends all its states at once; one that is still starting may need a while
REDRAW_S: Final = 0.25  # faster than anyone reads, slow enough for a terminal behind a slow link


def add_parser(subparsers: _Subparsers) -> None:
    """Add ``watch`` and its options."""
    parser = subparsers.add_parser(
        "watch",
        help="show what an ESPHome device says",
        description="Connect to any ESPHome device and show its entities as they change: a table on a terminal, "
        "a line per change in a pipe. Ctrl-C ends.",
        epilog="example: blupow-proxy watch van-power.local --key 'xW9...='   (or [fd00::5]:6053, or 192.0.2.7)",
    )
    add_device(parser)
    parser.add_argument("--once", action="store_true", help="print everything once and exit")
    parser.add_argument("--json", action="store_true", help="print everything once, as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show the device; 69 when it cannot be reached, 77 when the key is the trouble, 0 on Ctrl-C."""
    return talk("watch", args, partial(show, once=args.once, as_json=args.json))


async def show(host: str, port: int, key: str | None, *, once: bool, as_json: bool) -> None:
    """Show the device as asked, until Ctrl-C or once; ClientError when it can't be read."""
    from blupow_proxy.client import Watcher  # noqa: PLC0415

    logging.getLogger("aioesphomeapi").addHandler(logging.NullHandler())  # our own line says what to do
    changes = _Changes()
    async with Watcher(host, port, key, on_change=changes.add) as watcher:
        if not await watcher.wait_complete(COMPLETE_S):
            print("blupow-proxy watch: some entities have reported nothing yet", file=sys.stderr)
        try:
            if as_json:
                print(json.dumps(watcher.table().to_json(), ensure_ascii=False, indent=2, allow_nan=False), flush=True)
            elif sys.stdout.isatty():
                await _on_terminal(watcher, once=once)
            else:
                await _in_pipe(watcher, changes, once=once)
        except BrokenPipeError:  # the reader has seen enough; the interpreter flushes once more
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Changes:
    """Rows that changed since they were last taken, each once."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._some = asyncio.Event()

    def add(self, row: "Row | None") -> None:
        if row is not None:
            self._rows[row.device, row.kind, row.key] = row
            self._some.set()

    def clear(self) -> None:
        self._rows.clear()
        self._some.clear()

    async def take(self) -> list["Row"]:
        await self._some.wait()
        rows = list(self._rows.values())
        self.clear()
        return rows


async def _in_pipe(watcher: "Watcher", changes: _Changes, *, once: bool) -> None:
    changes.clear()
    rows = [row for row in watcher.table().rows if row.kind != "button"]
    while True:
        await write("".join(f"{row.line}\n" for row in rows))
        if once:
            return
        rows = await changes.take()


async def _on_terminal(watcher: "Watcher", *, once: bool) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.live import Live  # noqa: PLC0415

    from blupow_proxy.client import render  # noqa: PLC0415

    console = Console()
    if once:
        console.print(render(watcher.table(), cut=False))
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        # from here on stderr is rich's: what is logged stands above the table and does not break it
        logging.basicConfig(format="%(levelname).1s %(name)s: %(message)s", level=logging.WARNING, force=True)
        while True:
            note = "Ctrl-C ends" if watcher.connected or watcher.failure is None else str(watcher.failure)
            live.update(render(watcher.table(), note=note), refresh=True)
            await asyncio.sleep(REDRAW_S)
