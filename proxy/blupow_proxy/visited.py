"""The devices that clients were connected to, kept over restarts: a proxy that was killed leaves them connected.

BlueZ ends no link because the program that made it is gone, and a device with a link is not heard by anyone.
"""

from collections.abc import Awaitable, Callable, Collection
from typing import Final

from blupow_proxy.allowance import Allowance
from blupow_proxy.storage import Storage

MAX_VISITED: Final = 64  # devices, the latest: more than clients of one proxy have
WRITES: Final = 64  # at once: what is not written yet when this process is killed, nobody would ever end
PAUSE_S: Final = 60.0  # in the long run: a client may use devices that change their address, and memory cards wear out

_NAME: Final = "visited"


class Visited:
    """Addresses; a damaged or foreign file counts as none. What ``is_linked`` now is not forgotten for others."""

    def __init__(self, storage: Storage, is_linked: Callable[[str], bool] = lambda _: False) -> None:
        self._storage = storage
        self._is_linked = is_linked
        stored = (storage.read(_NAME) or {}).get("addresses")
        listed = stored if isinstance(stored, list) else ()
        self._addresses = dict.fromkeys(one for one in listed if isinstance(one, str))
        self._is_saved = True
        self._writes: Allowance | None = None

    def __contains__(self, address: object) -> bool:
        """Whether it may be connected still."""
        return address in self._addresses

    def add(self, address: str) -> None:
        """Remember a device that is being connected for a client; which was the last is no news for the disk."""
        self._is_saved &= address in self._addresses
        self._addresses.pop(address, None)
        self._addresses[address] = None
        while len(self._addresses) > MAX_VISITED:
            del self._addresses[next((one for one in self._addresses if not self._is_linked(one)), address)]

    def save(self, now: float) -> None:
        """Write what is new, at ``now`` in monotonic seconds; called every second or so."""
        if self._is_saved:
            return
        self._writes = self._writes or Allowance(WRITES, 1 / PAUSE_S, now)
        if self._writes.take(now):
            self._storage.write_soon(_NAME, {"addresses": list(self._addresses)})
            self._is_saved = True

    async def let_go(self, end: Callable[[Collection[str]], Awaitable[None]]) -> None:
        """Let ``end`` free those that an earlier process has left connected."""
        if self._addresses:
            await end(tuple(self._addresses))
