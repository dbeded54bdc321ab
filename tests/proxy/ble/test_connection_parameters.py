"""What no link can have, or no kernel can do, is refused before anything is asked."""

import os
from types import SimpleNamespace

import pytest

from blupow_proxy.ble import AddressType, ConnectionParameters, connection_parameters
from blupow_proxy.errors import GattError


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        ((6, 6, 0, 10), True),
        ((80, 100, 4, 600), True),
        ((5, 6, 0, 10), False),
        ((8, 6, 0, 10), False),
        ((6, 3201, 0, 3200), False),
        ((6, 6, 500, 3200), False),
        ((6, 6, 0, 9), False),
        ((80, 100, 4, 125), False),  # the timeout is no longer than the silence that is allowed
    ],
)
def test_validity(values: tuple[int, int, int, int], valid: bool) -> None:
    assert ConnectionParameters(*values).is_valid == valid


async def test_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    address = "C0:00:00:00:00:01"
    with pytest.raises(GattError) as raised:
        await connection_parameters.load(0, address, AddressType.RANDOM, ConnectionParameters(8, 6, 0, 10))
    assert raised.value.code == 0x0D
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="6.9-rc1"))
    with pytest.raises(GattError, match=r"6\.11"):
        await connection_parameters.load(0, address, AddressType.RANDOM, ConnectionParameters(6, 6, 0, 10))
