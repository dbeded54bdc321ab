"""Records what a server answers, byte by byte, and what the real client makes of it.

As a script: asks real ESPHome and ours the same and prints {case: {"esphome": answer, "ours": answer}} as JSON.
"""

import asyncio
import contextlib
import json
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aioesphomeapi import APIClient, api_pb2
from aioesphomeapi.core import MESSAGE_TYPE_TO_PROTO, APIConnectionError
from aioesphomeapi.noise import NoiseHandshake

KEY: Final = bytes(range(32))  # that of the device "noise"
OTHER_KEY: Final = bytes(range(1, 33))
ZERO_KEY: Final = bytes(32)
ANSWER_S: Final = 5.0
UNAVAILABLE: Final = 69
PING: Final = 7
PONG: Final = 8
HELLO_RESPONSE: Final = 2

type Answer = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """A server to ask; ``restart`` ends it and starts it with what it has stored."""

    port: int
    restart: Callable[[], Awaitable[None]]


type Case = Callable[[Target], Awaitable[Answer]]


# --- raw bytes ---------------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*encoded, value))


def frame(message_id: int, body: bytes = b"") -> bytes:
    return b"\0" + varint(len(body)) + varint(message_id) + body


def noise_frame(body: bytes) -> bytes:
    return b"\x01" + len(body).to_bytes(2) + body


HELLO_BODY: Final = api_pb2.HelloRequest(
    client_info="probe", api_version_major=1, api_version_minor=19
).SerializeToString()
HELLO: Final = frame(1, HELLO_BODY)
FENCE: Final = frame(PING)  # servers answer in order: once the pong is here, so is everything before it
FENCE_ANSWER: Final = frame(PONG)


class Raw:
    """A connection that keeps all it receives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.received = b""
        self.ended = "open"
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def drain(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    async def until(self, enough: Callable[[bytes], bool]) -> None:
        """Receive until it is enough, or the connection ends, or nothing comes for too long."""
        try:
            async with asyncio.timeout(ANSWER_S):
                while not enough(self.received):
                    data = await self._reader.read(65536)
                    if not data:
                        self.ended = "closed"
                        return
                    self.received += data
        except ConnectionError:
            self.ended = "closed"
        except TimeoutError:
            self.ended = "silent"


@contextlib.asynccontextmanager
async def raw_connection(target: Target) -> AsyncIterator[Raw]:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    try:
        yield Raw(reader, writer)
    finally:
        writer.transport.abort()


def raw(*chunks: bytes, fence: bytes = b"") -> Case:
    """Send chunks one by one; with a ``fence``, which asks for a pong, the connection may stay open."""

    async def ask(target: Target) -> Answer:
        async with raw_connection(target) as connection:
            for chunk in (*chunks, fence):
                connection.send(chunk)
                await connection.drain()
            await connection.until(lambda data: fence != b"" and data.endswith(FENCE_ANSWER))
            received = anonymous(connection.received)
            return {"bytes": received.hex(" "), "text": _ascii(received), "end": connection.ended}

    return ask


def anonymous(data: bytes) -> bytes:
    """Return plaintext frames with the same software named in each HelloResponse; it is ours to choose."""
    messages = split(data)
    if messages and messages[0][0] == "HelloResponse":
        response = messages[0][1]
        answer = frame(2, response.SerializeToString())
        if data.startswith(answer):
            response.server_info = "software"
            return frame(2, response.SerializeToString()) + anonymous(data.removeprefix(answer))
    return data


def _ascii(data: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)


class Encrypted:
    """An initiator's side of a Noise connection, over ``Raw``."""

    def __init__(self, connection: Raw, key: bytes) -> None:
        self.connection = connection
        self.greeting = b""
        self._handshake = NoiseHandshake(b64encode(key).decode(), b"NoiseAPIInit\0\0")
        self._taken = 0
        self._ciphers: Any = None

    async def open(self) -> None:
        self.connection.send(noise_frame(b"") + noise_frame(b"\0" + self._handshake.write_message()))
        self.greeting = await self._frame()
        self._handshake.read_message((await self._frame())[1:])
        self._ciphers = self._handshake.get_ciphers()

    def seal(self, clear: bytes) -> bytes:
        return noise_frame(self._ciphers[0].encrypt(clear))

    def message(self, message_id: int, body: bytes = b"") -> bytes:
        return self.seal(message_id.to_bytes(2) + len(body).to_bytes(2) + body)

    async def messages(self) -> list[list[str]]:
        """Return messages up to a pong or the end."""
        found = []
        while body := await self._frame():
            clear = self._ciphers[1].decrypt(body)
            message_id = int.from_bytes(clear[:2])
            if message_id == HELLO_RESPONSE:
                clear = clear[:2] + anonymous(frame(HELLO_RESPONSE, clear[4:]))[1:]
            found.append([name_of(message_id), clear[2:].hex(" ")])
            if message_id == PONG:
                break
        return found

    async def _frame(self) -> bytes:
        start = self._taken

        def complete(data: bytes) -> bool:
            return len(data) >= start + 3 and len(data) >= start + 3 + int.from_bytes(data[start + 1 : start + 3])

        await self.connection.until(complete)
        data = self.connection.received
        if not complete(data):
            return b""
        self._taken = start + 3 + int.from_bytes(data[start + 1 : start + 3])
        return data[start + 3 : self._taken]


