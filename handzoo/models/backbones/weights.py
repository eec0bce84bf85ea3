"""Where a backbone's pretrained weights are: the resource ``backbone/<timm name>``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from handzoo.errors import ConfigError, ResourceError, suggest
from handzoo.models.hub import fetch_from_hub
from handzoo.resources import REAL, STAND_IN, ResourceUse, data_root

SUFFIXES = (".safetensors", ".pth", ".bin")


def find_backbone_weights(name: str, path: Path | None = None) -> ResourceUse:
    """Find the ImageNet weights of a timm model.

    Looked for in turn: ``path``, ``data/backbones/<timm name>.safetensors`` (or .pth, .bin), the
    hub's local cache, the hub. The stand-in is random initialisation.

    Args:
        name: ``backbone/<timm name>``.
        path: a weights file that the config names.

    Raises:
        ConfigError: timm has no model of that name.
    """
    import timm

    model_name = name.split("/", 1)[1]
    if not timm.is_model(model_name):
        raise ConfigError(
            f"{name}: timm has no model {model_name!r}. {suggest(model_name, timm.list_models())}"
        )
    folder = data_root() / "backbones"
    how = (
        f"Let timm download it once (pretrained weights of {model_name} on huggingface.co), or put "
        f"them into {folder}/{model_name}.safetensors."
    )
    candidates = [path] if path else [folder / f"{model_name}{suffix}" for suffix in SUFFIXES]
    for candidate in candidates:
        if candidate is not None and candidate.is_file():
            return ResourceUse(name, REAL, str(candidate), how)
    pretrained = timm.get_pretrained_cfg(model_name)
    if pretrained is not None and pretrained.hf_hub_id:
        filename = pretrained.hf_hub_filename or "model.safetensors"
        found = fetch_from_hub(pretrained.hf_hub_id, filename)
        if found is not None:
            return ResourceUse(name, REAL, str(found), how)
    return ResourceUse(name, STAND_IN, "random initialisation", how, "random initialisation")


def read_weights(path: str | Path) -> Mapping[str, Tensor]:
    """Read a state dict, safetensors or a weights-only torch file.

    Raises:
        ResourceError: the file cannot be read as a state dict.
    """
    from handzoo.models.layers.state import read_state_dict

    try:
        return read_state_dict(path)
    except (ValueError, OSError) as error:
        raise ResourceError(
            f"{path} cannot be read as weights ({error}). Delete it so that it is fetched again, "
            "or replace it by a safetensors or weights-only torch file."
        ) from error
