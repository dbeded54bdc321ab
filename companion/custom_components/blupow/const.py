"""Names that more than one module needs, and the ones that the proxy and the companion share."""

import logging
from typing import Final

from homeassistant.const import Platform

DOMAIN: Final = "blupow"
LOGGER: Final = logging.getLogger(__package__)

PLATFORMS: Final = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SELECT,
    Platform.SENSOR,
    Platform.SWITCH,
    Platform.TEXT,
    Platform.UPDATE,
)

CONF_NOISE_PSK: Final = "noise_psk"
CONF_DEVICE_NAME: Final = "device_name"
CONF_PAIRED: Final = "paired"  # whether the key was set by the companion, so that it may be taken back

CONF_BLUETOOTH_SCANNING_MODE: Final = "bluetooth_scanning_mode"
CONF_BLUETOOTH_SOURCE: Final = "bluetooth_source"
CONF_REPORT_AFTER: Final = "report_after"
CONF_SUBSCRIBE_LOGS: Final = "subscribe_logs"

DEFAULT_PORT: Final = 6053  # ESPHome's
DEFAULT_SCANNING_MODE: Final = "auto"  # the ESPHome integration's: active while something asks for it
DEFAULT_REPORT_AFTER_MIN: Final = 10  # longer than the proxy needs to come back from anything but an absent device

PROJECT: Final = "blupow."  # how the project name of everything that speaks our vocabulary starts
MIN_PROXY_VERSION: Final = "0.1.0"
NEXT_PROXY_VERSION: Final = "1.0.0"  # the first one that may speak another vocabulary
MANUFACTURER: Final = "Renogy"  # of the units; the proxy says its own

# Object ids on the wire.
LINK: Final = "link"
LINK_STATUS: Final = "link_status"
FAILED_REQUESTS: Final = "failed_requests"
RELEASE_LINK: Final = "release_link"
LINK_ENTITIES: Final = frozenset(  # by kind: what says how a unit is reached, and holds while it is not
    {
        ("binary_sensor", LINK),
        ("text_sensor", LINK_STATUS),
        ("sensor", "signal_strength"),
        ("sensor", "link_quality"),
        ("text_sensor", "last_reading"),
        ("sensor", FAILED_REQUESTS),
        ("switch", RELEASE_LINK),
    }
)
ADAPTER_PROBLEM: Final = "bluetooth_adapter"
ADAPTER_STATUS: Final = "bluetooth_adapter_status"
CLOCK_PROBLEM: Final = "clock"
BATTERY_POWER: Final = "battery_power"
HELD_BY_ANOTHER: Final = "held by another central"  # in a link status: it may be the phone app
# What says who a unit is.
MODEL: Final = "model"
SERIAL_NUMBER: Final = "serial_number"
SOFTWARE_VERSIONS: Final = ("firmware_version", "software_version")
HARDWARE_VERSION: Final = "hardware_version"
# Texts in which nothing stands that identifies or opens; a text that is not known by its name may be anything.
HARMLESS_TEXTS: Final = frozenset(
    {
        ADAPTER_STATUS,
        LINK_STATUS,
        "last_reading",
        MODEL,
        HARDWARE_VERSION,
        *SOFTWARE_VERSIONS,
        "cell_errors",
        "cell_temperature_alarm",
        "cell_voltage_alarm",
        "charge_discharge_status",
        "company",
        "controller_faults",
        "device_date",
        "device_time",
        "fault_codes",
        "faults",
        "main_line_version",
        "manufacture_version",
        "manufacturer",
        "more_faults",
        "more_status",
        "other_alarms",
        "protocol_version",
        "special_power_control",
        "status",
    }
)