class Plain:
    """The same without encryption."""

    def __init__(self, connection: Raw) -> None:
        self.connection = connection
        self._taken = 0

    async def open(self) -> None:
        """There is no handshake."""

    def message(self, message_id: int, body: bytes = b"") -> bytes:
        return frame(message_id, body)

    async def messages(self) -> list[list[str]]:
        """Return messages up to a pong or the end."""
        await self.connection.until(lambda data: data.endswith(FENCE_ANSWER) and len(data) > self._taken)
        data = self.connection.received[self._taken :]
        self._taken = len(self.connection.received)
        return [[name, message.SerializeToString().hex(" ")] for name, message in split(data)]


def name_of(message_id: int) -> str:
    kind = MESSAGE_TYPE_TO_PROTO.get(message_id)
    return str(message_id) if kind is None else kind.__name__


def encrypted(compose: Callable[[Encrypted], Sequence[bytes]], *, fence: bool = False) -> Case:
    """Send what ``compose`` makes, over a connection whose handshake is done."""

    async def ask(target: Target) -> Answer:
        async with raw_connection(target) as connection:
            session = Encrypted(connection, KEY)
            await session.open()
            for chunk in compose(session):
                connection.send(chunk)
                await connection.drain()
            if fence:
                connection.send(session.message(PING))
            messages = await session.messages()
            return {"greeting": session.greeting.hex(" "), "messages": messages, "end": connection.ended}

    return ask


def sealed(*messages: tuple[int, bytes] | int, fence: bool = False) -> Case:
    """Send whole messages, encrypted."""
    pairs = [message if isinstance(message, tuple) else (message, b"") for message in messages]
    return encrypted(lambda session: [session.message(*pair) for pair in pairs], fence=fence)


# --- the real client ---------------------------------------------------------------------------------------------


async def connect(target: Target, key: bytes | None, on_stop: Any = None) -> tuple[Answer, APIClient | None]:
    psk = None if key is None else b64encode(key).decode()
    client = APIClient("127.0.0.1", target.port, None, noise_psk=psk, client_info="probe")
    try:
        await client.connect(on_stop=on_stop, login=True)
    except APIConnectionError as error:
        text = str(error).replace(str(target.port), "PORT")
        fields = {name: value for name, value in vars(error).items() if isinstance(value, str | int | None)}
        return {"raised": type(error).__name__, "text": text, "fields": fields}, None
    return {"raised": None, "api": str(client.api_version), "name": client.expected_name}, client


def client_connects(key: bytes | None) -> Case:
    async def ask(target: Target) -> Answer:
        answer, client = await connect(target, key)
        if client is not None:
            info = await client.device_info()
            answer["name"] = info.name
            answer["supported"] = info.api_encryption_supported
            answer["provisionable"] = info.api_encryption_provisionable
            await client.disconnect()
        return answer

    return ask


MATRIX: Final[Mapping[str, bytes | None]] = {
    "no key": None,
    "zero key": ZERO_KEY,
    "old key": KEY,
    "new key": OTHER_KEY,
}


async def matrix(target: Target) -> Answer:
    """Ask with each kind of key."""
    return {name: await client_connects(key)(target) for name, key in MATRIX.items()}


async def set_key(target: Target, using: bytes | None, key: bytes) -> Answer:
    """Set a key and record how this session and a raw bystander end."""
    stopped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def on_stop(expected: bool) -> None:
        stopped.set_result(expected)

    answer, client = await connect(target, using, on_stop)
    if client is None:
        return answer
    async with raw_connection(target) as connection:
        bystander = Plain(connection) if using is None else Encrypted(connection, using)
        await bystander.open()
        connection.send(bystander.message(1, HELLO_BODY) + bystander.message(PING))
        await bystander.messages()
        answer["result"] = await client.noise_encryption_set_key(key)
        if answer["result"]:
            async with asyncio.timeout(ANSWER_S):
                answer["expected"] = await stopped
            answer["bystander"] = [await bystander.messages(), connection.ended]
        else:
            answer["still there"] = (await client.device_info()).name
            await client.disconnect()
    return answer


