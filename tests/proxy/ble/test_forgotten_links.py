"""Links that the kernel has forgotten, with a controller of ours; tests/faults has the real kernel (B15)."""

import array
import asyncio
import errno
import logging
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from blupow_proxy.ble import forgotten_links
from blupow_proxy.ble.forgotten_links import ForgottenLinks, parse_link

DEVICE = "C4:D3:6A:00:00:01"
ADDRESS = bytes.fromhex("0100006ad3c4")
TIMES = bytes.fromhex("280000002a0001")
CONNECTED = bytes.fromhex("043e13010007000001") + ADDRESS + TIMES
WITH_PRIVACY = bytes.fromhex("043e1f0a0007000001") + ADDRESS + bytes(12) + TIMES
ENDED = bytes.fromhex("040504000700") + b"\x13"
RESET = bytes.fromhex("040e0401030c00")
END = bytes.fromhex("010604030700") + b"\x13"


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (CONNECTED, (7, DEVICE)),
        (WITH_PRIVACY, (7, DEVICE)),
        (CONNECTED[:5] + b"\x05\x0a" + CONNECTED[7:], (0x0A05, DEVICE)),
        (ENDED, (7, None)),
        (CONNECTED[:4] + b"\x02" + CONNECTED[5:], None),  # in vain
        (CONNECTED[:7] + b"\x01" + CONNECTED[8:], None),  # somebody has connected to this machine
        (ENDED[:3] + b"\x02" + ENDED[4:], None),
        (b"\x02" + CONNECTED[1:], None),
        (CONNECTED[:14], None),
        (CONNECTED[:3] + b"\x02" + CONNECTED[4:], None),
        (b"", None),
    ],
)
def test_what_links_begin_and_end_with(packet: bytes, told: tuple[int, str | None] | None) -> None:
    assert parse_link(packet) == told


@given(st.binary(max_size=64))
def test_no_event_is_too_odd(packet: bytes) -> None:
    parse_link(packet)


class Controller:
    """What the kernel knows, and the other end of the socket."""

    def __init__(self) -> None:
        self.known: set[int] = set()
        self.opened: list[int] = []
        self.problem: OSError | None = None
        self.socket, self._inside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)

    def open(self, index: int) -> socket.socket:
        self.opened.append(index)
        if self.problem is not None:
            raise self.problem
        inside = self._inside.dup()
        inside.setblocking(False)
        return inside

    def handles(self, _socket: socket.socket, _index: int) -> set[int]:
        if self.problem is not None:
            raise self.problem
        return self.known

    @property
    def told(self) -> bytes:
        try:
            return self.socket.recv(64)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.socket.close()
        self._inside.close()


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch) -> Iterator[Controller]:
    made = Controller()
    monkeypatch.setattr(forgotten_links, "opened", made.open)
    monkeypatch.setattr(forgotten_links, "known_handles", made.handles)
    monkeypatch.setattr(forgotten_links, "has_right", lambda _: True)
    monkeypatch.setattr(forgotten_links, "GRACE_S", 0.02)
    yield made
    made.close()


@pytest.fixture
async def links(controller: Controller) -> Iterator[ForgottenLinks]:
    made = ForgottenLinks()
    made.follow(3)
    assert controller.opened == [3]
    yield made
    made.follow(None)


async def until_looked(links: ForgottenLinks, controller: Controller) -> None:
    """Return once a link that came after all others was looked for."""
    controller.socket.send(CONNECTED[:5] + b"\x63" + CONNECTED[6:])
    controller.known.add(0x63)
    await until(lambda: 0x63 in links._new)
    await until(lambda: not links._new)


async def test_a_link_that_the_kernel_does_not_know_is_ended(
    links: ForgottenLinks, controller: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    controller.socket.send(CONNECTED)
    await until_looked(links, controller)
    assert controller.told == END
    assert not controller.told
    assert [record.getMessage()[: len(DEVICE)] for record in caplog.records] == [DEVICE]


async def test_other_links_are_left_alone(
    links: ForgottenLinks, controller: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    controller.known.add(7)
    controller.socket.send(CONNECTED)
    await until_looked(links, controller)
    controller.known.clear()
    controller.socket.send(CONNECTED)
    controller.socket.send(ENDED)
    await until_looked(links, controller)
    assert not controller.told
    assert not caplog.records


async def test_a_controller_that_is_reset_has_no_links(links: ForgottenLinks, controller: Controller) -> None:
    controller.socket.send(CONNECTED)
    controller.socket.send(RESET)
    await until_looked(links, controller)
    assert not controller.told


async def test_the_end_that_was_not_read_yet_counts(links: ForgottenLinks, controller: Controller) -> None:
    controller.socket.send(CONNECTED)
    await until(lambda: 7 in links._new)
    await asyncio.sleep(0)
    controller.socket.send(ENDED)
    due = links._new[7]
    due.cancel()
    links._look(7, DEVICE)
    assert not controller.told
    assert not links._new


async def test_a_bluetoothd_that_dies_changes_nothing(links: ForgottenLinks, controller: Controller) -> None:
    controller.socket.send(CONNECTED)
    await until(lambda: 7 in links._new)
    links.follow(3)
    assert controller.opened == [3]
    await until_looked(links, controller)
    assert controller.told == END


async def test_unplugged_it_waits_for_the_next(links: ForgottenLinks, controller: Controller) -> None:
    controller.socket.send(CONNECTED)
    await until(lambda: links._new)
    controller.socket.shutdown(socket.SHUT_RDWR)
    await until(lambda: links._socket is None)
    assert not links._new
    links.follow(4)
    assert controller.opened == [3, 4]


async def test_what_the_kernel_refuses_is_no_fault(
    links: ForgottenLinks, controller: Controller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    controller.problem = OSError("network is down")
    controller.socket.send(CONNECTED)
    await until_looked(links, controller)
    assert not controller.told
    links.follow(4)
    assert [record.levelname for record in caplog.records if "network is down" in record.getMessage()] == ["DEBUG"] * 3


async def test_a_process_that_can_open_no_more_files(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> bool:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(forgotten_links, "has_right", fail)
    ForgottenLinks().follow(3)
    assert not controller.opened


@pytest.mark.parametrize("count", [0, 3, 63])
def test_what_the_kernel_lists(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = b"".join(struct.pack("=H14x", 0x40 + number) for number in range(count))

    def tell(_: object, request: int, room: Any) -> None:
        assert struct.unpack_from("=HH", room) == (3, 64)
        room[: 4 + len(listed)] = array.array("B", struct.pack("=HH", 3, count) + listed)

    monkeypatch.setattr("fcntl.ioctl", tell)
    with socket.socket() as any_socket:
        assert forgotten_links.known_handles(any_socket, 3) == set(range(0x40, 0x40 + count))


def test_a_list_that_may_go_on_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fcntl.ioctl", lambda *_: None)
    with socket.socket() as any_socket, pytest.raises(OSError, match="more"):
        forgotten_links.known_handles(any_socket, 3)


async def test_without_the_right_nothing_is_opened(controller: Controller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgotten_links, "has_right", lambda _: False)
    ForgottenLinks().follow(3)
    assert not controller.opened
