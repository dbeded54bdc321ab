"""One client's session: what it may say when, what it is told, and how long it may take.

Messages understood, and their answers: Hello - HelloResponse; Ping - PingResponse; Disconnect - DisconnectResponse;
DeviceInfo, DeviceCapabilities - theirs; ListEntities - one for each entity and action, then Done; SubscribeStates -
every current state, then each change, and a question for the time, whose answer is an event; SubscribeLogs - log lines;
ExecuteService - an event, answered later; entity commands - an event; NoiseEncryptionSetKey - its response; what is
asked of a Bluetooth proxy - an event, answered with ``send``. Anything else is passed over.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from aioesphomeapi import api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO
from google.protobuf.message import DecodeError, Message

from .bluetooth import BLUETOOTH_REQUESTS
from .encryption import ZERO_KEY, KeyStore, Mode, decode_key
from .entities import Action, ButtonEntity, Command, Entity, NumberEntity, SelectEntity, SwitchEntity
from .framing import (
    BAD_INDICATOR,
    NOISE_PREAMBLE,
    PLAINTEXT_PREAMBLE,
    Framing,
    NoiseFraming,
    PlaintextFraming,
    RejectedError,
)
from .node import Node
from .wire import Packet, packet, printable

MAX_ANSWER_BYTES: Final = 60_000  # of 65,515 that a frame holds
MAX_ERROR_CHARACTERS: Final = 1024  # a few lines for a dialog
BEFORE_HELLO: Final = 8  # messages; a client sends none
LIST_BYTES: Final = 64 * 1024  # of a long list at a time, so that it is no burden for whoever reads slowly
LATE_S: Final = 1.0  # after a deadline: no loop that runs is as late
API_VERSION: Final = (1, 19)  # from 1.15 on clients ask for DeviceCapabilities, which we answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a peer may take, each in the unit of its name."""

    hello_s: float = (
        10.0  # from accept to Hello: a captured handshake can be replayed, so only a decrypted frame counts
    )
    ping_s: float = 20.0  # a silent peer is asked; the client's own period, so that both find out at the same time
    silence_s: float = 55.0  # two pings without any answer, and time for a third: within the minute that is promised
    unsent_bytes: int = 256 * 1024  # about 10,000 states; a peer this far behind does not read


@dataclass(frozen=True, slots=True)
class Proven:
    """The peer has the key (or, in plaintext, has said Hello)."""

    client_info: str


@dataclass(frozen=True, slots=True)
class Commanded:
    """A client wants an entity to change."""

    entity: Entity
    value: Command


@dataclass(frozen=True, slots=True)
class ActionCalled:
    """A client runs an action; answer with ``respond`` when ``wants_response``."""

    action: Action
    arguments: dict[str, Any]
    call_id: int
    wants_response: bool


@dataclass(frozen=True, slots=True)
class KeyChanged:
    """A new key is stored: every session has to end."""


@dataclass(frozen=True, slots=True)
class TimeReceived:
    """The client's clock, in seconds since 1970."""

    epoch_s: int


