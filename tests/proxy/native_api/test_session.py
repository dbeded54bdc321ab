from typing import Any

import pytest
from aioesphomeapi import api_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from blupow_proxy.errors import LocalProtocolError
from blupow_proxy.native_api import (
    LISTENING,
    Action,
    BluetoothFeature,
    BluetoothInfo,
    Closed,
    Commanded,
    Limits,
    Mode,
    Node,
    NodeInfo,
    Proven,
    SensorEntity,
    Session,
    SubDevice,
    SwitchEntity,
    TextSensorEntity,
    TimeReceived,
    decode_key,
)
from blupow_proxy.native_api.entities import ButtonEntity, Entity
from blupow_proxy.native_api.framing import PlaintextFraming
from blupow_proxy.native_api.wire import MESSAGE_IDS, packet


class Keys:
    def __init__(self, mode: Mode = Mode.PLAINTEXT) -> None:
        self.mode = mode
        self.key = bytes(range(32)) if mode is Mode.ENCRYPTED else None
        self.changeable = False

    def store(self, key: bytes | None) -> bool:
        raise AssertionError(key)


SWITCH = SwitchEntity(name="Load")
SENSOR = SensorEntity(name="Volts", force_update=True)
BUTTON = ButtonEntity(name="Restart")
TEXT = TextSensorEntity(name="Model")
ASK_TIME = 36


class Peer:
    """A plaintext client that speaks bytes."""

    def __init__(self, mode: Mode = Mode.PLAINTEXT, limits: Limits | None = None) -> None:
        self.node = Node(
            NodeInfo(
                name="n",
                friendly_name="N",
                mac="02:00:00:00:00:01",
                model="m",
                manufacturer="b",
                esphome_version="2026.10.0",
            )
        )
        for entity in (SWITCH, SENSOR, BUTTON, TEXT):
            self.node.add(entity)
        self.node.actions.append(Action(name="act"))
        self.wakes = 0
        self.keys = Keys(mode)
        self.session = Session(self.node, self.keys, now=0.0, wake=self._wake, limits=limits or Limits())
        self._framing = PlaintextFraming()
        self.now = 0.0

    def _wake(self) -> None:
        self.wakes += 1

    def send(self, message: Any, body: bytes | None = None) -> list[Any]:
        framing = PlaintextFraming()
        number, encoded = packet(message)
        framing.send(number, encoded if body is None else body)
        return self.session.receive(bytes(framing.output), self.now)

    def packets(self) -> list[tuple[int, bytes]]:
        return list(self._framing.feed(self.session.take_output()))

    def received(self) -> list[int]:
        return [number for number, _ in self.packets()]

    def greet(self) -> "Peer":
        assert self.send(api_pb2.HelloRequest(client_info="x\n")) == [Proven("x?")]
        assert self.received() == [2]
        return self


def test_before_hello_only_ping_and_disconnect() -> None:
    peer = Peer()
    assert peer.send(api_pb2.PingRequest()) == []
    assert peer.received() == [8]
    assert peer.send(api_pb2.DeviceInfoRequest()) == [Closed("a request before Hello")]
    assert peer.received() == []
    assert peer.session.closing
    assert peer.send(api_pb2.PingRequest()) == []


def test_capabilities_are_answered() -> None:
    peer = Peer().greet()
    peer.send(api_pb2.DeviceCapabilitiesRequest())
    assert peer.received() == [150]


@pytest.mark.parametrize(("encrypted", "offered"), [(True, BluetoothFeature(127)), (False, LISTENING)])
def test_bluetooth_is_offered_alike_in_both_messages(*, encrypted: bool, offered: BluetoothFeature) -> None:
    node = Peer().node
    node.bluetooth = BluetoothInfo(BluetoothFeature(127), "02:00:00:00:00:02")
    capabilities = api_pb2.DeviceCapabilitiesResponse.FromString(node.capabilities_packet(encrypted=encrypted)[1])
    info = api_pb2.DeviceInfoResponse.FromString(
        node.device_info_packet(encrypted=encrypted, encryption_supported=True, provisionable=False)[1]
    )
    assert capabilities.bluetooth_proxy.feature_flags == info.bluetooth_proxy_feature_flags == offered
    assert capabilities.bluetooth_proxy.mac_address == info.bluetooth_mac_address == "02:00:00:00:00:02"


