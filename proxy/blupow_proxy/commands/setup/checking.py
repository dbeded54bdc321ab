"""Finding out what the units are that were picked, while somebody waits and may not want to."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from blupow_proxy.ble import Adapter
from blupow_proxy.errors import BleError, UnexpectedResponseError

from .nearby import HeardUnit
from .proving import Proof, prove
from .questions import Questions


class Checker:
    """Connects to one unit after another; Enter skips what is left to check."""

    def __init__(self, adapter: Adapter, questions: Questions) -> None:
        self._adapter = adapter
        self._questions = questions
        self._skipped = False

    async def check(self, unit: HeardUnit) -> list[Proof]:
        """Return what answers at a unit's address; nothing when that can't be told, or nobody waits for it."""
        if self._skipped:
            return []
        name = unit.title
        say = self._questions
        if say.interactive:
            print(f"  {name}: connecting, to see what it is (Enter skips) ...", end="", flush=True)
        proving = asyncio.ensure_future(prove(self._adapter, unit.address, family=unit.family))
        skipping = asyncio.Event()
        try:
            with _enter(skipping.set, wanted=say.interactive):
                skip = asyncio.ensure_future(skipping.wait())
                await asyncio.wait([proving, skip], return_when=asyncio.FIRST_COMPLETED)
                skip.cancel()
        finally:
            if not proving.done():
                proving.cancel()
                await asyncio.wait([proving])  # it gives its connection back
        if say.interactive:
            print("\r\x1b[2K" if say.has_keys and not skipping.is_set() else "\n", end="", flush=True)
        if proving.cancelled():
            self._skipped = True
            say.say("Skipped: the proxy finds out itself.")
            return []
        try:
            found = proving.result()
        except (BleError, UnexpectedResponseError) as error:
            reason = error.message if isinstance(error, BleError) else str(error)
            say.warn(f"{name}: {reason}. It is taken all the same: the proxy goes on trying.")
            return []
        for proof in found:
            where = "" if proof.modbus_address is None else f", Modbus address {proof.modbus_address}"
            say.done(f"{name}: {proof.label}{where}")
        return found


@contextmanager
def _enter(pressed: Callable[[], None], *, wanted: bool) -> Iterator[None]:
    """Call ``pressed`` when a line is typed meanwhile."""
    loop = asyncio.get_running_loop()
    stdin = sys.stdin.fileno() if wanted else -1

    def read() -> None:
        os.read(stdin, 1024)
        pressed()

    if wanted:
        loop.add_reader(stdin, read)
    try:
        yield
    finally:
        if wanted:
            loop.remove_reader(stdin)
