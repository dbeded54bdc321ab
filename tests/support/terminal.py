"""A program on a terminal of its own: what it shows, and what is typed."""

import asyncio
import fcntl
import os
import re
import termios
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

ENTER: Final = "\r"
DOWN: Final = "\x1b[B"
CTRL_C: Final = "\x03"
SIZE: Final = (40, 100)
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07]*\x07|[@-Z\\-_=>()][0-9A-B]?)")


class Screen:
    """Everything that was shown, without what only moves and colours; ``send`` types."""

    def __init__(self, send: Callable[[bytes], object]) -> None:
        self._send = send
        self._shown = ""
        self._seen = 0
        self._news = asyncio.Event()

    @property
    def raw(self) -> str:
        """All of it, as it was written."""
        return self._shown

    @property
    def text(self) -> str:
        """All of it."""
        return _ESCAPES.sub("", self._shown)

    def feed(self, data: bytes) -> None:
        """Take what the program has written."""
        self._shown += data.decode(errors="replace")
        self._news.set()

    def type(self, *keys: str) -> None:
        """Press keys."""
        self._send("".join(keys).encode())

    async def expect(self, text: str, within_s: float = 30.0) -> None:
        """Wait until a text is shown, behind what was expected before; TimeoutError shows what there is instead."""
        try:
            async with asyncio.timeout(within_s):
                while (place := self.text.find(text, self._seen)) < 0:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"in vain for {text!r}: {self.text[self._seen :]!r}") from None
        self._seen = place + len(text)


class Terminal(Screen):
    """The screen of a process on this machine."""

    def __init__(self, process: asyncio.subprocess.Process, master: int) -> None:
        super().__init__(lambda data: os.write(master, data))
        self._process = process

    async def ended(self, within_s: float = 30.0) -> int:
        """Return the exit code, once it has ended."""
        async with asyncio.timeout(within_s):
            return await self._process.wait()


@asynccontextmanager
async def on_terminal(argv: Sequence[object], folder: Path, env: Mapping[str, str]) -> AsyncIterator[Terminal]:
    """Run a program in ``folder`` on a terminal; it is killed when it is still there at the end."""
    master, slave = os.openpty()
    termios.tcsetwinsize(slave, SIZE)

    def take_the_terminal() -> None:
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = await asyncio.create_subprocess_exec(
        *map(str, argv), stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=env, preexec_fn=take_the_terminal
    )
    os.close(slave)
    terminal = Terminal(process, master)
    loop = asyncio.get_running_loop()

    def readable() -> None:
        try:
            terminal.feed(os.read(master, 65536))
        except OSError:  # the program has closed it
            loop.remove_reader(master)

    loop.add_reader(master, readable)
    try:
        yield terminal
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        loop.remove_reader(master)
        os.close(master)
