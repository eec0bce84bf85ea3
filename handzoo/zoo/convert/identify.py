"""Say what a foreign checkpoint is, so that a wrong one is refused by its name."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from handzoo.errors import CheckpointError


def describe(state: Mapping[str, Tensor]) -> str:
    """What the tensors' names look like, in a few words for an error message."""
    if "grid_feat_dim.weight" in state or any(".graph_conv." in name for name in state):
        return "a MeshGraphormer"
    if "coarse2intermediate_upsample.weight" in state:
        return "FastMETRO's body network (SMPL)"
    if "conv_learn_tokens.weight" in state or "upsampling2.weight" in state:
        return "METRO's body network (SMPL)"
    if any(name.startswith("trans_encoder.0.bert.") for name in state):
        return "METRO's hand network"
    if any(name.startswith("transformer_1.") for name in state):
        return "FastMETRO's hand network"
    if any(name.startswith(("mesh_head.", "query_head.")) for name in state):
        return "a HandZoo model already, which needs no conversion"
    if "conv1.weight" in state and "classifier.weight" in state:
        return "an image classifier, only a backbone"
    first = ", ".join(list(state)[:2])
    return f"a model that HandZoo does not know (tensors {first}, ...)"


def demand(state: Mapping[str, Tensor], wanted: str) -> None:
    """Refuse ``state`` unless :func:`describe` calls it ``wanted``.

    Raises:
        CheckpointError: names what it is and what was asked for.
    """
    found = describe(state)
    if found != wanted:
        raise CheckpointError(f"this is not {wanted}: it is {found}.")
