"""What a Renogy unit says in words."""

from typing import Any

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import text_sensor, time
from esphome.const import CONF_TIME_ID

from . import CONF_LINK, CONF_RENOGY_ID, entity_schema, show

_LAST_READING = "last_reading"

CONFIG_SCHEMA = entity_schema(
    text_sensor.text_sensor_schema(text_sensor.TextSensor).extend(
        {cv.Optional(CONF_TIME_ID): cv.use_id(time.RealTimeClock)}
    ),
    ("link_status", _LAST_READING),
)


async def to_code(config: dict[str, Any]) -> None:
    var = await text_sensor.new_text_sensor(config)
    if config.get(CONF_LINK) != _LAST_READING:
        await show(var, config)
        return
    unit = await cg.get_variable(config[CONF_RENOGY_ID])
    cg.add(unit.set_last_reading(var, await cg.get_variable(config[CONF_TIME_ID])))
