"""The pages of the documentation that follow from the schema: every component with its options, every reading."""

from collections.abc import Iterator
from typing import Any, Final

from probatio import Required
from probatio.markers import Undefined

from blupow_proxy.renogy import Family, register_map

from .entities import READING, SENSOR_READING
from .entity_names import KEPT_NAMES
from .field import Block, Field, List, Platforms
from .readings import of_family
from .root import ROOT

_HEAD: Final = "| option | | default | |\n|---|---|---|---|"
_COMPONENTS: Final = """# Components

Every option of `proxy.yaml`. `blupow-proxy config proxy.yaml` checks it; editors that know YAML's language server check
and complete it as it is written, with this first line:

    # yaml-language-server: $schema={url}

Times have a unit (`500ms`, `2s`, `1min`, `1h`). What is in **bold** is required. What `bluetooth_proxy:` does has
[a page of its own](bluetooth_proxy.md)."""
_FILTERS: Final = """## Filters

They act in their order, as ESPHome's filters of the same names do. A value that goes missing is missing at once.

| filter | |
|---|---|
| `delta: 0.1`, `delta: 5%` | passes on what differs from the last value by more than that |
| `delta:` with `min_value` and `max_value` | the same, and nothing that differs by more than `max_value`: \
a real step of that size stays unseen until the value has come back or gone missing |
| `throttle: 10s` | passes on one value in that time |
| `multiply: 1.01` | multiplies |
| `offset: -0.2` | adds |
| `calibrate_linear:` with `- 0.0 -> 0.1` and more | corrects along the line through measured and right values; \
`method: exact` from point to point |"""
_READINGS: Final = """# Readings

What the devices of each family can show, by the keys that `entities:` and `platform: renogy` know. A device shows those
that it answers; those in *italics* are disabled in Home Assistant until someone wants them.

The companion looks for some by their names, which they keep:
{kept}. In Home Assistant they may be called anything."""


def components_page(url: str) -> str:
    """Return the page about components, in Markdown; ``url`` is where editors find the schema."""
    parts = [_COMPONENTS.format(url=url)]
    for marker, part in ROOT.options.items():
        parts.append(f"## {marker.schema}\n\n{marker.description}")
        parts.extend(_describe(part))
    parts.append("## Entities of units\n\nWhat can be said of a reading under `sensor:`, `platform: renogy`.")
    parts.extend(_table(SENSOR_READING))
    left_out = len(SENSOR_READING.options) - len(READING.options)
    parts.append(f"Under `binary_sensor:` and `text_sensor:` it is the same without the last {left_out}.")
    parts.append(_FILTERS)
    return "\n\n".join(parts) + "\n"


def readings_page() -> str:
    """Return the page about readings, in Markdown."""
    parts = [_READINGS.format(kept=", ".join(KEPT_NAMES))]
    for family in Family:
        rows = [
            f"| {_italic(f'`{one.key}`', one.disabled)} | {one.kind} | {one.name} | {one.unit.replace('|', '/')} |"
            for one in of_family(family).values()
        ]
        title = register_map(family).title
        parts.append(
            f"## {family}\n\n{title}\n\n| key | under | shown as | unit |\n|---|---|---|---|\n" + "\n".join(rows)
        )
    return "\n\n".join(parts) + "\n"


def _describe(part: Any) -> Iterator[str]:
    match part:
        case Block():
            yield from _table(part)
        case List():
            yield from _describe(part.item)
        case Platforms():
            described: dict[str, list[str]] = {}
            for name, case in part.cases.items():
                yield f"### platform: {name}\n\n{case.about}"
                options = list(map(str, case.options))
                if options in described.values():
                    yield next(
                        f"Its options are those of {other}." for other in described if described[other] == options
                    )
                    continue
                described[name] = options
                if any(inner in (READING, SENSOR_READING) for inner in case.options.values()):
                    yield (
                        "`renogy_id` is the id of the unit, not needed if there is one. Every other option is the key "
                        "of a [reading](readings.md), with [what is wished of it](#entities-of-units) below it."
                    )
                else:
                    yield from _table(case)


def _table(block: Block) -> Iterator[str]:
    yield "\n".join([_HEAD, *_rows(block, "")])


def _rows(block: Block, prefix: str) -> Iterator[str]:
    for marker, part in block.options.items():
        name = f"`{prefix}{marker.schema}`"
        shown = f"**{name}**" if isinstance(marker, Required) else name
        default = "" if isinstance(marker.default, Undefined) else marker.default()
        kind = part.kind if isinstance(part, Field) else ""
        told = f"`{_yaml(default)}`" if default not in ("", {}, []) else ""
        yield f"| {shown} | {kind} | {told} | {marker.description} |"
        if isinstance(part, Block):
            yield from _rows(part, f"{prefix}{marker.schema}.")


def _yaml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _italic(text: str, yes: bool) -> str:
    return f"*{text}*" if yes else text
