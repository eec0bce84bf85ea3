"""Averaged weights: MMEngine's hook, with the arguments of what it builds spelt out."""

from __future__ import annotations

import inspect

import mmengine.hooks
from mmengine.registry import MODELS

from handzoo.errors import ConfigError, suggest
from handzoo.registry import HOOKS, current_key_path


@HOOKS.register_module()
class EMAHook(mmengine.hooks.EMAHook):
    """Validate and save averaged weights instead of the last ones; MMEngine's hook of that name.

    MMEngine's takes whatever its averaged model may take. Here the arguments have names, so that a
    misspelt one is found before training starts.

    Args:
        ema_type: ``ExponentialMovingAverage``, ``MomentumAnnealingEMA``,
            ``StochasticWeightAverage``, or another averaged model of MMEngine's registry.
        strict_load: whether a checkpoint must have every tensor of the average.
        begin_iter, begin_epoch: when averaging starts; one of the two.
        momentum: part of the new weights in an exponential average, by default 0.0002.
        gamma: of ``MomentumAnnealingEMA``, by default 100.
        interval: steps between two updates, by default 1.
        update_buffers: average buffers too, such as a batch norm's; by default they are copied.

    Raises:
        ConfigError: ``ema_type`` is unknown or takes no such argument, or both starts are given.
    """

    def __init__(
        self,
        ema_type: str = "ExponentialMovingAverage",
        strict_load: bool = False,
        begin_iter: int = 0,
        begin_epoch: int = 0,
        momentum: float | None = None,
        gamma: int | None = None,
        interval: int | None = None,
        update_buffers: bool | None = None,
    ) -> None:
        average = MODELS.get(ema_type)
        if average is None:
            raise ConfigError(
                f"{current_key_path('ema_type')}: nothing is called {ema_type!r}. "
                f"{suggest(ema_type, MODELS.module_dict)}"
            )
        if begin_iter and begin_epoch:
            raise ConfigError(
                f"{current_key_path('begin_iter')}: give it or begin_epoch, not both."
            )
        named = {
            "momentum": momentum,
            "gamma": gamma,
            "interval": interval,
            "update_buffers": update_buffers,
        }
        given = {name: value for name, value in named.items() if value is not None}
        known = inspect.signature(average).parameters
        for name in given:
            if name not in known:
                raise ConfigError(f"{current_key_path(name)}: {ema_type} takes no {name}.")
        super().__init__(ema_type, strict_load, begin_iter, begin_epoch, **given)
