"""Read checkpoints that other people wrote, without running what is in them.

Everything goes through ``torch.load(weights_only=True)``. A pickled whole model needs the
author's classes, which are neither here nor to be trusted; each of them is read as an inert
object that keeps its state and does nothing, and the tensors are collected from that.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from handzoo.errors import CheckpointError

_UNKNOWN_GLOBAL = re.compile(r"GLOBAL (\S+) was not an allowed global")
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")


class _Inert:
    """Stands for any class or function of a pickle; takes what it is given, and runs nothing."""

    def __new__(cls, *args: Any, **kwargs: Any) -> _Inert:
        return object.__new__(cls)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)


def read_state_dict(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint file by their names, on the CPU.

    Understands a state dict, a training checkpoint that has one under ``state_dict`` or
    ``model``, a pickled whole model (torch 1.6 or later), and safetensors. A ``module.`` prefix
    of DataParallel is removed.

    Raises:
        CheckpointError: the file is missing, damaged, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such file.")
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise CheckpointError(f"{path}: not a safetensors file ({error}).") from error
    content = _load_inert(path)
    tensors = _collect(content)
    if not tensors:
        raise CheckpointError(
            f"{path}: holds no tensors, but a {type(content).__name__}; a state dict or a "
            "pickled torch module is needed."
        )
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def _load_inert(path: Path) -> Any:
    inert: set[str] = set()
    while True:
        try:
            with torch.serialization.safe_globals([(_Inert, name) for name in sorted(inert)]):
                return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            found = _UNKNOWN_GLOBAL.search(str(error))
            if found is None or found.group(1) in inert:
                raise CheckpointError(
                    f"{path}: cannot be read without running code from it, so it is not read. A "
                    "whole model that torch before 1.6 pickled is such a file: open it once with "
                    "its author's code, and save model.state_dict()."
                ) from error
            inert.update({found.group(1), *_other_globals(path)})
        except (RuntimeError, EOFError, ValueError, KeyError, AttributeError, TypeError) as error:
            raise CheckpointError(
                f"{path}: is not a torch checkpoint, or is damaged; compare its size with the "
                f"published one and download it again. ({error})"
            ) from error


def _other_globals(path: Path) -> list[str]:
    """All foreign names of a zip checkpoint at once; a legacy file gives them one by one."""
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except ValueError:  # torch's answer for the legacy format
        return []


def _collect(content: Any) -> dict[str, Tensor]:
    if isinstance(content, _Inert):
        return _collect_module(content, "")
    if not isinstance(content, Mapping):
        return {}
    tensors = {str(k): v.detach() for k, v in content.items() if isinstance(v, Tensor)}
    if tensors:
        return tensors
    for key in _WRAPPERS:
        tensors = _collect(content.get(key))
        if tensors:
            return tensors
    return {}


def _collect_module(module: _Inert, prefix: str) -> dict[str, Tensor]:
    """What ``module.state_dict()`` would give, from a pickled module's attributes."""
    state = vars(module)
    hidden = state.get("_non_persistent_buffers_set") or ()
    tensors: dict[str, Tensor] = {}
    for group in ("_parameters", "_buffers"):
        for name, value in (state.get(group) or {}).items():
            if isinstance(value, Tensor) and not (group == "_buffers" and name in hidden):
                tensors[prefix + name] = value.detach()
    for name, child in (state.get("_modules") or {}).items():
        if isinstance(child, _Inert):
            tensors.update(_collect_module(child, f"{prefix}{name}."))
    return tensors
