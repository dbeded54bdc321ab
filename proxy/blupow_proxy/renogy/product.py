"""What a model string is called in a shop."""

import re
from typing import Final

_PRODUCTS: Final = (
    (re.compile(r"RNG-CTRL-RVR\D*(\d+)"), "Rover {} A", 1),
    (re.compile(r"RNG-CTRL-WND\D*(\d+)"), "Wanderer {} A", 1),
    (re.compile(r"RNG-CTRL-ADV\D*(\d+)"), "Adventurer {} A", 1),
    (re.compile(r"RCC(\d+)RVRE"), "Rover Elite {} A", 1),
    (re.compile(r"RCC(\d+)REGO"), "REGO controller {} A", 1),
    (re.compile(r"(?:RBC|DCC)(\d+)"), "DC-DC charger {} A", 1),
    (re.compile(r"RBT(?:12|24|48)(\d{3})LFP"), "Battery {} Ah", 1),
    (re.compile(r"RBT(\d{2,3})LFP"), "Battery {} Ah", 1),
    (re.compile(r"RIV\d\d(\d\d)"), "Inverter {} W", 100),
    (re.compile(r"RSHST\D*\d\d\D*(\d{3})"), "Smart Shunt {}", 1),
)


def product_name(model: str) -> str | None:
    """Return what people call a device of this model, such as Rover 40 A; None for a string that is not known."""
    for pattern, name, scale in _PRODUCTS:
        if match := pattern.match(model.strip().upper()):
            return name.format(int(match[1]) * scale)
    return None
