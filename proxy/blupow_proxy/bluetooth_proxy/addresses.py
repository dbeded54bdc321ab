"""Device addresses as people write them; as numbers they have 48 bits, the first octet the most significant."""

from typing import Final

MAX_ADDRESS: Final = (1 << 48) - 1


def address_text(number: int) -> str:
    """Return a number as AA:BB:CC:DD:EE:FF; of more than 48 bits, the lower ones."""
    digits = f"{number & MAX_ADDRESS:012X}"
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))
