"""Secrets: single values from a file beside the configuration, which are never printed."""

import stat
from pathlib import Path
from typing import Any, Final

from blupow_config.errors import ConfigError, ConfigErrors

from .files import FileError, Files
from .problems import Problems, shown
from .source import Mapping, Place, Scalar, scalar_value

SECRETS_FILE: Final = "secrets.yaml"


class Secret(str):
    """A text that is a secret or is made of one: no message may hold it, or a part of it."""

    __slots__ = ()


class Secrets:
    """The secrets beside the files of a configuration, each file read when the first of it is asked for."""

    def __init__(self, files: Files, problems: Problems) -> None:
        self._files = files
        self._problems = problems
        self._values: dict[Path, dict[str, Any] | None] = {}

    def get(self, name: str, base: Path) -> Any:
        """Return a secret that ``base`` names, in plain types; LookupError says why there is none.

        The first secrets file counts: the one beside ``base``, else the one beside the main file.
        """
        path, beside = base.parent / SECRETS_FILE, "this file"
        if not self._files.exists(path) and base.parent != self._files.main.parent:
            path, beside = self._files.main.parent / SECRETS_FILE, self._files.main.name
        if path not in self._values:
            self._values[path] = self._read(path)
        values = self._values[path]
        if values is None:
            raise LookupError(f"the secret {shown(name)} can't be read: {self._files.relative(path)} has a mistake")
        if name not in values:
            hint = self._problems.hint(name, lambda: values)
            raise LookupError(f"there is no secret {shown(name)} in {SECRETS_FILE} beside {beside}{hint}")
        value = values[name]
        if value is _NO_VALUE:
            message = f"the secret {shown(name)} in {SECRETS_FILE} is not a single value: write a text or a number"
            raise LookupError(message)
        return Secret(value) if isinstance(value, str) else value

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Return the values of a file, None with a problem told when it has a mistake."""
        if not self._files.exists(path):
            return {}
        try:
            if path.parent != self._files.main.parent:
                self._files.find(path.name, path)
            return self._pairs(self._files.parse(path, secret=True), path)
        except FileError as error:
            self._problems.add(Place(str(path), 0, 0), (), str(error))
        except ConfigErrors as errors:
            self._problems.extend(errors.errors)
        return None

    def _pairs(self, root: Any, path: Path) -> dict[str, Any]:
        if root is None:
            return {}
        if not isinstance(root, Mapping) or root.tag is not None:
            place = root.place
            message = "expected one secret a line, as `name: value`"
            raise ConfigErrors([ConfigError(str(path), place.line, place.column, "", message)])
        values: dict[str, Any] = {}
        for key, value in root.pairs:
            if key.text in values:
                place = key.place
                message = f"not valid YAML: duplicate mapping key: {key.text}"
                raise ConfigErrors([ConfigError(str(path), place.line, place.column, "", message)])
            values[key.text] = _value(value)
        return values


_NO_VALUE: Final = object()


def _value(node: Any) -> Any:
    if not isinstance(node, Scalar) or node.tag is not None:
        return _NO_VALUE
    return scalar_value(node.text) if node.plain else node.text


def secrets_exposed(path: Path) -> bool:
    """Return whether other users of this machine can read the secrets beside ``path``."""
    secrets = path.parent / SECRETS_FILE
    return secrets.exists() and bool(secrets.stat().st_mode & stat.S_IROTH)
