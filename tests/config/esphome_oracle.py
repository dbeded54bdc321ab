"""What real ESPHome makes of configurations; runs in ESPHome's own environment, lines of JSON in and out.

in: {"path": a file, "substitutions": {name: value}}, and "as_it_is": true to keep what is a mistake of its own
out: {"content": ...}, {"content": ..., "warnings": [...]} if variables are missing, or {"error": why it is rejected}
"""

import itertools
import json
import logging
import sys
from pathlib import Path

from esphome import config as esphome_config
from esphome import yaml_util
from esphome.components import substitutions as substitutions_pass
from esphome.components.packages import do_packages_pass, merge_packages
from esphome.components.substitutions import do_substitution_pass
from esphome.config_helpers import Extend, Remove
from esphome.core import CORE, Lambda


class Warnings(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


UNIQUE = itertools.count()
MISSED = []  # variables that are missing in the last pass, whether it says so or not
_handle = substitutions_pass._handle_undefined


def _note(err: Exception, **named: object) -> None:
    MISSED.append(str(err))
    _handle(err=err, **named)


substitutions_pass._handle_undefined = _note


def resolve(path: Path, substitutions: dict) -> dict:
    """Return the configuration as ESPHome validates it, by the passes and in the order of its `validate_config`."""
    CORE.reset()
    CORE.config_path = path
    config = yaml_util.load_yaml(path)
    if "packages" in config:
        config = do_packages_pass(config, command_line_substitutions=substitutions)
    MISSED.clear()
    config = do_substitution_pass(config, substitutions)
    if "packages" in config:
        config = merge_packages(config)
    config.pop("substitutions", None)
    esphome_config.resolve_extend_remove(config)
    return {key: value for key, value in config.items() if not str(key).startswith(".")}


def encoded(value: object) -> object:
    """Return a value as JSON has it, with what JSON has not in a block of its own."""
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            return {"!keys": [[encoded(key), encoded(inner)] for key, inner in value.items()]}
        return {str(key): encoded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [encoded(inner) for inner in value]
    if isinstance(value, Lambda):
        return {"!lambda": str(value)}  # which fails if it has become no text, as generating code from it does
    if isinstance(value, Extend | Remove):
        raise TypeError(f"{value} is left over")  # as RemoveReferenceValidationStep and the schemas see to
    if isinstance(value, bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{value!r} is no value")  # as the schemas see to


def main() -> None:
    """Answer each line."""
    warnings = Warnings()
    logging.getLogger().addHandler(warnings)
    for line in sys.stdin:
        asked = json.loads(line)
        warnings.texts.clear()
        # where a list has something to extend or to remove, it takes items that are one object in memory for one item
        esphome_config.id = id if asked.get("as_it_is") else lambda _: next(UNIQUE)
        try:
            answer = {"content": encoded(resolve(Path(asked["path"]), asked["substitutions"]))}
        except Exception as error:  # noqa: BLE001 - whatever it rejects, or breaks on
            answer = {"error": f"{type(error).__name__}: {error}"}
        if warnings.texts or MISSED:
            answer["warnings"] = [*warnings.texts, *MISSED]
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
