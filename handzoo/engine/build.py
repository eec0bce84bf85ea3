"""From a config or a model name to an estimator."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from handzoo.engine.config import load_config
from handzoo.errors import CheckpointError

if TYPE_CHECKING:
    from mmengine.config import Config
    from torch import nn

# Branches that only training uses: a checkpoint and a model may differ in them.
TRAINING_ONLY = ("guidance.*",)

logger = logging.getLogger("handzoo")


def build_estimator(cfg: Any) -> nn.Module:
    """Build the estimator of a config, in training mode, on the CPU.

    Args:
        cfg: whole config, or its ``model`` part.

    Raises:
        ConfigError: naming the key path.
    """
    from mmengine.registry import init_default_scope

    from handzoo.registry import ESTIMATORS

    init_default_scope("handzoo")
    model = cfg["model"] if "model" in cfg and "type" not in cfg else cfg
    estimator = ESTIMATORS.build(model, key="model")
    # Parts initialise themselves; MMEngine's init_cfg is for those who want something else, and
    # its report of every parameter is for a log file.
    if any(getattr(module, "init_cfg", None) for module in estimator.modules()):
        estimator.init_weights()
    return estimator


def load_estimator(
    name_or_config: str | os.PathLike[str] | Config,
    checkpoint: str | os.PathLike[str] | None = None,
    device: str = "cpu",
    cfg_options: Iterable[str] | dict[str, Any] | None = None,
) -> tuple[nn.Module, Config]:
    """Build an estimator for inference and load its weights.

    Args:
        name_or_config: model name, config path or a loaded config.
        checkpoint: weights; None leaves the initialisation.
        device: such as ``'cpu'`` or ``'cuda:0'``.
        cfg_options: overrides, if the config is read here.

    Returns:
        (estimator in eval mode on ``device``, config).

    Raises:
        ConfigError: unknown name or wrong config.
        CheckpointError: the weights do not fit; names both models and the differing keys.
    """
    from handzoo.engine.checkpoint import load_weights, read_checkpoint

    if isinstance(name_or_config, (str, os.PathLike)):
        cfg = load_config(name_or_config, cfg_options)
    else:
        cfg = name_or_config
    estimator = build_estimator(cfg)
    if checkpoint is not None:
        read = read_checkpoint(checkpoint)
        name = cfg.get("model_name", "")
        try:
            report = load_weights(estimator, read, name, allowed_missing(cfg))
        except CheckpointError as error:
            missing = missing_plugins(read.plugins)
            if not missing:
                raise
            raise CheckpointError(
                f"{error} It was made with plugins that are not here: {', '.join(missing)}; "
                "install them (pip install NAME)."
            ) from error
        logger.info("%s: %s", read.path, report)
    return estimator.to(device).eval(), cfg


def allowed_missing(cfg: Any) -> list[str]:
    """Patterns of keys that may be absent: training-only branches and the config's own list."""
    return [*TRAINING_ONLY, *cfg.get("allowed_missing", [])]


def missing_plugins(used: Iterable[Any]) -> list[str]:
    """Distributions of the plugins in a checkpoint that this machine does not have."""
    from handzoo.plugins import plugin_manager

    here = {plugin.name for plugin in plugin_manager().all()}
    missing = []
    for row in used:
        name = row.get("name", "") if isinstance(row, dict) else str(row)
        if name and name not in here:
            missing.append(row.get("distribution") or name if isinstance(row, dict) else name)
    return missing
