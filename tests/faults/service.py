"""The proxy as a process of its own, and the ears of systemd."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PROGRAM: Final = (sys.executable, "-m", "blupow_proxy")
SIMULATED: Final = (sys.executable, str(Path(__file__).with_name("simulated_run.py")))
WATCHDOG_S: Final = 2.0
READY_S: Final = 30.0
END_S: Final = 10.0


def configuration(folder: Path, port: int, units: str = "") -> Path:
    path = folder / "shed.yaml"
    path.write_text(
        f"esphome: {{name: shed}}\napi: {{port: {port}, encryption: false}}\nzeroconf: {{disabled: true}}\n" + units
    )
    return path


class Service:
    """One process, started as systemd does; ``told`` is what it has said over NOTIFY_SOCKET, and when."""

    def __init__(self, folder: Path, arguments: Sequence[str], program: Sequence[str] = PROGRAM) -> None:
        self.told: list[tuple[float, str]] = []
        address = folder / "notify"
        address.unlink(missing_ok=True)
        self._ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ears.bind(str(address))
        environment = os.environ | {
            "NOTIFY_SOCKET": str(address),
            "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
            "PYTHONFAULTHANDLER": "1",
        }
        self.process = subprocess.Popen(
            [*program, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def listen(self, until_s: float, word: str | None = None) -> str | None:
        """Hear what it says for so long, or until it says ``word``; that message."""
        deadline = time.monotonic() + until_s
        while (left := deadline - time.monotonic()) > 0:
            self._ears.settimeout(left)
            try:
                message = self._ears.recv(4096).decode()
            except TimeoutError:
                break
            self.told.append((time.monotonic(), message))
            if word is not None and word in message:
                return message
        return None

    def hear(self, word: str) -> str:
        message = self.listen(READY_S, word)
        assert message is not None, f"{word!r} was not said: {self.told}"
        return message

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float, str]:
        """Signal it; its exit code, how long that took, and its output."""
        started = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=2 * END_S)
        return self.process.returncode, time.monotonic() - started, out + err

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self._ears.close()


@contextmanager
def service(folder: Path, *arguments: str, program: Sequence[str] = PROGRAM) -> Iterator[Service]:
    running = Service(folder, arguments, program)
    try:
        yield running
    finally:
        running.close()
