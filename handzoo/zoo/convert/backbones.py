"""Backbones inside METRO-like checkpoints: which one it is, and timm's names for its tensors."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from handzoo.errors import CheckpointError
from handzoo.zoo.convert.base import Move

SOURCE = "backbone."
TARGET = "backbone.net."

# A torchvision ResNet as nn.Sequential(*children): index -> the child's name, which timm shares.
RESNET_CHILDREN = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3",
                   "7": "layer4"}  # fmt: skip
CLASSIFIER = "classifier of the ImageNet model; the forward pass stops before it"


def backbone_variant(state: Mapping[str, Tensor]) -> str:
    """Return ``h64`` (HRNet-W64) or ``r50`` (ResNet-50).

    Raises:
        CheckpointError: it is another backbone, or there is none.
    """
    stem = state.get("backbone.transition1.0.0.weight")
    if stem is not None:
        if len(stem) == 64:
            return "h64"
        raise CheckpointError(
            f"the backbone is an HRNet of width {len(stem)}; HandZoo has configs of this method "
            "for HRNet-W64 and ResNet-50."
        )
    blocks = {name.split(".")[2] for name in state if name.startswith("backbone.6.")}
    if len(blocks) == 6 and "backbone.6.0.conv3.weight" in state:
        return "r50"
    if blocks:
        raise CheckpointError(
            f"the backbone is a ResNet with {len(blocks)} blocks in its third stage, not "
            "ResNet-50 with 6; HandZoo has configs of this method for HRNet-W64 and ResNet-50."
        )
    raise CheckpointError("there is no backbone that HandZoo knows: neither HRNet nor ResNet.")


def backbone_plan(state: Mapping[str, Tensor], variant: str) -> tuple[list[Move], dict[str, str]]:
    """Moves of the tensors under ``backbone.``, and those that are not used, with the reason.

    A name that the variant does not have is in neither, so that it is reported as unknown.
    """
    moves, unused = [], {}
    for name in state:
        if not name.startswith(SOURCE):
            continue
        inner = name.removeprefix(SOURCE)
        if variant == "h64":
            if inner.startswith("classifier."):
                unused[name] = CLASSIFIER
            else:
                moves.append(Move(TARGET + inner, (name,)))
        else:
            child, rest = inner.split(".", 1)
            if child in RESNET_CHILDREN:
                moves.append(Move(f"{TARGET}{RESNET_CHILDREN[child]}.{rest}", (name,)))
    return moves, unused
