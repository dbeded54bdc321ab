"""Waiting for what has no event."""

import asyncio
import time
from collections.abc import Callable

LOOK_S = 0.01


async def until(condition: Callable[[], object], within_s: float = 30.0) -> float:
    """Wait until ``condition`` holds; returns for how long, TimeoutError after ``within_s``."""
    started = time.monotonic()
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - other processes and whole programs have no event for this
            await asyncio.sleep(LOOK_S)
    return time.monotonic() - started
