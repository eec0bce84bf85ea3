"""Hand models are built by name from configs."""

import pytest

from handzoo.errors import ConfigError
from handzoo.registry import HAND_MODELS


def test_built_from_a_config():
    hand = HAND_MODELS.build(dict(type="bundled", tips="metro"), key="model.hand_model")
    assert hand.name == "bundled" and hand.tips == "metro"


def test_errors_name_the_key():
    with pytest.raises(ConfigError, match=r"model\.hand_model\.type.*Did you mean 'bundled'"):
        HAND_MODELS.build(dict(type="bundeld"), key="model.hand_model")
    with pytest.raises(ConfigError, match=r"model\.hand_model\.tip\b"):
        HAND_MODELS.build(dict(type="bundled", tip="metro"), key="model.hand_model")
