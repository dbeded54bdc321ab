"""Starts, signals and watches processes in the guest, for whoever connects.

usage: agent.py FOLDER

A line of JSON in, a line of JSON out. What a process prints goes to FOLDER/NAME.log.
  {"op": "start", "name": ..., "argv": [...], "env": {...}}      {"pid": ...}
  {"op": "signal", "name": ..., "number": ...}                   {}
  {"op": "wait", "name": ..., "timeout": seconds}                {"code": ..., or null while it runs}
  {"op": "run", "argv": [...], "timeout": seconds}               {"code": ..., "output": ...}
  {"op": "end"}                                                  {} and everything ends
"""

import asyncio
import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from orders import serve

PORT = 7000


class Agent:
    """The processes of the guest, by name."""

    def __init__(self, folder: Path) -> None:
        self.ended = asyncio.Event()
        self._folder = folder
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def do_start(self, name: str, argv: list[str], env: dict[str, str] | None = None) -> dict[str, Any]:
        with (self._folder / f"{name}.log").open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | (env or {}),
                start_new_session=True,
            )
        self._processes[name] = process
        return {"pid": process.pid}

    async def do_signal(self, name: str, number: int) -> None:
        os.kill(self._processes[name].pid, number)

    async def do_wait(self, name: str, timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - of the protocol
        process = self._processes[name]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), timeout)
        return {"code": process.returncode}

    async def do_run(self, argv: list[str], timeout: float) -> dict[str, Any]:  # noqa: ASYNC109 - of the protocol
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), timeout)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise
        return {"code": process.returncode, "output": output.decode(errors="replace")}

    async def do_end(self) -> None:
        self.ended.set()


async def main(folder: Path) -> None:
    agent = Agent(folder)
    server = await serve(agent, PORT)
    await agent.ended.wait()
    await asyncio.sleep(0.1)  # for the last answer
    server.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
