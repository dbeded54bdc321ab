"""The Bluetooth module of a Renogy device (BT-1, BT-2, or built in) as a UART: a pipe over GATT for Modbus frames."""

from typing import Any

import esphome.codegen as cg
import esphome.config_validation as cv
from esphome.components import ble_client, uart
from esphome.const import CONF_BAUD_RATE, CONF_ID

DEPENDENCIES = ["ble_client"]
AUTO_LOAD = ["uart"]
MULTI_CONF = True

renogy_bt_ns = cg.esphome_ns.namespace("renogy_bt")
RenogyBT = renogy_bt_ns.class_("RenogyBT", uart.UARTComponent, cg.Component, ble_client.BLEClientNode)

CONFIG_SCHEMA = (
    cv.Schema(
        {
            cv.GenerateID(): cv.declare_id(RenogyBT),
            cv.Optional(CONF_BAUD_RATE, default=9600): cv.int_range(min=1),  # for what asks a UART for it
        }
    )
    .extend(ble_client.BLE_CLIENT_SCHEMA)
    .extend(cv.COMPONENT_SCHEMA)
)


async def to_code(config: dict[str, Any]) -> None:
    var = cg.new_Pvariable(config[CONF_ID])
    await cg.register_component(var, config)
    await ble_client.register_ble_node(var, config)
    cg.add(var.set_baud_rate(config[CONF_BAUD_RATE]))
    cg.add(var.set_data_bits(8))
    cg.add(var.set_stop_bits(1))
