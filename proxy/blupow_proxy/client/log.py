"""The log of a device, line by line, over a connection that is made again whenever it went away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Never

from aioesphomeapi import LogLevel
from aioesphomeapi.client import APIClient
from aioesphomeapi.core import APIConnectionError
from aioesphomeapi.log_parser import parse_log_message

from .connection import CONNECT_S, RETRY_S, make_client, say_goodbye
from .errors import ClientError, UnreachableError, translate
from .states import clean

MAX_LINE: Final = 2048  # characters: twice what devices send
_MAX_MESSAGE_BYTES: Final = 32_768  # the longest message of the protocol


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line fit for a terminal; ``level`` is ESPHome's, from 1 for an error."""

    level: int
    text: str


class LogReader:
    """Tells ``on_line`` what a device logs; ``on_loss`` why it can't be read, and None when it can again.

    ``level`` is the least, by ESPHome's names.
    """

    def __init__(
        self,
        host: str,
        port: int,
        key: str | None,
        *,
        level: str,
        on_line: Callable[[LogLine], None],
        on_loss: Callable[[ClientError | None], None],
    ) -> None:
        self._host = host
        self._port = port
        self._key = key or None
        self._level = LogLevel[f"LOG_LEVEL_{level}"]
        self._on_line = on_line
        self._on_loss = on_loss

    async def run(self) -> Never:
        """Read until cancelled; ClientError when the device can't be read at first."""
        attempt: int | None = None
        while True:
            gone = asyncio.Event()
            try:
                client = await self._connected(gone)
            except ClientError as error:
                if attempt is None:
                    raise
                self._on_loss(error)
            else:
                attempt = 0
                self._on_loss(None)
                try:
                    await gone.wait()
                finally:
                    await say_goodbye(client)
                self._on_loss(UnreachableError("the connection was lost, trying again"))
            await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
            attempt += 1

    async def _connected(self, gone: asyncio.Event) -> APIClient:
        """Return a client that is told of each line."""

        async def on_stop(_expected: bool) -> None:
            gone.set()

        client = None
        try:
            async with asyncio.timeout(CONNECT_S):
                client = await make_client(self._host, self._port, self._key, "blupow-proxy logs")
                await client.connect(on_stop=on_stop, login=True, log_errors=False)
            client.subscribe_logs(self._received, self._level)
        except (APIConnectionError, TimeoutError) as error:
            if client is not None:
                await say_goodbye(client)
            raise translate(error, f"{self._host}:{self._port}", CONNECT_S) from error
        except asyncio.CancelledError:
            if client is not None:
                client.force_disconnect()
            raise
        return client

    def _received(self, message: Any) -> None:
        text = bytes(message.message[:_MAX_MESSAGE_BYTES]).decode(errors="replace")
        for line in parse_log_message(text, "", strip_ansi_escapes=True):
            if shown := clean(line, MAX_LINE):
                self._on_line(LogLine(int(message.level), shown))
