"""The few places where stock MMEngine 0.10.7 needs help, each with a test.

- ``_base_ = 'package::file.py'`` finds packages through ``pkg_resources``, which setuptools no
  longer ships; here :mod:`importlib.resources` finds them.
- checkpoints hold ``HistoryBuffer`` objects, which ``torch.load`` refuses since PyTorch 2.6;
  :func:`make_plain` leaves only what loads with ``weights_only=True``. That switch is never
  turned off.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from handzoo.errors import ConfigError


def package_configs(package: str) -> Path:
    """The folder of configs that ``package`` ships.

    The folder that a plugin of this name declares, ``configs/`` beside the package (HandZoo's
    checkout), ``_configs/`` or ``configs/`` inside it.

    Raises:
        ConfigError: the package is not installed or ships no configs.
    """
    from handzoo.plugins import config_roots

    for plugin, folder in config_roots():
        if plugin.name == package:
            return Path(folder)
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError) as error:
        raise ConfigError(f"{package}:: cannot be found: {error}") from error
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"{package}:: is not an installed package; install it or correct the name."
        )
    root = Path(next(iter(spec.submodule_search_locations)))
    candidates = (root / "_configs", root / "configs")
    if (root.parent / "configs" / "_base_").is_dir() and package == "handzoo":
        return root.parent / "configs"
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    raise ConfigError(f"{package} is installed at {root}, but ships no folder of configs.")


@contextlib.contextmanager
def package_bases() -> Iterator[None]:
    """While this is open, MMEngine resolves ``package::path`` in ``_base_`` with our resolver."""
    from mmengine.config import Config

    original = Config.__dict__["_get_cfg_path"]

    def get_cfg_path(cfg_path: str, filename: str) -> tuple[str, str | None]:
        package, separator, inner = cfg_path.partition("::")
        if not separator:
            return original.__func__(cfg_path, filename)
        path = package_configs(package) / inner
        if not path.is_file():
            raise ConfigError(f"{filename}: _base_ {cfg_path!r} names {path}, which is not there.")
        # No scope is given back: it would put '_scope_' into every mapping of the base.
        return str(path), None

    Config._get_cfg_path = staticmethod(get_cfg_path)
    try:
        yield
    finally:
        Config._get_cfg_path = original


def make_plain(value: Any) -> Any:
    """Copy ``value`` with only types that ``torch.load(weights_only=True)`` accepts.

    Tensors go to the CPU, numpy scalars become Python's, numpy arrays become tensors, paths and
    anything else become strings.
    """
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, (str, bytes, bool, int, float, type(None))) and type(value) in (
        str,
        bytes,
        bool,
        int,
        float,
        type(None),
    ):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biuf":
            return torch.from_numpy(np.ascontiguousarray(value))
        return value.tolist()
    if isinstance(value, OrderedDict):
        return OrderedDict((make_plain(k), make_plain(v)) for k, v in value.items())
    if isinstance(value, Mapping):
        return {make_plain(k): make_plain(v) for k, v in value.items()}
    if isinstance(value, (list, set, frozenset)):
        return [make_plain(item) for item in value]
    if isinstance(value, tuple):
        return tuple(make_plain(item) for item in value)
    if isinstance(value, (bool, int, float)):
        return {bool: bool, int: int, float: float}[
            next(base for base in (bool, int, float) if isinstance(value, base))
        ](value)
    if isinstance(value, torch.dtype | torch.device | torch.Size):
        return value if isinstance(value, torch.dtype) else str(value)
    return str(value)


def plain_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """A checkpoint that loads weights-only; the message hub's histories are left out."""
    plain = dict(checkpoint)
    hub = dict(plain.get("message_hub", {}))
    hub["log_scalars"] = {}
    hub["resumed_keys"] = {}
    plain["message_hub"] = hub
    return make_plain(plain)
