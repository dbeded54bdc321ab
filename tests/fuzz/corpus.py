"""For each target, what real clients and real devices have said."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attack import STATES, clear, plain
from seeds import (
    advertisements,
    bluetooth_messages,
    client_messages,
    configuration_texts,
    device_frames,
    exchanges,
    included_texts,
    management_events,
    noise_flight,
)

SAID: Final = [*client_messages()[:-1], *bluetooth_messages(), client_messages()[-1]]  # the last one ends it
WHOLE: Final[Mapping[str, list[bytes]]] = {
    "plaintext_frames": [plain(message) for message in client_messages()],
    "noise_frames": list(noise_flight()),
    "handshakes": list(noise_flight()),
    "sessions": [encode(message) for message in SAID for encode in (plain, clear)],
    "bluetooth_requests": [clear(message) for message in bluetooth_messages()],
    "modbus_responses": [response for _, response in device_frames()],
    "register_blocks": [response[3:-2] for _, response in device_frames()],
    "shunt_pushes": [response for request, response in device_frames() if not request],
    "advertisements": advertisements(),
    "management_events": management_events(),
    "configurations": [text.encode() for text in configuration_texts()],
    "configuration_files": [
        len(main).to_bytes(2) + main.encode() + included.encode() for main, included in included_texts()
    ],
}
IN_PIECES: Final = frozenset({"sessions", "bluetooth_requests", "modbus_responses", "shunt_pushes"})


def joined(pieces: Iterable[bytes]) -> bytes:
    """Return an input that arrives in these pieces."""
    return b"".join(len(piece).to_bytes(2) + piece for piece in pieces)


def inputs(name: str) -> Iterator[bytes]:
    """Yield whole inputs of a target, to start from."""
    if name == "sessions":
        for number, state in enumerate(STATES):
            encode = clear if state.sealed else plain
            yield bytes((number,)) + joined(encode(message) for message in SAID)
    elif name == "bluetooth_requests":
        yield b"\0" + joined(WHOLE[name])
    elif name == "modbus_responses":
        for number, (_, response) in enumerate(exchanges()):
            yield bytes((number,)) + joined((response[:20], response[20:]))
            yield bytes((number,)) + (0x8000 | len(response) - 2).to_bytes(2) + response[:-2]
    elif name == "shunt_pushes":
        yield joined(WHOLE[name])
    else:
        yield from WHOLE[name]
