"""One client's connection: a transport around its session."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from blupow_proxy.native_api import Packet, Session, SessionEvent

RECEIVED_BYTES: Final = 4 * 1024  # taken at once: a few ms of small messages, so that others are not held up
SHARE: Final = 0.25  # of the time that one peer's requests may take; for the rest it is not read
AHEAD_S: Final = 0.25  # by which it may exceed that: whoever lists thousands of entities is not held up
LAGGING_BYTES: Final = 64 * 1024  # unsent: a quarter of what ends a session; what can be spared is no longer sent
CLOSE_S: Final = 1.0  # time for the last bytes to leave before the connection is cut


class Owner(Protocol):
    """What a connection needs of the server."""

    def open_session(self, connection: "Connection") -> Session:
        """Return a new session for ``connection``."""

    def handle(self, connection: "Connection", events: list[SessionEvent]) -> None:
        """Act on what a session reports."""

    def forget(self, connection: "Connection") -> None:
        """The connection is gone."""


class Connection(asyncio.BufferedProtocol):
    """Moves bytes; everything that one pass of the loop produces leaves in one write.

    While the peer does not read, its session keeps what has changed, and sends the latest once it reads again.
    """

    session: Session
    transport: asyncio.Transport

    def __init__(self, owner: Owner, *, received: memoryview, unsent_bytes: int, clock: Callable[[], float]) -> None:
        """Use ``received`` for what arrives, as all connections do: it is read before the next one's turn."""
        self.peer = ""
        self._owner = owner
        self._unsent_bytes = unsent_bytes
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._received = received
        self._flush_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._idle_until = 0.0
        self._paused = False
        self._lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the session."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what loop.create_server gives
        self.transport = transport
        peer = transport.get_extra_info("peername")
        self.peer = peer[0] if peer else "a client that is gone"
        self.session = self._owner.open_session(self)
        self._schedule_tick()

    def get_buffer(self, _: int) -> memoryview:
        """Return where to put what the peer sends."""
        return self._received

    def buffer_updated(self, count: int) -> None:
        """Hand the bytes to the session and answer at once."""
        started = self._loop.time()
        events = self.session.receive(bytes(self._received[:count]), self._clock())
        self.flush()
        if events:
            self._owner.handle(self, events)
        self._charge(started)

    def eof_received(self) -> None:
        """End the session: a peer that has finished sending can't answer."""
        self.session.close()
        self.close()

    def connection_lost(self, _: Exception | None) -> None:
        """End the session."""
        self._lost = True
        self.session.close()
        for timer in (self._timer, self._cut_timer):
            if timer is not None:
                timer.cancel()
        self._owner.forget(self)

    def pause_writing(self) -> None:
        """Keep what the session has: the peer does not read."""
        self._paused = True

    def resume_writing(self) -> None:
        """Send what the session has meanwhile."""
        self._paused = False
        self.flush()

    @property
    def encrypted(self) -> bool:
        """Whether the peer has proven to have the key that was set."""
        return self.session.encrypted

    @property
    def label(self) -> str:
        """What the peer calls itself, and its address: several programs of a machine have the same."""
        return f"{self.session.client_info} ({self.peer})"

    @property
    def lagging(self) -> bool:
        """Whether the peer does not keep up: what can be spared had better not be sent."""
        return self.session.unsent_bytes + self.transport.get_write_buffer_size() > LAGGING_BYTES

    def send(self, message: Packet) -> None:
        """Send a message once the current pass of the loop is over."""
        self.session.send(message)

    def wake(self) -> None:
        """Send what the session has once the current pass of the loop is over."""
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Send what the session has; cut off a peer that has too much unread."""
        self._flush_due = False
        if self._lost:
            return
        session = self.session
        if not self._paused or session.closing:
            output = session.take_output()
            if output:
                self.transport.write(output)
        if self._paused and self.transport.get_write_buffer_size() + session.unsent_bytes > self._unsent_bytes:
            self.cut()
        elif session.closing:
            self.close()
        elif session.has_more and not self._paused:
            self.wake()

    def close(self) -> None:
        """Close once the last bytes have left, or after a second."""
        if self._cut_timer is None:
            self.transport.close()
            self._cut_timer = self._loop.call_later(CLOSE_S, self.cut)

    def cut(self) -> None:
        """Drop the connection with what is unsent."""
        if not self._lost:
            self.transport.abort()

    def _charge(self, started: float) -> None:
        """Read on at once, unless this peer has taken more than its share of everybody's time."""
        now = self._loop.time()
        self._idle_until = max(self._idle_until, started) + (now - started) / SHARE
        ahead = self._idle_until - now
        if ahead > AHEAD_S and not self.transport.is_closing():
            self.transport.pause_reading()
            self._loop.call_later(ahead, self.transport.resume_reading)

    def _schedule_tick(self) -> None:
        self._timer = self._loop.call_at(self._loop.time() + max(self.session.deadline - self._clock(), 0), self._tick)

    def _tick(self) -> None:
        events = self.session.tick(self._clock())
        self.flush()
        if events:
            self._owner.handle(self, events)
        if not self._lost and not self.session.closing:
            self._schedule_tick()
