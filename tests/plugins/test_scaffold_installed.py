"""A new plugin in a clean environment: installed with pip, tested, listed, trained."""

import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from handzoo.plugins.scaffold import create_plugin

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An environment of its own; heavy libraries are borrowed from the running one."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    interpreter = folder / "bin" / "python"
    site = subprocess.run(
        [interpreter, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    borrowed = f"{sysconfig.get_path('purelib')}\n{ROOT}\n"
    Path(site, "borrowed.pth").write_text(borrowed)
    return interpreter


@pytest.mark.slow
@pytest.mark.parametrize("part", ["mesh_head", "guidance", "loss", "transform", "hook"])
def test_new_plugin_installs_passes_its_tests_and_trains(python, tmp_path, part):
    root = create_plugin(f"lab_{part}", part=part, parent=tmp_path)
    env = {**os.environ, "OMP_NUM_THREADS": "2"}
    env.pop("PYTHONPATH", None)

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(python), *arguments], cwd=tmp_path, env=env, capture_output=True, text=True,
            timeout=500, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-3000:]
        return done.stdout

    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation",
        str(root))  # fmt: skip
    assert "passed" in run("-m", "pytest", "-p", "no:cacheprovider", str(root))
    assert "ok" in run("-m", "handzoo", "plugins", "doctor", f"lab_{part}")
    model = f"lab_{part}/lab_{part}_tiny_sample"
    assert model in run("-m", "handzoo", "list", "--plugin", f"lab_{part}")
    run("-m", "handzoo", "train", model, "--max-iters", "2", "--batch-size", "2",
        "--work-dir", str(tmp_path / "work"))  # fmt: skip
    assert (tmp_path / "work" / "metrics.json").is_file()
    assert f"lab_{part}" in (tmp_path / "work" / "metrics.json").read_text()
