"""Debian 13, bare, and machines that run it with its own systemd, without a kernel of their own."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEPT = ROOT / ".cache" / "debian"
SUITE = "trixie"
BOOTED_S = 60.0
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup")
# what nobody installs, but programs leave: logs, lists of packages, caches, spare copies of lists of users
PASSING = re.compile(
    r"/(dev|proc|sys|run|tmp|mnt)/|/var/(log|cache)/|/var/lib/(apt|dpkg|systemd)/|/etc/\w+-$|.*\.pwd\.lock$"
    r"|/var/tmp/systemd-private-\w+-systemd-timedated"  # which timedatectl starts, and which ends when it is idle
)


def missing() -> str | None:
    """What this machine lacks to run another one."""
    if os.geteuid() != 0:
        return "root"
    return next((tool for tool in ("debootstrap", "unshare", "nsenter", "ip") if shutil.which(tool) is None), None)


def mirror() -> list[str]:
    """The mirror that this machine's packages are from; none where that is no Debian, and debootstrap has its own."""
    sources = [*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")]
    for path in sources:
        found = (
            re.search(r"^(?:URIs:|deb(?: \[.*?\])?) *(\S*/debian/?)(?:\s|$)", path.read_text(), re.MULTILINE)
            if path.exists()
            else None
        )
        if found:
            return [found[1]]
    return []


def bare_tree(depends: str) -> Path:
    """A minimal Debian, kept for the next time, with the packages at hand that ``depends`` asks for."""
    tree, asked = KEPT / SUITE, KEPT / "asked"
    if asked.exists() and asked.read_text() == depends:
        return tree
    asked.unlink(missing_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    KEPT.mkdir(parents=True, exist_ok=True)
    run("debootstrap", "--variant=minbase", SUITE, str(tree), *mirror())
    shutil.copy("/etc/resolv.conf", tree / "etc/resolv.conf")
    run("chroot", str(tree), "apt-get", "update")
    run("chroot", str(tree), "apt-get", "satisfy", "--yes", "--no-install-recommends", "--download-only", depends)
    asked.write_text(depends)
    return tree


def wait_until(condition: Callable[[], object], within_s: float) -> None:
    """Wait for what has no event."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.02)


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that runs, by the number of its first process here."""

    pid: int

    def do(self, *command: str, code: int = 0) -> str:
        """Run a command as root and return what it says, on either channel."""
        entered = ("nsenter", f"--target={self.pid}", "--all", "--root", "--wdns=/root", "env", "-i")
        around = ("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "HOME=/root", "DEBIAN_FRONTEND=noninteractive")
        done = subprocess.run(
            [*entered, *around, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}"
        return done.stdout

    def apt(self, *words: str) -> str:
        """Run apt, which has no network."""
        return self.do("apt-get", "--yes", "--no-install-recommends", "-o", "Dpkg::Use-Pty=0", *words)

    def here(self, *command: str) -> str:
        """Run a command of this machine's in the network of the other."""
        return run("nsenter", f"--target={self.pid}", "--net", *command)

    def at(self, path: Path | str) -> Path:
        """Where a file of the machine is for us."""
        return Path(f"/proc/{self.pid}/root") / str(path).lstrip("/")

    def service(self, name: str) -> str:
        """A property of the proxy's service."""
        return self.do("systemctl", "show", "--value", f"--property={name}", "blupow-proxy").strip()

    def files(self) -> dict[str, str]:
        """Every file that stays, with its size, owner, rights and target; and every user and group."""
        listed = self.do("find", "/", "-xdev", "-printf", r"%p\t%y %s %u %g %m %l\n")
        files = dict(line.split("\t") for line in listed.splitlines())
        known = {path: what for path, what in files.items() if not PASSING.match(path) and not what.startswith("d")}
        folders = {path: "folder" for path, what in files.items() if not PASSING.match(path) and what.startswith("d")}
        people = {
            f"{kind}: {line}": "" for kind in ("passwd", "group") for line in self.do("getent", kind).splitlines()
        }
        return known | folders | people


@contextmanager
def machine(tree: Path, shared: Path, room: Path, depends: str) -> Iterator[Machine]:
    """Boot a machine whose Debian fulfils ``depends``; ``shared`` is its /mnt."""
    room.mkdir()
    setup = (
        f"apt-get satisfy --yes --no-install-recommends '{depends}' >/mnt/satisfy.log 2>&1 || exit 1; "
        "exec /lib/systemd/systemd --unit=multi-user.target"
    )
    command = ["unshare", *NAMESPACES, "--fork", "--kill-child", str(HERE / "boot"), str(tree), str(shared), str(room)]
    with subprocess.Popen(
        [*command, "/bin/sh", "-c", setup], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
            wait_until(lambda: process.poll() is not None or children.read_text().split(), BOOTED_S)
            assert process.poll() is None, process.stderr.read().decode()
            booted = Machine(int(children.read_text()))
            wait_until(lambda: process.poll() is not None or booted.at("/run/systemd/private").exists(), BOOTED_S)
            assert process.poll() is None, (shared / "satisfy.log").read_text()
            booted.do("sh", "-c", "systemctl is-system-running --wait || systemctl --failed")
            yield booted
        finally:
            process.send_signal(signal.SIGKILL)  # and with it its child, the first process, and with that all of them
