"""The listener: admits connections, runs commands and actions, ends everything in order."""

import asyncio
import errno
import json
import logging
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from blupow_proxy.allowance import Allowance, PeerLog
from blupow_proxy.errors import ProxyError
from blupow_proxy.native_api import (
    Action,
    ActionCalled,
    BluetoothAsked,
    Closed,
    Command,
    Commanded,
    Entity,
    KeyChanged,
    KeyStore,
    Limits,
    Node,
    Proven,
    Session,
    SessionEvent,
    TimeReceived,
)

from .connection import RECEIVED_BYTES, Connection

DEFAULT_PORT: Final = 6053  # ESPHome's
SENT_BYTES: Final = 64 * 1024  # in the kernel, which doubles it: what waits there gets old
BACKLOG: Final = 16  # accepted in one pass of the loop, before what gives way has given its file back
WAITING: Final = 64  # in the kernel, where a storm fills 16 in 16 ms, and who finds no room tries again a second later
SCARCE: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
ADDRESSES: Final = 16  # whose orders are counted: twice the clients that there can be
_LOGGER = logging.getLogger(__name__)

type CommandHandler = Callable[[Entity, Command], Awaitable[None]]
type ActionHandler = Callable[[Action, dict[str, Any]], Awaitable[dict[str, Any]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerLimits:
    """What all clients together may take."""

    proven: int = 8  # ESPHome's own limit on a host
    unproven: int = 16  # room for a burst of reconnects; the oldest of whoever has the most gives way
    tasks: int = 32  # commands and actions at work; more are refused
    orders: int = (
        16  # commands and actions of an address at once: every switch of a large system, and half of ``tasks``
    )
    orders_per_s: float = 0.2  # in the long run: a unit has to be read meanwhile
    session: Limits = field(default_factory=Limits)


async def _no_command(_entity: Entity, _command: Command) -> None:
    """Do nothing."""


async def _no_action(_action: Action, _arguments: dict[str, Any]) -> dict[str, Any]:
    return {}


class ApiServer:
    """Serves ``node`` to ESPHome clients on IPv4 and IPv6."""

    def __init__(
        self,
        node: Node,
        keys: KeyStore,
        *,
        host: str | None = None,
        port: int = DEFAULT_PORT,
        limits: ServerLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen on ``host`` (None: every address); port 0 takes a free one."""
        self.port = port
        self.on_command: CommandHandler = _no_command
        self.on_action: ActionHandler = _no_action
        self.on_proven: Callable[[str], None] = lambda _client_info: None
        self.on_time: Callable[[int], None] = lambda _epoch_s: None
        self.on_key_changed: Callable[[], None] = lambda: None
        self.on_bluetooth: Callable[[Connection, Any], None] = lambda _connection, _message: None
        self.on_gone: Callable[[Connection], None] = lambda _connection: None
        self._node = node
        self._keys = keys
        self._host = host
        self._limits = limits or ServerLimits()
        self._clock = clock
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, None] = {}
        self._orders: dict[str, Allowance] = {}
        self._received = memoryview(bytearray(RECEIVED_BYTES))
        self._log = PeerLog(_LOGGER, clock)
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def session_count(self) -> int:
        """Sessions whose client has proven to have the key, by a Hello that decrypts, and is not gone."""
        return sum(connection.session.greeted and not connection.session.closing for connection in self._connections)

    async def start(self) -> None:
        """Listen; OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        hosts = ["0.0.0.0", "::"] if self._host is None else [self._host]  # noqa: S104 - a LAN device
        for host in hosts:
            try:
                server = await loop.create_server(self._connection, host, self.port, backlog=BACKLOG)
            except OSError:
                if host == "::" and not _has_ipv6():
                    continue
                await self.stop()
                raise
            self._servers.append(server)
            for listening in server.sockets:  # a connection takes it over
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_BYTES)
                with listening.dup() as same:
                    same.listen(WAITING)
            self.port = server.sockets[0].getsockname()[1]

    async def stop(self, timeout_s: float = 2.0) -> None:
        """Tell every client, end every connection and task; done after ``timeout_s`` at the latest."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in self._tasks:
            task.cancel()
        self.disconnect_all()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.cut()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def loop_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Be the exception handler of ``loop``: it tells of each connection that it can't accept for want of files."""
        error = context.get("exception")
        if "socket" in context and isinstance(error, OSError) and error.errno in SCARCE:
            self._log(logging.WARNING, "Clients have to wait: %s", error.strerror)
        else:
            loop.default_exception_handler(context)

    def disconnect_all(self) -> None:
        """Tell every client to go."""
        self._disconnect(self._connections)

    def list_again(self) -> None:
        """Tell every client to go that knows a list which has changed: it comes back, and lists anew.

        Others are left alone: they may be in the middle of pairing.
        """
        self._disconnect(connection for connection in self._connections if connection.session.listed)

    def log(self, level: int, line: str) -> None:
        """Pass a log line (level 1 error .. 7 very verbose) to the clients that asked for it."""
        for connection in self._connections:
            connection.session.log(level, line)

    def ask_time(self) -> None:
        """Ask the clients for the time; ``on_time`` hears of it, in seconds since 1970."""
        for connection in self._connections:
            connection.session.ask_time()

    def open_session(self, connection: Connection) -> Session:
        """Admit a connection; when too many are unproven, the oldest of the address that has the most gives way."""
        unproven = [other for other in self._connections if not other.session.greeted]
        if len(unproven) >= self._limits.unproven:
            count = Counter(other.peer for other in unproven)
            oldest = max(unproven, key=lambda other: count[other.peer])
            self.forget(oldest)  # at once: a burst arrives before the loop tells that it is gone
            oldest.cut()
        self._connections[connection] = None
        self._idle.clear()
        return Session(self._node, self._keys, now=self._clock(), wake=connection.wake, limits=self._limits.session)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that is gone."""
        if connection in self._connections:
            del self._connections[connection]
            self.on_gone(connection)
        if not self._connections:
            self._idle.set()

    def handle(self, connection: Connection, events: list[SessionEvent]) -> None:
        """Act on what a session reports; nothing is awaited here."""
        for event in events:
            match event:
                case Proven(client_info):
                    self._proven(connection, client_info)
                case Commanded(entity, value):
                    self._run(connection, self._command(entity, value))
                case ActionCalled():
                    if not self._run(connection, self._action(connection, event)) and event.wants_response:
                        connection.session.respond(event.call_id, success=False, error="too much is at work already")
                case KeyChanged():
                    _LOGGER.info("Encryption key changed by %s; disconnecting all clients", connection.peer)
                    self.disconnect_all()
                    self.on_key_changed()
                case TimeReceived(epoch_s):
                    self.on_time(epoch_s)
                case BluetoothAsked(message) if not connection.session.closing:  # else nobody hears the answer
                    self.on_bluetooth(connection, message)
                case Closed(reason):
                    self._log(logging.DEBUG, "Session of %s ended: %s", connection.peer, reason)

    @staticmethod
    def _disconnect(connections: Iterable[Connection]) -> None:
        for connection in list(connections):
            connection.session.disconnect()
            connection.flush()

    def _connection(self) -> Connection:
        return Connection(
            self, received=self._received, unsent_bytes=self._limits.session.unsent_bytes, clock=self._clock
        )

    def _proven(self, connection: Connection, client_info: str) -> None:
        if self.session_count > self._limits.proven:
            self._log(logging.WARNING, "Refused %s: %d clients are connected", connection.peer, self._limits.proven)
            connection.session.disconnect()
            connection.flush()
            return
        self._log(logging.INFO, "Client %s (%s) connected", client_info, connection.peer)
        self.on_proven(client_info)

    def _run(self, connection: Connection, work: Coroutine[Any, Any, None]) -> bool:
        """Start ``work``; False when too much is at work already, or this client asks too much."""
        if len(self._tasks) >= self._limits.tasks or not self._may_order(connection.peer):
            work.close()
            if not self._refusing:
                self._log(logging.WARNING, "Refusing commands of %s: %d are at work", connection.peer, len(self._tasks))
            self._refusing = True
            return False
        self._refusing = False
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _may_order(self, address: str) -> bool:
        """Whether a client has orders left; by its address, so that it gets no more by connecting again."""
        now = self._clock()
        allowance = self._orders.pop(address, None) or Allowance(self._limits.orders, self._limits.orders_per_s, now)
        self._orders[address] = allowance
        if len(self._orders) > ADDRESSES:
            del self._orders[next(iter(self._orders))]
        return allowance.take(now)

    async def _command(self, entity: Entity, value: Command) -> None:
        try:
            await self.on_command(entity, value)
        except ProxyError as error:
            self._log(logging.WARNING, "%s: %s", entity.name, error)

    async def _action(self, connection: Connection, call: ActionCalled) -> None:
        try:
            result = await self.on_action(call.action, call.arguments)
        except ProxyError as error:
            self._log(logging.WARNING, "Action %s: %s", call.action.name, error)
            if call.wants_response:
                connection.session.respond(call.call_id, success=False, error=str(error))
            return
        if call.wants_response:
            connection.session.respond(call.call_id, success=True, data=json.dumps(result).encode())


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