def base64(key: bytes) -> bytes:
    return b64encode(key)


def provisioned(using: bytes | None) -> Case:
    """Set a key, try all keys, restart, try again, set another, forget it."""

    async def ask(target: Target) -> Answer:
        answer: Answer = {"before": await matrix(target), "set": await set_key(target, using, base64(KEY))}
        answer["after"] = await matrix(target)
        await target.restart()
        answer["restarted"] = await matrix(target)
        answer["set again"] = await set_key(target, KEY, base64(OTHER_KEY))
        answer["after again"] = await matrix(target)
        answer["forget"] = await set_key(target, OTHER_KEY, b"")
        answer["forgotten"] = await matrix(target)
        await target.restart()
        answer["restarted again"] = await matrix(target)
        return answer

    return ask


def refused(key: bytes, using: bytes | None = ZERO_KEY) -> Case:
    async def ask(target: Target) -> Answer:
        return {"set": await set_key(target, using, key), "after": await matrix(target)}

    return ask


# --- entities ----------------------------------------------------------------------------------------------------

NOT_OURS: Final = frozenset({"Time", "Text", "Event"})  # kinds of entities that a proxy has no use for


def fields(message: Any) -> Answer:
    """Return every field, set or not, by name."""
    answer: Answer = {}
    for descriptor in message.DESCRIPTOR.fields:
        value = getattr(message, descriptor.name)
        if descriptor.message_type is not None:
            value = [fields(item) for item in value] if descriptor.is_repeated else fields(value)
        elif descriptor.is_repeated:
            value = list(value)
        elif isinstance(value, bytes):
            value = value.hex()
        answer[descriptor.name] = value
    return answer


def split(data: bytes) -> list[tuple[str, Any]]:
    """Return the complete messages of plaintext frames."""
    found: list[tuple[str, Any]] = []
    at = 0

    def number() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    with contextlib.suppress(IndexError):
        while at < len(data):
            at += 1
            length, message_id = number(), number()
            if at + length > len(data):
                break
            kind = MESSAGE_TYPE_TO_PROTO[message_id]
            found.append((kind.__name__, kind.FromString(data[at : at + length])))
            at += length
    return found


async def description(target: Target) -> Answer:
    """Record the device, its entities and actions, message by message."""
    async with raw_connection(target) as connection:
        connection.send(HELLO + frame(9) + frame(11))
        await connection.until(lambda data: split(data)[-1:] != [] and split(data)[-1][0] == "ListEntitiesDoneResponse")
        messages = split(connection.received)
    answer: Answer = {"order": []}
    for name, message in messages:
        if name in {f"ListEntities{kind}Response" for kind in NOT_OURS}:
            continue
        content = fields(message)
        # ESPHome leaves it to clients to make the object id of the name; others than the newest can't
        content.pop("object_id", None)
        content.pop("server_info", None)
        key = f"{name} {content.get('name', '')} {content.get('device_id', '')}"
        answer[key] = content
        if name != "ListEntitiesServicesResponse":
            answer["order"].append(key)
    return answer


async def models(target: Target) -> Answer:
    """Record what the real client makes of it: with object ids."""
    _, client = await connect(target, None)
    assert client is not None
    entities, services = await client.list_entities_services()
    await client.disconnect()
    own = [entity for entity in entities if type(entity).__name__.removesuffix("Info") not in NOT_OURS]
    return {"entities": [repr(entity) for entity in own], "services": [repr(service) for service in services]}


async def states(target: Target) -> Answer:
    """Record every entity's state once it has one."""
    latest: dict[str, Any] = {}

    def complete(data: bytes) -> bool:
        for name, message in split(data):
            if name.endswith("StateResponse") and name.removesuffix("StateResponse") not in NOT_OURS:
                latest[f"{name} {message.key} {message.device_id}"] = message
        return len(latest) >= STATEFUL and not any(getattr(message, "missing_state", 0) for message in latest.values())

    async with raw_connection(target) as connection:
        connection.send(HELLO + frame(20))
        await connection.until(complete)
    return {name: fields(message) for name, message in sorted(latest.items())}


STATEFUL: Final = 9  # entities with a state in tests/reference/all.yaml, those of NOT_OURS aside


# --- what is asked -----------------------------------------------------------------------------------------------

HANDSHAKE_BODY: Final = b"\0" + bytes(range(48))  # well-formed, but no key fits it
LONGEST: Final = 32768

