"""Secrets: single values from a file beside the configuration, which are never printed."""

import stat
from pathlib import Path
from typing import Any, Final

from .errors import ConfigError, ConfigErrors
from .source import parse, position

SECRETS_FILE: Final = "secrets.yaml"


class Secret(str):
    """A text from the secrets file: no message may hold it, or a part of it."""

    __slots__ = ()


class Secrets:
    """The secrets beside the configuration in ``path``, read when the first is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path.parent / SECRETS_FILE
        self.problems: tuple[ConfigError, ...] = ()
        self._values: dict[str, Any] | None = None

    def get(self, name: str) -> Any:
        """Return a secret in plain types; LookupError says why there is none."""
        if self._values is None:
            self._values = self._read()
        if self.problems:
            raise LookupError(f"the secret {name!r} can't be read: {self.path.name} has a mistake")
        if name not in self._values:
            raise LookupError(f"there is no secret {name!r} in {self.path.name} beside this file")
        value = self._values[name]
        if isinstance(value, bool) or value is None:
            return value
        for kind, plain in ((str, Secret), (int, int), (float, float)):
            if isinstance(value, kind):
                return plain(value)
        raise LookupError(f"the secret {name!r} in {self.path.name} is not a single value: write a text or a number")

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        try:
            root = parse(self.path, secret=True)
            if root is not None and not isinstance(root, dict):
                line, column = position(root) or (1, 1)
                message = "expected one secret a line, as `name: value`"
                raise ConfigErrors([ConfigError(str(self.path), line, column, "", message)])  # noqa: TRY301 - as parse
        except ConfigErrors as errors:
            self.problems = errors.errors
            return {}
        return {str(key): value for key, value in (root or {}).items()}


def secrets_exposed(path: Path) -> bool:
    """Return whether other users of this machine can read the secrets beside ``path``."""
    secrets = path.parent / SECRETS_FILE
    return secrets.exists() and bool(secrets.stat().st_mode & stat.S_IROTH)