def test_client_disconnects() -> None:
    peer = Peer().greet()
    assert peer.send(api_pb2.DisconnectRequest()) == [Closed("disconnected by the client")]
    assert peer.received() == [6]


def test_what_follows_a_disconnect_in_the_same_segment_is_ignored() -> None:
    peer = Peer().greet()
    framing = PlaintextFraming()
    framing.send(*packet(api_pb2.DisconnectRequest()))
    framing.send(*packet(api_pb2.PingRequest()))
    peer.session.receive(bytes(framing.output), 0.0)
    assert peer.received() == [6]


def test_hello_deadline_is_absolute() -> None:
    peer = Peer()
    assert peer.session.deadline == 10.0
    peer.now = 9.9
    peer.send(api_pb2.PingRequest())
    assert peer.session.tick(9.9) == []
    assert peer.session.tick(10.0) == [Closed("no Hello within 10 s")]
    assert peer.session.tick(11.0) == []


def test_silent_peer_is_asked_and_then_dropped() -> None:
    peer = Peer().greet()
    assert peer.session.deadline == 20.0
    assert peer.session.tick(19.9) == []
    for now in (20.0, 40.0):
        assert peer.session.deadline == now
        assert peer.session.tick(now) == []
        assert peer.received() == [7]
    assert peer.session.deadline == 55.0
    assert peer.session.tick(55.0) == [Closed("silent for 55 s")]


@pytest.mark.parametrize("asked", [False, True])
def test_a_time_in_which_nobody_could_be_heard_is_no_silence(asked: bool) -> None:
    """The process was stopped, say; what the peer has sent meanwhile is read after the timers."""
    peer = Peer().greet()
    if asked:
        assert peer.session.tick(20.0) == []
        assert peer.received() == [7]
    deadline = peer.session.deadline
    assert peer.session.tick(deadline + 1000.0) == []
    assert peer.received() == [7]
    assert peer.session.deadline == deadline + (1015.0 if asked else 1020.0)  # what ends it, or another question
    if not asked:
        assert peer.session.tick(peer.session.deadline) == []
    assert peer.session.tick(peer.session.deadline) == [Closed("silent for 55 s")]


def test_any_message_counts_as_life() -> None:
    peer = Peer().greet()
    peer.session.tick(20.0)
    peer.now = 25.0
    assert peer.send(api_pb2.PingResponse()) == []
    assert peer.session.deadline == 45.0


def test_unknown_messages_are_passed_over() -> None:
    peer = Peer().greet()
    framing = PlaintextFraming()
    framing.send(60000, b"??")
    framing.send(MESSAGE_IDS["SubscribeHomeassistantServicesRequest"], b"")
    framing.send(MESSAGE_IDS["AuthenticationRequest"], b"")
    assert peer.session.receive(bytes(framing.output), 0.0) == []
    assert peer.received() == []
    assert not peer.session.closing


def test_body_that_does_not_parse_ends_the_session() -> None:
    peer = Peer().greet()
    assert peer.send(api_pb2.SwitchCommandRequest(), b"\xff") == [Closed("a SwitchCommandRequest that does not parse")]


def test_hello_is_said_once() -> None:
    peer = Peer().greet()
    assert peer.send(api_pb2.HelloRequest(client_info="y")) == []
    assert peer.received() == [2]


def test_before_hello_nobody_talks_for_long() -> None:
    peer = Peer()
    for _ in range(8):
        assert peer.send(api_pb2.PingRequest()) == []
    assert peer.send(api_pb2.PingRequest()) == [Closed("a request before Hello")]


