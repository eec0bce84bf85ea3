"""Time what users wait for first: import, list, help; and what installed plugins add to it.

Each command runs in a fresh interpreter, in turn with the others, so that noise is shared. With
``--plugins N`` the commands that look for plugins run a second time with N more distributions on
the path (written to a temporary folder: dist-info with an entry point, and a package with a
manifest, one class and one model each), and the difference is what these plugins cost.

Milliseconds of CPU time (user and system) are the figure to trust on a machine that does other
things as well; wall time is printed beside it.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "python -c pass": "pass",
    "import handzoo": "import handzoo",
    "handzoo list": "from handzoo.cli import main; main(['list'])",
    "handzoo plugins list": "from handzoo.cli import main; main(['plugins', 'list', '--json'])",
    "find plugins": "from handzoo.plugins import plugin_manager; plugin_manager()",
    "config of a model": "from handzoo.engine.config import resolve_config\n"
    "resolve_config('cliphand_s24_freihand')",
    "class of the core": "from handzoo.registry import NECKS; NECKS.get('HFA')",
    "class of a plugin": "from handzoo.plugins import resolve; resolve('neck', 'bench_0/Neck')",
    "import handzoo.registry": "import handzoo.registry",
    "import torch": "import torch",
}
# What is run with the N plugins as well; the class of one can only be had there. A class of the
# core is had without a look at plugins, and torch's import would drown any difference.
WITH_PLUGINS = ("handzoo list", "find plugins", "config of a model", "class of a plugin")

MANIFEST = """manifest = 1
name = "{name}"
handzoo = ">=0.1"
licence = "Apache-2.0"
configs = "configs"
metafile = "configs/metafile.yml"

[[provides]]
part = "neck"
name = "Neck"
object = "{name}.neck:Neck"
"""
METAFILE = """Collection: {{Name: {name}}}
Models:
  - {{Name: tiny, Config: tiny.py, Metadata: {{Backbone: none}}, Data: FreiHAND}}
"""


def write_plugin(site: Path, name: str) -> None:
    """Write what ``pip install`` leaves of a small plugin."""
    package, info = site / name, site / f"{name}-1.0.dist-info"
    (package / "configs").mkdir(parents=True)
    info.mkdir()
    files = {
        package / "__init__.py": "",
        package / "neck.py": "class Neck:\n    pass\n",
        package / "handzoo.toml": MANIFEST.format(name=name),
        package / "configs" / "metafile.yml": METAFILE.format(name=name),
        package / "configs" / "tiny.py": "model = dict()\n",
        info / "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        info / "entry_points.txt": f"[handzoo.plugins]\n{name} = {name}:handzoo.toml\n",
        info / "INSTALLER": "benchmark\n",
        info / "RECORD": f"{name}/__init__.py,,\n{name}/handzoo.toml,,\n",
    }
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")


def run(code: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Run code in a fresh interpreter; return its wall and its CPU time in seconds."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{code!r} failed with exit code {process.returncode}.")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime


def median_ms(times: list[tuple[float, float]]) -> tuple[float, float]:
    """Median wall and CPU milliseconds, without the first round, which fills the file cache."""
    wall, cpu = zip(*times[1:], strict=True)
    return 1000 * statistics.median(wall), 1000 * statistics.median(cpu)


def main() -> None:
    """Print medians of each command, their ratio to the first one, and what plugins add."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="default: 7")
    parser.add_argument("--plugins", type=int, default=200, metavar="N", help="default: 200")
    parser.add_argument("--only", nargs="+", choices=list(COMMANDS), help="only these commands")
    options = parser.parse_args()
    chosen = {"python -c pass", *(options.only or COMMANDS)}  # the first is the unit of ratios
    base = {**os.environ, "PYTHONPATH": str(ROOT)}
    base.pop("HANDZOO_PLUGINS", None)
    base.pop("HANDZOO_DISABLE_PLUGINS", None)
    with tempfile.TemporaryDirectory() as site:
        for index in range(options.plugins):
            write_plugin(Path(site), f"bench_{index}")
        crowded = {**base, "PYTHONPATH": os.pathsep.join([str(ROOT), site])}
        jobs = {(name, False): base for name in COMMANDS if name in chosen - {"class of a plugin"}}
        if options.plugins:
            jobs |= {(name, True): crowded for name in WITH_PLUGINS if name in chosen}
        times: dict[tuple[str, bool], list[tuple[float, float]]] = {job: [] for job in jobs}
        for _ in range(options.rounds + 1):
            for (name, with_plugins), environment in jobs.items():
                times[name, with_plugins].append(run(COMMANDS[name], environment))
    report(times, options.plugins)


def report(times: Mapping[tuple[str, bool], list[tuple[float, float]]], plugins: int) -> None:
    """Print the medians, and the differences that plugins make."""
    figures = {job: median_ms(rows) for job, rows in times.items()}
    start = figures["python -c pass", False][1]
    print(f"{'command':40s} {'CPU ms':>8s} {'wall ms':>8s} {'x start':>8s}")
    for (name, with_plugins), (wall, cpu) in figures.items():
        label = f"{name}, {plugins} plugins" if with_plugins else name
        print(f"{label:40s} {cpu:8.0f} {wall:8.0f} {cpu / start:8.1f}")
    for name in WITH_PLUGINS if plugins else ():
        if (name, False) in figures and (name, True) in figures:
            added = figures[name, True][1] - figures[name, False][1]
            print(f"{plugins} plugins add {added:.0f} ms of CPU to {name!r}")


if __name__ == "__main__":
    main()
