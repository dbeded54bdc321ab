"""Keys: what a session may ask of whoever stores them."""

from base64 import b64decode, b64encode
from enum import Enum, auto
from typing import Final, Protocol

KEY_BYTES: Final = 32
ZERO_KEY: Final = bytes(KEY_BYTES)  # what a client uses towards a device that has no key yet; authenticates nobody


class Mode(Enum):
    """How sessions are protected."""

    PLAINTEXT = auto()  # the configuration asks for no encryption
    ENCRYPTED = auto()  # a key is set: nothing else is accepted
    PROVISIONING = auto()  # no key yet, a client may set one
    CLOSED = auto()  # no key, and the time to set one is over


class KeyStore(Protocol):
    """The node's key and the rules to change it."""

    @property
    def mode(self) -> Mode:
        """How a new session is protected now."""

    @property
    def key(self) -> bytes | None:
        """The key of 32 bytes, when one is set."""

    @property
    def changeable(self) -> bool:
        """Whether a client may change the key now; False for a key of the configuration."""

    def store(self, key: bytes | None) -> bool:
        """Keep ``key`` (None forgets it) durably before returning; False when that failed."""


def decode_key(text: bytes) -> bytes | None:
    """Return the key that base64 ``text`` holds; None unless it is 32 bytes, not all zero."""
    try:
        key = b64decode(text, validate=True)
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES and key != ZERO_KEY else None


def encode_key(key: bytes) -> str:
    """Return ``key`` as users see and type it."""
    return b64encode(key).decode()
