"""A program on a terminal in the guest: whoever connects types, and sees what it shows.

usage: terminal.py PORT PROGRAM [ARGUMENT ...]    (ends as the program does)
"""

import asyncio
import os
import pty
import sys
import termios

SIZE = (40, 100)


async def main(port: int, master: int) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()

    async def attach(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def readable() -> None:
            try:
                writer.write(os.read(master, 65536))
            except OSError:  # the program has ended
                loop.remove_reader(master)
                over.set()

        loop.add_reader(master, readable)
        while data := await reader.read(1024):
            os.write(master, data)

    async with await asyncio.start_server(attach, port=port):
        print("ready", flush=True)
        await over.wait()
        await asyncio.sleep(0.1)  # for the last of it to leave


if __name__ == "__main__":
    program, master = pty.fork()
    if program == 0:
        os.environ |= {"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"}  # nobody answers where the cursor is
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the program
    termios.tcsetwinsize(master, SIZE)
    asyncio.run(main(int(sys.argv[1]), master))
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(program, 0)[1]))
