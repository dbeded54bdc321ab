"""Numbers of a Renogy unit."""

from typing import Any

from esphome.components import sensor

from . import CONF_PRODUCT, CONF_SHARE, entity_schema, show

CONFIG_SCHEMA = entity_schema(
    sensor.sensor_schema(sensor.Sensor), ("link_quality", "failed_requests"), CONF_PRODUCT, CONF_SHARE
)


async def to_code(config: dict[str, Any]) -> None:
    await show(await sensor.new_sensor(config), config)
