"""install-service of an environment in a home that nobody else may look into, as uv and pipx make them, for real."""

import pytest
from debian import Machine, wait_until
from test_install import CONFIG, ON_THE_BUS, client, is_active, owner

from blupow_proxy.host import service

HOME = "/home/pi"
MODULES = "lib/python3.13/site-packages"
BASE = f"{HOME}/.local/share/uv/python/cpython-3.13"
LAYOUTS = {  # where the environment is, and the Python that it is made with
    "uv": (f"{HOME}/.local/share/uv/tools/blupow-proxy", f"{BASE}/bin/python3.13"),
    "pipx": (f"{HOME}/.local/share/pipx/venvs/blupow-proxy", "/usr/bin/python3.13"),
}


@pytest.fixture(scope="module", autouse=True)
def _home(machine: Machine) -> None:
    machine.do("useradd", "--create-home", "pi")
    machine.do("chmod", "0700", HOME)
    machine.do("dpkg-deb", "--extract", "/mnt/first.deb", "/root/package")
    # uv's own Python, far from the system's
    machine.do("mkdir", "-p", f"{BASE}/bin", f"{BASE}/lib")
    machine.do("cp", "-a", "/usr/bin/python3.13", f"{BASE}/bin")
    machine.do("cp", "-a", "/usr/lib/python3.13", f"{BASE}/lib")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_service_sees_its_environment_and_nothing_else(machine: Machine, layout: str) -> None:
    environment, python = LAYOUTS[layout]
    machine.do(python, "-m", "venv", "--without-pip", environment)
    machine.do("cp", "-aT", f"/root/package/usr/lib/blupow-proxy/{MODULES}", f"{environment}/{MODULES}")
    machine.at(f"{HOME}/shed.yaml").write_text(CONFIG)
    machine.do("chown", "-R", "pi:", HOME)
    program = (f"{environment}/bin/python", "-m", "blupow_proxy")
    as_pi = ("setpriv", "--reuid=pi", "--regid=pi", "--init-groups", "env", f"HOME={HOME}")
    assert "name: shed" in machine.do(*as_pi, *program, "config", f"{HOME}/shed.yaml")
    assert "sudo " in machine.do(*as_pi, *program, "install-service", f"{HOME}/shed.yaml", code=77)

    machine.do(*program, "install-service", f"{HOME}/shed.yaml")
    assert is_active(machine)
    assert environment in machine.service("ExecStart")
    assert owner(machine) == machine.do("id", "--user", "blupow").strip()
    assert client(machine, "set") == "shed"
    wait_until(lambda: ON_THE_BUS in machine.service("StatusText"), 60)
    pid = machine.service("MainPID")
    inside = machine.do("nsenter", f"--target={pid}", "--mount", "find", HOME, "-maxdepth", "1")
    assert inside.split() == [HOME, f"{HOME}/.local"], "the service sees no more of the home"

    machine.do("systemctl", "restart", "blupow-proxy")
    assert client(machine) == "shed"
    machine.do(*program, "uninstall-service", "--purge")
    assert not is_active(machine)
    assert not any(machine.at(path).exists() for path in (*service.WRITTEN, service.CONFIG_FOLDER, service.STATE))
    assert "blupow" not in machine.do("getent", "passwd") + machine.do("getent", "group")


def test_a_user_that_nobody_knows_is_told(machine: Machine) -> None:
    """Such as a container's, whose number means nobody on its host."""
    program = ("/root/package/usr/lib/blupow-proxy/bin/python3", "-m", "blupow_proxy")
    machine.do("chmod", "a+x", "/root")
    unknown = ("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups")
    said = machine.do(*unknown, *program, "doctor", code=1)
    assert "the user with the number 4242 away" in said, said


def test_as_in_a_container(machine: Machine) -> None:
    """As compose.yaml has it, but for the container: a known user, no rights, nothing to write to but the state."""
    machine.do("mkdir", "-m", "0777", "/root/state")
    machine.at("/root/proxy.yaml").write_text(CONFIG)
    program = "/root/package/usr/lib/blupow-proxy/bin/python3 -m blupow_proxy"
    around = ("WATCHDOG_USEC=60000000", "STATE_DIRECTORY=/root/state", "PYTHONDONTWRITEBYTECODE=1")
    machine.do(
        *("systemd-run", "--unit=contained", "--property=User=pi", "--property=ProtectSystem=strict"),
        *(
            "--property=ReadWritePaths=/root/state",
            "--property=CapabilityBoundingSet=",
            "--property=NoNewPrivileges=yes",
        ),
        *(f"--setenv={it}" for it in around),
        *(*program.split(), "run", "/root/proxy.yaml"),
    )
    health = (*program.split(), "health", "/root/proxy.yaml")

    def answers() -> bool:
        return "shed answers" in machine.do("sh", "-c", f"{' '.join(health)} || true")

    wait_until(answers, 60)
    assert client(machine, "set") == "shed"
    assert client(machine) == "shed"
    assert answers()
    assert machine.do("stat", "--format=%U %a", "/root/state/key.json").strip() == "pi 600"
    machine.do("systemctl", "kill", "--signal=STOP", "contained")
    assert "is stuck" in machine.do(*health, code=1)
    machine.do("systemctl", "kill", "--signal=KILL", "contained")
    assert "does not run" in machine.do(*health, code=1)
