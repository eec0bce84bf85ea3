"""Averaged weights: the average's definition, and arguments that are checked."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from handzoo.engine.config import load_config
from handzoo.errors import ConfigError
from handzoo.registry import HOOKS


def test_momentum_is_the_part_of_the_new_weights():
    hook = HOOKS.build(dict(type="EMAHook", momentum=0.25, interval=2))
    model = nn.Linear(3, 2)
    hook.before_run(SimpleNamespace(model=model))
    wanted = model.weight.detach().clone()
    for step in range(5):
        with torch.no_grad():
            model.weight += torch.randn(2, 3)
        if step % 2 == 0 and step:
            wanted = wanted + 0.25 * (model.weight.detach() - wanted)
        elif step == 0:
            wanted = model.weight.detach().clone()  # the average starts at the first update
        hook.after_train_iter(SimpleNamespace(iter=step, epoch=0), step)
    torch.testing.assert_close(hook.ema_model.module.weight, wanted)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(ema_type="ExponentialMovingAvrage"), "ema_type.*'ExponentialMovingAverage'"),
        (dict(ema_type="StochasticWeightAverage", momentum=0.1), "momentum: Stochastic.*takes no"),
        (dict(gamma=3), "gamma: ExponentialMovingAverage takes no gamma"),
        (dict(begin_iter=1, begin_epoch=1), "begin_iter.*not both"),
    ],
)
def test_what_the_average_does_not_take_is_named(arguments, message):
    with pytest.raises(ConfigError, match=message):
        HOOKS.build(dict(type="EMAHook", **arguments))


@pytest.mark.parametrize("key", ["momentum", "update_buffers"])
def test_configs_may_give_them(key):
    hook = {"type": "EMAHook", key: 0.001 if key == "momentum" else True}
    assert load_config("cliphand_tiny_sample", {"custom_hooks": [hook]}).custom_hooks == [hook]
    hook["momentun"] = 1
    with pytest.raises(ConfigError, match="custom_hooks.0.momentun.*'momentum'"):
        load_config("cliphand_tiny_sample", {"custom_hooks": [hook]})
