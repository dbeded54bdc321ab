import pytest
from hypothesis import given
from hypothesis import strategies as st
from noise.connection import Keypair, NoiseConnection

from blupow_proxy.errors import LocalProtocolError
from blupow_proxy.native_api.framing import Framing, NoiseFraming, PlaintextFraming, RejectedError

# Both sides' ephemeral keys are fixed here, which the library rightly warns of.
pytestmark = pytest.mark.filterwarnings("ignore:One of ephemeral keypairs:UserWarning")

PSK = bytes(range(32))
CLIENT = (
    "010000010031007b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13d1bc1a38b6793685dc7e2ffdf8ea0933"
)
SERVER = (
    "0100170172656670726f78790030323030303030303030303100"
    "010031000faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f207336b95933b321b1ae86673f689f5c9f"
)
PING = "010014082a88d4457b72646ca1ef304be34f8ffac1f659"
PONG = "010014d9423bf48bdea62bb10bbd87a7fb5ecc26721050"


def noise() -> NoiseFraming:
    return NoiseFraming(PSK, "refproxy", "020000000001", ephemeral=bytes([0x22]) * 32)


def shaken() -> NoiseFraming:
    framing = noise()
    assert list(framing.feed(bytes.fromhex(CLIENT))) == []
    framing.output.clear()
    return framing


def seal(*messages: bytes) -> bytes:
    """What the client with the recorded key would send after the handshake."""
    client = NoiseConnection.from_name(b"Noise_NNpsk0_25519_ChaChaPoly_SHA256")
    client.set_as_initiator()
    client.set_psks(PSK)
    client.set_prologue(b"NoiseAPIInit\0\0")
    client.set_keypair_from_private_bytes(Keypair.EPHEMERAL, bytes([0x11]) * 32)
    client.start_handshake()
    client.write_message()
    client.read_message(bytes.fromhex(SERVER)[26 + 4 :])
    sealed = (client.encrypt(message) for message in messages)
    return b"".join(b"\1" + len(body).to_bytes(2) + body for body in sealed)


def rejected(framing: Framing, data: bytes) -> RejectedError:
    with pytest.raises(RejectedError) as error:
        list(framing.feed(data))
    return error.value


def test_golden_vector() -> None:
    framing = noise()
    assert list(framing.feed(bytes.fromhex(CLIENT))) == []
    assert framing.output.hex() == SERVER
    assert seal(bytes.fromhex("00070000")).hex() == PING
    assert list(framing.feed(bytes.fromhex(PING))) == [(7, b"")]
    framing.output.clear()
    framing.send(8, b"")
    assert framing.output.hex() == PONG


def test_a_message_that_no_frame_holds_costs_no_nonce() -> None:
    framing = noise()
    list(framing.feed(bytes.fromhex(CLIENT)))
    framing.output.clear()
    with pytest.raises(LocalProtocolError, match="65516 bytes"):
        framing.send(8, bytes(65_516))
    framing.send(8, b"")
    assert framing.output.hex() == PONG


@given(st.data())
def test_noise_in_any_split(data: st.DataObject) -> None:
    stream = bytes.fromhex(CLIENT) + seal(b"\0\x07\0\0", b"\0\x09\0\2ab")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    framing = noise()
    received = [m for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True) for m in framing.feed(stream[a:b])]
    assert received == [(7, b""), (9, b"ab")]
    assert framing.output.hex() == SERVER


@pytest.mark.parametrize(
    ("data", "reply"),
    [
        ("000001", b"Bad indicator byte"),
        ("010000010081", b"Bad handshake packet len"),
        ("010000010000", b"Empty handshake message"),
        ("01000001000105", b"Bad handshake error byte"),
        ("01000001000100", b"Handshake error"),
        ("01000001003100" + "00" * 48, b"Handshake MAC failure"),
        (CLIENT[:-2] + "34", b"Handshake MAC failure"),
    ],
)
def test_handshake_rejections(data: str, reply: bytes) -> None:
    error = rejected(noise(), bytes.fromhex(data))
    assert error.reply == b"\1" + (len(reply) + 1).to_bytes(2) + b"\1" + reply


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (b"\0", "preamble"),
        (b"\1\xff\xff", "65535 bytes"),
        (bytes.fromhex(PING)[:-1] + b"\0", "decrypt"),
    ],
)
def test_later_rejections_end_silently(frame: bytes, message: str) -> None:
    error = rejected(shaken(), frame)
    assert message in str(error)
    assert error.reply == b""


@pytest.mark.parametrize(("body", "message"), [(b"\0\7\0", "without a header"), (b"\0\7\0\1", "longer than")])
def test_malformed_messages_end_silently(body: bytes, message: str) -> None:
    error = rejected(shaken(), seal(body))
    assert message in str(error)
    assert error.reply == b""


def test_sending_before_the_handshake_is_a_bug() -> None:
    with pytest.raises(LocalProtocolError):
        noise().send(8, b"")


@given(st.lists(st.tuples(st.integers(0, 65535), st.binary(max_size=300)), max_size=5), st.data())
def test_plaintext_in_any_split(messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    sender, receiver = PlaintextFraming(), PlaintextFraming()
    for message in messages:
        sender.send(*message)
    stream = bytes(sender.output)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    parts = zip([0, *cuts], [*cuts, len(stream)], strict=True)
    assert [m for a, b in parts for m in receiver.feed(stream[a:b])] == messages


@pytest.mark.parametrize(
    ("data", "message", "reply"),
    [
        ("0100", "preamble", b"\0Bad indicator byte"),
        ("0081800201", "32769 bytes", b""),
        ("0000ffff7f", "message id", b""),
        ("0080808080", "varint", b""),
        ("000080808080", "varint", b""),
    ],
)
def test_plaintext_rejections(data: str, message: str, reply: bytes) -> None:
    error = rejected(PlaintextFraming(), bytes.fromhex(data))
    assert message in str(error)
    assert error.reply == reply


def test_longest_plaintext_frame_passes() -> None:
    sender, receiver = PlaintextFraming(), PlaintextFraming()
    sender.send(65535, bytes(32768))
    assert list(receiver.feed(bytes(sender.output))) == [(65535, bytes(32768))]
