"""The whole error tree of the proxy; every message says what the user can do next."""


class ProxyError(Exception):
    """Any failure that the proxy foresees."""


class BleError(ProxyError):
    """Bluetooth work on one device failed; retried inside ``ble``."""

    def __init__(self, address: str, message: str) -> None:
        """Carry the device address that the failure belongs to, and what happened without it."""
        super().__init__(f"{address}: {message}")
        self.address = address
        self.message = message


class AdapterUnavailableError(BleError):
    """The local adapter is missing, off or not permitted."""


class AdapterLostError(BleError):
    """The adapter, or the Bluetooth service, went away under what was made with it."""


class DeviceNotFoundError(BleError):
    """The peripheral does not advertise within the scan's deadline."""


class LinkLostError(BleError):
    """The GATT connection ended while it was needed."""

    def __init__(self, address: str, message: str, *, reason: int | None = None) -> None:
        """Carry the HCI reason, such as 0x13 for the device's own wish, if it is known."""
        super().__init__(address, message)
        self.reason = reason


class DeadlineExceededError(BleError):
    """An operation did not end within our own deadline."""

    def __init__(self, address: str, op: str, deadline_s: float) -> None:
        """Name the operation and its deadline in seconds."""
        super().__init__(address, f"{op} took longer than {deadline_s:g} s")
        self.op = op


class GattError(BleError):
    """The device, or BlueZ for it, refused an operation with an ATT error."""

    def __init__(self, address: str, code: int, message: str) -> None:
        """Carry the ATT error code, 1..255."""
        super().__init__(address, message)
        self.code = code


class NoFreeSlotError(BleError):
    """All connection slots of the adapter are allocated."""


class BusLostError(ProxyError):
    """D-Bus, over which Bluetooth is used, went away; only a new process can use it again."""


class ModbusError(ProxyError):
    """A Modbus exchange failed."""


class FrameError(ModbusError):
    """Bytes are no valid frame (length, CRC or header)."""


class UnexpectedResponseError(ModbusError):
    """A valid frame answers something else than the request."""


class ExceptionResponseError(ModbusError):
    """The device refused the request with an exception code."""

    def __init__(self, code: int, message: str) -> None:
        """Carry the Modbus exception code, 1..255."""
        super().__init__(message)
        self.code = code


class NativeApiError(ProxyError):
    """The native API conversation failed."""


class LocalProtocolError(NativeApiError):
    """We tried something that the protocol forbids: a bug of ours."""


class RemoteProtocolError(NativeApiError):
    """The peer broke the protocol; closes that session only."""
