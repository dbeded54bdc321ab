"""What a set-up has come to."""

from dataclasses import dataclass
from pathlib import Path

from blupow_proxy.errors import ProxyError


class StoppedError(ProxyError):
    """It can't go on, or is not wanted to; ``code`` is the exit code. Nothing was written."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A configuration in ``file``; whether to install the ``service``, and let it ``replace`` its configuration."""

    file: Path
    friendly_name: str
    has_key: bool
    key_shown: bool
    has_systemd: bool
    service: bool
    replace: bool
