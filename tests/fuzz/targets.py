"""What is fuzzed: bytes in, AssertionError (or any exception at all) when a promise is broken.

Each target returns the CPU seconds of its slowest step. They are run by hypothesis (test_targets.py), by atheris
(guided.py) and, for frames, by a million malformed ones (frames.py).
"""

import tempfile
import time
from collections.abc import Callable, Container, Iterator
from math import isfinite
from pathlib import Path
from typing import Any, Final

from asking import ask_anything
from attack import MAX_CPU_S, MAX_REJECTION_BYTES, STATES, Attack
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bumble.core import AdvertisingData
from seeds import FUZZ_KEY, exchanges, noise_flight

from blupow_config import ConfigError, ConfigErrors, load_config, to_yaml
from blupow_config.language.tree import Tree
from blupow_proxy.ble.advertisement import Advertisement
from blupow_proxy.ble.advertising_data import MAX_BYTES, encode, says_something, structures
from blupow_proxy.ble.management import parse_advertisement
from blupow_proxy.modbus import (
    ExceptionResponse,
    Rejected,
    Response,
    ResponseParser,
    WriteRequest,
    append_crc,
)
from blupow_proxy.modbus.response import MAX_BUFFER_BYTES
from blupow_proxy.native_api.framing import Framing, NoiseFraming, PlaintextFraming, RejectedError
from blupow_proxy.native_api.wire import MAX_FRAME_BYTES, MAX_MESSAGE_ID
from blupow_proxy.renogy import (
    Family,
    PushParser,
    decode_block,
    identify_advertisement,
    identify_model,
    is_plausible,
    problem_state,
    register_map,
    to_states,
)
from blupow_proxy.renogy.push import MAX_BUFFER_BYTES as MAX_PUSHED_BYTES

MAX_CONFIG_CPU_S: Final = 2.0  # of a file, which is read once, at the start
MAX_PARSED_BYTES: Final = 4096  # of one input: what is longer says nothing new
_FINISHED: Final = 0x8000
FUZZ_SECRET: Final = "hunter2-hunter2"
_EPHEMERAL: Final = bytes([0x22]) * 32
_REQUESTS: Final = tuple(request for request, _ in exchanges())
_FAMILIES: Final = tuple(Family)
_VARIANTS: Final = (None, "legacy", "pro", "rngpro", "hub")
_MODELS: Final = (None, "RNG-CTRL-RVR40", "RBT100LFP12S", "RIV1230RCH", "RBC50D1S", "REGO")

type Target = Callable[[bytes], float]


def plaintext_frames(data: bytes) -> float:
    """Frames without encryption, at once and byte by byte."""
    return _same_in_pieces(PlaintextFraming, data[:MAX_PARSED_BYTES])


def noise_frames(data: bytes) -> float:
    """Frames before, within and after a real client's handshake, at once and byte by byte."""
    hello, handshake, rest = noise_flight()
    starts = (b"", b"\1", hello, hello + b"\1", hello + handshake, hello + handshake + rest[:20])
    start = starts[data[0] % len(starts)] if data else b""
    return _same_in_pieces(_noise_framing, start + data[1:MAX_PARSED_BYTES])


def handshakes(data: bytes) -> float:
    """A client's hello and first handshake message, of any content."""
    cut = data[0] if data else 0
    hello, message = data[1 : 1 + cut], data[1 + cut : MAX_PARSED_BYTES]
    return _same_in_pieces(_noise_framing, b"".join(b"\1" + len(part).to_bytes(2) + part for part in (hello, message)))


def sessions(data: bytes) -> float:
    """A session in any state; the input is cut into what arrives at once."""
    attack = Attack(STATES[data[0] % len(STATES)] if data else STATES[0])
    for piece in _pieces(data[1:]):
        attack.send(piece)
    return attack.slowest_s


def bluetooth_requests(data: bytes) -> float:
    """What clients with the key may ask of the Bluetooth proxy; each piece is a message as it is encrypted."""
    how = data[0] if data else 0
    return ask_anything(how, [(int.from_bytes(piece[:2]), piece[4:]) for piece in _pieces(data[1:])])


