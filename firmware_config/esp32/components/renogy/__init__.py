"""A Renogy unit behind a UART: asks for its blocks, shows their values, never a wrong or an old one."""

from collections.abc import Callable, Mapping
from typing import Any

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome import automation
from esphome.components import uart
from esphome.const import CONF_ID, CONF_TIMEOUT, CONF_TYPE, CONF_UPDATE_INTERVAL
from esphome.core import CORE, EsphomeError

from .tables import NAMINGS, UnknownRowError, cpp_map, row_place

DEPENDENCIES = ["uart"]
MULTI_CONF = True

CONF_RENOGY_ID = "renogy_id"
CONF_HAS_LINK = "has_link"
CONF_LINK = "link"
CONF_ROW = "row"
CONF_ITEM = "item"
CONF_PRODUCT = "product"
CONF_SHARE = "share"
CONF_PROBLEM = "problem"

renogy_ns = cg.esphome_ns.namespace("renogy")
Renogy = renogy_ns.class_("Renogy", cg.Component, uart.UARTDevice)
RefreshAction = renogy_ns.class_("RefreshAction", automation.Action)
Source = renogy_ns.struct("Source")
SourceKind = Source.enum("Kind", is_class=True)

TYPES = ("uint", "int", "sign_magnitude", "text", "version", "hex", "flags", "alarms", "uint_array", "int_array")
_range = cv.All([cv.float_], cv.Length(min=2, max=2))
_models = cv.ensure_list(cv.string_strict)
_word = cv.int_range(min=0, max=0xFFFFFFFF)

_REGISTER = cv.Schema(
    {
        cv.Required(CONF_ROW): cv.string_strict,
        cv.Required("register"): cv.uint16_t,
        cv.Optional("words"): cv.int_range(min=1, max=125),
        cv.Required(CONF_TYPE): cv.one_of(*TYPES),
        cv.Optional("shift"): cv.int_range(min=0, max=31),
        cv.Optional("mask"): _word,
        cv.Optional("scale"): cv.positive_float,
        cv.Optional("range"): _range,
        cv.Optional("missing"): [_word],
        **{cv.Exclusive(naming, "names"): {_word: cv.string_strict} for naming in NAMINGS},
        cv.Optional("millivolts_from"): cv.positive_int,
        cv.Optional("count_from"): cv.string_strict,
        cv.Optional("bank_from"): cv.string_strict,
        cv.Optional("at_most"): cv.All([cv.Any(cv.float_, cv.string_strict)], cv.Length(min=2, max=2)),
        cv.Optional("unsure"): cv.boolean,
        cv.Optional("problem_bits"): _word,
        cv.Optional("total"): cv.one_of("daily", "lifetime"),
        cv.Optional("inverted_on"): _models,
        cv.Optional("doubtful_on"): _models,
    }
)
_BLOCK = cv.Schema(
    {
        cv.Required("register"): cv.uint16_t,
        cv.Required("words"): cv.int_range(min=1, max=125),
        cv.Required("schedule"): cv.one_of("poll", "startup", "slow"),
        cv.Optional("plausible"): {cv.string_strict: _range},
        cv.Optional("only_on"): _models,
        cv.Optional("not_on"): _models,
    }
)


def _rows_are_known(config: dict[str, Any]) -> dict[str, Any]:
    try:
        cpp_map("map", config)
    except UnknownRowError as error:
        raise cv.Invalid(str(error)) from error
    return config


CONFIG_SCHEMA = cv.All(
    cv.Schema(
        {
            cv.GenerateID(): cv.declare_id(Renogy),
            cv.Required("family"): cv.string_strict,
            # 0xFF is answered by whatever is attached; never use it where several devices share a bus
            cv.Optional("addresses", default=[0xFF]): cv.All(cv.ensure_list(cv.hex_uint8_t), cv.Length(min=1)),
            cv.Optional(CONF_UPDATE_INTERVAL, default="2s"): cv.positive_time_period_milliseconds,
            cv.Optional("gap", default="100ms"): cv.positive_time_period_milliseconds,
            cv.Optional(CONF_TIMEOUT, default="2s"): cv.positive_time_period_milliseconds,
            cv.Optional("models", default=[]): [
                {cv.Required("match"): cv.string_strict, cv.Required("family"): cv.string_strict}
            ],
            cv.Required("blocks"): cv.All([_BLOCK], cv.Length(min=1)),
            cv.Required("registers"): cv.All([_REGISTER], cv.Length(min=1)),
            # whether there is a link below the UART, which may hang before the UART is ready
            cv.Optional(CONF_HAS_LINK): cv.returning_lambda,
            # nothing answers any more: make the link anew
            cv.Optional("on_lost"): automation.validate_automation({}),
        }
    )
    .extend(uart.UART_DEVICE_SCHEMA)
    .extend(cv.COMPONENT_SCHEMA),
    _rows_are_known,
)


