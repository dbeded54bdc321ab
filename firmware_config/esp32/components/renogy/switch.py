"""Leaves the link of a Renogy unit to the phone app, or switches what one of its registers does."""

from typing import Any

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import switch
from esphome.const import CONF_TYPE

from . import CONF_RENOGY_ID, CONF_ROW, Renogy, renogy_ns, show

CONF_REGISTER = "register"

ReleaseSwitch = renogy_ns.class_("ReleaseSwitch", switch.Switch)
RegisterSwitch = renogy_ns.class_("RegisterSwitch", switch.Switch)

_UNIT = {cv.GenerateID(CONF_RENOGY_ID): cv.use_id(Renogy)}

CONFIG_SCHEMA = cv.typed_schema(
    {
        "release": switch.switch_schema(ReleaseSwitch, block_inverted=True, default_restore_mode="DISABLED").extend(
            _UNIT
        ),
        # written is `register`, shown is `row`
        "register": switch.switch_schema(RegisterSwitch, block_inverted=True, default_restore_mode="DISABLED").extend(
            {**_UNIT, cv.Required(CONF_REGISTER): cv.uint16_t, cv.Required(CONF_ROW): cv.string_strict}
        ),
    }
)


async def to_code(config: dict[str, Any]) -> None:
    var = await switch.new_switch(config)
    await cg.register_parented(var, config[CONF_RENOGY_ID])
    if config[CONF_TYPE] == "register":
        cg.add(var.set_register(config[CONF_REGISTER]))
        await show(var, config)
    else:
        unit = await cg.get_variable(config[CONF_RENOGY_ID])
        cg.add(unit.set_release(var))
