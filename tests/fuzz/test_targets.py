"""The fuzzers' targets, for a few seconds; script/fuzz runs them for as long as one likes."""

from collections import Counter
from collections.abc import Callable

import pytest
from attack import STATES, Attack, clear, plain
from corpus import IN_PIECES, SAID, WHOLE, joined
from hypothesis import given, settings
from hypothesis import strategies as st
from malformed import Malformed, attack_with
from seeds import bluetooth_messages
from targets import TARGETS, check

# The fuzzed peer's key is fixed, which the library rightly warns of.
pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs:UserWarning")


@st.composite
def mutated(draw: st.DrawFn, whole: list[bytes]) -> bytes:
    """Return what was captured, with a few bytes other, more or less."""
    data = bytearray(draw(st.sampled_from(whole)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        data[start:end] = draw(st.binary(max_size=8))
    return bytes(data)


def inputs(name: str) -> st.SearchStrategy[bytes]:
    one = st.binary(max_size=200) | mutated(WHOLE[name])
    if name not in IN_PIECES:
        return one
    pieces = st.lists(one, max_size=6).map(joined) | st.binary(max_size=600)
    choice = st.binary(min_size=name != "shunt_pushes", max_size=name != "shunt_pushes")
    return st.builds(bytes.__add__, choice, pieces)


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks(name: str) -> None:
    @settings(max_examples=100 if name.startswith("configuration") else 300)
    @given(inputs(name))
    def any_input(data: bytes) -> None:
        check(name, data)

    any_input()


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_captured_passes(name: str) -> None:
    for data in [b"", *WHOLE[name]]:
        check(name, data)


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.name)
def test_malformed_frames_in_every_state(state) -> None:
    malformed = Malformed(1)
    attack = Attack(state)
    for kind in malformed.kinds:
        for _ in range(20):
            attack = attack_with(attack, malformed.frame(kind, state))


@pytest.mark.parametrize("encode", [plain, clear])
def test_a_real_client_is_understood(encode: Callable[[tuple[int, bytes]], bytes]) -> None:
    """Or else the fuzzers' peers get no further than a reject."""
    state = next(
        state for state in STATES if state.name == ("plaintext, new" if encode is plain else "encrypted, handshake")
    )
    attack = Attack(state)
    for message in SAID:
        attack.send(encode(message))
    kinds = Counter(type(event).__name__ for event in attack.events)
    assert set(kinds) == {"Proven", "Commanded", "ActionCalled", "BluetoothAsked", "Closed"}
    assert kinds["BluetoothAsked"] == len(bluetooth_messages())
    assert len(attack.messages()) > 20
