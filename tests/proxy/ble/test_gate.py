"""One connection at a time is set up; the proxy's own units come first."""

import asyncio

import pytest

from blupow_proxy.ble import gate
from blupow_proxy.errors import LinkLostError


async def work(subject: gate.Gate, log: list[str], *, own: bool, name: str, until: asyncio.Event | None = None) -> None:
    async with subject.own() if own else subject.foreign(name):
        log.append(f"{name} begins")
        if until is not None:
            await until.wait()
        log.append(f"{name} ends")


async def test_an_own_one_ends_anothers_attempt_at_once() -> None:
    subject, log, never = gate.Gate(), list[str](), asyncio.Event()
    foreign = asyncio.create_task(work(subject, log, own=False, name="foreign", until=never))
    waiting = asyncio.create_task(work(subject, log, own=False, name="waiting"))
    await asyncio.sleep(0)
    await work(subject, log, own=True, name="own")
    with pytest.raises(LinkLostError, match="gave way") as raised:
        await foreign
    assert raised.value.reason == 0x100
    await waiting
    assert log == ["foreign begins", "own begins", "own ends", "waiting begins", "waiting ends"]


async def test_an_attempt_that_does_not_end_is_waited_for_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "GIVE_WAY_S", 0.1)
    subject, never = gate.Gate(), asyncio.Event()

    async def stubborn() -> None:
        async with subject.foreign("foreign"):
            try:
                await never.wait()
            finally:
                await never.wait()  # a bluetoothd that hangs

    foreign = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(5), subject.own():
        pass
    with pytest.raises(LinkLostError, match="gave way"):
        await foreign


async def test_nobody_is_pre_empted_by_another_of_its_kind() -> None:
    for own in (True, False):
        subject, log, go = gate.Gate(), list[str](), asyncio.Event()
        first = asyncio.create_task(work(subject, log, own=own, name="first", until=go))
        second = asyncio.create_task(work(subject, log, own=own, name="second"))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(first, second)
        assert log == ["first begins", "first ends", "second begins", "second ends"]


async def test_an_own_one_is_ended_by_no_other() -> None:
    subject, log, go = gate.Gate(), list[str](), asyncio.Event()
    own = asyncio.create_task(work(subject, log, own=True, name="own", until=go))
    await asyncio.sleep(0)
    foreign = asyncio.create_task(work(subject, log, own=False, name="foreign"))
    await asyncio.sleep(0)
    foreign.cancel()
    await asyncio.wait([foreign])
    go.set()
    await own
    assert log == ["own begins", "own ends"]
    await work(subject, log, own=False, name="foreign")


async def test_what_fails_by_itself_says_so() -> None:
    subject = gate.Gate()
    with pytest.raises(LinkLostError, match="other"):
        async with subject.foreign("foreign"):
            raise LinkLostError("foreign", "other")
    async with subject.own():
        pass


async def test_an_own_one_is_listened_for_undisturbed_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "QUIET_S", 0.1)
    subject, log, never = gate.Gate(), list[str](), asyncio.Event()
    foreign = asyncio.create_task(work(subject, log, own=False, name="foreign", until=never))
    await asyncio.sleep(0)
    async with subject.quiet():
        waiting = asyncio.create_task(work(subject, log, own=False, name="waiting"))
        with pytest.raises(LinkLostError, match="gave way"):
            await foreign
        assert log == ["foreign begins"]
        await waiting  # the search goes on for longer than that
        assert log[1:] == ["waiting begins", "waiting ends"]
    async with subject.quiet():
        waiting = asyncio.create_task(work(subject, log, own=False, name="waiting"))
        await asyncio.sleep(0)
    await work(subject, log, own=True, name="own")  # which was found
    await waiting
    assert log[3:] == ["own begins", "own ends", "waiting begins", "waiting ends"]
