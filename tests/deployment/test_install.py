"""The package on a Debian 13 with its own systemd and D-Bus: installed, used, updated, beside others, removed."""

import re
import sys
from pathlib import Path

from debian import HERE, Machine, wait_until

from blupow_proxy.host import service
from conftest import NEWER

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CONFIG = "esphome: {name: shed}\nrenogy:\n  - {address: C4:D3:6A:00:00:01, name: Rover}\n"
OTHER = "/opt/other"  # another installation
# The bus answered: who asks for BlueZ, which needs a kernel with Bluetooth, hears that it does not run.
ON_THE_BUS = "the Bluetooth service does not run"

EVERYTHING = """
import importlib, pkgutil, blupow_proxy
for module in pkgutil.walk_packages(blupow_proxy.__path__, "blupow_proxy."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""

before: dict[str, str] = {}


def client(machine: Machine, *words: str) -> str:
    return machine.here(sys.executable, str(HERE / "client.py"), KEY, *words).strip()


def is_active(machine: Machine) -> bool:
    return machine.service("ActiveState") == "active"


def main_process(machine: Machine) -> int:
    return int(machine.service("MainPID"))


def owner(machine: Machine) -> str:
    status = machine.do("cat", f"/proc/{main_process(machine)}/status")
    (line,) = re.findall(r"^Uid:\s+(\d+)\s", status, re.MULTILINE)
    return str(line)


def test_nothing_else_is_needed(machine: Machine) -> None:
    before.update(machine.files())
    said = machine.apt("install", "/mnt/first.deb")
    assert "1 newly installed" in said
    assert "Warning" not in said
    (step,) = [line for line in said.splitlines() if line.startswith("Next: ")]
    for command in re.findall(r"blupow-proxy ([a-z-]+)", step):
        machine.do("blupow-proxy", command, "--help")
    assert machine.do("systemctl", "is-enabled", "blupow-proxy", code=1).strip() == "disabled"
    assert machine.service("ActiveState") == "inactive"


def test_the_program(machine: Machine) -> None:
    assert "BlueZ         5." in machine.do("blupow-proxy", "version")
    assert "solar-shed" in machine.do("blupow-proxy", "config", "/usr/share/doc/blupow-proxy/examples/proxy.yaml")
    assert '"State of charge"' in machine.do("blupow-proxy", "demo", "--once", "--json")
    assert machine.do("/usr/lib/blupow-proxy/bin/python3", "-c", "import bluetooth_auto_recovery") == ""
    assert machine.do("/usr/lib/blupow-proxy/bin/python3", "-c", EVERYTHING) == ""


def test_the_service(machine: Machine) -> None:
    machine.at(service.CONFIG).write_text(CONFIG)
    said = machine.do("blupow-proxy", "install-service", str(service.CONFIG))
    assert "journalctl -u blupow-proxy -f" in said
    assert is_active(machine)
    assert machine.service("FragmentPath") == str(service.PACKAGED_UNIT)
    assert owner(machine) == machine.do("id", "--user", "blupow").strip()
    assert client(machine, "set") == "shed"
    assert client(machine) == "shed"
    wait_until(lambda: ON_THE_BUS in machine.service("StatusText"), 60)
    doctor = machine.do("blupow-proxy", "doctor", code=1)
    assert re.search(r"^fine +service +runs", doctor, re.MULTILINE)
    assert re.search(r"^fine +state", doctor, re.MULTILINE)
    assert re.search(r"^fine +port +this proxy listens", doctor, re.MULTILINE)


def test_an_update(machine: Machine) -> None:
    old, key = main_process(machine), machine.at(service.STATE / "key.json").read_text()
    machine.apt("install", "/mnt/newer.deb")
    assert NEWER in machine.do("dpkg-query", "--show", "blupow-proxy")
    assert is_active(machine)
    assert main_process(machine) != old
    assert client(machine) == "shed"
    assert machine.at(service.STATE / "key.json").read_text() == key
    assert machine.at(service.CONFIG).read_text() == CONFIG


def test_who_has_disabled_it_is_obeyed(machine: Machine) -> None:
    machine.do("systemctl", "disable", "--now", "blupow-proxy")
    machine.apt("install", "--reinstall", "/mnt/newer.deb")
    assert machine.do("systemctl", "is-enabled", "blupow-proxy", code=1).strip() == "disabled"
    assert not is_active(machine)
    machine.do("systemctl", "enable", "--now", "blupow-proxy")


def test_removed_and_installed_again(machine: Machine) -> None:
    machine.apt("remove", "blupow-proxy")
    assert main_process(machine) == 0
    assert machine.at(service.CONFIG).exists()
    machine.apt("install", "/mnt/newer.deb")
    assert is_active(machine)
    assert client(machine) == "shed"


def test_one_service_whoever_brings_it(machine: Machine) -> None:
    machine.do("cp", "-a", str(service.PACKAGE), OTHER)
    other = (f"{OTHER}/bin/python3", "-m", "blupow_proxy")
    said = machine.do(*other, "install-service", str(service.CONFIG), code=69)
    assert f"sudo /usr/bin/blupow-proxy install-service {service.CONFIG}" in said
    assert "sudo apt remove blupow-proxy" in said
    assert "sudo /usr/bin/blupow-proxy uninstall-service" in machine.do(*other, "uninstall-service", "--purge", code=69)
    assert is_active(machine)

    machine.apt("remove", "blupow-proxy")
    machine.do(*other, "install-service", str(service.CONFIG))
    assert is_active(machine)
    assert machine.service("FragmentPath") == str(service.UNIT)
    assert OTHER in machine.service("ExecStart")
    assert client(machine) == "shed", "it goes on with the key"
    machine.apt("purge", "blupow-proxy")
    assert is_active(machine), "what is left of the package is the other's now"
    assert machine.at(service.CONFIG).exists()

    said = machine.apt("install", "/mnt/first.deb")
    assert "is this package's from now on" in said
    assert is_active(machine)
    assert machine.service("FragmentPath") == str(service.PACKAGED_UNIT)
    assert OTHER not in machine.service("ExecStart")
    assert not any(machine.at(path).exists() for path in service.WRITTEN)
    assert client(machine) == "shed"


def test_it_starts_with_the_machine(machine: Machine) -> None:
    wanted = machine.do("systemctl", "show", "--value", "--property=Wants", "multi-user.target")
    assert "blupow-proxy.service" in wanted.split()
    link = Path("/etc/systemd/system/multi-user.target.wants/blupow-proxy.service")
    assert machine.do("readlink", str(link)).strip() == str(service.PACKAGED_UNIT)


def test_other_devices_are_heard_with_two_rights_more(machine: Machine) -> None:
    machine.at(service.CONFIG).write_text(CONFIG + "bluetooth_proxy:\n")
    doctor = machine.do("blupow-proxy", "doctor", code=1)
    assert re.search(r"^note +advertisements .*install-service", doctor, re.MULTILINE)
    machine.do("blupow-proxy", "install-service", str(service.CONFIG))
    assert is_active(machine)
    assert machine.service("AmbientCapabilities").split() == ["cap_net_admin", "cap_net_raw"]
    assert "AF_BLUETOOTH" in machine.service("RestrictAddressFamilies").split()
    assert machine.service("PrivateUsers") == "no"
    status = machine.do("cat", f"/proc/{main_process(machine)}/status")
    assert int(re.findall(r"^CapEff:\s+([0-9a-f]+)$", status, re.MULTILINE)[0], 16) == 1 << 12 | 1 << 13
    assert re.search(r"^fine +advertisements", machine.do("blupow-proxy", "doctor", code=1), re.MULTILINE)
    machine.at(service.CONFIG).write_text(CONFIG)
    machine.do("blupow-proxy", "install-service", str(service.CONFIG))
    assert not machine.service("AmbientCapabilities")


def test_options_that_write_more(machine: Machine) -> None:
    machine.at(service.CONFIG).write_text(CONFIG + "bluetooth: {auto_recovery: true}\n")
    machine.do("blupow-proxy", "install-service", "--volatile-log", str(service.CONFIG))
    assert is_active(machine)
    assert machine.at(service.RECOVERY).exists()
    assert machine.at(service.JOURNAL).exists()
    assert "cap_net_admin" in machine.service("AmbientCapabilities")


def test_purged_nothing_is_left(machine: Machine) -> None:
    machine.do("rm", "-r", OTHER)
    machine.apt("purge", "blupow-proxy")
    after = machine.files()
    assert {path: what for path, what in after.items() if before.get(path) != what} == {}
    assert {path: what for path, what in before.items() if after.get(path) != what} == {}
    assert machine.do("systemctl", "show", "--value", "--property=LoadState", "blupow-proxy").strip() == "not-found"


def test_the_programs_own_way_to_remove_the_service(machine: Machine) -> None:
    machine.apt("install", "/mnt/first.deb")
    machine.at(service.CONFIG).write_text(CONFIG)
    for option in ((), ("--purge",)):
        machine.do("blupow-proxy", "install-service", str(service.CONFIG))
        said = machine.do("blupow-proxy", "uninstall-service", *option)
        assert "sudo apt remove blupow-proxy" in said
        assert not is_active(machine)
        assert machine.do("systemctl", "is-enabled", "blupow-proxy", code=1).strip() == "disabled"
        assert machine.at(service.CONFIG).exists() is not bool(option)
