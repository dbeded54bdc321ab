"""Whatever the configuration accepts makes a proxy that lists and publishes everything that a unit may answer."""

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from blupow_config import ConfigErrors, ProxyConfig, load_config
from blupow_config.schema.readings import all_keys, of_family
from blupow_proxy.app import Proxy, Surroundings
from blupow_proxy.poller import Profile
from blupow_proxy.profiles import Profiles
from blupow_proxy.renogy import Family, Kind
from blupow_proxy.storage import Storage

EXAMPLES = Path(__file__).parents[2] / "firmware_config" / "examples"
MODEL = "RNG-CTRL-RVR40"  # which has a load that can be switched
NAMES = st.sampled_from(
    ("Volts", "volts", "Battery voltage", "Model", "Load", "Link", "Link status", "Uptime", "Sessions", "ä")
)
IDS = st.sampled_from(("a", "b", "c", "rover"))
FILTERS = st.lists(
    st.sampled_from(({"delta": 1}, {"multiply": 1e38}, {"offset": "-1e38"}, {"throttle": "1s"}, {"delta": "5%"})),
    max_size=3,
)
LAMBDAS = st.sampled_from(("return id(a).state * 1e38;", "return id(b).state / id(c).state;", "return 1e30f * 1e30f;"))


def options(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=optional)


ENTITY = options(name=NAMES, id=IDS, internal=st.booleans(), disabled_by_default=st.booleans())
SENSOR = options(name=NAMES, id=IDS, internal=st.booleans(), filters=FILTERS, force_update=st.booleans())


def wishes(kind: Kind) -> st.SearchStrategy[dict[str, Any]]:
    entity = SENSOR if kind is Kind.SENSOR else ENTITY
    readings = st.dictionaries(st.sampled_from(sorted(all_keys(kind))), entity, max_size=3)
    return st.builds(lambda said, whose: {"platform": "renogy", **whose, **said}, readings, options(renogy_id=IDS))


OWN = st.builds(
    lambda platform, name, said, formula: (
        {"platform": platform, "name": name, **said} | ({"lambda": formula} if platform == "template" else {})
    ),
    st.sampled_from(("uptime", "template", "cpu_temperature")),
    NAMES,
    SENSOR,
    LAMBDAS,
)
UNITS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(("Rover", "Other"))},
        optional={
            "id": st.sampled_from(("rover", "d")),
            "family": st.sampled_from([*Family, "auto"]).map(str),
            "load_switch": st.booleans(),
            "entities": st.lists(st.sampled_from(sorted(key for kind in Kind for key in all_keys(kind))), max_size=6),
        },
    ),
    max_size=2,
)
CONFIGURATIONS = st.fixed_dictionaries(
    {"renogy": UNITS, "sensor": st.lists(wishes(Kind.SENSOR) | OWN, max_size=4)},
    optional={kind: st.lists(wishes(kind), max_size=2) for kind in (Kind.BINARY_SENSOR, Kind.TEXT_SENSOR)},
)


def build(config: ProxyConfig, folder: Path) -> None:
    """Build the proxy for every family that its units may prove to be of, and read everything."""
    for family in Family:
        storage = Storage(folder / family)
        profiles = Profiles(storage)
        for unit in config.renogy:
            proven = family if unit.family == "auto" else Family(unit.family)
            profiles.put(unit.id, Profile(family=proven, model=MODEL, keys=frozenset(of_family(proven))))
        storage.flush()
        proxy = Proxy(config, Surroundings(storage=storage))
        for unit in proxy.units:
            assert unit.profile is not None
            readings = {
                key: 12.5
                if description.kind is Kind.SENSOR
                else "text"
                if description.kind is Kind.TEXT_SENSOR
                else True
                for key, description in of_family(unit.profile.family).items()
            }
            unit.update(readings, 60.0, 0.0)
        listed = [(type(entity), entity.key, entity.device_id) for entity in proxy.node.entities]
        assert len(listed) == len(set(listed))
        for entity in proxy.node.entities:
            entity.list_packet()
            proxy.node.state_packet(entity)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_make_a_proxy(path: Path, tmp_path: Path) -> None:
    for example in EXAMPLES.rglob("*.yaml"):
        copy = tmp_path / example.relative_to(EXAMPLES)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(example.read_bytes())
    (tmp_path / "secrets.yaml").write_text("api_key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n")
    build(load_config(tmp_path / path.name), tmp_path / "state")


@given(CONFIGURATIONS)
@settings(max_examples=400, deadline=None)
def test_what_is_accepted_makes_a_proxy(content: dict[str, Any]) -> None:
    for number, unit in enumerate(content["renogy"]):
        unit["address"] = f"C4:D3:6A:00:00:0{number}"
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "proxy.yaml"
        path.write_text(json.dumps({"esphome": {"name": "shed"}, **content}))
        try:
            config = load_config(path)
        except ConfigErrors:
            event("refused")
            return
        build(config, Path(name) / "state")
