"""The schema for editors: JSON Schema, as yaml-language-server reads it."""

from typing import Final

from .entities import READING, SENSOR_READING
from .field import Json
from .root import ROOT
from .units import UNIT

SCHEMA_URL: Final = "https://raw.githubusercontent.com/blupow/blupow/main/firmware_config/schema.json"
DIALECT: Final = "http://json-schema.org/draft-07/schema#"  # what yaml-language-server knows best

_LANGUAGE: Final[Json] = {
    "substitutions": {"type": ["object", "null"], "description": "Values to write elsewhere as ${name}."},
    "packages": {"type": ["object", "array", "null"], "description": "Configurations that this one builds on."},
    "<<": {"description": "Options to take over."},
}
_COMPLETE: Final[Json] = {"required": ["esphome"], "properties": {"esphome": {"required": ["name"]}}}


# a file or several, with !include in any of its forms: an editor sees what stands behind it
_INCLUDED: Final[tuple[Json, ...]] = (
    {"type": "string", "pattern": "[./]"},
    {"type": "object", "required": ["file"], "properties": {"file": {"type": "string"}, "vars": {"type": "object"}}},
)


def editor_schema() -> Json:
    """Return the JSON Schema of configuration files: what is accepted, but for rules between values."""
    root = ROOT.definition()
    del root["required"], root["properties"]["esphome"]["required"]
    properties = {name: _includable(part) for name, part in root["properties"].items()}
    unit = UNIT.definition()
    # with its id alone, an entry is about a unit of a package
    unit["anyOf"] = [{"required": unit.pop("required")}, {"required": ["id"]}]
    return {
        "$schema": DIALECT,
        "title": "BluPow proxy",
        **root,
        "properties": {**properties, **_LANGUAGE},
        "anyOf": [_COMPLETE, {"required": ["packages"]}, {"required": ["<<"]}],
        "patternProperties": {"^\\.": {}},
        "$defs": {
            str(UNIT.shared): unit,
            **{str(block.shared): block.definition() for block in (READING, SENSOR_READING)},
        },
    }


def _includable(part: Json) -> Json:
    told: Json = {name: part[name] for name in ("description", "default") if name in part}
    inner = {name: value for name, value in part.items() if name not in told}
    return {"anyOf": [*inner.get("anyOf", [inner]), *_INCLUDED], **told}
