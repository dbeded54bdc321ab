"""The encryption key: from the configuration, or set by the first client in time and kept on disk."""

import logging
import time
from collections.abc import Callable
from typing import Final

from blupow_proxy.native_api import KEY_BYTES, Mode, decode_key, encode_key
from blupow_proxy.storage import Storage

PROVISIONING_S: Final = 600.0  # whoever comes first sets the key: long enough to walk to Home Assistant, no longer

_KEY: Final = "key"
_PAIR: Final = "pair"
_LOGGER = logging.getLogger(__name__)


class FileKeyStore:
    """A ``native_api.KeyStore`` over ``storage``."""

    def __init__(
        self,
        storage: Storage,
        *,
        encryption: bool,
        configured: bytes | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use the ``configured`` key if there is one; else a stored one, else let a client set it for 10 minutes."""
        self._storage = storage
        self._encryption = encryption
        self._configured = configured
        self._clock = clock
        self._ours = encryption and configured is None
        self._stored: bytes | None = None
        self.damaged = False
        self._load()
        self._open_until = clock() + PROVISIONING_S
        self._seen = (self.mode, self.key)

    @property
    def mode(self) -> Mode:
        """How a new session is protected now."""
        if not self._encryption:
            return Mode.PLAINTEXT
        if self.key is not None:
            return Mode.ENCRYPTED
        return Mode.PROVISIONING if self._clock() < self._open_until and not self.damaged else Mode.CLOSED

    @property
    def key(self) -> bytes | None:
        """The key of 32 bytes, when one is set."""
        return self._configured or self._stored

    @property
    def changeable(self) -> bool:
        """Whether a client may change the key now."""
        return self._ours and self.mode is not Mode.CLOSED

    def store(self, key: bytes | None) -> bool:
        """Keep ``key`` durably; None forgets the one there is, and a client may set a new one for 10 minutes."""
        if key == self._stored:
            return True
        if key is None:
            if not forget_key(self._storage):
                return False
            self._open_until = self._clock() + PROVISIONING_S
        elif len(key) != KEY_BYTES or not self._storage.write(_KEY, {"key": encode_key(key)}):
            return False
        self._stored = key
        self._seen = (self.mode, self.key)
        return True

    def poll(self) -> bool:
        """Take up a request to pair; returns whether mode or key have changed otherwise than by ``store``."""
        if self._ours and self._storage.take(_PAIR):
            self._open_until = self._clock() + PROVISIONING_S
            self._load()
            if self.mode is Mode.PROVISIONING:
                _LOGGER.info("A client may set the key within the next %d minutes", PROVISIONING_S / 60)
        now = (self.mode, self.key)
        if now == self._seen:
            return False
        self._seen = now
        if self.mode is Mode.CLOSED:
            _LOGGER.warning("Nobody has set a key in time: run `blupow-proxy pair FILE` to allow it again")
        return True

    def _load(self) -> None:
        """Take the key from the disk; one that is there but not readable is no reason to let anybody set another."""
        if not self._ours:
            return
        stored = self._storage.read(_KEY)
        self._stored = None if stored is None else decode_key(str(stored.get("key", "")).encode())
        self.damaged = self._stored is None and self._storage.has(_KEY)
        if self.damaged:
            _LOGGER.error("The stored key is damaged and nobody can connect: run `blupow-proxy pair FILE --forget`")


def request_pairing(storage: Storage) -> bool:
    """Ask the proxy that owns ``storage`` to let a client set the key again; False when it can't be asked."""
    return storage.write(_PAIR, {})


def forget_key(storage: Storage) -> bool:
    """Forget the key that a client has set; the proxy that owns ``storage`` forgets it when asked to pair."""
    return storage.discard(_KEY)
