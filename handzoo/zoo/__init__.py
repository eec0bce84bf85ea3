"""The model zoo: what models there are, their configs, their weights, and how they compare.

Listing models reads small files alone; torch is imported when a model is built.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handzoo.zoo.index import ModelEntry, get_entry, list_models

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

__all__ = ["ModelEntry", "get_config", "get_entry", "get_model", "list_models"]


def get_config(name: str, **overrides: Any) -> Config:
    """The whole, checked config of a model.

    Args:
        name: model name (``cliphand_s24_freihand``) or config path.
        **overrides: as ``--cfg-options``; dots in a key are written as two underscores.

    Raises:
        ConfigError: unknown name or override; says which are near.
    """
    from handzoo.engine.config import load_config

    return load_config(name, dotted(overrides))


def get_model(
    name: str,
    pretrained: bool | str | os.PathLike[str] = False,
    device: str = "cpu",
    **overrides: Any,
) -> nn.Module:
    """Build a model of the zoo, in eval mode.

    Args:
        name: see :func:`get_config`.
        pretrained: True for the published weights, a path for your own checkpoint, False for the
            initialisation.
        device: where to put it.
        **overrides: values below ``model``, such as ``prior=None``; see :func:`get_config`.

    Raises:
        ConfigError: unknown name or override.
        ResourceError: there are no published weights, or they are not within reach.
        CheckpointError: the weights do not fit, or their hash is not that of the card.

    Example:
        model = get_model('cliphand_s12_freihand', pretrained='work_dirs/mine/best.pth')
    """
    from handzoo.engine.build import load_estimator
    from handzoo.zoo.weights import find_weights

    checkpoint: Path | None = None
    if pretrained is True:
        checkpoint = find_weights(name)
    elif pretrained:
        checkpoint = Path(pretrained)
    cfg = get_config(name, **{f"model__{key}": value for key, value in overrides.items()})
    return load_estimator(cfg, checkpoint, device)[0]


def dotted(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """``{'model__prior': None}`` -> ``{'model.prior': None}``."""
    return {key.replace("__", "."): value for key, value in overrides.items()}
