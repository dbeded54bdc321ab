"""Advertisements on their way to a client: a few at a time, so that each costs little."""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from blupow_proxy.allowance import PeerLog
from blupow_proxy.ble import RawAdvertisement

from .advertisements import advertisements, encode_advertisement
from .parties import Client

BATCH_ADVERTISEMENTS: Final = 16  # in a message, as ESPHome
BATCH_S: Final = 0.1  # the longest that one waits for others, as ESPHome


class Timer(Protocol):
    """A call that is due."""

    def cancel(self) -> None:
        """Don't make it."""


type CallLater = Callable[[float, Callable[[], None]], Timer]


class Forwarder:
    """Gives ``client`` what is heard, until ``stop``; what it could not take in time is worth nothing, and dropped."""

    def __init__(self, client: Client, call_later: CallLater, log: PeerLog) -> None:
        """Take the time, in seconds, of ``call_later``."""
        self._client = client
        self._call_later = call_later
        self._log = log
        self._batch: list[bytes] = []
        self._timer: Timer | None = None

    def add(self, advertisement: RawAdvertisement) -> None:
        """Forward one."""
        self._batch.append(encode_advertisement(advertisement))
        if len(self._batch) >= BATCH_ADVERTISEMENTS:
            self._flush()
        elif self._timer is None:
            self._timer = self._call_later(BATCH_S, self._flush)

    def stop(self) -> None:
        """Forward nothing any more, nor what waits."""
        self._batch.clear()
        self._stop_timer()

    def _flush(self) -> None:
        self._stop_timer()
        if self._client.lagging:
            self._log(logging.WARNING, "Client %s does not keep up: it misses advertisements", self._client.peer)
        else:
            self._client.send(advertisements(self._batch))
        self._batch.clear()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
