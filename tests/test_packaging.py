"""The wheel: what is in it, and that it works outside the checkout."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def sources(target: Path) -> Path:
    """A copy of what the repository ships, without what was built in it."""
    for name in ("handzoo", "handzoo_plugins", "configs"):
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for name in ("setup.py", "setup.cfg", "pyproject.toml", "LICENSE", "README.md"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    return sources(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, source) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*command, "--quiet", "--wheel-dir", str(folder)],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    return next(folder.glob("handzoo-*.whl"))


@pytest.mark.slow
def test_wheel_holds_code_configs_and_assets(wheel, source):
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, inside in (("configs", "handzoo/_configs"), ("handzoo", "handzoo")):
        for path in (source / folder).rglob("*"):
            if path.is_file():
                relative = path.relative_to(source / folder).as_posix()
                assert f"{inside}/{relative}" in names, path
    assert not [name for name in names if "__pycache__" in name or name.startswith("tests")]
    assert "handzoo/assets/hand/bundled_hand.npz" in names


@pytest.mark.slow
def test_installed_wheel_lists_and_trains_outside_the_checkout(wheel, tmp_path):
    target = tmp_path / "site"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
         "--target", str(target), str(wheel)],
        check=True, capture_output=True,
    )  # fmt: skip
    work = tmp_path / "elsewhere"
    work.mkdir()
    env = {**os.environ, "PYTHONPATH": str(target), "OMP_NUM_THREADS": "2"}

    def handzoo(*arguments: str) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "handzoo", *arguments],
            cwd=work, env=env, capture_output=True, text=True, timeout=560, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stderr[-3000:] + run.stdout[-3000:]
        return run.stdout

    assert str(target) in handzoo("info", "cliphand_s24_freihand")
    assert "cliphand_s24_freihand" in handzoo("list")
    options = ["--batch-size", "2", "--dry-run", "--cfg-options", "train_dataloader.num_workers=0"]
    assert "one training step was made" in handzoo("train", "cliphand_s24_freihand", *options)
    handzoo("train", "cliphand_tiny_sample", "--max-iters", "2", "--batch-size", "2")
    assert (work / "work_dirs" / "cliphand_tiny_sample" / "metrics.json").is_file()


def requirements() -> dict[str, str]:
    """Distribution -> version range of what setup.cfg asks for, extras included."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    text = config["options"]["install_requires"] + "\n" + "\n".join(extras.values())
    lines = [line.split(";")[0].strip() for line in text.splitlines()]
    split = [re.match(r"([A-Za-z0-9_.-]+)(.*)", line).groups() for line in lines if line]
    return {name.lower().replace("_", "-"): version for name, version in split}


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


def test_every_requirement_is_pinned_within_its_range():
    from packaging.specifiers import SpecifierSet

    pinned = constraints()
    optional = {"tomli", "openvino"}  # older Pythons; an extra that make does not install
    for name, version_range in requirements().items():
        if name in optional:
            continue
        assert name in pinned, f"{name} has no line in constraints.txt"
        assert pinned[name] in SpecifierSet(version_range), name


def test_setup_is_skipped_when_it_is_done(tmp_path):
    for name in ("Makefile", "constraints.txt", "setup.cfg", "setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)

    def plan() -> str:
        run = subprocess.run(
            ["make", "-n", "test"], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return run.stdout

    assert "-m venv" in plan() and "--only-binary=:all:" in plan()
    stamp = tmp_path / ".venv" / ".ready"
    stamp.parent.mkdir()
    stamp.touch()
    assert "-m venv" not in plan() and "pytest" in plan()
    later = stamp.stat().st_mtime + 10
    os.utime(tmp_path / "constraints.txt", (later, later))
    assert "-m venv" in plan()


def test_continuous_integration_runs_make_test():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    assert re.search(r"^make test", script.read_text(), re.MULTILINE)
