"""YAML files to trees that know where each value stands; the only module that knows the YAML library."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yamlrocks

from .errors import ConfigError, ConfigErrors

MAX_BYTES: Final = 1_000_000  # a configuration has a few kilobytes
SECRETS_FILE: Final = "secrets.yaml"

_OPTIONS: Final = (
    yamlrocks.OPT_ANNOTATED
    | yamlrocks.OPT_ANNOTATE_NUMBERS
    | yamlrocks.OPT_PASSTHROUGH_TAG
    | yamlrocks.OPT_DUPLICATE_KEYS_ERROR
)

type Path_ = Sequence[str | int]


class Secret(str):
    """A value from the secrets file: never printed."""

    __slots__ = ()


class Tree:
    """A parsed file: ``content`` in plain types, ``error`` for a mistake at a path of it."""

    def __init__(self, path: Path) -> None:
        """Read ``path`` and its secrets; ConfigErrors when that is not possible at all."""
        self.problems: list[ConfigError] = []
        self._file = str(path)
        self._root = _parse(path)
        self._secrets: dict[str, Any] | None = None
        self._secrets_path = path.parent / SECRETS_FILE
        self.content = self._plain(self._root, ())

    def error(self, path: Path_, message: str, *, at_key: bool = False) -> ConfigError:
        """Return a mistake in the value at ``path``, or in its key."""
        line, column = self._place(path, at_key=at_key)
        return ConfigError(self._file, line, column, dotted(path), message)

    def _place(self, path: Path_, *, at_key: bool) -> tuple[int, int]:
        """Return where the deepest part of ``path`` that has a position stands."""
        node: Any = self._root
        line, column = _position(node) or (1, 1)
        for depth, step in enumerate(path):
            last = depth == len(path) - 1
            if isinstance(node, dict):
                key = next((key for key in node if key == step), None)
                if key is None:
                    break
                line, column = _position(key) or (line, column)
                node = node[key]
                # a block starts at its first line: its key says more
                if not (last and at_key) and not isinstance(node, dict):
                    line, column = _position(node) or (line, column)
            elif isinstance(node, list) and isinstance(step, int) and step < len(node):
                node = node[step]
                line, column = _position(node) or (line, column)
            else:
                break
        return line, column

    def _plain(self, node: Any, path: tuple[str | int, ...]) -> Any:
        """Return ``node`` without annotations, secrets in place."""
        if isinstance(node, dict):
            return {
                str(key): self._plain(value, (*path, str(key)))
                for key, value in node.items()
                if self._is_text(key, path)
            }
        if isinstance(node, list):
            return [self._plain(item, (*path, number)) for number, item in enumerate(node)]
        if isinstance(node, yamlrocks.YAMLRocksTag):
            return self._tagged(node, path)
        for kind in (bool, str, int, float):
            if isinstance(node, kind):
                return kind(node)
        return None

    def _is_text(self, key: object, path: tuple[str | int, ...]) -> bool:
        if isinstance(key, str):
            return True
        self.problems.append(self.error(path, f"the option {key!r} is not a word: put it in quotes"))
        return False

    def _tagged(self, node: Any, path: tuple[str | int, ...]) -> Any:
        if node.tag != "!secret":
            self.problems.append(self.error(path, f"{node.tag} is not understood here"))
            return None
        name = str(node.value)
        if self._secrets is None:
            self._secrets = self._read_secrets()
        if name not in self._secrets:
            message = f"there is no secret {name!r} in {self._secrets_path.name} beside this file"
            self.problems.append(self.error(path, message))
            return None
        value = self._secrets[name]
        return Secret(value) if isinstance(value, str) else value

    def _read_secrets(self) -> dict[str, Any]:
        if not self._secrets_path.exists():
            return {}
        try:
            content = _parse(self._secrets_path)
        except ConfigErrors as errors:
            self.problems += errors.errors
            return {}
        return {str(key): str(value) if isinstance(value, str) else value for key, value in content.items()}


def dotted(path: Path_) -> str:
    """Return a path as users read it: renogy.0.address."""
    return ".".join(map(str, path))


def secrets_exposed(path: Path) -> bool:
    """Return whether other users of this machine can read the secrets beside ``path``."""
    secrets = path.parent / SECRETS_FILE
    return secrets.exists() and bool(secrets.stat().st_mode & stat.S_IROTH)


def _parse(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            source = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "not readable").lower()
        raise ConfigErrors(
            [ConfigError(str(path), 0, 0, "", f"{reason}: check the name and its permissions")]
        ) from None
    if len(source) > MAX_BYTES:
        raise ConfigErrors([ConfigError(str(path), 0, 0, "", "too large to be a configuration")])
    try:
        source.decode()
    except UnicodeDecodeError as error:
        line = source.count(b"\n", 0, error.start) + 1
        raise ConfigErrors([ConfigError(str(path), line, 1, "", "not UTF-8 text: save it as UTF-8")]) from None
    try:
        root = yamlrocks.loads(source, option=_OPTIONS)
    except (yamlrocks.YAMLRocksError, RecursionError) as error:
        raise ConfigErrors([_syntax_error(path, error)]) from None
    if not isinstance(root, dict):
        message = (
            "empty: start with `esphome:` and a `name:` in it" if root is None else "expected options, as `esphome:`"
        )
        raise ConfigErrors([ConfigError(str(path), 1, 1, "", message)])
    return root


def _syntax_error(path: Path, error: Exception) -> ConfigError:
    line, column = getattr(error, "line", 0) or 0, getattr(error, "column", 0) or 0
    text = str(getattr(error, "message", "") or "not understood").splitlines()[0].split(" at line ")[0]
    return ConfigError(str(path), line, column, "", f"not valid YAML: {text}")


def _position(node: Any) -> tuple[int, int] | None:
    line = getattr(node, "__line__", None)
    return None if line is None else (line, node.__column__)
