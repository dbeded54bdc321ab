import os
import sys
from pathlib import Path

import pytest

from blupow_proxy.commands.program import program, program_as_root


def test_how_the_program_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [".venv/bin/blupow-proxy"])
    assert program() == ".venv/bin/blupow-proxy"
    monkeypatch.setattr(sys, "argv", ["/opt/a b/blupow-proxy"])
    monkeypatch.setattr("shutil.which", lambda _: "/opt/a b/blupow-proxy")
    assert program() == "blupow-proxy"
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    assert program().endswith(" -m blupow_proxy")


def test_how_root_calls_it_who_has_another_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setattr("shutil.which", lambda _: "/home/pi/.local/bin/blupow-proxy")
    monkeypatch.setattr(sys, "argv", ["/home/pi/.local/bin/blupow-proxy"])
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert program_as_root() == "sudo /home/pi/.local/bin/blupow-proxy"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert program_as_root() == "blupow-proxy"
    monkeypatch.setenv("SUDO_UID", "1000")  # the shell that the next line is typed into is not root's
    assert program_as_root() == "sudo /home/pi/.local/bin/blupow-proxy"
    monkeypatch.setattr(sys, "argv", [".venv/bin/blupow-proxy"])
    assert program_as_root() == f"sudo {Path.cwd()}/.venv/bin/blupow-proxy"
    monkeypatch.setattr(sys, "argv", ["/x/__main__.py"])
    assert program_as_root().endswith(" -m blupow_proxy")
