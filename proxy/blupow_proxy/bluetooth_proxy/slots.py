"""Connection slots: how many links there may be, and who has one."""

from collections.abc import Iterable


class Slots:
    """``count`` slots for clients, and one that is never free for each of our own devices.

    Thus what clients are told adds up: ``free`` and the number of ``allocated`` are ``limit``.
    """

    def __init__(self, count: int, owned: Iterable[int]) -> None:
        """Addresses are numbers of 48 bits."""
        self._owned = tuple(dict.fromkeys(owned))
        self._reserved: dict[int, None] = {}
        self.limit = count + len(self._owned)

    @property
    def allocated(self) -> tuple[int, ...]:
        """The addresses that have a slot, our own first."""
        return (*self._owned, *self._reserved)

    @property
    def free(self) -> int:
        """How many more addresses can have one."""
        return self.limit - len(self._owned) - len(self._reserved)

    def reserve(self, address: int) -> bool:
        """Give ``address`` a slot; False when none is free or it has one."""
        if not self.free or address in self.allocated:
            return False
        self._reserved[address] = None
        return True

    def release(self, address: int) -> None:
        """Take a client's slot back."""
        del self._reserved[address]
