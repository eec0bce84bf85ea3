"""Go on from a checkpoint under another schedule than the one it was made under.

MMEngine loads a checkpoint's schedulers with their settings, so that a run that is resumed with
more epochs keeps the end of the old schedule: a cosine that has come to zero stays there.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.optim import _ParamScheduler

from handzoo.engine.compat import make_plain
from handzoo.errors import ConfigError

# What a scheduler counts and computes; everything else in its state is a setting.
_PROGRESS = {"_global_step", "last_step", "_last_value", "base_values", "verbose"}


def schedule_settings(state: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in a scheduler's state: milestones, T_max, begin, end, ..., as plain values."""
    return make_plain({name: value for name, value in state.items() if name not in _PROGRESS})


def flat_schedulers(schedulers: Any) -> list[Any]:
    """MMEngine's list of schedulers or of their states, dict of lists, or None, as one list."""
    if isinstance(schedulers, Mapping):
        return [scheduler for group in schedulers.values() for scheduler in group]
    return list(schedulers or [])


def resume_schedule(
    schedulers: Sequence[_ParamScheduler],
    own: Sequence[Mapping[str, Any]],
    states: Sequence[Mapping[str, Any]],
    iterations: int,
    epoch_length: int,
) -> bool:
    """Follow the config's schedule where a checkpoint was made under another.

    Args:
        schedulers: with a checkpoint's states loaded.
        own: their settings before that.
        states: the checkpoint's.
        iterations: done so far.
        epoch_length: iterations an epoch.

    Returns:
        Whether the schedule had changed.
    """
    if list(own) == [schedule_settings(state) for state in states]:
        return False
    if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
        raise ConfigError(
            "param_scheduler: the checkpoint was made under another schedule, and one that follows "
            "validation figures cannot be replayed. Resume with the old settings, or start a new "
            "run from the weights with --cfg-options load_from=FILE."
        )
    for scheduler, settings in zip(schedulers, own, strict=True):
        scheduler.__dict__.update(settings)
    replay_schedule(schedulers, iterations, epoch_length)
    return True


def replay_schedule(
    schedulers: Sequence[_ParamScheduler], iterations: int, epoch_length: int
) -> None:
    """Bring schedulers, and the learning rates that they set, to where a run of theirs would be.

    Args:
        schedulers: whatever they have counted so far is forgotten.
        iterations: done so far.
        epoch_length: iterations an epoch.
    """
    for scheduler in schedulers:
        for group, value in zip(
            scheduler.optimizer.param_groups, scheduler.base_values, strict=True
        ):
            group[scheduler.param_name] = value
    with warnings.catch_warnings():
        # PyTorch's order is kept: these steps follow optimiser steps of an earlier process.
        warnings.filterwarnings("ignore", message="Detected call of `scheduler.step")
        for scheduler in schedulers:
            scheduler.last_step = scheduler._global_step = -1
            scheduler.step()  # as its constructor does
        for iteration in range(1, iterations + 1):
            _step(schedulers, by_epoch=False)
            if iteration % epoch_length == 0:
                _step(schedulers, by_epoch=True)


def _step(schedulers: Sequence[_ParamScheduler], by_epoch: bool) -> None:
    for scheduler in schedulers:
        if scheduler.by_epoch == by_epoch:
            scheduler.step()
