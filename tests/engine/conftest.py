"""Shared fixtures: a config of the toy model in a fresh work directory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

sys.path.insert(0, str(Path(__file__).parent))

from toy import config_dict  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """A function that makes the toy's config; ``name`` is the work directory's."""

    def make(name: str = "run", **changes) -> Config:
        return Config(config_dict(tmp_path / name, **changes))

    return make
