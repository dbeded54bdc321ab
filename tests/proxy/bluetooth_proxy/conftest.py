import asyncio
from collections.abc import AsyncIterator

import pytest
from bluetooth_bench import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for device in bench.devices.made:
        for waiting in [*device.waiting.values()]:
            waiting.set()
        device.slow.clear()
    await bench.proxy.stop()
    assert len(asyncio.all_tasks()) == 1
