"""The command line: subcommands, exit codes, and what starting it costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from handzoo import cli
from handzoo.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
ENV = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def handzoo(*arguments: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "handzoo"]
    return subprocess.run(
        [*command, *arguments], env=ENV, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_offered_command_has_its_function():
    import importlib

    for name, (target, text) in cli.available().items():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), name
        assert text


def test_commands_without_code_are_not_offered(monkeypatch):
    monkeypatch.setitem(cli.COMMANDS, "ghost", ("handzoo.engine.ghost:main", "is not there"))
    assert "ghost" not in cli.available() and "ghost" not in cli.usage()
    assert cli.main(["ghost"]) == 2


def test_help_version_and_unknown_command(capsys):
    assert cli.main(["--help"]) == 0
    assert "train" in capsys.readouterr().out
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("handzoo 0.")
    assert cli.main([]) == 2
    assert cli.main(["trian"]) == 2
    assert "Did you mean 'train'" in capsys.readouterr().err


def test_errors_of_the_user_are_one_clean_message_and_exit_code_2(capsys, monkeypatch):
    monkeypatch.delenv("HANDZOO_DEBUG", raising=False)

    def command() -> int:
        raise ConfigError("model.neck: no such neck") from ValueError("the cause")

    assert cli.run(command) == 2
    error = capsys.readouterr().err
    assert error == ("ConfigError: model.neck: no such neck\n  caused by ValueError: the cause\n")
    monkeypatch.setenv("HANDZOO_DEBUG", "1")
    with pytest.raises(ConfigError):
        cli.run(command)


def test_bugs_are_not_hidden():
    def command() -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cli.run(command)


def test_keyboard_interrupt_has_its_usual_code(capsys):
    def command() -> int:
        raise KeyboardInterrupt

    assert cli.run(command) == 130


def test_list_imports_nothing_heavy():
    """What keeps it quick; tools/benchmark_startup.py measures how quick."""
    code = (
        "import sys\n"
        "from handzoo.cli import main; exit = main(['list'])\n"
        "heavy = {'torch', 'mmengine', 'numpy', 'cv2', 'rich'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else exit)"
    )
    run = handzoo(code=code)
    assert run.returncode == 0, run.stderr
    assert "cliphand_s24_freihand" in run.stdout


def test_import_of_the_package_brings_no_torch():
    run = handzoo(code="import sys, handzoo; sys.exit('torch' in sys.modules)")
    assert run.returncode == 0, run.stderr


def test_list_filters_and_json(capsys):
    assert cli.main(["list", "--method", "cliphand", "--backbone", "PAT-S12", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["cliphand_s12_freihand"]
    assert cli.main(["list", "nothing_like_this"]) == 1


def test_info_shows_published_and_measured_apart(capsys):
    assert cli.main(["info", "cliphand_s24_freihand"]) == 0
    text = capsys.readouterr().out
    assert text.index("Published by its authors") < text.index("Measured with this code")
    assert cli.main(["info", "cliphand_s24"]) == 2
    assert "Did you mean" in capsys.readouterr().err


def test_print_config_merges_bases_and_options(capsys):
    options = ["--cfg-options", "train_cfg.max_epochs=3", "--key", "train_cfg"]
    assert cli.main(["print-config", "cliphand_s24_freihand", *options]) == 0
    assert "max_epochs=3" in capsys.readouterr().out


def test_wrong_option_exits_with_a_suggestion(capsys):
    options = ["--cfg-options", "train_cfg.max_epoch=3"]
    assert cli.main(["train", "cliphand_s24_freihand", *options]) == 2
    assert "Did you mean 'max_epochs'" in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["train", "test", "print_config", "analyze_logs", "publish_model"])
def test_tools_start_from_any_folder(tool, tmp_path):
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, str(ROOT / "tools" / f"{tool}.py"), "--help"],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "usage: handzoo" in run.stdout


def test_analyze_logs_summarises_and_draws(tmp_path, capsys):
    log = tmp_path / "run" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    rows = [{"loss": 4.0 / step, "lr": 1e-4, "step": step} for step in (1, 2, 4)]
    log.write_text("\n".join(map(json.dumps, rows)))
    assert cli.main(["analyze-logs", str(tmp_path / "run"), "--keys", "loss"]) == 0
    assert "loss" in capsys.readouterr().out
    page = tmp_path / "curves.html"
    assert cli.main(["analyze-logs", str(tmp_path / "run"), "--out", str(page)]) == 0
    assert "<html" in page.read_text()[:200]
    assert cli.main(["analyze-logs", str(tmp_path / "run"), "--keys", "los"]) == 2
    assert "Did you mean 'loss'" in capsys.readouterr().err


@pytest.mark.parametrize("script", ["dist_train.sh", "slurm_train.sh"])
def test_launchers_say_how_they_are_used(script):
    run = subprocess.run(
        ["bash", str(ROOT / "tools" / script)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 2 and "usage:" in run.stderr
