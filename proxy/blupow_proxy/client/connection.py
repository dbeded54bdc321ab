"""What every connection to a device as its client has: how it is made, ended, and made again."""

import asyncio
import contextlib
from typing import Final

from aioesphomeapi.client import APIClient
from aioesphomeapi.core import APIConnectionError

from .resolve import resolve

DEFAULT_PORT: Final = 6053
CONNECT_S: Final = 10.0  # a device on Wi-Fi answers within 3 s; a person waits no longer
RETRY_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # a restarted device is back soon; one that is off is left in peace
_GOODBYE_S: Final = 0.3  # Ctrl-C ends within a second, whether the device says goodbye or not


async def make_client(host: str, port: int, key: str | None, client_info: str) -> APIClient:
    """Return a client that is still to be connected; ResolveAPIError without an address."""
    return APIClient(
        host,
        port,
        addresses=await resolve(host, port),
        noise_psk=key,
        client_info=client_info,
        provide_time=False,  # who only looks on sets no clock
    )


async def say_goodbye(client: APIClient) -> None:
    """End a connection, briefly."""
    with contextlib.suppress(APIConnectionError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await client.disconnect()
    client.force_disconnect()
