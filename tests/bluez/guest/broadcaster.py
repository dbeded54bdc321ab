"""Somebody who only advertises, in any way that the radio knows; cheap enough for hundreds of them."""

import asyncio
from enum import IntEnum
from typing import Final

from bumble import hci
from radio import AdapterController, Air, Broadcast

MIN_INTERVAL_S: Final = 0.001


class Kind(IntEnum):
    """How it advertises, as the event type of a report; extended advertising has no legacy type."""

    CONNECTABLE = 0
    DIRECTED = 1
    SCANNABLE = 2
    NONCONNECTABLE = 3
    EXTENDED = 16


class Broadcaster:
    """Says the same at every interval, until it is told to say something else or to stop."""

    def __init__(self, air: Air, address: str, address_type: str, rssi: int) -> None:
        random = address_type == "random"
        kind = hci.Address.RANDOM_DEVICE_ADDRESS if random else hci.Address.PUBLIC_DEVICE_ADDRESS
        self.sent = 0
        self._air = air
        self._address = hci.Address(address, kind)
        self._rssi = rssi
        self._timer: asyncio.TimerHandle | None = None

    def say(self, kind: Kind, data: bytes, scan_response: bytes, interval_s: float, times: int | None) -> None:
        """Advertise from now on, ``times`` times; None is for good."""
        self.stop()
        broadcast = Broadcast(self._address, kind, data, scan_response, self._rssi)
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        left = times

        def go() -> None:
            nonlocal due_s, left
            if left == 0:
                return
            left = None if left is None else left - 1
            self.sent += 1
            for controller in self._air.controllers:
                if isinstance(controller, AdapterController) and controller not in self._air.out_of_range:
                    controller.hear(broadcast)
            due_s += max(interval_s, MIN_INTERVAL_S)
            self._timer = loop.call_at(due_s, go)

        go()

    def stop(self) -> None:
        """Say nothing more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
