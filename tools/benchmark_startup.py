"""Time what users wait for first, as ratios to starting Python: import, list, plugins, help.

Each command runs in a fresh interpreter, in turn with the others, so that noise is shared.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "python -c pass": "pass",
    "import handzoo": "import handzoo",
    "handzoo list": "from handzoo.cli import main; main(['list'])",
    "handzoo plugins list": "from handzoo.cli import main; main(['plugins', 'list', '--json'])",
    "import handzoo.registry": "import handzoo.registry",
    "import torch": "import torch",
}


def main() -> None:
    """Print the median seconds of each command and their ratio to the first one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, code in COMMANDS.items():
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", code], env=environment, check=True, capture_output=True
            )
            times[name].append(time.perf_counter() - start)
    base = statistics.median(times["python -c pass"][1:])
    for name, seconds in times.items():
        median = statistics.median(seconds[1:])  # the first round fills the file cache
        print(f"{name:26s} {median:7.3f} s  {median / base:6.1f} x")


if __name__ == "__main__":
    main()
