"""The last resort for an adapter: unblocked and reset below BlueZ, which takes a right that nothing else needs."""

import asyncio
import logging
from typing import Final

from .bluez import AdapterFacts

# rfkill, the kernel's power off and on, then USB: the library's own pauses add up to about half of that
RECOVERY_S: Final = 45.0
MISSING: Final = (
    "`bluetooth: auto_recovery` needs a library: install blupow-proxy[recovery], or bluetooth-auto-recovery"
)

_LOGGER = logging.getLogger(__name__)


async def recover(adapter: AdapterFacts) -> bool:
    """Reset an adapter with bluetooth-auto-recovery; whether that went well. Needs CAP_NET_ADMIN."""
    try:
        from bluetooth_auto_recovery import recover_adapter  # noqa: PLC0415 - an extra
    except ImportError:
        _LOGGER.error(MISSING)  # noqa: TRY400 - foreseen
        return False
    _LOGGER.warning("Resetting the Bluetooth adapter %s (%s)", adapter.name, adapter.address)
    try:
        async with asyncio.timeout(RECOVERY_S):
            return bool(await recover_adapter(adapter.index, adapter.address, gone_silent=True))
    except TimeoutError:
        _LOGGER.warning("Resetting %s took longer than %g s", adapter.name, RECOVERY_S)
    except (OSError, RuntimeError) as error:  # its own clean-up turns some of the first into the second
        _LOGGER.warning("Can't reset %s (%s): the proxy needs the capability CAP_NET_ADMIN", adapter.name, error)
    return False
