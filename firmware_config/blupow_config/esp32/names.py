"""Names in ESPHome's C++: what is taken there, and what a project calls its own."""

from collections.abc import Collection, Iterable
from typing import Final

# What ESPHome refuses as an id: words of C++ and of its own, its `RESERVED_IDS`, and the components of a project.
_WORDS: Final = """
alarm alignas alignof and and_eq App asm auto bitand bitor bool break case catch char char16_t char32_t check_pos
class clock close compl concept const const_cast constexpr continue crc16_be crc16_le crc32_be crc32_le crc8_be
crc8_le dbg_state debug_timer decltype default delay delayMicroseconds delete digitalRead digitalWrite do double
dynamic_cast else enum explicit export extern false float for friend goto if inline INPUT int int16_t int32_t int64_t
int8_t long loop mutable namespace new noexcept not not_eq nullptr one_bits open operator or or_eq OUTPUT pause
pinMode private protected public recv_packet register reinterpret_cast requires return send_packet setup short signed
sizeof sleep software_reset spi0 spi1 static static_assert static_cast struct switch template text this thread_local
throw true try typedef typeid typename uart0 uart1 uart2 uint16_t uint32_t uint64_t uint8_t union unsigned using
virtual void volatile wchar_t while xor xor_eq
"""
_COMPONENTS: Final = """
api binary_sensor ble_client ble_device_base bluetooth_connection bluetooth_proxy button captive_portal esp32
esp32_ble esp32_ble_client esp32_ble_tracker esphome ethernet ethernet_info external_components gpio homeassistant
logger md5 mdns network noise ota output preferences renogy renogy_bt restart safe_mode sensor sha256 socket
status_led switch text_sensor time uart uptime watchdog web_server web_server_base web_server_idf wifi wifi_info
wifi_signal
"""
CLOCK: Final = "blupow_clock"
TAKEN: Final = frozenset((_WORDS + _COMPONENTS).split()) | {CLOCK, "main", "std"}
PARTS: Final = ("unit", "uart", "ble", "ble_enabled")  # of a unit, each with an id of its own


def stems(ids: Collection[str]) -> dict[str, str]:
    """Return what the ids of each unit's parts begin with: its own id, lengthened where that would be another's."""
    taken = {*TAKEN, *ids}
    found = {}
    for unit_id in ids:
        stem = unit_id
        while not taken.isdisjoint(part_ids(stem)):
            stem += "_"
        taken |= part_ids(stem)
        found[unit_id] = stem
    return found


def part_ids(stem: str) -> set[str]:
    """Return the ids of a unit's parts."""
    return {f"{stem}_{part}" for part in PARTS}


def free_name(wanted: str, taken: Iterable[str], ending: str) -> str:
    """Return ``wanted``, with as many endings as it needs to be none of ``taken``."""
    others = frozenset(taken)
    while wanted in others:
        wanted += ending
    return wanted
