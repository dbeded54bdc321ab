"""What a service tells systemd (sd_notify(3)) over the socket that it names; without systemd, its own watchdog."""

import os
import signal
import socket
import time
from collections.abc import Mapping
from typing import Final

STATUS_CHARACTERS: Final = 400  # of a line that somebody reads


class Notifier:
    """Tells systemd how the service does; without systemd, nothing is told.

    Where only the watchdog's time is given, as in a container, the kernel ends the process when it is not fed: whoever
    runs it starts it anew.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        """Take the socket and the watchdog's time from ``environment``, where they stay for a process that follows."""
        self._address = environment.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # Linux' abstract sockets
            self._address = f"\0{self._address[1:]}"
        self._status: str | None = None
        watched = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        usec = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s: float | None = int(usec) / 1e6 if watched and usec.isdecimal() else None

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._address)

    def ready(self) -> None:
        """Tell that clients are served, after a start or a reload."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Tell that the service starts anew in the same process; ``ready`` ends that."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Tell that the service ends."""
        self._tell("STOPPING=1")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog_s is not None and not self._address:
            signal.setitimer(signal.ITIMER_REAL, self.watchdog_s)  # whose signal, SIGALRM, nobody handles
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """Tell how it does in one line; what was told last is not told again."""
        line = " ".join(text.split())[:STATUS_CHARACTERS]
        if line != self._status:
            self._status = line
            self._tell(f"STATUS={line}")

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            try:
                sender.sendto("\n".join(lines).encode(), self._address)
            except OSError:
                self._status = None  # systemd is busy, or starts anew: what counts is told again
