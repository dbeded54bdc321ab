import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.modbus import (
    Event,
    ExceptionResponse,
    ReadRequest,
    Reason,
    Rejected,
    Response,
    ResponseParser,
    WriteRequest,
    append_crc,
    decode_request,
)

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())
MODBUS = [v for v in VECTORS["vectors"] if v["request_hex"] and v["response_hex"] and "push" not in v.get("kind", "")]
SCENARIOS = {s["id"]: s for s in VECTORS["scenarios"]}
LIVE = next(v for v in MODBUS if v["id"] == "ctrl-live-firefly")


def run(request: str, chunks: list[str]) -> list[Event]:
    parser = ResponseParser()
    parser.expect(decode_request(bytes.fromhex(request)))
    return [event for chunk in chunks for event in parser.feed(bytes.fromhex(chunk))]


def answers(events: list[Event]) -> list[Event]:
    return [event for event in events if not isinstance(event, Rejected)]


def is_write(vector: dict[str, Any]) -> bool:
    return bool(vector["kind"] == "write_single")


def fixed_request(vector: dict[str, Any]) -> str:
    """One capture's request was sent with its CRC bytes swapped; send it right."""
    frame = bytes.fromhex(vector["request_hex"])
    return append_crc(frame[:-2]).hex()


@pytest.mark.parametrize("vector", MODBUS, ids=lambda v: v["id"])
def test_vector(vector: dict[str, Any]) -> None:
    (event,) = run(fixed_request(vector), [vector["response_hex"]])
    if "exception" in vector["expected"]:
        assert isinstance(event, ExceptionResponse)
        assert event.code == vector["expected"]["exception"]
    else:
        assert isinstance(event, Response)
        raw = bytes.fromhex(vector["response_hex"])
        assert event.data == (raw[4:6] if is_write(vector) else raw[3:-2])
        assert event.address == raw[0]


@pytest.mark.parametrize("vector", MODBUS, ids=lambda v: v["id"])
def test_every_cut_in_two(vector: dict[str, Any]) -> None:
    request, raw = fixed_request(vector), vector["response_hex"]
    whole = run(request, [raw])
    for cut in range(2, len(raw), 2):
        assert answers(run(request, [raw[:cut], raw[cut:]])) == whole
    assert run(request, vector.get("fragments_mtu23", [raw])) == whole


@given(st.sampled_from(MODBUS), st.data())
def test_any_split(vector: dict[str, Any], data: st.DataObject) -> None:
    request, raw = fixed_request(vector), vector["response_hex"]
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) // 2 - 1))))
    bounds = [0, *(2 * cut for cut in cuts), len(raw)]
    chunks = [raw[a:b] for a, b in itertools.pairwise(bounds)]
    assert answers(run(request, chunks)) == run(request, [raw])


@pytest.mark.parametrize("vector", MODBUS, ids=lambda v: v["id"])
def test_no_single_bit_error_passes(vector: dict[str, Any]) -> None:
    raw = bytes.fromhex(vector["response_hex"])
    for bit in range(8 * len(raw)):
        damaged = bytearray(raw)
        damaged[bit // 8] ^= 1 << bit % 8
        assert not answers(run(fixed_request(vector), [damaged.hex()]))


def test_ten_thousand_corruptions() -> None:
    """Up to three bytes changed, cut out or put in: never a value that the true frame does not hold."""
    rng = random.Random(20)  # noqa: S311
    wrong = 0
    for _ in range(10_000):
        vector = rng.choice(MODBUS)
        raw = bytearray.fromhex(vector["response_hex"])
        (true,) = run(fixed_request(vector), [vector["response_hex"]])
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(raw))
            match rng.randrange(3):
                case 0:
                    raw[place] = rng.randrange(256)
                case 1:
                    del raw[place : place + rng.randint(1, 3)]
                    raw += b"" if raw else b"\0"
                case _:
                    raw[place:place] = rng.randbytes(rng.randint(1, 8))
        wrong += any(event != true for event in answers(run(fixed_request(vector), [raw.hex()])))
    assert wrong == 0


def test_scenario_two_frames_in_one_notification() -> None:
    scenario = SCENARIOS["two-frames-one-notification"]
    stale, info = run(scenario["request"], scenario["notifications"])
    assert isinstance(stale, Rejected)
    assert stale.reason is Reason.LENGTH
    assert isinstance(info, Response)
    assert len(info.data) == 56


def test_scenario_stale_frame_before_reply() -> None:
    scenario = SCENARIOS["stale-frame-before-reply"]
    stale, cells = run(scenario["request"], scenario["notifications"])
    assert isinstance(stale, Rejected)
    assert isinstance(cells, Response)
    assert cells.data[:2] == b"\0\x0f"


@pytest.mark.parametrize("name", ["frag-mtu23", "frag-odd"])
def test_scenario_fragments(name: str) -> None:
    scenario = SCENARIOS[name]
    (event,) = run(scenario["request"], scenario["notifications"])
    assert isinstance(event, Response)


