"""What every role has in common: a config that can be written down, and that is read strictly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from handzoo.errors import ConfigError
from handzoo.testing.drivers import ConformanceError, require

_UNKNOWN = "no_such_argument"


def check_config(config: Mapping[str, Any], build: Callable[[Mapping[str, Any]], Any]) -> None:
    """A part's config survives being dumped and read again; a wrong argument is refused by name.

    Args:
        config: of the part.
        build: makes the part of a config, as HandZoo does.

    Raises:
        ConformanceError: the config changes, or the wrong argument is accepted or not named.
    """
    from mmengine.config import Config

    dumped = Config({"part": dict(config)})
    try:
        reloaded = Config.fromstring(dumped.pretty_text, ".py")
    except Exception as error:
        raise ConformanceError(
            "the config cannot be read again after it was dumped: use numbers, text, lists and "
            f"dictionaries ({type(error).__name__}: {error})"
        ) from error
    require(reloaded.part == dumped.part, "the config changes when it is dumped and read again")
    build(reloaded.part)
    try:
        build({**config, _UNKNOWN: 1})
    except ConfigError as error:
        require(
            _UNKNOWN in str(error),
            f"an unknown argument is refused without its name, which helps nobody: {error}",
        )
        return
    except TypeError as error:
        raise ConformanceError(
            "an unknown argument reaches the constructor, which fails without a key path: name "
            f"the arguments instead of handing on **kwargs ({error})"
        ) from error
    raise ConformanceError("an unknown argument is accepted: drop **kwargs from the constructor")
