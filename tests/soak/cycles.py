"""Connect, read, disconnect, again and again, in the guest; some of the connections end as soon as they are made.

usage: cycles.py COUNT FAILING    (every so many connections one fails; 0 is none; leaves cycles.json)
"""

import asyncio
import json
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

from machine import Machine

from blupow_proxy.ble import Adapter, Link
from blupow_proxy.errors import BleError, LinkLostError
from blupow_proxy.modbus import ReadRequest, Response
from blupow_proxy.poller.backoff import delay_s

INVERTER = "D8:B6:73:00:01:01"
REQUEST = ReadRequest(32, 4000, 10)
STILLBORN = 0x3E  # "connection failed to be established"


async def main(cycles: int, failing: int) -> dict[str, Any]:
    machine = Machine(Path.cwd())
    await machine.until(machine.answers, "that the agent is there")
    await machine.populate(adapters=1, units="1")
    adapter = Adapter("hci0")
    watching = asyncio.create_task(adapter.run())
    took: list[float] = []
    errors: list[str] = []
    attempts = count(1)
    for _ in range(cycles):
        start = time.monotonic()
        for failures in count(1):
            if failing and next(attempts) % failing == 0:
                await machine.room("adapter", adapter="hci0", refusals=[STILLBORN])
            try:
                await _cycle(adapter)
            except BleError as error:
                errors.append(str(error))
                await asyncio.sleep(delay_s(error, failures))
            else:
                break
        took.append(time.monotonic() - start)
    watching.cancel()
    links = (await machine.room("state"))["adapters"]["hci0"]["links"]
    return {"took": took, "errors": errors, "links": links}


async def _cycle(adapter: Adapter) -> None:
    link = Link(adapter, INVERTER)
    try:
        await link.connect()
        reply = await link.request(REQUEST, 4.0)
        if not isinstance(reply, Response):
            raise LinkLostError(INVERTER, f"answered {reply}")
    finally:
        await link.disconnect()


if __name__ == "__main__":
    Path("cycles.json").write_text(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))
