"""Where CLIP's weights are: the resource ``clip/<architecture>``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.models.hub import fetch_from_hub
from handzoo.models.layers.state import read_state_dict
from handzoo.resources import ASSETS, MISSING, REAL, STAND_IN, ResourceUse, data_root

BUNDLED = ASSETS / "clip"
HUB_FILE = "open_clip_model.safetensors"
_ROWS, _IDS, _EMBEDDING = "token_embedding.rows", "token_embedding.ids", "token_embedding.weight"


def find_clip_weights(name: str, path: Path | None = None) -> ResourceUse:
    """Find the weights of a CLIP model.

    Looked for in turn: ``path``, ``data/clip/<architecture>.safetensors``, the hub's local cache,
    the hub. The stand-in is the small CLIP in ``handzoo/assets/clip``.

    Args:
        name: ``clip/<open_clip architecture>``, or with another tag than ``openai``
            ``clip/<architecture>@<tag>``.
        path: a weights file that the config names.

    Raises:
        ConfigError: open_clip has no such architecture or tag.
    """
    import open_clip

    architecture, _, tag = name.split("/", 1)[1].partition("@")
    tag = tag or "openai"
    if architecture not in open_clip.list_models():
        raise ConfigError(
            f"{name}: open_clip has no model {architecture!r}. "
            f"{suggest(architecture, open_clip.list_models())}"
        )
    tags = open_clip.list_pretrained_tags_by_model(architecture)
    if tag not in tags:
        raise ConfigError(
            f"{name}: {architecture} has no weights {tag!r}. {suggest(tag, tags)} "
            f"There are: {', '.join(tags)}."
        )
    local = data_root() / "clip" / f"{architecture}.safetensors"
    how = (
        f"Let open_clip download {architecture} ({tag}) once from huggingface.co, or put its "
        f"{HUB_FILE} at {local}."
    )
    candidate = path if path is not None else local
    if candidate.is_file():
        return ResourceUse(name, REAL, str(candidate), how)
    hub = open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "").rstrip("/")
    found = fetch_from_hub(hub, HUB_FILE) if hub else None
    if found is not None:
        return ResourceUse(name, REAL, str(found), how)
    if (BUNDLED / "model.safetensors").is_file():
        note = "HandZoo's small CLIP, trained on the bundled prompts and images"
        return ResourceUse(name, STAND_IN, str(BUNDLED / "model.safetensors"), how, note)
    return ResourceUse(name, MISSING, "", how)


def small_clip(config: Mapping[str, Any]) -> nn.Module:
    """An open_clip model with ``embed_dim``, ``vision_cfg`` and ``text_cfg`` of ``config``."""
    from open_clip.model import CLIP

    return CLIP(config["embed_dim"], dict(config["vision_cfg"]), dict(config["text_cfg"]))


def read_small_clip(folder: Path = BUNDLED) -> tuple[nn.Module, dict[str, Any]]:
    """The bundled CLIP in float32, and its config.

    The file holds the token embeddings of the words that prompts use, and not the 49,408 rows of
    the whole vocabulary; other words embed as zero.

    Raises:
        ResourceError: the files are missing or damaged.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        stored = read_state_dict(folder / "model.safetensors")
        state = {key: value.float() for key, value in stored.items()}
        model = small_clip(config)
        state[_EMBEDDING] = torch.zeros_like(model.state_dict()[_EMBEDDING])
        state[_EMBEDDING][state.pop(_IDS).long()] = state.pop(_ROWS)
        model.load_state_dict(state)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise ResourceError(
            f"{folder}: not a CLIP of HandZoo ({error}). Make it anew with tools/train_clip.py."
        ) from error
    return model, config


def write_small_clip(
    model: nn.Module, config: Mapping[str, Any], token_ids: Tensor, folder: Path
) -> None:
    """Write ``config.json`` and ``model.safetensors`` (float16).

    Args:
        model: of :func:`small_clip`.
        config: its sizes, and notes on how it was trained.
        token_ids: (T,) words whose embeddings the model has.
        folder: made if need be.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().half().contiguous() for key, value in model.state_dict().items()}
    state[_ROWS] = state.pop(_EMBEDDING)
    state[_IDS] = token_ids.int()
    save_file(state, str(folder / "model.safetensors"))
    (folder / "model.safetensors").chmod(0o644)  # safetensors keeps it to its owner
    (folder / "config.json").write_text(json.dumps(dict(config), indent=2) + "\n")
