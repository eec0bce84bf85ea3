"""Registers the hand models, which know nothing of registries themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from handzoo.hands.models import HandModel, build_hand_model
from handzoo.registry import HAND_MODELS


@HAND_MODELS.register_module(name="auto")
def auto(
    tips: str | Sequence[int] = "freihand",
    flat_hand_mean: bool = False,
    path: str | Path | None = None,
) -> HandModel:
    """MANO where its file is found, else the bundled hand."""
    return build_hand_model("auto", tips, flat_hand_mean, path)


@HAND_MODELS.register_module(name="mano")
def mano(
    tips: str | Sequence[int] = "freihand",
    flat_hand_mean: bool = False,
    path: str | Path | None = None,
) -> HandModel:
    """MANO from the user's file; an error where there is none."""
    return build_hand_model("mano", tips, flat_hand_mean, path)


@HAND_MODELS.register_module(name="bundled")
def bundled(tips: str | Sequence[int] = "freihand", flat_hand_mean: bool = False) -> HandModel:
    """The bundled hand, whatever else is there."""
    return build_hand_model("bundled", tips, flat_hand_mean)
