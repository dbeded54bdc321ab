"""The boards that firmware can be made for; each has a file of its name in ``static/boards``."""

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True, slots=True)
class Board:
    """What matters of a board; ``links`` Bluetooth connections at a time, ``owns_units`` if it can read units."""

    title: str
    network: Literal["wifi", "ethernet"]
    links: int
    owns_units: bool = True


# The radio is shared with Wi-Fi, where there is: a fourth connection makes all of them unreliable there.
BOARDS: Final = {
    "esp32": Board("any board with an ESP32-WROOM", "wifi", 3),
    "esp32-c3": Board("ESP32-C3", "wifi", 3),
    "esp32-s3": Board("ESP32-S3", "wifi", 3),
    "esp32-c6": Board("ESP32-C6", "wifi", 3),
    "olimex-esp32-poe-iso": Board("Olimex ESP32-POE-ISO", "ethernet", 4),
    "wt32-eth01": Board("WT32-ETH01", "ethernet", 4),
    "gl-s10": Board("GL.iNet GL-S10 v2.3", "ethernet", 4),
    "pico-w": Board("Raspberry Pi Pico W", "wifi", 3, owns_units=False),
}
