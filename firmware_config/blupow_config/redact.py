"""A configuration as YAML to show: complete or as it was given, and without its secrets."""

from copy import deepcopy
from typing import Any, Final

import yamlrocks

from .ids import fnv1a
from .model import ConfigPath, ProxyConfig
from .schema.field import with_defaults
from .schema.root import ROOT

HIDDEN: Final = "<hidden>"

_KEY_PATH: Final = ("api", "encryption", "key")


def to_yaml(config: ProxyConfig, *, show_secrets: bool = False, defaults: bool = True) -> str:
    """Return ``config``, with its defaults unless told otherwise; the key and secret values only on request."""
    content = _complete(config) if defaults else deepcopy(dict(config.given))
    if not show_secrets:
        for path in (*config.secret_paths, _KEY_PATH):
            _hide(content, path)
    return yamlrocks.dumps(_to_be_read(content)).decode()


def config_hash(config: ProxyConfig) -> int:
    """Return 32 bits that change when anything in ``config`` does."""
    return fnv1a(to_yaml(config, show_secrets=True))


def _complete(config: ProxyConfig) -> dict[str, Any]:
    """Return what was given with all that follows of it."""
    given = deepcopy(dict(config.given))
    given["esphome"].setdefault("friendly_name", config.esphome.friendly_name)
    for unit, known in zip(given.get("renogy") or (), config.renogy, strict=True):
        unit.setdefault("id", known.id)
    complete: dict[str, Any] = with_defaults(ROOT, given)
    return complete


def _to_be_read(content: Any) -> Any:
    """Return content whose texts come back as they are: what looks like a substitution is marked as none.

    Fields don't count the spaces around a text, some of which are ends of lines to YAML.
    """
    match content:
        case dict():
            return {option: _to_be_read(value) for option, value in content.items()}
        case list():
            return [_to_be_read(item) for item in content]
        case str() if "$" in content:
            return yamlrocks.YAMLRocksTag("!literal", content.strip())
        case str():
            return content.strip()
        case _:
            return content


def _hide(content: Any, path: ConfigPath) -> None:
    """Replace the value at ``path``, if it is there."""
    *steps, last = path
    for step in steps:
        content = _below(content, step)
    if _below(content, last) is not None:
        content[last] = HIDDEN


def _below(content: Any, step: str | int) -> Any:
    if isinstance(content, dict):
        return content.get(step)
    return content[step] if isinstance(content, list) and isinstance(step, int) and step < len(content) else None
