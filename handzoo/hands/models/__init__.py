"""Parametric hand models: MANO and the bundled hand, behind one interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.hands.models.base import HandModel, HandModelData, HandModelOutput, resolve_tips
from handzoo.hands.models.bundled import BUNDLED_HAND, load_bundled, read_hand_npz
from handzoo.hands.models.mano import load_mano, read_mano

__all__ = [
    "HandModel",
    "HandModelData",
    "HandModelOutput",
    "build_hand_model",
    "load_bundled",
    "load_mano",
    "read_hand_npz",
    "read_mano",
    "resolve_tips",
]

_NAMES = ("auto", "mano", "bundled")


def build_hand_model(
    name: str = "auto",
    tips: str | Sequence[int] = "freihand",
    flat_hand_mean: bool = False,
    path: str | Path | None = None,
) -> HandModel:
    """Build a hand model by name.

    Args:
        name: ``mano`` (the user's MANO file is required), ``bundled``, or ``auto``: MANO where
            its file is found, else the bundled stand-in. The choice is noted in the active
            resource report.
        tips: tip set or five vertex indices.
        flat_hand_mean: if False (as FreiHAND), the mean pose is added to the finger pose.
        path: MANO file; searched for if None (see ``handzoo.resources``).

    Raises:
        ConfigError: unknown name.
        ResourceError: the model's file is missing or damaged.

    Example:
        >>> hand = build_hand_model('bundled')
        >>> hand(torch.zeros(1, 48)).vertices.shape
        torch.Size([1, 778, 3])
    """
    if name not in _NAMES:
        raise ConfigError(
            f"hand_model: no hand model is called {name!r}. {suggest(name, _NAMES)} "
            f"There are: {', '.join(_NAMES)}."
        )
    # Imported here because resources lies above this room; it imports nothing heavy.
    from handzoo import resources

    if name == "bundled":
        note = "HandZoo's bundled hand, asked for by the config"
        how = "Set the hand model to 'auto' or 'mano'."
        where = str(BUNDLED_HAND)
        resources.record(resources.ResourceUse("hand_model", resources.STAND_IN, where, how, note))
        return load_bundled(tips, flat_hand_mean)

    use = resources.resolve("hand_model", path)
    if use.status == resources.REAL:
        return load_mano(use.where, tips, flat_hand_mean)
    if name == "mano":
        raise ResourceError(f"hand_model: MANO is asked for and is not here. {use.how}")
    return load_bundled(tips, flat_hand_mean)
