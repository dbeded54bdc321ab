"""Options of ESPHome that a proxy on Linux does not have, and what to do instead."""

from collections.abc import Mapping
from typing import Final

_BOARD: Final = "is of boards: leave it out here, `blupow-proxy esp32 new` writes it for one"
_ADAPTER: Final = "is of boards: `bluetooth: adapter:` says which adapter it is"
_SERVICE: Final = "is of boards: here systemd starts again what fails, leave it out"

ELSEWHERE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "ble_client",
            "captive_portal",
            "esp32",
            "esp32_ble",
            "esp32_ble_beacon",
            "esp32_ble_server",
            "esp32_ble_tracker",
            "esp32_improv",
            "esp8266",
            "ethernet",
            "external_components",
            "host",
            "improv_ble",
            "improv_serial",
            "psram",
            "rp2040",
            "status_led",
            "uart",
        ),
        _BOARD,
    ),
    "wifi": "is of boards: the network is that of this machine, leave it out",
    "safe_mode": "is of boards: the proxy has a safe mode by itself, leave it out",
    **dict.fromkeys(
        ("http_request", "ota", "update"), "is of boards: here the program is updated as it was installed, leave it out"
    ),
    "web_server": "is of boards: leave it out, `blupow-proxy watch` shows every state",
    "mdns": "is called zeroconf here",
    "mqtt": "is not spoken: Home Assistant reads the native API",
    "dashboard_import": "is of boards: leave it out",
    "button": "has nothing to set: Restart is always there",
    "switch": "has nothing to set: write `load_switch: true` below a unit",
    "api.password": "is no longer known to ESPHome either: use `encryption:`",
    "api.reboot_timeout": _SERVICE,
    "api.id": "has nothing that it could be used for, leave it out",
    "bluetooth_proxy.cache_services": "is of boards: here BlueZ remembers what devices have, leave it out",
    "bluetooth_proxy.connections": "is of boards: `connection_slots:` says how many there are",
    "bluetooth_proxy.esp32_ble_id": _ADAPTER,
    "bluetooth_proxy.ble_hub_id": _ADAPTER,
    "bluetooth_proxy.setup_priority": "is of boards: leave it out",
    "bluetooth_proxy.id": "has nothing that it could be used for, leave it out",
    "esphome.platform": _BOARD,
    "esphome.board": _BOARD,
    "esphome.includes": _BOARD,
    "esphome.min_version": "is of boards: leave it out",
    "esphome.name_add_mac_suffix": "is of boards: the name is whole here, leave it out",
    "esphome.project": "is of boards: leave it out",
    "esphome.libraries": _BOARD,
    "esphome.on_boot": "can't be run here: use an automation of Home Assistant",
    "logger.baud_rate": "is of boards: the log goes to the terminal or the journal, leave it out",
    "logger.hardware_uart": "is of boards: the log goes to the terminal or the journal, leave it out",
}
"""By path, without the numbers of list items."""


def elsewhere(path: list[object]) -> str | None:
    """Return what to do about an option of ESPHome that is not known here; None if it is none."""
    return ELSEWHERE.get(".".join(str(step) for step in path if isinstance(step, str)))
