"""A real client: prints the name of the device at 127.0.0.1 that runs the proxy; sets its key if it has none yet.

usage: client.py KEY [set]
"""

import asyncio
import sys
from base64 import b64encode

from aioesphomeapi import APIClient

NO_KEY = b64encode(bytes(32)).decode()


async def main(key: str, *, set_key: bool) -> None:
    client = APIClient("127.0.0.1", 6053, None, noise_psk=NO_KEY if set_key else key)
    await client.connect(login=True)
    print((await client.device_info()).name)
    if set_key:
        assert await client.noise_encryption_set_key(key.encode())
    await client.disconnect(force=True)


asyncio.run(main(sys.argv[1], set_key="set" in sys.argv))