def modbus_responses(data: bytes) -> float:
    """A device's notifications, with a right CRC on demand, while a captured request waits for its answer."""
    request = _REQUESTS[data[0] % len(_REQUESTS)] if data else _REQUESTS[0]
    parser = ResponseParser()
    parser.expect(request)
    watch = Stopwatch()
    answers = 0
    for piece in _pieces(data[1:], append_crc):
        with watch:
            events = parser.feed(piece)
        assert parser.buffered <= MAX_BUFFER_BYTES
        assert sum(len(event.raw) for event in events if isinstance(event, Rejected)) <= MAX_BUFFER_BYTES + len(piece)
        for event in events:
            if isinstance(event, Response | ExceptionResponse):
                answers += 1
                assert event.request is request
            if isinstance(event, Response):
                assert len(event.data) == (2 if isinstance(request, WriteRequest) else 2 * request.words)
    assert answers <= 1
    return watch.slowest_s


def register_blocks(data: bytes) -> float:
    """What a device may answer with a right CRC: decoded values are in range, or missing."""
    family, variant, model, number = (data[place] if len(data) > place else 0 for place in range(4))
    table = register_map(_FAMILIES[family % len(_FAMILIES)])
    if not table.blocks:
        return 0.0
    block = table.blocks[number % len(table.blocks)]
    content = data[4 : 4 + 2 * block.words].ljust(2 * block.words, b"\0")
    watch = Stopwatch()
    with watch:
        readings = decode_block(
            table.family,
            block.register,
            content,
            variant=_VARIANTS[variant % len(_VARIANTS)],
            model=_MODELS[model % len(_MODELS)],
        )
        is_plausible(block, content, readings)
        states = to_states(table.family, readings) | problem_state(table.family, readings, frozenset(readings))
    ranges = {row.key: row.range for row in table.registers if row.range is not None}
    for key, value in readings.items():
        if key in ranges and isinstance(value, int | float):
            assert ranges[key][0] <= value <= ranges[key][1], (key, value)
    for state in states.values():
        assert not isinstance(state, float) or isfinite(state)
        assert not isinstance(state, str) or state.isprintable()
    return watch.slowest_s


def shunt_pushes(data: bytes) -> float:
    """What a shunt may push."""
    parser = PushParser()
    watch = Stopwatch()
    for piece in _pieces(data):
        with watch:
            pushed = parser.feed(piece)
        assert parser.buffered <= MAX_PUSHED_BYTES
        for readings in pushed:
            assert isinstance(readings["current"], float)
            assert isinstance(readings["voltage"], float)
            to_states(Family.SHUNT300, readings)
    return watch.slowest_s


def advertisements(data: bytes) -> float:
    """Advertising data, as bleak hands it on."""
    structures = AdvertisingData.from_bytes(data[:MAX_PARSED_BYTES]).ad_structures
    name = next((content for kind, content in structures if kind in (8, 9)), None)
    uuids = [content.hex() for kind, content in structures if kind in (2, 3, 6, 7)]
    watch = Stopwatch()
    with watch:
        device = BLEDevice("C4:D3:6A:00:00:01", None, None)
        text = None if name is None else name.decode(errors="replace")
        heard = Advertisement.of(device, AdvertisementData(text, {}, {}, uuids, None, -60, ()))
        candidate = identify_advertisement(heard.name, heard.service_uuids)
        identify_model(heard.name or "")
    assert candidate is None or candidate.families
    return watch.slowest_s


def management_events(data: bytes) -> float:
    """What the kernel's management socket says of the air: an advertisement whose structures are its bytes, or none."""
    watch = Stopwatch()
    with watch:
        heard = parse_advertisement(data, 0)
        found = [] if heard is None else list(structures(heard.data))
        something = heard is not None and says_something(heard.data)
    assert something <= bool(found)
    if heard is not None:
        assert len(heard.data) <= MAX_BYTES
        assert len(encode(found)) <= len(heard.data)
        assert heard.address < 1 << 48
    return watch.slowest_s


def configurations(data: bytes) -> float:
    """A configuration's file: a configuration that survives being written again, or mistakes of one line each."""
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="blupow-fuzz-") as folder:
        path = Path(folder, "proxy.yaml")
        path.write_bytes(data)
        mistakes: tuple[ConfigError, ...] = ()
        try:
            with watch:
                config = load_config(path)
        except ConfigErrors as errors:
            mistakes = errors.errors
        else:
            path.write_text(to_yaml(config, show_secrets=True))
            assert load_config(path).renogy == config.renogy
            return watch.slowest_s
    assert mistakes
    assert all(str(mistake).isprintable() for mistake in mistakes)
    return watch.slowest_s


