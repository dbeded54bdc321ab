import logging
from collections.abc import Callable

import pytest
from bluetooth_doubles import Recorder

from blupow_proxy.allowance import PeerLog
from blupow_proxy.ble import AddressType, RawAdvertisement
from blupow_proxy.bluetooth_proxy.forwarder import BATCH_ADVERTISEMENTS, BATCH_S, Forwarder


class Timers:
    """Calls that are due when the test says so."""

    def __init__(self) -> None:
        self.due: list[Timers.Call] = []

    class Call:
        def __init__(self, timers: "Timers", callback: Callable[[], None]) -> None:
            self._timers = timers
            self.callback = callback

        def cancel(self) -> None:
            self._timers.due.remove(self)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> "Timers.Call":
        assert delay_s == BATCH_S
        self.due.append(Timers.Call(self, callback))
        return self.due[-1]

    def fire(self) -> None:
        (call,) = self.due
        call.callback()


class Bench:
    def __init__(self) -> None:
        self.timers = Timers()
        self.client = Recorder()
        log = PeerLog(logging.getLogger("blupow_proxy.test"), lambda: 0.0)
        self.forwarder = Forwarder(self.client, self.timers.call_later, log)

    def hear(self, *addresses: int) -> None:
        for address in addresses:
            self.forwarder.add(RawAdvertisement(address, AddressType.RANDOM, -70, b"\x02\x01\x06"))

    def taken(self) -> list[list[int]]:
        return [[one.address for one in message.advertisements] for message in self.client.take()]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_few_wait_for_others_and_no_longer(bench: Bench) -> None:
    bench.hear(1, 2, 3)
    assert bench.taken() == []
    bench.timers.fire()
    assert bench.taken() == [[1, 2, 3]]
    assert bench.timers.due == []
    bench.hear(4)
    bench.timers.fire()
    assert bench.taken() == [[4]]


def test_a_full_message_goes_at_once(bench: Bench) -> None:
    bench.hear(*range(BATCH_ADVERTISEMENTS + 2))
    assert bench.taken() == [list(range(BATCH_ADVERTISEMENTS))]
    bench.timers.fire()
    assert bench.taken() == [[16, 17]]


def test_who_does_not_keep_up_misses_them(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.client.lagging = True
    bench.hear(*range(20))
    bench.timers.fire()
    assert bench.taken() == []
    assert caplog.messages == ["Client 10.0.0.1 does not keep up: it misses advertisements"] * 2
    bench.client.lagging = False
    bench.hear(99)
    bench.timers.fire()
    assert bench.taken() == [[99]]


def test_nothing_after_the_end(bench: Bench) -> None:
    bench.hear(1)
    bench.forwarder.stop()
    assert bench.timers.due == []
    bench.forwarder.stop()
    assert bench.taken() == []
