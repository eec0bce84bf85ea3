"""The bundled hand: HandZoo's own model with MANO's interface and sizes, free to ship."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handzoo.errors import ResourceError
from handzoo.hands.models.base import MANO_KEYS, HandModel, HandModelData

BUNDLED_HAND = Path(__file__).resolve().parents[2] / "assets" / "hand" / "bundled_hand.npz"


def read_hand_npz(path: str | Path = BUNDLED_HAND) -> HandModelData:
    """Read a hand model from an .npz file with MANO's keys.

    Args:
        path: file with ``v_template, f, shapedirs, posedirs, J_regressor, weights, hands_mean,
            parents, tip_vertices``; whatever else it holds becomes ``extras``.

    Raises:
        ResourceError: the file is missing or damaged, or lacks one of these.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ResourceError(
            f"{path}: cannot read the hand model ({error}). It is part of HandZoo: reinstall the "
            "package, or run tools/make_hand_model.py in a checkout."
        ) from error
    missing = [key for key in (*MANO_KEYS.values(), "parents", "tip_vertices") if key not in arrays]
    if missing:
        raise ResourceError(f"{path}: lacks {', '.join(missing)}.")
    data = HandModelData(
        **{name: arrays.pop(key) for name, key in MANO_KEYS.items()},
        parents=tuple(int(parent) for parent in arrays.pop("parents")),
        tip_vertices=tuple(int(tip) for tip in arrays.pop("tip_vertices")),
        extras=arrays,
    )
    data.check(str(path))
    return data


def load_bundled(
    tips: str | Sequence[int] = "freihand",
    flat_hand_mean: bool = False,
    path: str | Path = BUNDLED_HAND,
) -> HandModel:
    """Build the bundled hand. A named tip set stands for the bundled mesh's own tips."""
    return HandModel(
        read_hand_npz(path),
        name="bundled",
        tips=tips,
        is_stand_in=True,
        flat_hand_mean=flat_hand_mean,
    )
