"""What a proxy and its units are called unless a person has something better."""

import re
import socket
import unicodedata
from collections.abc import Collection
from typing import Final

from blupow_config.schema.fields import NAME_LENGTH
from blupow_proxy.renogy import Family, product_name

_FALLBACK: Final = "blupow"
_KINDS: Final = {
    Family.CONTROLLER: "Solar controller",
    Family.DCC: "DC-DC charger",
    Family.BATTERY: "Battery",
    Family.INVERTER: "Inverter",
    Family.SHUNT300: "Smart Shunt",
}
_FIGURE: Final = re.compile(r" \d+ ?(?:A|Ah|W)?$")  # what tells models apart tells one's own units apart as well


def proxy_name() -> str:
    """Return a name by which people know this machine."""
    return f"BluPow {socket.gethostname().split('.')[0]}".strip()


def node_name(friendly_name: str) -> str:
    """Return a name as it goes by on the network: lower-case letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", friendly_name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:NAME_LENGTH].strip("-") or _FALLBACK


def unit_name(family: Family | None, model: str | None, advertised: str | None, taken: Collection[str]) -> str:
    """Return a name for a unit that none of ``taken`` is."""
    if family is not None:
        known = product_name(model or "")
        name = _KINDS[family] if known is None else _FIGURE.sub("", known)
    else:
        name = advertised or "Renogy unit"
    if name not in taken:
        return name
    return next(numbered for number in range(2, len(taken) + 3) if (numbered := f"{name} {number}") not in taken)
