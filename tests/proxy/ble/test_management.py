"""The management socket, with a kernel of ours at its other end; tests/bluez has the real one."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import until

from blupow_proxy.ble import AddressType, RawAdvertisement, management
from blupow_proxy.ble.management import (
    NO_RIGHT,
    NO_SOCKET,
    Management,
    hides_nothing,
    open_socket,
    parse_advertisement,
)
from blupow_proxy.errors import AdapterUnavailableError

DATA = bytes.fromhex("0201060709616c706861")
FOUND, MONITORED = 0x12, 0x2F
ADVERTISEMENT = RawAdvertisement(0xC4D36A000001, AddressType.RANDOM, -61, DATA)


def event(code: int, body: bytes, index: int = 0) -> bytes:
    return struct.pack("<HHH", code, index, len(body)) + body


def found(kind: int = 2, data: bytes = DATA, size: int | None = None) -> bytes:
    head = bytes.fromhex("0100006ad3c4") + struct.pack("<BbI", kind, -61, 4)
    return head + struct.pack("<H", len(data) if size is None else size) + data


@pytest.mark.parametrize(
    ("packet", "told"),
    [
        (event(FOUND, found()), ADVERTISEMENT),
        (event(MONITORED, b"\0\0" + found()), ADVERTISEMENT),
        (event(FOUND, found(1, b"")), RawAdvertisement(0xC4D36A000001, AddressType.PUBLIC, -61, b"")),
        (event(FOUND, found(0)), None),  # classic
        (event(FOUND, found(), index=1), None),
        (event(FOUND, found(size=9)), None),
        (event(FOUND, found()[:-1]), None),
        (event(FOUND, found(data=bytes(2000))), None),
        (event(FOUND, b""), None),
        (event(0x13, found()), None),
        (b"\x12\0", None),
    ],
)
def test_what_an_event_tells(packet: bytes, told: RawAdvertisement | None) -> None:
    assert parse_advertisement(packet, 0) == told


@given(st.binary(max_size=100), st.sampled_from([FOUND, MONITORED]))
def test_any_bytes(body: bytes, code: int) -> None:
    parse_advertisement(body, 0)
    parse_advertisement(event(code, body), 0)


class Kernel:
    """Answers what it is asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ours, self._socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self._socket.setblocking(False)
        monkeypatch.setattr(management, "open_socket", lambda: ours)
        monkeypatch.setattr(management, "hides_nothing", lambda _release, _version: self.hides_nothing)
        self.asked: list[tuple[int, bytes]] = []
        self.hides_nothing = True
        self.denies = False
        self.monitors = b""
        self.supported = 0
        self.knows_monitors = True
        self.is_silent = False
        self.loses_another = False
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def say(self, packet: bytes) -> None:
        self._socket.send(packet)

    def end(self) -> None:
        if self._socket.fileno() < 0:
            return
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        packet = self._socket.recv(4096)
        if not packet:
            asyncio.get_running_loop().remove_reader(self._socket)
            return
        command, _, _ = struct.unpack_from("<HHH", packet)
        self.asked.append((command, packet[6:]))
        if not self.is_silent:
            status, answer = self._answer(command)
            self.say(event(1, struct.pack("<HB", command, status) + answer))

    def _answer(self, command: int) -> tuple[int, bytes]:
        match command:
            case 0x15:
                return (0x14, b"") if self.denies else (0, b"\0\0")
            case 0x51 if not self.knows_monitors:
                return 1, b""
            case 0x51:
                return 0, struct.pack("<IIHBH", self.supported, 0, 32, 16, len(self.monitors) // 2) + self.monitors
            case 0x52 if self.loses_another:
                self.say(event(0x2C, b"\x08\0"))
                return 0, b"\7\0"
            case _:
                return 0, b"\7\0"


class Owner:
    """Who opens the socket."""

    def __init__(self) -> None:
        self.heard: list[RawAdvertisement] = []
        self.gone = 0

    async def open(self) -> Management:
        return await Management.open(0, self.heard.append, self._gone)

    def _gone(self) -> None:
        self.gone += 1


@pytest.fixture
async def kernel(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Kernel]:
    kernel = Kernel(monkeypatch)
    yield kernel
    kernel.end()


async def test_a_monitor_is_added_and_taken_back(kernel: Kernel) -> None:
    owner = Owner()
    subject = await owner.open()
    assert subject.passive
    kernel.say(event(FOUND, found()))
    kernel.say(event(MONITORED, b"\0\0" + found()))
    kernel.say(event(0x2C, b"\x08\0"))  # somebody else's monitor is gone
    kernel.say(event(5, b"", index=1))  # another controller is
    kernel.say(b"x")
    await until(lambda: len(owner.heard) == 2)
    assert owner.heard == [ADVERTISEMENT] * 2
    await subject.close()
    await until(lambda: kernel.asked[-1] == (0x53, b"\7\0"))
    await subject.close()
    assert owner.gone == 0


async def test_what_comes_next_waits_for_more_until_an_answer_is_waited_for(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(management, "GATHER_S", 3600.0)
    owner = Owner()
    subject = await owner.open()
    kernel.say(event(FOUND, found()))
    await until(lambda: len(owner.heard) == 1)
    kernel.say(event(FOUND, found()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(owner.heard) == 1
    await subject.close()
    assert len(owner.heard) == 2


async def test_what_has_waited_is_told(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "GATHER_S", 0.01)
    owner = Owner()
    subject = await owner.open()
    for count in range(1, 4):
        kernel.say(event(FOUND, found()))
        await until(lambda count=count: len(owner.heard) == count)
    await subject.close()
    assert len(kernel.asked) == 4


async def test_of_many_monitors_that_are_there_one_serves_as_well_and_is_left(kernel: Kernel) -> None:
    kernel.monitors = b"\3\0" * management.MAX_MONITORS
    subject = await Owner().open()
    assert subject.passive
    await subject.close()
    assert {command for command, _ in kernel.asked} == {0x15, 0x51}


async def test_a_controller_that_goes_by_patterns_is_not_passive(kernel: Kernel) -> None:
    kernel.supported = 1
    subject = await Owner().open()
    assert not subject.passive
    await subject.close()


async def test_a_kernel_that_hides_repetitions_is_not_passive(kernel: Kernel) -> None:
    kernel.hides_nothing = False
    subject = await Owner().open()
    assert not subject.passive
    await subject.close()


@pytest.mark.parametrize(
    ("release", "version", "nothing"),
    [
        ("6.18.1", "#1 SMP", True),
        ("6.11", "#1", True),
        ("6.12.25+rpt-rpi-v8", "#1 SMP PREEMPT Debian 1:6.12.25-1+rpt1 (2025-04-30)", True),
        ("6.6.45-v8+", "#1", False),
        ("6.6.51+rpt-rpi-v8", "#1 SMP PREEMPT Debian 1:6.6.51-1+rpt3 (2024-10-08)", True),
        ("6.1.21-v8+", "#1642 SMP PREEMPT Mon Apr  3 17:24:16 BST 2023", False),
        ("6.1.0-25-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.106-3 (2024-08-26)", True),
        ("6.1.0-23-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.99-1 (2024-07-15)", False),
        ("6.8.0-31-generic", "#31-Ubuntu SMP", False),
        ("5.15.0-100-generic", "#110-Ubuntu SMP", False),
        ("something else", "", False),
    ],
)
def test_which_kernels_hide_repetitions(release: str, version: str, nothing: bool) -> None:
    assert hides_nothing(release, version) is nothing


async def test_an_old_kernel(kernel: Kernel) -> None:
    kernel.knows_monitors = False
    subject = await Owner().open()
    assert not subject.passive
    await subject.close()


async def test_without_the_right(kernel: Kernel) -> None:
    kernel.denies = True
    with pytest.raises(AdapterUnavailableError, match=NO_RIGHT):
        await Owner().open()


async def test_a_kernel_that_does_not_answer(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(management, "REPLY_S", 0.05)
    kernel.is_silent = True
    with pytest.raises(management.BusyError, match="does not answer"):
        await Owner().open()


async def test_a_monitor_that_goes_while_ours_is_added_is_none_of_ours(kernel: Kernel) -> None:
    kernel.loses_another = True
    owner = Owner()
    subject = await owner.open()
    await subject.close()
    assert owner.gone == 0


@pytest.mark.parametrize("packet", [event(5, b""), event(0x2C, b"\7\0"), None])
async def test_its_end_is_told_once(kernel: Kernel, packet: bytes | None) -> None:
    owner = Owner()
    subject = await owner.open()
    if packet is None:
        kernel.end()
    else:
        kernel.say(packet)
    await until(lambda: owner.gone == 1)
    await subject.close()
    assert owner.gone == 1


async def test_the_kernel_is_asked_to_discover_where_it_does_not(kernel: Kernel) -> None:
    subject = await Owner().open()
    kernel.asked.clear()
    await subject.begin_discovery()
    assert kernel.asked == [(0x23, b"\6")]
    kernel.say(event(0x13, b"\6\1", index=1))  # another controller does
    kernel.say(event(0x13, b"\6\1"))
    await until(lambda: subject._discovering)
    await subject.begin_discovery()
    assert len(kernel.asked) == 1
    kernel.say(event(0x13, b"\6\0"))
    await until(lambda: not subject._discovering)
    await subject.begin_discovery()
    await subject.end_discovery()
    assert kernel.asked[1:] == [(0x23, b"\6"), (0x24, b"\6"), (0x24, b"\7")]
    await subject.close()
    await subject.begin_discovery()
    await subject.end_discovery()


async def test_an_end_while_it_is_asked(kernel: Kernel) -> None:
    kernel.is_silent = True
    opening = asyncio.create_task(Owner().open())
    await until(lambda: bool(kernel.asked))
    kernel.say(event(5, b""))
    with pytest.raises(AdapterUnavailableError, match="closed"):
        await opening


def test_no_bluetooth_sockets_here(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> socket.socket:
        raise management.BluetoothSocketError("Unable to open PF_BLUETOOTH socket")

    monkeypatch.setattr(management.btmgmt_socket, "open", refuse)
    with pytest.raises(AdapterUnavailableError, match=NO_SOCKET):
        open_socket()
