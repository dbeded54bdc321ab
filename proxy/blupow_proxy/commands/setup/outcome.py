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
class Draft:
    """What is to be written into ``file``, and ``key`` into the secrets beside it; ``units`` is how many are new.

    ``service`` is whether to install it, and ``replace`` whether the file takes the place of its configuration.
    """

    file: Path
    content: bytes
    key: str | None
    units: str
    service: bool
    replace: bool