def configuration_files(data: bytes) -> float:
    """A main file and one that it may include, after a byte that says where they are parted: a tree, or mistakes."""
    watch = Stopwatch()
    parted = 1 + int.from_bytes(data[:2]) % max(len(data), 1)
    with tempfile.TemporaryDirectory(prefix="blupow-fuzz-") as folder:
        path = Path(folder, "proxy.yaml")
        path.write_bytes(data[2 : 1 + parted])
        Path(folder, "a.yaml").write_bytes(data[1 + parted :])
        Path(folder, "secrets.yaml").write_text(f"s: {FUZZ_SECRET}\n")
        try:
            with watch:
                tree = Tree(path, {"given": "1"})
        except ConfigErrors as errors:
            mistakes = errors.errors
        else:
            mistakes = tuple(tree.problems)
            assert all(tree.error(secret, "") for secret in tree.secret_paths)
            assert FUZZ_SECRET not in repr(_without(tree.content, tree.secret_paths, ()))
    assert all(str(mistake).isprintable() for mistake in mistakes)
    assert all(FUZZ_SECRET not in str(mistake) for mistake in mistakes)
    return watch.slowest_s


def _without(content: Any, paths: Container[tuple[str | int, ...]], path: tuple[str | int, ...]) -> Any:
    """Return content without the values at some paths."""
    if path in paths:
        return None
    if isinstance(content, dict):
        return {key: _without(value, paths, (*path, key)) for key, value in content.items()}
    if isinstance(content, list):
        return [_without(value, paths, (*path, at)) for at, value in enumerate(content)]
    return content


TARGETS: Final[dict[str, Target]] = {
    target.__name__: target
    for target in (
        plaintext_frames,
        noise_frames,
        handshakes,
        sessions,
        bluetooth_requests,
        modbus_responses,
        register_blocks,
        shunt_pushes,
        advertisements,
        management_events,
        configurations,
        configuration_files,
    )
}


def check(name: str, data: bytes) -> None:
    """Run a target; a step that was slow has to be slow three times, as this machine may have been busy."""
    limit = MAX_CONFIG_CPU_S if name in (configurations.__name__, configuration_files.__name__) else MAX_CPU_S
    slowest = min(_until_quick(TARGETS[name], data, limit))
    assert slowest <= limit, f"{name} took {slowest:.3f} s of CPU for {data[:100].hex()}"


class Stopwatch:
    """Keeps the most CPU time that was spent inside."""

    def __init__(self) -> None:
        self.slowest_s = 0.0
        self._started = 0.0

    def __enter__(self) -> None:
        self._started = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.slowest_s = max(self.slowest_s, time.thread_time() - self._started)


def _until_quick(target: Target, data: bytes, limit: float) -> Iterator[float]:
    for _ in range(3):
        took = target(data)
        yield took
        if took <= limit:
            return


def _pieces(data: bytes, finish: Callable[[bytes], bytes] = bytes) -> Iterator[bytes]:
    """Cut the input: each piece follows two bytes with its length, whose highest bit asks to ``finish`` it."""
    while data:
        header = int.from_bytes(data[:2])
        length = header % MAX_PARSED_BYTES
        piece = data[2 : 2 + length]
        yield finish(piece) if header & _FINISHED else piece
        data = data[2 + length :]


def _noise_framing() -> NoiseFraming:
    return NoiseFraming(FUZZ_KEY, "fuzz-shed", "0200000000f0", ephemeral=_EPHEMERAL)


def _same_in_pieces(make: Callable[[], Framing], data: bytes) -> float:
    watch = Stopwatch()
    at_once = _outcome(make(), [data], watch)
    assert at_once == _outcome(make(), [data[at : at + 1] for at in range(len(data))], watch)
    return watch.slowest_s


def _outcome(framing: Any, pieces: list[bytes], watch: Stopwatch) -> tuple[list[tuple[int, bytes]], bytes, str | None]:
    """Return the packets, what was answered, and why the peer was turned away."""
    packets: list[tuple[int, bytes]] = []
    reply, reason = b"", None
    try:
        for piece in pieces:
            with watch:
                packets += framing.feed(piece)
    except RejectedError as error:
        reply, reason = error.reply, str(error)
    assert len(reply) <= MAX_REJECTION_BYTES
    for message_id, body in packets:
        assert message_id <= MAX_MESSAGE_ID
        assert len(body) <= MAX_FRAME_BYTES
    return packets, bytes(framing.output) + reply, reason
