"""The other side of simulated_proxy's control socket."""

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any


async def tell(control: Path, **order: Any) -> dict[str, Any]:
    """Return what each simulated unit holds, by address, once ``order`` is carried out."""
    reader, writer = await asyncio.open_unix_connection(control)
    try:
        writer.write(json.dumps(order).encode() + b"\n")
        held: dict[str, Any] = json.loads(await reader.readline())
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return held
