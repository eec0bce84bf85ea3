"""Two processes on one machine, without a GPU."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.slow
def test_two_processes_train_together_and_evaluate_each_sample_once(tmp_path):
    work = tmp_path / "run"
    options = {
        "model.guidance": None,
        "train_dataloader.num_workers": 0,
        "val_dataloader.num_workers": 0,
        "val_dataloader.batch_size": 4,
        "val_dataloader.dataset.indices": "[0,1,2,3,4,5]",
    }
    run = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2",
         f"--master_port={free_port()}", str(ROOT / "tools" / "train.py"), "cliphand_tiny_sample",
         "--launcher", "pytorch", "--max-iters", "3", "--batch-size", "2", "--work-dir", str(work),
         "--cfg-options", *(f"{key}={value}" for key, value in options.items())],
        env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=560,
        check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    assert run.stdout.count("Done (iteration limit)") == 1
    written = json.loads((work / "metrics.json").read_text())
    assert written["num_samples"] == 6 and written["metrics"]["PA-MPJPE"] > 0
    assert (work / "last.pth").is_file()
