"""Three real distributions, built and installed with pip: good, incompatible, exploding."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DISTRIBUTIONS = Path(__file__).parent / "distributions"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with the three distributions installed in it."""
    target = tmp_path_factory.mktemp("site")
    sources = tmp_path_factory.mktemp("sources")
    for folder in sorted(DISTRIBUTIONS.iterdir()):
        # Built from a copy: setuptools leaves a build folder beside the sources.
        subprocess.run(["cp", "-r", str(folder), str(sources / folder.name)], check=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--target", str(target)]
    command += [str(path) for path in sorted(sources.iterdir())]
    subprocess.run(command, check=True)
    return target


def run(site, code, **environment):
    """Run code in a fresh interpreter that has the three distributions."""
    root = Path(__file__).resolve().parents[2]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(site), str(root)]),
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )


def test_states_are_told_without_importing_any_of_them(site):
    code = (
        "import json, sys\n"
        "from handzoo.plugins import plugin_manager\n"
        "states = {p.name: [p.state.value, p.version] for p in plugin_manager().all()}\n"
        "print(json.dumps([states, [m for m in sys.modules if m.startswith('hz_')]]))\n"
    )
    done = run(site, code)
    assert done.returncode == 0, done.stderr
    states, imported = json.loads(done.stdout)
    assert states["hz_good"] == ["ok", "0.3.1"]
    assert states["hz_incompatible"] == ["incompatible", "0.3.0"]
    assert states["hz_exploding"] == ["ok", "0.3.0"]  # nobody has asked for its code yet
    assert imported == []


def test_the_good_one_is_at_home_and_the_core_is_not_shadowed(site):
    code = (
        "from handzoo.registry import MESH_HEADS\n"
        "from handzoo.plugins import used_plugins\n"
        "print(MESH_HEADS.get('MeanHand').__module__, MESH_HEADS.get('MTED').__module__,\n"
        "      MESH_HEADS.get('hz_good/MTED').__module__, used_plugins())\n"
    )
    done = run(site, code)
    assert done.returncode == 0, done.stderr
    bare, core, qualified, used = done.stdout.split(maxsplit=3)
    assert (bare, qualified) == ("hz_good.head", "hz_good.head")
    assert core.startswith("handzoo.models.mesh_heads")
    assert "'hz-good'" in used and "'0.3.1'" in used


@pytest.mark.parametrize(
    ("name", "reason", "cause"),
    [
        ("BoomHead", "failed", "RuntimeError: this package is at odds"),
        ("FutureHead", "needs handzoo >=99", ""),
    ],
)
def test_a_broken_one_is_named_with_its_cause(site, name, reason, cause):
    done = run(site, f"from handzoo.registry import MESH_HEADS\nMESH_HEADS.get({name!r})")
    assert done.returncode != 0
    assert "PluginError" in done.stderr and reason in done.stderr and cause in done.stderr
    assert "must never run" not in done.stderr


def test_the_good_one_passes_the_conformance_kit(site):
    code = (
        "from handzoo.testing import conformance_checks\n"
        "for check in conformance_checks('mesh_head'):\n"
        "    check(dict(type='hz_good/MeanHand'))\n"
        "print('passed')\n"
    )
    done = run(site, code)
    assert done.stdout.strip() == "passed", done.stderr


def test_they_can_all_be_turned_off(site):
    code = (
        "from handzoo.plugins import plugin_manager\n"
        "print({p.state.value for p in plugin_manager().all()})\n"
    )
    done = run(site, code, HANDZOO_DISABLE_PLUGINS="all")
    assert done.stdout.strip() == "{'disabled'}", done.stderr
