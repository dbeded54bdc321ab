"""Writing to somebody who may read slowly."""

import asyncio
import os
import select
import sys


async def write(text: str) -> None:
    """Write to stdout without holding up the loop, however slowly somebody reads."""
    out = sys.stdout.fileno()
    data = text.encode(sys.stdout.encoding, "replace")
    for start in range(0, len(data), select.PIPE_BUF):  # as much as never blocks once there is room
        await _room(out)
        os.write(out, data[start : start + select.PIPE_BUF])


async def _room(out: int) -> None:
    loop = asyncio.get_running_loop()
    room = asyncio.Event()
    try:
        loop.add_writer(out, room.set)
    except PermissionError:
        return  # there is always room in a file
    try:
        await room.wait()
    finally:
        loop.remove_writer(out)