@dataclass(frozen=True, slots=True)
class BluetoothAsked:
    """Something is asked of the Bluetooth proxy; answer with ``send``."""

    message: Any


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over; ``reason`` is fit for a log."""

    reason: str


SessionEvent = Proven | Commanded | ActionCalled | KeyChanged | TimeReceived | BluetoothAsked | Closed

_COMMANDS: Final[dict[str, type[Entity]]] = {
    "SwitchCommandRequest": SwitchEntity,
    "ButtonCommandRequest": ButtonEntity,
    "NumberCommandRequest": NumberEntity,
    "SelectCommandRequest": SelectEntity,
}
_BEFORE_HELLO: Final = frozenset({"HelloRequest", "PingRequest", "PingResponse", "DisconnectRequest"})
_PING: Final = packet(api_pb2.PingRequest())
_PONG: Final = packet(api_pb2.PingResponse())
_LISTED: Final = packet(api_pb2.ListEntitiesDoneResponse())
_ASK_TIME: Final = packet(api_pb2.GetTimeRequest())


class Session:
    """The state machine of one connection; feed it with ``receive`` and ``tick``, send what ``take_output`` gives."""

    def __init__(self, node: Node, keys: KeyStore, *, now: float, wake: Callable[[], None], limits: Limits) -> None:
        """Start at ``now`` (monotonic seconds); ``wake`` is called when there is output outside ``receive``."""
        self.client_info = ""
        self.greeted = False
        self.listed = False  # whether the peer knows the list, or a part of it
        self.closing = False
        self._node = node
        self._keys = keys
        self._limits = limits
        self._wake = wake
        self._framing: Framing | None = None
        self._last_output = b""
        self._started = now
        self._heard = now
        self._asked = now
        self._changed: dict[Entity, None] = {}
        self._stop_listening: Callable[[], None] | None = None
        self._log_level = 0
        self._messages = 0
        self._listing: deque[Entity | Action] = deque()
        self._asked_time = False
        self._events: list[SessionEvent] = []

    @property
    def unsent_bytes(self) -> int:
        """Bytes that wait to be taken."""
        return 0 if self._framing is None else len(self._framing.output)

    @property
    def encrypted(self) -> bool:
        """Whether the peer has the key that was set, and so may connect to Bluetooth devices."""
        return self.greeted and self._keys.mode is Mode.ENCRYPTED

    @property
    def has_more(self) -> bool:
        """Whether there will be more to take at once: the rest of a long list."""
        return bool(self._listing)

    @property
    def deadline(self) -> float:
        """When ``tick`` has something to do next, in monotonic seconds."""
        if not self.greeted:
            return self._started + self._limits.hello_s
        return min(max(self._heard, self._asked) + self._limits.ping_s, self._heard + self._limits.silence_s)

    def receive(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take what the peer sent; never raises on it."""
        self._heard = now
        if self.closing or not data:
            return []
        try:
            if self._framing is None:
                self._framing = self._choose_framing(data[0])
            for message_id, body in self._framing.feed(data):
                self._dispatch(message_id, body)
                if self.closing:
                    break
        except RejectedError as error:
            self._end(str(error), error.reply)
        return self._take_events()

    def tick(self, now: float) -> list[SessionEvent]:
        """Do what is due at ``now``: ask a silent peer, give up on a dead one."""
        if self.closing:
            return []
        if not self.greeted:
            if now >= self._started + self._limits.hello_s:
                self._end(f"no Hello within {self._limits.hello_s:g} s")
            return self._take_events()
        if (late_s := now - self.deadline) > LATE_S:
            # this process was stopped, or held up: in that time nobody was asked, and what came is not read yet
            self._heard += late_s
            self._asked += late_s
        if now >= self._heard + self._limits.silence_s:
            self._end(f"silent for {self._limits.silence_s:g} s")
        elif now >= max(self._heard, self._asked) + self._limits.ping_s:
            self._asked = now
            self._send(_PING)
        return self._take_events()

    def take_output(self) -> bytes:
        """Return all bytes to send now, joined; states changed meanwhile are in it once each."""
        framing = self._framing
        if framing is None:
            output, self._last_output = self._last_output, b""
            return output
        if self._listing:
            self._list_more()
        if self._changed and not self.closing:
            send, state_packet = framing.send, self._node.state_packet
            for entity in self._changed:
                state = state_packet(entity)
                if state is not None:
                    send(*state)
            self._changed.clear()
        output = bytes(framing.output)
        framing.output.clear()
        if self._last_output:
            output, self._last_output = output + self._last_output, b""
        return output

    def disconnect(self) -> None:
        """Tell a greeted peer that it has to go, and why if the time to set a key is over; others just end."""
        if self.greeted and not self.closing:
            self._send_disconnect()
        self._end("disconnected by us")
        self._events.clear()

    def send(self, message: Packet) -> None:
        """Send a message that no request of this session has asked for just now; nothing once it is over."""
        if not self.closing:
            self._send(message)

    def log(self, level: int, line: str) -> None:
        """Pass on a log line (level 1 error .. 7 very verbose) to a peer that asked for it."""
        if level <= self._log_level and not self.closing:
            self._send(packet(api_pb2.SubscribeLogsResponse(level=level, message=line.encode())))

    def ask_time(self) -> None:
        """Ask a peer that stays for the time."""
        if self._stop_listening is not None:
            self._asked_time = True
            self._send(_ASK_TIME)

    def respond(self, call_id: int, *, success: bool, error: str = "", data: bytes = b"") -> None:
        """Answer an action; ``data`` is JSON, of 60,000 bytes at most."""
        if len(data) > MAX_ANSWER_BYTES:
            success, error, data = False, "the answer is too long", b""
        error = error[:MAX_ERROR_CHARACTERS]
        if not self.closing:
            self._send(
                packet(
                    api_pb2.ExecuteServiceResponse(
                        call_id=call_id, success=success, error_message=error, response_data=data
                    )
                )
            )

    def close(self) -> None:
        """Forget everything; the connection is gone."""
        self.closing = True
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None

    def _choose_framing(self, preamble: int) -> Framing:
        mode = self._keys.mode
        if preamble == NOISE_PREAMBLE and mode is not Mode.PLAINTEXT:
            info = self._node.info
            return NoiseFraming(self._keys.key or ZERO_KEY, info.name, info.mac_digits)
        if preamble == PLAINTEXT_PREAMBLE and mode is not Mode.ENCRYPTED:
            return PlaintextFraming()
        if mode is Mode.PLAINTEXT:
            raise RejectedError("an encrypted client, but encryption is off", b"\0" + BAD_INDICATOR)
        reply = b"\x01" + (len(BAD_INDICATOR) + 1).to_bytes(2) + b"\x01" + BAD_INDICATOR
        raise RejectedError("a plaintext client, but encryption is on", reply)

    def _dispatch(self, message_id: int, body: bytes) -> None:
        kind = MESSAGE_TYPE_TO_PROTO.get(message_id)
        name = "" if kind is None else kind.__name__
        if not self.greeted:
            self._messages += 1
            if name not in _BEFORE_HELLO or self._messages > BEFORE_HELLO:
                self._end("a request before Hello")
                return
        handler = self._handlers.get(name)
        if kind is None or handler is None:
            return
        try:
            message = kind.FromString(body)
        except DecodeError:
            self._end(f"a {name} that does not parse")
            return
        handler(self, message)

    def _command(self, message: Any) -> None:
        entity = self._node.find(_COMMANDS[type(message).__name__], message.key, message.device_id)
        if entity is not None:
            self._events.append(Commanded(entity, getattr(message, "state", None)))

    def _hello(self, message: Any) -> None:
        again, self.greeted = self.greeted, True
        self.client_info = printable(message.client_info)
        info = self._node.info
        major, minor = API_VERSION
        server_info = f"{info.project_name} {info.project_version}"
        self._send(
            packet(
                api_pb2.HelloResponse(
                    api_version_major=major, api_version_minor=minor, server_info=server_info, name=info.name
                )
            )
        )
        if self._keys.mode is Mode.CLOSED:
            self._send_disconnect()
            self._end("the time to set a key is over")
        elif not again:
            self._events.append(Proven(self.client_info))

    def _send_disconnect(self) -> None:
        closed = self._keys.mode is Mode.CLOSED
        reason = api_pb2.DISCONNECT_REASON_PROVISIONING_CLOSED if closed else api_pb2.DISCONNECT_REASON_UNSPECIFIED
        self._send(packet(api_pb2.DisconnectRequest(reason=reason)))

    def _ping(self, _: Message) -> None:
        self._send(_PONG)

    def _disconnect_request(self, _: Message) -> None:
        self._send(packet(api_pb2.DisconnectResponse()))
        self._end("disconnected by the client")

    def _device_info(self, _: Message) -> None:
        changeable = self._keys.changeable
        provisionable = self._keys.mode is Mode.PROVISIONING
        self._send(
            self._node.device_info_packet(
                encrypted=self.encrypted, encryption_supported=changeable, provisionable=provisionable
            )
        )

    def _capabilities(self, _: Message) -> None:
        self._send(self._node.capabilities_packet(encrypted=self.encrypted))

    def _bluetooth(self, message: Message) -> None:
        if self._node.bluetooth is not None:
            self._events.append(BluetoothAsked(message))

    def _list_entities(self, _: Message) -> None:
        self.listed = True
        if not self._listing:
            self._listing.extend((*self._node.entities, *self._node.actions))
            if not self._listing:
                self._send(_LISTED)
            self._list_more()

    def _list_more(self) -> None:
        """Send what is left of the list as far as it fits."""
        while self._listing and not self.closing and self.unsent_bytes < LIST_BYTES:
            self._send(self._listing.popleft().list_packet())
            if not self._listing:
                self._send(_LISTED)

    def _subscribe_states(self, _: Message) -> None:
        if self._stop_listening is None:
            self._stop_listening = self._node.listen(self._state_changed)
            self.ask_time()
        if len(self._changed) < len(self._node.entities):
            self._changed.update(dict.fromkeys(self._node.entities))

    def _state_changed(self, entity: Entity) -> None:
        if not self._changed:
            self._wake()
        self._changed[entity] = None

    def _subscribe_logs(self, message: Any) -> None:
        self._log_level = message.level

    def _get_time_response(self, message: Any) -> None:
        if self._asked_time:
            self._asked_time = False
            self._events.append(TimeReceived(message.epoch_seconds))

    def _execute(self, message: Any) -> None:
        for action in self._node.actions:
            if action.key == message.key:
                arguments = action.decode_arguments(message.args)
                wants = bool(message.call_id) and action.response != "none"
                self._events.append(ActionCalled(action, arguments, message.call_id, wants))

    def _set_key(self, message: Any) -> None:
        key, before = decode_key(message.key), self._keys.key
        success = self._keys.changeable and (key is not None or not message.key) and self._keys.store(key)
        self._send(packet(api_pb2.NoiseEncryptionSetKeyResponse(success=success)))
        if self._keys.key != before:
            self._events.append(KeyChanged())
            self._send_disconnect()
            self._end("the key was changed")  # whatever follows in the same bytes was said under the old one

    def _send(self, message: Packet) -> None:
        if self._framing is None:
            return
        self._framing.send(*message)
        if len(self._framing.output) > self._limits.unsent_bytes:
            self._end(f"more than {self._limits.unsent_bytes} bytes unsent")
        self._wake()

    def _end(self, reason: str, last_output: bytes = b"") -> None:
        self._last_output = last_output
        if not self.closing:
            self._events.append(Closed(reason))
        self.close()

    def _take_events(self) -> list[SessionEvent]:
        events, self._events = self._events, []
        return events

    # of the class, not of each session: what refers to itself is not freed as soon as its peer is gone
    _handlers: ClassVar[dict[str, Callable[["Session", Any], None]]] = {
        "HelloRequest": _hello,
        "PingRequest": _ping,
        "DisconnectRequest": _disconnect_request,
        "DeviceInfoRequest": _device_info,
        "DeviceCapabilitiesRequest": _capabilities,
        "ListEntitiesRequest": _list_entities,
        "SubscribeStatesRequest": _subscribe_states,
        "SubscribeLogsRequest": _subscribe_logs,
        "GetTimeResponse": _get_time_response,
        "ExecuteServiceRequest": _execute,
        "NoiseEncryptionSetKeyRequest": _set_key,
        **dict.fromkeys(_COMMANDS, _command),
        **dict.fromkeys(BLUETOOTH_REQUESTS, _bluetooth),
    }
