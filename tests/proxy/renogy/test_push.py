import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.errors import FrameError
from blupow_proxy.renogy import PushParser, decode_push

FRAMES = [
    bytes.fromhex(v["response_hex"])
    for v in json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())["vectors"]
    if v["kind"] == "push"
]
FRAME = FRAMES[0]


def patched(offset: int, data: str) -> bytes:
    raw = bytes.fromhex(data)
    return FRAME[:offset] + raw + FRAME[offset + len(raw) :]


def test_derived_and_text_fields() -> None:
    readings = decode_push(FRAME)
    assert readings["power"] == 0.3
    assert readings["timestamp_date"] == "24-08-06"
    assert readings["timestamp_time"] == "23:08:36"
    assert readings["starter_temperature"] is None


@pytest.mark.parametrize("frame", [FRAME[:-1], FRAME + b"\0", bytes.fromhex("4257010b") + FRAME[4:], b""])
def test_other_frames_are_refused(frame: bytes) -> None:
    with pytest.raises(FrameError):
        decode_push(frame)


@pytest.mark.parametrize(
    ("offset", "data"),
    [(25, "ffffff"), (25, "000001"), (21, "7fffff"), (21, "800000"), (20, "00"), (24, "a5")],
)
def test_implausible_frames_are_refused(offset: int, data: str) -> None:
    with pytest.raises(FrameError, match="plausible"):
        decode_push(patched(offset, data))


def test_absent_probe_and_bad_clock_are_missing() -> None:
    assert decode_push(patched(66, "8000"))["temperature"] is None
    assert decode_push(patched(9, "2a0806"))["timestamp_date"] is None


@given(st.lists(st.sampled_from(FRAMES), min_size=1, max_size=4), st.binary(max_size=8), st.data())
def test_any_split_gives_the_same_readings(frames: list[bytes], prefix: bytes, data: st.DataObject) -> None:
    stream = prefix + b"\x61\xd2\0\0".join(frames)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    parser = PushParser()
    readings = [found for a, b in pairwise([0, *cuts, len(stream)]) for found in parser.feed(stream[a:b])]
    assert readings == [decode_push(frame) for frame in frames]


def test_lost_fragment_loses_one_frame_only() -> None:
    parser = PushParser()
    assert parser.feed(FRAME[:40] + FRAME[60:]) == []
    assert parser.feed(FRAME) == [decode_push(FRAME)]


def test_damaged_frame_is_passed_over() -> None:
    parser = PushParser()
    assert parser.feed(patched(25, "ffffff") + FRAME) == [decode_push(FRAME)]


@given(st.lists(st.binary(max_size=700), max_size=10))
def test_buffer_is_bounded(chunks: list[bytes]) -> None:
    parser = PushParser()
    for chunk in chunks:
        parser.feed(chunk)
        assert parser.buffered <= 512
