from types import SimpleNamespace
from typing import Any, cast

import pytest

from blupow_proxy.ble.bluez_device import BluezDevice
from blupow_proxy.errors import LinkLostError


class Discovering:
    """A BlueZ that is still discovering, and a client whose link goes after some questions for it."""

    def __init__(self, questions: int) -> None:
        self.asked = 0
        self._questions = questions

    @property
    def is_connected(self) -> bool:
        return self.asked < self._questions

    async def offered(self, _adapter: str, _address: str) -> None:
        self.asked += 1


async def test_a_link_that_goes_while_services_are_discovered_is_not_waited_for() -> None:
    bluez = Discovering(3)
    adapter = cast("Any", SimpleNamespace(bluez=(bluez, "hci0")))
    with pytest.raises(LinkLostError, match="ended the connection"):
        await BluezDevice(adapter, "AA:BB:CC:00:00:01").check_services(cast("Any", bluez))
    assert bluez.asked == 3
