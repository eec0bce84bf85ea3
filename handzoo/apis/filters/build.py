"""From what a user writes to a filter."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from handzoo.apis.filters.base import PredictionFilter
from handzoo.errors import ConfigError
from handzoo.hands.topology import HandTopology
from handzoo.registry import PREDICTION_FILTERS

NO_FILTER = "none"


def parse_filter(text: str) -> dict[str, Any]:
    """Read ``NAME``, ``dict(type='NAME', beta=0.3)`` or ``{'type': 'NAME', ...}``.

    Raises:
        ConfigError: none of these, or a value that is no plain number, string, list or dict.

    Example:
        >>> parse_filter('temporal/OneEuro')
        {'type': 'temporal/OneEuro'}
    """
    text = text.strip()
    if not text.startswith(("dict(", "{")):
        return {"type": text}
    try:
        node = ast.parse(text, mode="eval").body
        if isinstance(node, ast.Call):
            if node.args or any(keyword.arg is None for keyword in node.keywords):
                raise ValueError("dict() takes keywords here")
            found = {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
        else:
            found = ast.literal_eval(node)
    except (ValueError, SyntaxError) as error:
        raise ConfigError(
            f"filter: cannot read {text!r} ({error}). Write a name such as temporal/OneEuro, or "
            "dict(type='temporal/OneEuro', beta=0.3)."
        ) from error
    return found


def build_filter(
    described: str | Mapping[str, Any] | PredictionFilter | None, topology: HandTopology
) -> PredictionFilter | None:
    """Build a filter.

    Args:
        described: name, config, text for :func:`parse_filter`, or a filter that is ready. None
            and ``'none'`` mean no filter.
        topology: of the estimator's mesh, for filters that need it.

    Raises:
        ConfigError: unknown name or argument, or something that is no filter.
        PluginError: the plugin that provides it cannot be used.
    """
    if isinstance(described, str):
        described = None if described == NO_FILTER else parse_filter(described)
    if described is None:
        return None
    built = PREDICTION_FILTERS.build(described, key="filter", topology=topology)
    if not isinstance(built, PredictionFilter):
        raise ConfigError(
            f"filter: expected a handzoo.apis.filters.PredictionFilter, got {built!r}."
        )
    return built
