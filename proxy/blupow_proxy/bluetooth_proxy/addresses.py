"""Device addresses: text as people write it, 48 bits as the wire has it."""

from typing import Final

MAX_ADDRESS: Final = (1 << 48) - 1

def address_number(text: str) -> int:
    """Return AA:BB:CC:DD:EE:FF as a number, the first octet most significant."""
    return int(text.replace(":", ""), 16)


def address_text(number: int) -> str:
    """Return a number as AA:BB:CC:DD:EE:FF; of more than 48 bits, the lower ones."""
    digits = f"{number & MAX_ADDRESS:012X}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