def test_scenario_other_device_address() -> None:
    scenario = SCENARIOS["reply-from-other-slave-same-length"]
    (event,) = run(scenario["request"], scenario["notifications"])
    assert isinstance(event, Rejected)
    assert event.reason is Reason.ADDRESS


def test_scenario_own_address_to_universal() -> None:
    scenario = SCENARIOS["reply-own-address-to-universal"]
    (event,) = run(scenario["request"], scenario["notifications"])
    assert isinstance(event, Response)
    assert event.address == 0x30


def test_scenario_corrupt_crc() -> None:
    scenario = SCENARIOS["corrupt-crc"]
    events = run(scenario["request"], scenario["notifications"])
    assert [event.reason for event in events if isinstance(event, Rejected)] == [Reason.CRC]
    assert not answers(events)


def test_scenario_exceptions() -> None:
    scenario = SCENARIOS["exception-own-address"]
    (event,) = run(scenario["request"], scenario["notifications"])
    assert isinstance(event, ExceptionResponse)
    assert (event.address, event.code) == (0x30, 2)
    (event,) = run("ff0301000022d1f1", SCENARIOS["exception-then-next-block"]["notifications"])
    assert isinstance(event, ExceptionResponse)


def test_scenario_garbage_prefix() -> None:
    scenario = SCENARIOS["garbage-prefix"]
    garbage, event = run(scenario["request"], scenario["notifications"])
    assert garbage == Rejected(Reason.GARBAGE, b"\0\0")
    assert isinstance(event, Response)


def test_scenario_truncated_then_next_request() -> None:
    scenario = SCENARIOS["truncated-then-silence"]
    parser = ResponseParser()
    request = decode_request(bytes.fromhex(scenario["request"]))
    parser.expect(request)
    for chunk in scenario["notifications"]:
        assert parser.feed(bytes.fromhex(chunk)) == []
    assert parser.buffered == 40
    parser.expect(request)
    assert parser.buffered == 0
    (event,) = parser.feed(bytes.fromhex(LIVE["response_hex"]))
    assert isinstance(event, Response)


def test_scenario_same_length_late_reply_is_delivered_once() -> None:
    scenario = SCENARIOS["same-length-late-reply"]
    first, late = run(scenario["request"], scenario["notifications"])
    assert isinstance(first, Response)
    assert isinstance(late, Rejected)
    assert late.reason is Reason.UNSOLICITED


def test_nothing_expected_nothing_delivered() -> None:
    parser = ResponseParser()
    parser.expect(ReadRequest(0xFF, 0x0100, 34))
    parser.cancel()
    (event,) = parser.feed(bytes.fromhex(LIVE["response_hex"]))
    assert isinstance(event, Rejected)
    assert event.reason is Reason.UNSOLICITED
    assert parser.feed(b"") == []


def test_write_echo_must_be_ours() -> None:
    parser = ResponseParser()
    parser.expect(WriteRequest(0xFF, 0x010A, 1))
    other, ours = parser.feed(WriteRequest(0xFF, 0x010A, 0).encode() + WriteRequest(0xFF, 0x010A, 1).encode())
    assert isinstance(other, Rejected)
    assert other.reason is Reason.ECHO
    assert ours == Response(WriteRequest(0xFF, 0x010A, 1), 0xFF, b"\0\1")


def test_other_function_is_rejected() -> None:
    (event,) = run("ff0301000022d1f1", ["ff06010a00017c2a"])
    assert isinstance(event, Rejected)
    assert event.reason is Reason.FUNCTION


def test_partial_write_echo_is_awaited() -> None:
    parser = ResponseParser()
    echo = WriteRequest(0x20, 1, 2).encode()
    parser.expect(WriteRequest(0x20, 1, 2))
    assert parser.feed(b"\x11\x03\xf0" + echo[:4]) == []  # an unfinished stranger in front
    events = parser.feed(echo[4:])
    assert isinstance(events[-1], Response)


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_garbage_is_bounded_and_silent(chunks: list[bytes]) -> None:
    parser = ResponseParser()
    parser.expect(ReadRequest(0x30, 5042, 6))
    for chunk in chunks:
        assert not answers(parser.feed(chunk))
        assert parser.buffered <= 512


@given(st.binary(max_size=100))
def test_resynchronises_behind_garbage(garbage: bytes) -> None:
    """Whatever stood before, the reply is found in it or in its repetition."""
    parser = ResponseParser()
    parser.expect(decode_request(bytes.fromhex(LIVE["request_hex"])))
    events = parser.feed(garbage)
    for _ in range(5):
        events += parser.feed(bytes.fromhex(LIVE["response_hex"]))
    found = answers(events)
    assert len(found) == 1
    assert isinstance(found[0], Response)
    assert found[0].data == bytes.fromhex(LIVE["response_hex"])[3:-2]
