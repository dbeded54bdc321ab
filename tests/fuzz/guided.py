"""One target under atheris, which looks for inputs that reach code no other has reached.

usage: guided.py TARGET CORPUS SECONDS; an input that breaks a promise is left in the current folder, exit code 77
"""

import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["blupow_proxy", "blupow_config"]):
    import corpus
    import targets

MAX_INPUT_BYTES = 2048


def main() -> None:
    name, folder, seconds = sys.argv[1:]
    warnings.simplefilter("ignore")  # the fuzzed peer's key is fixed, which the library warns of
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(corpus.inputs(name)):
        Path(folder, f"seed-{number}").write_bytes(data)
    options = (f"-max_total_time={seconds}", f"-max_len={MAX_INPUT_BYTES}", "-print_final_stats=1", "-verbosity=0")
    atheris.Setup([sys.argv[0], folder, *options], lambda data: targets.check(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
