"""The errors that HandZoo raises on purpose: each names the cause and the cure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HandZooError(Exception):
    """Base of every error that a user can cause and cure."""


class ConfigError(HandZooError):
    """A config names something that does not exist or leaves out something that is needed."""


class ResourceError(HandZooError):
    """A data set, hand-model file or weights file is missing, damaged or not allowed."""


class DataError(HandZooError):
    """An image or annotation file cannot be read or does not have the published layout."""


class CheckpointError(HandZooError):
    """A checkpoint does not fit the model that it is loaded into."""


class TrainingError(HandZooError):
    """Training cannot go on: its losses or weights are no longer finite."""


class PluginError(HandZooError):
    """A plugin cannot be read, does not fit this version, or failed on import."""


class ContractError(HandZooError):
    """A part of a model gives back something else than its role promises."""


def suggest(name: str, names: Iterable[str], limit: int = 3) -> str:
    """Return ``Did you mean 'x' or 'y'?`` for the names nearest to ``name``.

    Case is ignored, so that ``mted`` finds ``MTED``.

    Args:
        name: what was written.
        names: what could have been written.
        limit: how many suggestions at the most.

    Returns:
        The question, or an empty string when nothing is near.

    Example:
        >>> suggest('MTEDD', ['MTED', 'MHF'])
        "Did you mean 'MTED'?"
    """
    by_fold: dict[str, str] = {}
    for candidate in names:
        by_fold.setdefault(str(candidate).casefold(), str(candidate))
    near = difflib.get_close_matches(str(name).casefold(), by_fold, n=limit, cutoff=0.6)
    if not near:
        return ""
    return "Did you mean " + " or ".join(f"'{by_fold[key]}'" for key in near) + "?"
