"""Whether the proxy, or a unit behind it, can be reached."""

from collections.abc import Callable
from functools import partial

from homeassistant.core import CALLBACK_TYPE, callback

from .const import LOGGER


class Reach:
    """Tells its listeners when what it stands for is reached, or lost."""

    def __init__(self) -> None:
        """Start out of reach."""
        self.reached = False
        self._listeners: dict[Callable[[], None], None] = {}  # in the order of their coming

    @callback
    def async_listen(self, listener: Callable[[], None]) -> CALLBACK_TYPE:
        """Call ``listener`` after each change; returns what ends that."""
        self._listeners[listener] = None
        return partial(self._listeners.pop, listener, None)

    @callback
    def async_set(self, *, reached: bool) -> None:
        """Note what is true now."""
        if self.reached != reached:
            self.reached = reached
            for listener in tuple(self._listeners):
                try:
                    listener()
                except Exception:  # noqa: BLE001 - one entity's trouble must not keep the others from being told
                    LOGGER.exception("Whether something is reached could not be shown")
