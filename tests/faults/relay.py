"""A TCP relay that does to a connection whatever a network can do to it."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from random import Random
from typing import Final, Self

READ_BYTES: Final = 65536
_RESET: Final = struct.pack("ii", 1, 0)


@dataclass(slots=True, kw_only=True)
class Chaos:
    """What happens to each piece that passes, by chance in 0..1; a piece has ``pieces`` bytes at most."""

    pieces: int = READ_BYTES
    delay_s: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    reset: float = 0.0


class Relay:
    """Passes on connections to ``port`` on loopback, as ``chaos`` will have it; ``freeze`` holds everything."""

    def __init__(self, port: int, chaos: Chaos, seed: int = 1) -> None:
        self.port = 0
        self.resets = 0
        self.chaos = chaos
        self._target = port
        self._random = Random(seed)  # noqa: S311 - the same chaos for the same seed
        self._flows = asyncio.Event()
        self._flows.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def freeze(self, *, frozen: bool) -> None:
        (self._flows.clear if frozen else self._flows.set)()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass_on(reader, back))
                group.create_task(self._pass_on(there, writer))
        except* _ResetError:
            self.resets += 1
            for one in (writer, back):
                one.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except* OSError:
            pass
        finally:
            for one in (writer, back):
                one.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ_BYTES):
            for start in range(0, len(data), self.chaos.pieces):
                await self._flows.wait()
                await asyncio.sleep(self.chaos.delay_s)
                piece = data[start : start + self.chaos.pieces]
                if self._happens(self.chaos.reset):
                    raise _ResetError
                if self._happens(self.chaos.lost):
                    continue
                writer.write(piece * (1 + self._happens(self.chaos.doubled)))
                await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()

    def _happens(self, chance: float) -> bool:
        return self._random.random() < chance


class _ResetError(Exception):
    """The relay ends a connection the rude way."""
