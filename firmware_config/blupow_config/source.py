"""YAML text to nodes that know where they stand; the only reader of YAML."""

import re
from pathlib import Path
from typing import Any, Final

import yamlrocks

from .errors import ConfigError, ConfigErrors

MAX_BYTES: Final = 1_000_000  # a configuration has a few kilobytes

Tag: Final = yamlrocks.YAMLRocksTag  # a value with a tag, such as !secret: tag and value, no position

_OPTIONS: Final = (
    yamlrocks.OPT_ANNOTATED
    | yamlrocks.OPT_ANNOTATE_NUMBERS
    | yamlrocks.OPT_PASSTHROUGH_TAG
    | yamlrocks.OPT_DUPLICATE_KEYS_ERROR
    | yamlrocks.OPT_REJECT_COMPLEX_KEYS
)
# at the start of a line, neither texts nor blocks can hold it
_DOCUMENT_START: Final = re.compile(rb"^---(?=\s|$)", re.MULTILINE)


def parse(path: Path, *, secret: bool = False) -> Any:
    """Return the root of a file, None if it is empty; ConfigErrors, with nothing of its text if that is ``secret``."""
    source = _read(path)
    try:
        roots = yamlrocks.loads_all(source, option=_OPTIONS)
    except (yamlrocks.YAMLRocksError, RecursionError) as error:
        raise ConfigErrors([_syntax_error(path, error, secret=secret)]) from None
    if len(roots) > 1:
        line, column = position(roots[1]) or (_last_start(source), 1)
        message = "a second document starts here: a file holds one, so remove the `---` or `...` before it"
        raise ConfigErrors([ConfigError(str(path), line, column, "", message)])
    return roots[0] if roots else None


def position(node: Any) -> tuple[int, int] | None:
    """Return line and column of a node, from 1; None where the library does not tell."""
    line = getattr(node, "__line__", None)
    return None if line is None else (line, node.__column__)


def _read(path: Path) -> bytes:
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
    return source


def _syntax_error(path: Path, error: Exception, *, secret: bool) -> ConfigError:
    line, column = getattr(error, "line", 0) or 0, getattr(error, "column", 0) or 0
    if secret and not isinstance(error, yamlrocks.YAMLRocksDuplicateKeyError):
        # what the library says of *hunter2 or !hunter2 names it
        return ConfigError(str(path), line, column, "", "not valid YAML: put values with special characters in quotes")
    text = str(getattr(error, "message", "") or "not understood").splitlines()[0].split(" at line ")[0]
    return ConfigError(str(path), line, column, "", f"not valid YAML: {text}")


def _last_start(source: bytes) -> int:
    """Return the line on which an empty last document starts."""
    starts = [match.start() for match in _DOCUMENT_START.finditer(source)]
    return source.count(b"\n", 0, starts[-1]) + 1 if starts else 1