def test_a_long_list_comes_in_pieces_once() -> None:
    peer = Peer().greet()
    for number in range(2000):
        peer.node.add(SensorEntity(name=f"Sensor {number} with a name that takes its place"))
    peer.send(api_pb2.ListEntitiesRequest())
    peer.send(api_pb2.ListEntitiesRequest())
    listed: list[int] = []
    pieces = 0
    while not pieces or peer.session.has_more:
        pieces += 1
        output = peer.session.take_output()
        assert len(output) < 70_000
        listed += [number for number, _ in peer._framing.feed(output)]
    assert pieces > 2
    assert listed.count(16) == 2001
    assert listed.count(19) == 1
    assert listed[-1] == 19


def test_an_empty_list_ends_at_once() -> None:
    peer = Peer().greet()
    for entity in (SWITCH, SENSOR, BUTTON, TEXT):
        peer.node.remove(entity)
    peer.node.actions.clear()
    peer.send(api_pb2.ListEntitiesRequest())
    assert peer.received() == [19]


def test_answers_are_bounded() -> None:
    peer = Peer().greet()
    peer.session.respond(1, success=True, data=b"x" * 60_001)
    peer.session.respond(2, success=False, error="y" * 5000)
    first, second = (api_pb2.ExecuteServiceResponse.FromString(body) for _, body in peer.packets())
    assert (first.success, first.error_message, first.response_data) == (False, "the answer is too long", b"")
    assert len(second.error_message) == 1024


def test_commands() -> None:
    peer = Peer().greet()
    assert peer.send(api_pb2.SwitchCommandRequest(key=SWITCH.key, state=True)) == [Commanded(SWITCH, True)]
    assert peer.send(api_pb2.ButtonCommandRequest(key=BUTTON.key)) == [Commanded(BUTTON, None)]
    assert peer.send(api_pb2.SwitchCommandRequest(key=1)) == []
    assert peer.send(api_pb2.ExecuteServiceRequest(key=1)) == []


def test_who_stays_is_asked_for_the_time() -> None:
    peer = Peer().greet()
    peer.session.ask_time()
    assert peer.received() == []
    assert peer.send(api_pb2.GetTimeResponse(epoch_seconds=1_800_000_000)) == []
    peer.send(api_pb2.SubscribeStatesRequest())
    assert peer.received()[0] == ASK_TIME
    assert peer.send(api_pb2.GetTimeResponse(epoch_seconds=1_800_000_000)) == [TimeReceived(1_800_000_000)]
    peer.session.ask_time()
    assert peer.received() == [ASK_TIME]


def test_subscription_wakes_once_and_sends_each_entity_once() -> None:
    peer = Peer().greet()
    peer.send(api_pb2.SubscribeStatesRequest())
    peer.send(api_pb2.SubscribeStatesRequest())
    assert peer.received() == [ASK_TIME, 26, 25, 27]
    peer.wakes = 0
    for value in (1.0, 2.0, 2.0):
        peer.node.set_state(SENSOR, value)
    peer.node.set_state(TEXT, "a")
    peer.node.set_state(TEXT, "a")
    assert peer.wakes == 1
    assert peer.received() == [25, 27]
    peer.node.set_state(TEXT, "a")
    assert peer.received() == []
    peer.node.set_state(SENSOR, 2.0)
    assert peer.received() == [25]
    assert peer.node.state(SENSOR) == 2.0


def test_removed_entity_is_not_sent() -> None:
    peer = Peer().greet()
    peer.send(api_pb2.SubscribeStatesRequest())
    peer.node.remove(SENSOR)
    assert peer.received() == [ASK_TIME, 26, 27]