async def to_code(config: dict[str, Any]) -> None:
    name = f"renogy_map_{config[CONF_ID].id}"
    times = {key: config[key].total_milliseconds for key in (CONF_UPDATE_INTERVAL, "gap", CONF_TIMEOUT)}
    cg.add_global(cg.RawStatement(cpp_map(name, {**config, **times})))
    var = cg.new_Pvariable(config[CONF_ID], cg.RawExpression(f"{name}::MAP"))
    # no PollingComponent: the interval is the map's
    await cg.register_component(var, {key: config[key] for key in config if key != CONF_UPDATE_INTERVAL})
    await uart.register_uart_device(var, config)
    if CONF_HAS_LINK in config:
        cg.add(var.set_has_link(await cg.process_lambda(config[CONF_HAS_LINK], [], return_type=cg.bool_)))
    await automation.build_callback_automations(
        var, config, (automation.CallbackAutomation("on_lost", "add_on_lost_callback"),)
    )


def entity_schema(schema: cv.Schema, link: tuple[str, ...], *sources: str) -> Callable[[Any], Any]:
    """Extend an entity's schema by what it shows: a register, or how the link does."""
    pair = cv.All([cv.string_strict], cv.Length(min=2, max=2))
    offered = {
        CONF_ROW: cv.string_strict,
        CONF_PRODUCT: pair,
        CONF_SHARE: pair,
        CONF_PROBLEM: cv.one_of(True),
        CONF_LINK: cv.one_of(*link),
    }
    keys = (CONF_ROW, CONF_LINK, *sources)
    return cv.All(
        schema.extend(
            {
                cv.GenerateID(CONF_RENOGY_ID): cv.use_id(Renogy),
                **{cv.Optional(key): offered[key] for key in keys},
                cv.Optional(CONF_ITEM): cv.int_range(min=1),
            }
        ),
        cv.has_exactly_one_key(*keys),
    )


async def show(var: Any, config: Mapping[str, Any]) -> Any:
    """Have the unit show a reading on entity ``var``; returns the unit."""
    unit = await cg.get_variable(config[CONF_RENOGY_ID])
    if CONF_LINK in config:
        cg.add(getattr(unit, f"set_{config[CONF_LINK]}")(var))
    else:
        cg.add(unit.add(var, _source(config)))
    return unit


def _source(config: Mapping[str, Any]) -> cg.StructInitializer:
    (rows,) = [unit["registers"] for unit in CORE.config["renogy"] if unit[CONF_ID] == config[CONF_RENOGY_ID]]
    try:
        if CONF_ROW in config:
            row = row_place(rows, config[CONF_ROW])
            item = config.get(CONF_ITEM, 0) - 1
            return cg.StructInitializer(Source, ("kind", SourceKind.ROW), ("row", row), ("item", item))
        for key in (CONF_PRODUCT, CONF_SHARE):
            if key in config:
                row, other = (row_place(rows, name) for name in config[key])
                kind = getattr(SourceKind, key.upper())
                return cg.StructInitializer(Source, ("kind", kind), ("row", row), ("other", other))
    except UnknownRowError as error:
        raise EsphomeError(f"{config.get('name')}: {error}") from error
    return cg.StructInitializer(Source, ("kind", SourceKind.PROBLEM))


@automation.register_action(
    "renogy.refresh",
    RefreshAction,
    automation.maybe_simple_id({cv.GenerateID(): cv.use_id(Renogy)}),
    synchronous=True,
)
async def refresh_to_code(config: Any, action_id: Any, template_arg: Any, args: Any) -> Any:
    var = cg.new_Pvariable(action_id, template_arg)
    await cg.register_parented(var, config[CONF_ID])
    return var
