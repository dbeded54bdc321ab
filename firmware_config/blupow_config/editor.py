"""The schema for editors: JSON Schema, as yaml-language-server reads it."""

from typing import Final

from .entities import READING, SENSOR_READING
from .field import Json
from .schema import ROOT

DIALECT: Final = "http://json-schema.org/draft-07/schema#"  # what yaml-language-server knows best

_LANGUAGE: Final[Json] = {
    "substitutions": {"type": ["object", "null"], "description": "Values to write elsewhere as ${name}."},
    "packages": {"type": ["object", "array", "null"], "description": "Configurations that this one builds on."},
    "<<": {"description": "Options to take over."},
}
_COMPLETE: Final[Json] = {"required": ["esphome"], "properties": {"esphome": {"required": ["name"]}}}


def editor_schema() -> Json:
    """Return the JSON Schema of configuration files: what is accepted, but for rules between values."""
    root = ROOT.definition()
    del root["required"], root["properties"]["esphome"]["required"]
    return {
        "$schema": DIALECT,
        "title": "BluPow proxy",
        **root,
        "properties": {**root["properties"], **_LANGUAGE},
        "anyOf": [_COMPLETE, {"required": ["packages"]}, {"required": ["<<"]}],
        "patternProperties": {"^\\.": {}},
        "$defs": {str(block.shared): block.definition() for block in (READING, SENSOR_READING)},
    }
