"""Register images: values back to the bytes that a device sends, by the same tables that decode them."""

from collections.abc import Mapping, Sequence

from blupow_proxy.renogy import Family, Register, blocks_for, register_map

from .devices import Content


class RegisterImage:
    """The registers of one device; those that its blocks cover exist, others don't."""

    def __init__(self, family: Family) -> None:
        blank = 0xFFFF if family is Family.INVERTER else 0  # what an inverter does not have reads as all ones
        self._words = {
            register: blank
            for block in blocks_for(family)
            for register in range(block.register, block.register + block.words)
        }
        self._rows: Mapping[str, Register] = {row.key: row for row in register_map(family).registers}

    def read(self, register: int, words: int) -> bytes | None:
        """Return the bytes of a span; None when a register of it does not exist."""
        span = range(register, register + words)
        if not all(number in self._words for number in span):
            return None
        return b"".join(self._words[number].to_bytes(2) for number in span)

    def update(self, content: Content) -> None:
        """Set registers from values by key."""
        for key, value in content.items():
            self._store(self._rows[key], value)

    def _store(self, row: Register, value: float | str | list[float]) -> None:
        if isinstance(value, str):
            data = _text(row, value)
        elif isinstance(value, Sequence):
            values = [*value, *[0] * (row.words - len(value))]
            data = b"".join((_raw(row, item) & 0xFFFF).to_bytes(2) for item in values)
        else:
            number = _raw(row, value)
            if row.mask is not None:
                kept = self._words.get(row.register, 0) & ~(row.mask << row.shift) & 0xFFFF
                number = kept | (number & row.mask) << row.shift
            data = (number & (1 << 16 * row.words) - 1).to_bytes(2 * row.words)
        for place in range(row.words):
            if row.register + place in self._words:
                self._words[row.register + place] = int.from_bytes(data[2 * place : 2 * place + 2])


def _raw(row: Register, value: float) -> int:
    number = round(value if row.scale is None else value / row.scale)
    return 0x80 | -number if row.type == "sign_magnitude" and number < 0 else number


def _text(row: Register, value: str) -> bytes:
    if row.type == "version":
        return bytes((0, *(int(part) for part in value.removeprefix("V").split("."))))
    if row.type == "hex":
        return bytes.fromhex(value)
    return value.encode("ascii").ljust(2 * row.words, b"\0")
