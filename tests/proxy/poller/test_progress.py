"""A reader that waits for ever is told from one that is patient."""

import asyncio

import pytest

from blupow_proxy.poller.loop import ATTEMPT_S, RELEASE_S
from blupow_proxy.poller.progress import STEP_S
from blupow_proxy.simulator import demo_units

CONTROLLER, SHUNT = 0, 4


async def for_ever(*_args: object, **_options: object) -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("what", "allowed_s"), [("connect", ATTEMPT_S + STEP_S), ("request", STEP_S), ("disconnect", STEP_S)]
)
def test_what_never_ends_is_noticed(in_virtual_time, bench, monkeypatch, what: str, allowed_s: float) -> None:
    async def main() -> None:
        b = bench(demo_units()[CONTROLLER])
        real = b.air.open

        def opened(on_push):
            link = real(on_push)
            monkeypatch.setattr(link, what, for_ever)
            if what == "disconnect":
                asyncio.get_running_loop().call_later(5.0, link.lost.set)
            return link

        b.poller._open_link = opened
        task = asyncio.create_task(b.poller.run())
        await asyncio.sleep(allowed_s - 1)
        assert not b.poller.progress.is_late
        await asyncio.sleep(20)
        assert b.poller.progress.is_late
        task.cancel()

    in_virtual_time(main())


@pytest.mark.parametrize("unit", [CONTROLLER, SHUNT])
def test_patience_is_none(in_virtual_time, bench, unit: int) -> None:
    """The bench itself watches: over a night without the device, and while its link is released."""

    async def main() -> None:
        simulated = demo_units()[unit]
        async with bench(simulated) as b:
            await b.wait(600)
            simulated.faults.silent = True
            await b.wait(600)
            b.poller.release(released=True)
            await b.wait(RELEASE_S + 60)
            simulated.faults.silent = False
            await b.wait(120)
            assert b.unit.connected

    in_virtual_time(main())
