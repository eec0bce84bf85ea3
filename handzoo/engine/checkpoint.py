"""Reading checkpoints, and loading them into a model key by key."""

from __future__ import annotations

import fnmatch
import json
import pickle
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import CheckpointError

_SHOWN = 4  # differing keys that an error names


@dataclass
class Checkpoint:
    """A checkpoint that was read.

    Attributes:
        path: its file.
        state_dict: tensors by key, on the CPU.
        meta: what is known about it; ``meta['handzoo']`` as :class:`RunInfo` wrote it. Empty for
            foreign files.
        content: everything else in the file, such as the optimizer's state.
    """

    path: Path
    state_dict: dict[str, Tensor]
    meta: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)

    @property
    def model(self) -> str:
        """Name of the model that it was made with; empty if the file does not say."""
        return str(self.meta.get("handzoo", {}).get("model", ""))

    @property
    def plugins(self) -> list[Any]:
        """Plugins that the model came from."""
        return list(self.meta.get("handzoo", {}).get("plugins", []))


def read_checkpoint(path: str | Path) -> Checkpoint:
    """Read a ``.safetensors`` or ``.pth`` file; nothing in it is ever executed.

    Args:
        path: the file. Beside ``x.safetensors`` may lie its model card ``x.json``.

    Raises:
        CheckpointError: the file is missing, damaged, holds no weights, or holds objects that
            are not plain tensors and values.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise CheckpointError(f"{path}: there is no such checkpoint file.")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds more than tensors and plain values, and HandZoo loads no other code. "
            "Convert a released file of another project with tools/convert_checkpoint.py. "
            f"({error})"
        ) from error
    except (RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError) as error:
        raise CheckpointError(
            f"{path}: is damaged or is not a checkpoint: {type(error).__name__}: {error}"
        ) from error
    return _from_content(path, content)


def _read_safetensors(path: Path) -> Checkpoint:
    from safetensors import SafetensorError, safe_open

    tensors: dict[str, Tensor] = {}
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            notes = file.metadata() or {}
            for key in file.keys():  # noqa: SIM118  (the handle is no mapping)
                tensors[key] = file.get_tensor(key)
    except SafetensorError as error:
        raise CheckpointError(f"{path}: is damaged or not a safetensors file: {error}") from error
    meta = {"handzoo": json.loads(notes["handzoo"])} if "handzoo" in notes else {}
    card = path.with_suffix(".json")
    if not meta and card.is_file():
        meta = {"handzoo": json.loads(card.read_text(encoding="utf-8"))}
    return Checkpoint(path, tensors, meta)


def _from_content(path: Path, content: Any) -> Checkpoint:
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not weights by name.")
    state = content.get("state_dict", content)
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError(f"{path}: holds no 'state_dict' of tensors.")
    # A model wrapped for several GPUs saves its keys with this prefix.
    state = {key.removeprefix("module."): value for key, value in state.items()}
    meta = content.get("meta", {}) if "state_dict" in content else {}
    rest = {key: value for key, value in content.items() if key not in ("state_dict", "meta")}
    return Checkpoint(path, state, dict(meta), rest if "state_dict" in content else {})


@dataclass
class LoadReport:
    """How a checkpoint fitted.

    Attributes:
        loaded: keys that were taken over.
        missing: keys of the model that the checkpoint lacks, though allowed.
        unexpected: keys of the checkpoint that the model lacks, though allowed.
        parameters: how many numbers were taken over.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    parameters: int

    def __str__(self) -> str:
        total = len(self.loaded) + len(self.missing)
        size = self.parameters / 1e6
        text = f"loaded {len(self.loaded)} of {total} tensors ({size:.2f} M numbers)"
        if self.missing:
            text += f"; left as they were, as allowed: {_some(self.missing)}"
        if self.unexpected:
            text += f"; not used, as allowed: {_some(self.unexpected)}"
        return text


def load_weights(
    model: nn.Module,
    checkpoint: Checkpoint,
    model_name: str = "",
    allowed_missing: Iterable[str] = (),
) -> LoadReport:
    """Load a checkpoint that fits the model key by key and shape by shape.

    Args:
        model: the estimator.
        checkpoint: see :func:`read_checkpoint`.
        model_name: for error messages.
        allowed_missing: shell patterns (``guidance.*``) of keys that may be on one side only.

    Raises:
        CheckpointError: it does not fit; names both models and the first keys that differ. The
            model is then unchanged.
    """
    patterns = list(allowed_missing)
    own = model.state_dict()
    given = checkpoint.state_dict

    def allowed(key: str) -> bool:
        return any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns)

    missing = [key for key in own if key not in given]
    unexpected = [key for key in given if key not in own]
    reshaped = [key for key in own if key in given and own[key].shape != given[key].shape]
    faults = []
    if bad := [key for key in missing if not allowed(key)]:
        faults.append(f"{len(bad)} keys are missing in the checkpoint: {_some(bad)}")
    if bad := [key for key in unexpected if not allowed(key)]:
        faults.append(f"{len(bad)} keys are not in the model: {_some(bad)}")
    if reshaped:
        shapes = [f"{k} {tuple(given[k].shape)} for {tuple(own[k].shape)}" for k in reshaped]
        faults.append(f"{len(shapes)} shapes differ: {_some(shapes)}")
    if faults:
        theirs = checkpoint.model or "a model that the file does not name"
        raise CheckpointError(
            f"{checkpoint.path} was made with {theirs} and does not fit "
            f"{model_name or type(model).__name__}. " + "; ".join(faults) + ". Name the right "
            "config, or list key patterns that may be absent as allowed_missing in the config."
        )
    loaded = [key for key in own if key in given]
    model.load_state_dict({key: given[key] for key in loaded}, strict=False)
    parameters = sum(given[key].numel() for key in loaded)
    return LoadReport(loaded, missing, unexpected, parameters)


def _some(items: list[str]) -> str:
    text = ", ".join(items[:_SHOWN])
    return text + (f", ... ({len(items) - _SHOWN} more)" if len(items) > _SHOWN else "")
