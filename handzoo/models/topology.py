"""The topology that a config asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from handzoo.errors import ConfigError, suggest
from handzoo.hands.models import HandModel
from handzoo.hands.topology import HandTopology, build_topology, from_metro_npz
from handzoo.registry import current_key_path
from handzoo.resources import REAL, resolve

SOURCES = ("computed", "metro")


def topology_from_config(
    config: Mapping[str, Any] | None, hand_model: HandModel
) -> HandTopology:
    """Build the coarse mesh and its sampling.

    Args:
        config: ``source`` is ``computed`` (from the hand model's mesh; the default) or ``metro``
            (METRO's published matrices, the resource ``mesh_sampling/metro``; computed where they
            are not at hand). ``path``: their file. ``normalize_rows``: make their rows sum to one.
        hand_model: the mesh.

    Raises:
        ConfigError: an unknown key or source.
    """
    config = dict(config or {})
    known = ("source", "path", "normalize_rows")
    for key in config:
        if key not in known:
            raise ConfigError(
                f"{current_key_path('topology', key)}: unknown. {suggest(key, known)} "
                f"There are: {', '.join(known)}."
            )
    source = config.get("source", "computed")
    if source not in SOURCES:
        raise ConfigError(
            f"{current_key_path('topology', 'source')}: {source!r} is not one of "
            f"{', '.join(SOURCES)}. {suggest(source, SOURCES)}"
        )
    if source == "metro":
        use = resolve("mesh_sampling/metro", config.get("path"))
        if use.status == REAL:
            return from_metro_npz(use.where, hand_model, config.get("normalize_rows", False))
    return build_topology(hand_model)
