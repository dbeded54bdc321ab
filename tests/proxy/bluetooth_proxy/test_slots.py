from hypothesis import given
from hypothesis import strategies as st

from blupow_proxy.bluetooth_proxy.slots import Slots


def test_our_own_have_theirs_for_ever() -> None:
    slots = Slots(2, (0xA1, 0xA2, 0xA1))
    assert (slots.free, slots.limit, slots.allocated) == (2, 4, (0xA1, 0xA2))
    assert not slots.reserve(0xA1)
    assert slots.reserve(0xB1)
    assert not slots.reserve(0xB1)
    assert slots.reserve(0xB2)
    assert not slots.reserve(0xB3)
    assert (slots.free, slots.limit, slots.allocated) == (0, 4, (0xA1, 0xA2, 0xB1, 0xB2))
    slots.release(0xB1)
    assert slots.reserve(0xB3)
    assert slots.allocated == (0xA1, 0xA2, 0xB2, 0xB3)


@given(count=st.integers(0, 9), owned=st.sets(st.integers(0, 5)), asked=st.lists(st.integers(0, 12)))
def test_they_always_add_up(count: int, owned: set[int], asked: list[int]) -> None:
    slots = Slots(count, owned)
    for address in asked:
        if not slots.reserve(address) and address in slots.allocated and address not in owned:
            slots.release(address)
        assert slots.free + len(slots.allocated) == slots.limit == count + len(owned)
        assert len(set(slots.allocated)) == len(slots.allocated)
        assert 0 <= slots.free <= count
