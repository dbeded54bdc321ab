"""Which devices are for clients: not our own, and not what the user keeps from them."""

import re
from collections.abc import Iterable, Sequence
from enum import Enum
from functools import lru_cache
from typing import Final

from blupow_proxy.ble import NAME, SHORT_NAME, RawAdvertisement, address_number, structures

MAX_NAMES: Final = 1024  # devices whose name is remembered: more than are ever near, even with changing addresses
_NAMELESS: Final = (None, False)
_ADDRESS: Final = re.compile(r"(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")


class Verdict(Enum):
    """Whether a device is for clients; the values complete "This device"."""

    FREE = "is free"
    OWNED = "is read by this proxy itself"
    DENIED = "is kept from clients by `allow` or `deny` of bluetooth_proxy"


class Rules:
    """Judges devices by address and name.

    ``allow`` and ``deny`` hold addresses, or names in which ``*`` stands for anything, in whatever case. With
    ``allow``, only what is in it is free; what is in ``deny`` is not. Who was not heard to say its name has none, which
    ``*`` alone stands for as well.
    """

    def __init__(self, *, owned: Iterable[str], allow: Sequence[str] = (), deny: Sequence[str] = ()) -> None:
        self._owned = frozenset(map(address_number, owned))
        self._allow_all = not allow
        self._allowed, self._allowed_names = _parted(allow)
        self._denied, self._denied_names = _parted(deny)
        self._compared = lru_cache(maxsize=MAX_NAMES)(self._compare)
        self._by_name = self._allowed_names is not None or self._denied_names is not None
        # of those whose name makes it another one, with whether the name was whole
        self._names: dict[int, tuple[Verdict, bool]] = {}

    @property
    def owned(self) -> frozenset[int]:
        """The addresses of our own devices."""
        return self._owned

    def hears(self, advertisement: RawAdvertisement) -> bool:
        """Whether clients may hear of it; what it says of its name is remembered."""
        address = advertisement.address
        if self._by_name and address not in self._owned:
            name, complete = device_name(advertisement.data)
            # a shortened name is of the same device: what its whole name has told stays, as in BlueZ
            if name is not None and (complete or not self._names.get(address, _NAMELESS)[1]):
                self._remember(address, name, complete=complete)
        return self.verdict(address) is Verdict.FREE

    def verdict(self, address: int) -> Verdict:
        """Judge a device by its address, and the name that it has said last."""
        if address in self._owned:
            return Verdict.OWNED
        if address in self._denied:
            return Verdict.DENIED
        return self._names.get(address, _NAMELESS)[0] or self._judge(address, b"")

    def _remember(self, address: int, name: bytes, *, complete: bool) -> None:
        """Keep what a name makes a difference to: strangers with names of no interest can't make us forget others'."""
        self._names.pop(address, None)
        verdict = self._judge(address, name)
        if verdict is self._judge(address, b""):
            return
        if len(self._names) >= MAX_NAMES:
            del self._names[next(iter(self._names))]
        self._names[address] = verdict, complete

    def _judge(self, address: int, name: bytes) -> Verdict:
        denied, allowed = self._compared(name)
        return Verdict.FREE if not denied and (allowed or address in self._allowed) else Verdict.DENIED

    def _compare(self, name: bytes) -> tuple[bool, bool]:
        """Return whether a name is denied, and whether it is allowed."""
        text = name.decode(errors="replace").partition("\0")[0].strip()  # padded with either; BlueZ ends it there, too
        return _fits(self._denied_names, text), self._allow_all or _fits(self._allowed_names, text)


def device_name(data: bytes) -> tuple[bytes | None, bool]:
    """Return the name in AD structures, a complete one first, and whether it is; None without any, or an empty one."""
    name = None
    for kind, content in structures(data):
        if kind == NAME and content:
            return content, True
        if kind == SHORT_NAME:
            name = name or content
    return name or None, False


def _fits(names: re.Pattern[str] | None, name: str) -> bool:
    return names is not None and names.fullmatch(name) is not None


def _parted(entries: Sequence[str]) -> tuple[frozenset[int], re.Pattern[str] | None]:
    """Part addresses from names; the names become one pattern."""
    addresses = {entry for entry in entries if _ADDRESS.fullmatch(entry)}
    names = [_pattern(entry) for entry in entries if entry not in addresses]
    pattern = re.compile("|".join(names), re.IGNORECASE | re.DOTALL) if names else None
    return frozenset(map(address_number, addresses)), pattern


def _pattern(name: str) -> str:
    """Return a pattern that takes the first of each part: who advertises can't make it try the others as well."""
    first, *parts = map(re.escape, name.split("*"))
    if not parts:
        return first
    *middle, last = parts
    return first + "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"
