import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from blupow_proxy.cli import main

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "vectors.json").read_text())
READS = [v for v in VECTORS["vectors"] if v["kind"] in ("read", "push")]
EXCEPTIONS = [v for v in VECTORS["vectors"] if v["kind"] == "exception"]


def arguments(vector: dict[str, Any], *more: str) -> list[str]:
    options = {"--family": vector["family"], "--variant": vector.get("variant"), "--request": vector["request_hex"]}
    given = [item for name, value in options.items() if value for item in (name, value)]
    return ["decode", *given, "--response", vector["response_hex"], *more]


@pytest.mark.parametrize("vector", READS, ids=lambda v: v["id"])
def test_vector(vector: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(vector, "--json")) == 0
    readings = json.loads(capsys.readouterr().out)["readings"]
    assert {key: readings[key] for key in vector["expected"]} == vector["expected"]


@pytest.mark.parametrize("vector", EXCEPTIONS, ids=lambda v: v["id"])
def test_exception(vector: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments(vector)) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert f"exception response {vector['expected']['exception']}" in err


@pytest.mark.parametrize(
    ("request_hex", "response_hex", "message"),
    [
        ("ff03000c000891d1", "ff03102020524e472d4354524c2d52565234303725", "corrupt frame: CRC"),
        ("ff03000c000891d1", "ff03102020524e", "corrupt frame: it ends after 7 bytes, the reply has 21 bytes"),
        ("ff06010a00017c2a", "ff0601", "the reply has 8 bytes"),
        ("ff0301000022d1f1", "ff03102020524e472d4354524c2d52565234303724", "not the reply to this request"),
        ("300313b20006654a", "31030c0000020c0000c2ad0000c34bfa53", "another device address"),
        ("ff78000000016014", "ff03", "function 0x78"),
        (None, "ff03102020524e472d4354524c2d52565234303724", "--request"),
        (None, "ff8302a102", "--request"),
    ],
)
def test_refusals(request_hex: str | None, response_hex: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    request = ["--request", request_hex] if request_hex else []
    assert main(["decode", "--family", "controller", *request, "--response", response_hex]) == 65
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["decode", "--family", "battery", "--request", "3003138800110549", "--response", _cells()]) == 0
    assert "cell_voltage_n  3.2  3.3  3.3  3.2" in capsys.readouterr().out


def test_plain_text_of_flags_enums_and_gaps(capsys: pytest.CaptureFixture[str]) -> None:
    info = next(v for v in READS if v["id"] == "rngpro-status")
    assert main(arguments(info)) == 0
    out = capsys.readouterr().out
    assert "discharge_mosfet_on, charge_mosfet_on" in out
    assert "unknown (170)" in out
    shunt = next(v for v in READS if v["id"] == "shunt-readme-reconstructed")
    assert main(arguments(shunt)) == 0
    assert "starter_temperature  -" in capsys.readouterr().out


def test_no_hexadecimal(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(["decode", "--family", "controller", "--response", "xyz"])
    assert exit_info.value.code == 64
    assert "'xyz' is not hexadecimal" in capsys.readouterr().err


def _cells() -> str:
    return str(next(v for v in READS if v["id"] == "bat-cells17")["response_hex"])


def test_registers_of_another_family_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    read = ["--request", "ff0301000022d1f1", "--response", READS[0]["response_hex"]]
    assert main(["decode", "--family", "battery", *read]) == 65
    assert capsys.readouterr().err == (
        "blupow-proxy decode: a battery has no known registers there: is the family right?\n"
    )


@pytest.mark.parametrize(
    ("target", "code", "words"), [("| true", 0, ""), ("> /dev/full", 74, "can't write: No space left on device")]
)
def test_output_that_goes_nowhere(target: str, code: int, words: str) -> None:
    command = f"{sys.executable} -m blupow_proxy version {target}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
