"""What finding plugins reads: enough, and not more; tools/benchmark_startup.py says how long."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

from handzoo.plugins import discovery

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

from benchmark_startup import write_plugin  # noqa: E402


def test_installed_plugins_are_found_without_the_slow_ways(tmp_path, monkeypatch):
    write_plugin(tmp_path, "quick_lab")
    monkeypatch.syspath_prepend(str(tmp_path))

    def slow(*arguments):
        raise AssertionError("parsed all metadata, or searched all of sys.path")

    monkeypatch.setattr(importlib.metadata.Distribution, "metadata", property(slow))
    own = [
        entry
        for entry in importlib.metadata.entry_points(group=discovery.ENTRY_POINT_GROUP)
        if entry.name == "quick_lab"
    ]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: own)
    monkeypatch.setattr(discovery, "package_folder", slow)
    (plugin,) = discovery.installed_plugins()
    assert plugin.usable, plugin.reason
    assert (plugin.distribution, plugin.version) == ("quick_lab", "1.0")
    assert plugin.manifest.path == tmp_path / "quick_lab" / "handzoo.toml"


def test_name_and_version_come_from_the_header_of_the_metadata(tmp_path):
    info = tmp_path / "odd-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: odd\nSummary: x\nVersion: 2.0\n\nVersion: text\n")
    dist = importlib.metadata.Distribution.at(info)
    assert discovery._name_and_version(dist) == ("odd", "2.0")
    assert discovery._name_and_version(None) == ("", "")


def test_the_benchmark_runs():
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "benchmark_startup.py"), "--rounds", "1",
         "--plugins", "3", "--only", "find plugins"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "3 plugins add" in done.stdout and "'find plugins'" in done.stdout
