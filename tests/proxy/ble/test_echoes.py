"""Notifications without the echoes of reads, in whichever order BlueZ's two connections tell of them."""

import asyncio
import contextlib

import pytest
from waiting import until

from blupow_proxy.ble import echoes


@pytest.fixture
def told() -> list[bytes]:
    return []


@pytest.fixture
def subject(told: list[bytes]) -> echoes.Notifications:
    return echoes.Notifications(told.append, echoes=True)


async def test_an_echo_before_the_reply(subject: echoes.Notifications, told: list[bytes]) -> None:
    with subject.read() as answered:
        subject.received(b"before")
        subject.received(b"echo")
        answered(b"echo")
    assert told == [b"before"]
    subject.received(b"echo")
    assert told == [b"before", b"echo"]


async def test_an_echo_behind_the_reply(subject: echoes.Notifications, told: list[bytes]) -> None:
    with subject.read() as answered:
        answered(b"echo")
    subject.received(b"other")
    subject.received(b"echo")
    subject.received(b"echo")
    assert told == [b"other", b"echo"]


async def test_an_echo_that_does_not_come(
    subject: echoes.Notifications, told: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echoes, "ECHO_S", 0.02)
    with subject.read() as answered:
        answered(b"echo")
    await asyncio.sleep(0.05)
    subject.received(b"echo")
    assert told == [b"echo"]


async def test_echoes_that_never_come_are_not_kept(
    subject: echoes.Notifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echoes, "ECHO_S", -1.0)
    for number in range(100):
        with subject.read() as answered:
            answered(bytes((number,)))
    assert len(subject._expected) == 1


async def test_a_slow_read_holds_nothing_back(
    subject: echoes.Notifications, told: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(echoes, "ECHO_S", 0.02)
    with subject.read():
        for number in range(3):
            subject.received(bytes((number,)))
        await until(lambda: len(told) == 3)
    assert told == [b"\0", b"\1", b"\2"]


async def test_a_read_that_fails(subject: echoes.Notifications, told: list[bytes]) -> None:
    with contextlib.suppress(OSError), subject.read():
        subject.received(b"value")
        raise OSError("refused")
    assert told == [b"value"]


async def test_where_there_are_none(told: list[bytes]) -> None:
    subject = echoes.Notifications(told.append, echoes=False)
    with subject.read() as answered:
        subject.received(b"value")
        answered(b"value")
    subject.received(b"value")
    assert told == [b"value", b"value"]
