"""Why a device cannot be read, each with what to do about it."""

from aioesphomeapi.core import (
    APIConnectionError,
    EncryptionPlaintextAPIError,
    InvalidAuthAPIError,
    InvalidEncryptionKeyAPIError,
    RequiresEncryptionAPIError,
    ResolveAPIError,
)

from blupow_proxy.errors import NativeApiError


class ClientError(NativeApiError):
    """A device cannot be read."""


class UnreachableError(ClientError):
    """The device does not answer."""


class KeyRefusedError(ClientError):
    """The device answers, but not to this key."""


def translate(error: APIConnectionError | TimeoutError, target: str, deadline_s: float) -> ClientError:
    """Return what ``error`` means to the user; ``target`` is HOST:PORT."""
    match error:
        case RequiresEncryptionAPIError():
            return KeyRefusedError("the device needs its key: --key KEY, or BLUPOW_KEY in the environment")
        case InvalidEncryptionKeyAPIError():
            return KeyRefusedError("the key is not this device's: look it up where the device was set up")
        case EncryptionPlaintextAPIError():
            return KeyRefusedError("the device does not use encryption: leave the key out")
        case InvalidAuthAPIError():
            return KeyRefusedError("the device asks for a password, which is obsolete: give it an encryption key")
        case ResolveAPIError():
            return UnreachableError(f"no address is known for {target}: is the name right, is the device on?")
        case TimeoutError():
            return UnreachableError(f"no answer from {target} within {deadline_s:g} s: is it on, is the address right?")
        case _:
            return UnreachableError(f"cannot connect to {target}: is the device on, are address and port right?")
