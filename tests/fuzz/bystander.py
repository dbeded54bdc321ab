"""A real client beside an attack, which must not notice it."""

import asyncio
import time
from base64 import b64encode
from typing import Final, Self

from aioesphomeapi import APIClient, APIConnectionError, EntityState

ASK_EVERY_S: Final = 0.05


class Bystander:
    """Connects, wants all states, asks all the time; knows how long it had to wait."""

    def __init__(self, port: int, key: bytes | None, host: str = "127.0.0.1") -> None:
        self.states = 0
        self.waits_s: list[float] = []
        self.connect_s = 0.0
        self.lost = False
        psk = None if key is None else b64encode(key).decode()
        self.client = APIClient(host, port, None, noise_psk=psk, client_info="bystander")
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        started = time.monotonic()
        await self.client.connect(on_stop=self._stopped, login=True)
        await self.client.device_info()
        self.connect_s = time.monotonic() - started
        self.client.subscribe_states(self._received)
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._asking is not None
        self._asking.cancel()
        await asyncio.wait([self._asking])
        lost = self.lost
        await self.client.disconnect(force=True)
        self.lost = lost

    def wait_s(self, share: float) -> float:
        """Return what an answer took at most in ``share`` of the cases."""
        waits = sorted(self.waits_s)
        return waits[min(len(waits) - 1, int(share * len(waits)))]

    def _received(self, _: EntityState) -> None:
        self.states += 1

    async def _stopped(self, _expected: bool) -> None:
        self.lost = True

    async def _ask(self) -> None:
        try:
            while True:
                started = time.monotonic()
                await self.client.device_info()
                self.waits_s.append(time.monotonic() - started)
                await asyncio.sleep(ASK_EVERY_S)
        except APIConnectionError:
            self.lost = True
