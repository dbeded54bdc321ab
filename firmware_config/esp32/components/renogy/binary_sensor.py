"""What is on or off at a Renogy unit."""

from typing import Any

from esphome.components import binary_sensor

from . import CONF_PROBLEM, entity_schema, show

CONFIG_SCHEMA = entity_schema(binary_sensor.binary_sensor_schema(binary_sensor.BinarySensor), ("link",), CONF_PROBLEM)


async def to_code(config: dict[str, Any]) -> None:
    await show(await binary_sensor.new_binary_sensor(config), config)
