"""State dicts: reading them, and fitting one into a model key by key."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn


@dataclass
class FitReport:
    """What became of each tensor when a state dict was fitted into a model.

    Attributes:
        loaded: keys of the model that were filled.
        missing: keys of the model for which the state dict has nothing.
        unused: keys of the state dict that the model has no place for.
        mismatched: keys whose shapes differ, with both shapes.
    """

    loaded: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{len(self.loaded)} tensors loaded, {len(self.missing)} of the model's are not in "
            f"the weights, {len(self.unused)} of the weights are not used, "
            f"{len(self.mismatched)} have another shape"
        )


def read_state_dict(path: str | Path) -> Mapping[str, Tensor]:
    """Read tensors by name from a safetensors file or a weights-only torch file.

    Raises:
        ValueError: the file is neither.
    """
    if Path(path).suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(str(path))
        except SafetensorError as error:
            raise ValueError(f"not a safetensors file: {error}") from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(f"not a weights-only torch file: {error}") from error
    if not isinstance(state, Mapping):
        raise ValueError(f"holds a {type(state).__name__} and not tensors by name")
    for key in ("state_dict", "model"):
        if isinstance(state.get(key), Mapping):
            return state[key]
    return state


def fit_state_dict(model: nn.Module, state: Mapping[str, Tensor]) -> FitReport:
    """Copy every tensor of ``state`` whose name and shape agree with ``model``'s.

    Returns:
        The account, key by key.
    """
    report = FitReport()
    own = model.state_dict()
    with torch.no_grad():
        for key, target in own.items():
            if key not in state:
                report.missing.append(key)
            elif state[key].shape != target.shape:
                report.mismatched[key] = (tuple(state[key].shape), tuple(target.shape))
            else:
                target.copy_(state[key])
                report.loaded.append(key)
    report.unused = [key for key in state if key not in own]
    return report
