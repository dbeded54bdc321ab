"""Asking a live link for another interval: since Linux 6.11 it is updated when parameters are loaded for its device.

BlueZ has no word for that.
"""

import os
import struct
from dataclasses import dataclass
from typing import Final

from blupow_proxy.errors import AdapterUnavailableError, GattError

from .advertisement import AddressType
from .gatt_failures import REQUEST_NOT_SUPPORTED
from .kernel_orders import LOAD_PARAMETERS, order, packed
from .management import NO_RIGHT, PERMISSION_DENIED, has_right

UPDATES_SINCE: Final = (6, 11)  # Linux
INVALID: Final = 0x0D
TOO_OLD: Final = "connection parameters of a link need Linux 6.11"
_DEFAULT_RANGE: Final = (24, 40)  # the kernel's own: it does nothing for what it takes to be asked for already
_ONE: Final = struct.Struct("<H7sHHHH")


@dataclass(frozen=True, slots=True)
class ConnectionParameters:
    """As on the air: intervals in steps of 1.25 ms, the latency in intervals, the supervision timeout in 10 ms."""

    min_interval: int
    max_interval: int
    latency: int
    timeout: int

    @property
    def is_valid(self) -> bool:
        """Whether the specification allows them."""
        return (
            6 <= self.min_interval <= self.max_interval <= 3200
            and 0 <= self.latency <= 499
            and 10 <= self.timeout <= 3200
            and self.timeout * 4 > (1 + self.latency) * self.max_interval
        )


def can_set_parameters() -> bool:
    """Whether this process may set them, and this kernel does it."""
    return _kernel_updates_links() and has_right()


def _kernel_updates_links() -> bool:
    major, minor, *_ = os.uname().release.split(".")
    return (int(major), int("".join(filter(str.isdecimal, minor[:3])) or 0)) >= UPDATES_SINCE


async def load(index: int, address: str, address_type: AddressType, wanted: ConnectionParameters) -> None:
    """Have the link to a device updated; GattError when that can't be."""
    if not wanted.is_valid:
        raise GattError(address, INVALID, f"no link can have {wanted}")
    if not _kernel_updates_links():
        raise GattError(address, REQUEST_NOT_SUPPORTED, TOO_OLD)
    most = wanted.max_interval
    if (wanted.min_interval, most) == _DEFAULT_RANGE:
        most -= 1
    body = _ONE.pack(1, packed(address, address_type), wanted.min_interval, most, wanted.latency, wanted.timeout)
    try:
        status = await order(index, LOAD_PARAMETERS, body)
    except AdapterUnavailableError as error:
        raise GattError(address, REQUEST_NOT_SUPPORTED, error.message) from error
    if status:
        why = NO_RIGHT if status == PERMISSION_DENIED else f"the kernel refuses them (status {status})"
        raise GattError(address, REQUEST_NOT_SUPPORTED, f"connection parameters: {why}")
