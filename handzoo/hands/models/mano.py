"""MANO's right hand from the official pickle, read without chumpy.

The file is the user's to fetch (https://mano.is.tue.mpg.de, its own licence); HandZoo never
ships it. Source: Romero, Tzionas, Black: Embodied Hands, SIGGRAPH Asia 2017.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from handzoo.errors import ResourceError
from handzoo.hands.conventions import NUM_SHAPE
from handzoo.hands.models.base import MANO_KEYS, HandModel, HandModelData
from handzoo.hands.restricted_pickle import restricted_load, to_array


def read_mano(path: str | Path) -> HandModelData:
    """Read ``MANO_RIGHT.pkl``.

    Args:
        path: the official pickle (Python 2, with chumpy objects) or a chumpy-free copy of it.

    Returns:
        The model's arrays; ``extras`` holds ``hands_components`` (45, 45) where present.

    Raises:
        ResourceError: the file is missing, damaged, names a global that is not allowed, or does
            not have MANO's keys and shapes.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            raw = restricted_load(file, path)
    except OSError as error:
        raise ResourceError(
            f"{path}: cannot open the MANO file ({error.strerror}). Download it from "
            "https://mano.is.tue.mpg.de and name its place by HANDZOO_MANO."
        ) from error
    if not isinstance(raw, dict):
        raise ResourceError(f"{path}: holds a {type(raw).__name__}, not MANO's dictionary.")
    missing = [key for key in (*MANO_KEYS.values(), "kintree_table") if key not in raw]
    if missing:
        raise ResourceError(
            f"{path}: lacks {', '.join(missing)}; is this MANO_RIGHT.pkl of mano_v1_2?"
        )
    arrays = {name: to_array(raw[key], str(path)) for name, key in MANO_KEYS.items()}
    arrays["faces"] = arrays["faces"].astype(np.int64)
    # Later releases carry more shape directions; ten are what data sets are annotated with.
    arrays["shapedirs"] = arrays["shapedirs"][..., :NUM_SHAPE]
    # The root's parent is 2^32 - 1 (an unsigned -1).
    table = to_array(raw["kintree_table"], str(path)).astype(np.int64)
    parents = tuple(-1 if parent >= 2**31 else int(parent) for parent in table[0])
    extras = {}
    if "hands_components" in raw:
        extras["hands_components"] = to_array(raw["hands_components"], str(path))
    data = HandModelData(**arrays, parents=parents, extras=extras)
    data.check(str(path))
    return data


def load_mano(
    path: str | Path, tips: str | Sequence[int] = "freihand", flat_hand_mean: bool = False
) -> HandModel:
    """Build MANO from the official pickle; see :func:`read_mano` and :class:`HandModel`."""
    return HandModel(read_mano(path), name="mano", tips=tips, flat_hand_mean=flat_hand_mean)
