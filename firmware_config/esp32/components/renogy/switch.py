"""Leaves the link of a Renogy unit to the phone app."""

from typing import Any

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import switch

from . import CONF_RENOGY_ID, Renogy, renogy_ns

ReleaseSwitch = renogy_ns.class_("ReleaseSwitch", switch.Switch)

CONFIG_SCHEMA = switch.switch_schema(ReleaseSwitch, block_inverted=True, default_restore_mode="DISABLED").extend(
    {cv.GenerateID(CONF_RENOGY_ID): cv.use_id(Renogy)}
)


async def to_code(config: dict[str, Any]) -> None:
    var = await switch.new_switch(config)
    await cg.register_parented(var, config[CONF_RENOGY_ID])
    unit = await cg.get_variable(config[CONF_RENOGY_ID])
    cg.add(unit.set_release(var))
