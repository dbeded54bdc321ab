"""Starts that ended badly, counted over processes: after a few in a row the proxy starts without what may crash it."""

import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from blupow_proxy.storage import Storage

GOOD_S: Final = 60.0  # ESPHome's figure: whoever lives that long has started well
CRASHES: Final = 5  # half of ESPHome's: with systemd's 2 s between them, data is missing for less than a minute
# ESPHome stays 5 minutes. What crashed for a minute may be over, and nobody may be there to press Restart: one more try
# every 10 minutes costs no more than a few seconds of its own service.
SAFE_MODE_S: Final = 600.0

ERROR_CHARACTERS: Final = 80  # of an error's text: Home Assistant shows no state of more than 255

_BOOTS: Final = "boots"
_WITHOUT_A_WORD: Final = "it was killed, by the watchdog or for want of memory, or it lost power"


class Boots:
    """Counts this start as one that failed until it has proven otherwise: ``with`` it, and ``good`` after a minute.

    ``tell`` gets a sentence about what ended it.
    """

    def __init__(self, storage: Storage, tell: Callable[[str], None] = lambda _: None) -> None:
        self._storage = storage
        self._tell = tell
        kept = storage.read(_BOOTS) or {}
        crashes, error = kept.get("crashes"), kept.get("error")
        self._crashes = crashes if isinstance(crashes, int) else 0
        self._error = error if isinstance(error, str) else _WITHOUT_A_WORD
        self._counts = True

    @property
    def safe_mode(self) -> str | None:
        """Why the proxy should start without Bluetooth, and the remedy; None when it should not."""
        if self._crashes < CRASHES:
            return None
        return (
            f"not used: safe mode after {self._crashes} crashes in a row, the last: {self._error}. "
            f"Press Restart to try again; else that happens within {SAFE_MODE_S / 60:g} minutes"
        )

    def __enter__(self) -> Self:
        self._note(_WITHOUT_A_WORD)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None and not isinstance(error, KeyboardInterrupt | SystemExit):
            sentence = _sentence(error)
            self._note(sentence)
            self._tell(f"crashed: {sentence}")
        elif self._counts:
            self.good()

    def good(self) -> None:
        """Forget all crashes: this start was a good one."""
        self._counts = False
        self._crashes = 0
        self._storage.take(_BOOTS)  # not durably: a memory card can take seconds, and the event loop would wait

    def on_probation(self) -> None:
        """Have the next start be a usual one, and one more crash lead back to safe mode."""
        self._counts = False
        self._storage.write(_BOOTS, {"crashes": CRASHES - 1, "error": self._error})

    def _note(self, error: str) -> None:
        self._storage.write(_BOOTS, {"crashes": min(self._crashes + 1, CRASHES), "error": error})


def _sentence(error: BaseException) -> str:
    """Return what was raised and where, on one line."""
    while isinstance(error, BaseExceptionGroup):  # of the first part that failed
        error = error.exceptions[0]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    return what[:ERROR_CHARACTERS] + where