def test_closed_session_hears_nothing_more() -> None:
    peer = Peer().greet()
    peer.send(api_pb2.SubscribeStatesRequest())
    peer.session.disconnect()
    peer.node.set_state(TEXT, "later")
    assert peer.received() == [ASK_TIME, 5]
    peer.session.disconnect()
    peer.session.log(1, "late")
    peer.session.respond(1, success=True)
    assert peer.received() == []


@pytest.mark.parametrize(("mode", "reason"), [(Mode.PROVISIONING, 0), (Mode.CLOSED, 1)])
def test_disconnect_says_when_the_time_to_set_a_key_is_over(mode: Mode, reason: int) -> None:
    peer = Peer(Mode.PROVISIONING).greet()
    peer.keys.mode = mode
    peer.session.disconnect()
    ((number, body),) = peer.packets()
    assert number == 5
    assert api_pb2.DisconnectRequest.FromString(body).reason == reason


def test_disconnect_before_hello_says_nothing() -> None:
    peer = Peer()
    peer.session.disconnect()
    assert peer.session.take_output() == b""


def test_logs_follow_the_level() -> None:
    peer = Peer().greet()
    peer.session.log(1, "unasked")
    peer.send(api_pb2.SubscribeLogsRequest(level=3))
    peer.session.log(3, "asked")
    peer.session.log(4, "too fine")
    assert peer.received() == [29]


def test_requests_without_reading_are_bounded() -> None:
    peer = Peer(limits=Limits(unsent_bytes=1000)).greet()
    for _ in range(100):
        events = peer.send(api_pb2.DeviceInfoRequest())
        if events:
            break
    assert events == [Closed("more than 1000 bytes unsent")]


def test_closed_provisioning_is_announced() -> None:
    peer = Peer(Mode.CLOSED)
    assert peer.send(api_pb2.HelloRequest()) == [Closed("the time to set a key is over")]
    assert peer.received() == [2, 5]


def test_wrong_transport_before_any_session() -> None:
    peer = Peer(Mode.ENCRYPTED)
    assert peer.send(api_pb2.HelloRequest()) == [Closed("a plaintext client, but encryption is on")]
    assert peer.session.take_output() == b"\x01\x00\x13\x01Bad indicator byte"
    other = Peer()
    other.session.receive(b"\1\0\0", 0.0)
    assert other.session.take_output() == b"\0Bad indicator byte"
    assert other.session.receive(b"", 0.0) == []


def test_messages_before_a_transport_is_known_are_dropped() -> None:
    peer = Peer()
    peer.session.respond(1, success=True)
    assert peer.session.take_output() == b""


def test_node_refuses_twins() -> None:
    node = Peer().node
    with pytest.raises(LocalProtocolError, match="two entities load"):
        node.add(SwitchEntity(name="LOAD"))
    node.add(SwitchEntity(name="Load", device_id=SubDevice("a", "A").device_id))


def test_abstract_entity_has_no_details() -> None:
    with pytest.raises(NotImplementedError):
        Entity(name="x")._details()


def test_key_text() -> None:
    assert decode_key(b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=") == bytes(range(32))
    assert decode_key(b"!!!!") is None


@settings(max_examples=300)
@given(st.sampled_from(list(Mode)), st.booleans(), st.lists(st.binary(max_size=80), max_size=8))
def test_no_bytes_of_a_peer_raise(mode: Mode, greeted: bool, chunks: list[bytes]) -> None:
    peer = Peer(mode)
    if greeted and mode is Mode.PLAINTEXT:
        peer.greet()
    for chunk in chunks:
        peer.session.receive(chunk, 1.0)
        peer.session.take_output()


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(sorted(MESSAGE_IDS.values())), st.binary(max_size=40)), max_size=8))
def test_no_message_of_a_greeted_peer_raises(messages: list[tuple[int, bytes]]) -> None:
    peer = Peer().greet()
    for number, body in messages:
        framing = PlaintextFraming()
        framing.send(number, body)
        peer.session.receive(bytes(framing.output), 1.0)
        peer.session.take_output()