CASES: Final[Mapping[str, Mapping[str, Case]]] = {
    "plain": {
        "client without key": client_connects(None),
        "client with key": client_connects(KEY),
        "before Hello: ping": raw(fence=FENCE),
        "before Hello: disconnect": raw(frame(5)),
        "before Hello: device info": raw(frame(9)),
        "before Hello: list entities": raw(frame(11)),
        "before Hello: subscribe states": raw(frame(20)),
        "before Hello: capabilities": raw(frame(149)),
        "before Hello: set key": raw(frame(124)),
        "before Hello: authentication": raw(frame(3)),
        "before Hello: unknown id": raw(frame(9999)),
        "before Hello: garbage": raw(b"\x42\x42\x42\x42"),
        "before Hello: text of a browser": raw(b"GET / HTTP/1.1\r\n\r\n"),
        "Noise hello": raw(noise_frame(b"")),
        "Noise hello and handshake": raw(noise_frame(b"") + noise_frame(HANDSHAKE_BODY)),
        "Hello": raw(HELLO, fence=FENCE),
        "Hello, byte by byte": raw(*(bytes((byte,)) for byte in HELLO), fence=FENCE),
        "Hello, empty": raw(frame(1), fence=FENCE),
        "Hello, twice": raw(HELLO + HELLO, fence=FENCE),
        "Hello that does not parse": raw(frame(1, b"\xff"), fence=FENCE),
        "after Hello: unknown id": raw(HELLO + frame(9999), fence=FENCE),
        "after Hello: authentication": raw(HELLO + frame(3), fence=FENCE),
        "after Hello: capabilities": raw(HELLO + frame(149), fence=FENCE),
        "after Hello: set key": raw(HELLO + frame(124), fence=FENCE),
        "after Hello: disconnect": raw(HELLO + frame(5)),
        "after Hello: pong": raw(HELLO + frame(PONG), fence=FENCE),
        "after Hello: garbage": raw(HELLO, b"\x42\x42\x42\x42"),
        "after Hello: ping with a body": raw(HELLO, fence=frame(PING, b"\x08\x01")),
        "frame of the longest length": raw(HELLO, fence=frame(PING, b"\x08\x01" * (LONGEST // 2))),
        "frame that is too long": raw(b"\0" + varint(LONGEST + 1) + varint(PING)),
        "id that is too large": raw(b"\0" + varint(0) + varint(65536)),
        "length of five bytes": raw(b"\0\x80\x80\x80\x80\x00\x07"),
        "id of five bytes": raw(b"\0\0\x87\x80\x80\x80\x00"),
        "length with needless bytes": raw(fence=b"\0\x80\x00\x07"),
    },
    "noise": {
        "client with key": client_connects(KEY),
        "client with wrong key": client_connects(OTHER_KEY),
        "client with zero key": client_connects(ZERO_KEY),
        "client without key": client_connects(None),
        "plaintext Hello": raw(HELLO),
        "garbage": raw(b"\x42\x42\x42\x42"),
        "text of a browser": raw(b"GET / HTTP/1.1\r\n\r\n"),
        "handshake that no key fits": raw(noise_frame(b"") + noise_frame(HANDSHAKE_BODY)),
        "handshake that is empty": raw(noise_frame(b"") + noise_frame(b"")),
        "handshake with an error byte": raw(noise_frame(b"") + noise_frame(b"\x01" + HANDSHAKE_BODY[1:])),
        "handshake that is too short": raw(noise_frame(b"") + noise_frame(HANDSHAKE_BODY[:20])),
        "handshake that is too long": raw(noise_frame(b"") + noise_frame(bytes(129))),
        "hello of the longest length": raw(noise_frame(bytes(128)) + noise_frame(HANDSHAKE_BODY)),
        "hello that is too long": raw(noise_frame(bytes(129))),
        "garbage after the hello": raw(noise_frame(b""), b"\x42\x42\x42\x42"),
        "before Hello: ping": sealed(fence=True),
        "before Hello: disconnect": sealed(5),
        "before Hello: device info": sealed(9),
        "before Hello: unknown id": sealed(9999),
        "Hello": sealed((1, HELLO_BODY), fence=True),
        "Hello that does not parse": sealed((1, b"\xff"), fence=True),
        "after Hello: unknown id": sealed((1, HELLO_BODY), 9999, fence=True),
        "after Hello: disconnect": sealed((1, HELLO_BODY), 5),
        "after Hello: set key": sealed((1, HELLO_BODY), (124, b"\x0a\x2c" + base64(OTHER_KEY)), fence=True),
        "frame of the longest length": sealed((1, HELLO_BODY), (PING, b"\x08\x01" * ((LONGEST - 20) // 2))),
        "frame that is too long": encrypted(lambda _: [b"\x01" + (LONGEST + 21).to_bytes(2)]),
        "frame that does not decrypt": encrypted(lambda _: [noise_frame(bytes(40))]),
        "frame that is empty": encrypted(lambda _: [noise_frame(b"")]),
        "message without a header": encrypted(lambda session: [session.seal(b"\0\x07")]),
        "message with too large a length": encrypted(lambda session: [session.seal(b"\0\x07\0\x01")]),
        "message with too small a length": encrypted(lambda session: [session.seal(b"\0\x07\0\0\xff\xff")]),
        "plaintext after the handshake": encrypted(lambda _: [FENCE + FENCE]),
    },
    "provision": {
        "client without key": client_connects(None),
        "client with zero key": client_connects(ZERO_KEY),
        "client with some key": client_connects(KEY),
        "garbage": raw(b"\x42\x42\x42\x42"),
        "plaintext Hello": raw(HELLO, fence=FENCE),
        "set key with the zero key": provisioned(ZERO_KEY),
        "set key in plaintext": provisioned(None),
        "set a key of zeros": refused(base64(ZERO_KEY)),
        "set a short key": refused(base64(KEY[:16])),
        "set a long key": refused(base64(bytes(33))),
        "set a key that is no base64": refused(b"?"),
    },
    "all": {"description": description, "models": models, "states": states},
}


# --- both servers ------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def esphome(device: str) -> AsyncIterator[Target]:
    import host  # noqa: PLC0415 - beside the devices, found once this runs as a script

    with tempfile.TemporaryDirectory() as home:
        stack = contextlib.ExitStack()
        stack.enter_context(host.device(device, Path(home)))

        async def restart() -> None:
            stack.close()
            stack.enter_context(host.device(device, Path(home)))

        try:
            yield Target(host.PORTS[device], restart)
        finally:
            stack.close()


@contextlib.asynccontextmanager
async def ours(device: str, like: Mapping[str, Any]) -> AsyncIterator[Target]:
    """Serve a node with the identity ``like`` that of the real device."""
    from blupow_proxy.keys import FileKeyStore  # noqa: PLC0415
    from blupow_proxy.server import ApiServer  # noqa: PLC0415
    from blupow_proxy.storage import Storage  # noqa: PLC0415
    from conftest import reference_node  # noqa: PLC0415 - found once this runs as a script

    node, _ = reference_node()
    node.info = replace(node.info, **like)
    if device == "all":
        del node.actions[1:]
    with tempfile.TemporaryDirectory() as folder:

        def make(port: int) -> ApiServer:
            configured = KEY if device == "noise" else None
            keys = FileKeyStore(
                Storage(Path(folder)), encryption=device in {"noise", "provision"}, configured=configured
            )
            return ApiServer(node, keys, host="127.0.0.1", port=port)

        servers = [make(0)]
        await servers[0].start()
        port = servers[0].port

        async def restart() -> None:
            await servers.pop().stop()
            servers.append(make(port))
            await servers[0].start()

        try:
            yield Target(port, restart)
        finally:
            await servers[0].stop()


async def identity(target: Target, key: bytes | None) -> dict[str, Any]:
    """Return what ours has to call itself to be compared."""
    _, client = await connect(target, key)
    assert client is not None
    info = await client.device_info()
    await client.disconnect()
    return {
        "name": info.name,
        "mac": info.mac_address,
        "esphome_version": info.esphome_version,
        "compilation_time": info.compilation_time,
    }


async def record() -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for device, cases in CASES.items():
        fresh = device == "provision"
        async with contextlib.AsyncExitStack() as stack:
            real = await stack.enter_async_context(esphome(device))
            like = await identity(real, KEY if device == "noise" else None)
            own = await stack.enter_async_context(ours(device, like))
            if fresh:
                await stack.aclose()
            for name, case in cases.items():
                async with contextlib.AsyncExitStack() as own_stack:
                    if fresh:
                        real = await own_stack.enter_async_context(esphome(device))
                        own = await own_stack.enter_async_context(ours(device, like))
                    answers[f"{device}: {name}"] = {"esphome": await case(real), "ours": await case(own)}
    return answers


def main() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
    import host  # noqa: PLC0415

    try:
        host.check_built()
        host.isolate()
    except host.UnavailableError as error:
        print(error, file=sys.stderr)
        sys.exit(UNAVAILABLE)
    json.dump(asyncio.run(record()), sys.stdout, indent=1)


if __name__ == "__main__":
    main()
