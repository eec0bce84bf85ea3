"""METRO's released hand network -> ``metro_{h64,r50}_freihand``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from handzoo.hands.conventions import NUM_COARSE, NUM_JOINTS
from handzoo.registry import CONVERTERS
from handzoo.zoo.convert.backbones import backbone_plan, backbone_variant
from handzoo.zoo.convert.base import Converter, Move, Plan
from handzoo.zoo.convert.identify import demand

NUM_TOKENS = NUM_JOINTS + NUM_COARSE

# Inside one layer, trans_encoder.<block>.bert.encoder.layer.<n>.
LAYER = {
    "attention.self.query": "query",
    "attention.self.key": "key",
    "attention.self.value": "value",
    "attention.output.dense": "attention_out",
    "attention.output.LayerNorm": "attention_norm",
    "intermediate.dense": "feedforward_in",
    "output.dense": "feedforward_out",
    "output.LayerNorm": "feedforward_norm",
}
# Inside one block, trans_encoder.<block>.
BLOCK = {"bert.img_embedding": "embed", "cls_head": "head", "residual": "residual"}
# At the top.
HEAD = {
    "upsampling": "upsample",
    "cam_param_fc": "camera_point",
    "cam_param_fc2": "camera_hidden",
    "cam_param_fc3": "camera_out",
}
UNUSED = {
    "bert.embeddings.": "word embeddings of BERT; tokens come from the image and the template",
    "bert.pooler.": "pooler of BERT; only the sequence is read",
}
_LAYER = re.compile(r"bert\.encoder\.layer\.(\d+)\.(.+)\.(weight|bias)$")


@CONVERTERS.register_module(name="metro")
class MetroConverter(Converter):
    """``metro_hand_state_dict.bin`` and hand networks trained with METRO's code."""

    source = "microsoft/MeshTransformer metro/modeling/bert/modeling_metro.py"

    def plan(self, state: Mapping[str, Tensor]) -> Plan:
        """See :meth:`Converter.plan`."""
        demand(state, "METRO's hand network")
        variant = backbone_variant(state)
        moves, unused = backbone_plan(state, variant)
        for name in state:
            if name.startswith("trans_encoder."):
                _, block, inner = name.split(".", 2)
                move, why = self._block(name, inner, f"mesh_head.blocks.{block}.")
                if move is not None:
                    moves.append(move)
                elif why is not None:
                    unused[name] = why
            elif name.rsplit(".", 1)[0] in HEAD:
                layer, kind = name.rsplit(".", 1)
                moves.append(Move(f"mesh_head.{HEAD[layer]}.{kind}", (name,)))
        return Plan(f"metro_{variant}_freihand", moves, unused)

    @staticmethod
    def _block(name: str, inner: str, target: str) -> tuple[Move | None, str | None]:
        """The move of one tensor of an encoder block, or why it is unused; neither if unknown."""
        for prefix, why in UNUSED.items():
            if inner.startswith(prefix):
                return None, why
        if inner == "bert.position_embeddings.weight":
            note = f"rows {NUM_TOKENS} and up are never read: there are {NUM_TOKENS} tokens"
            return Move(target + "position.weight", (name,), note), None
        found = _LAYER.match(inner)
        if found and found.group(2) in LAYER:
            number, layer, kind = found.groups()
            return Move(f"{target}layers.{number}.{LAYER[layer]}.{kind}", (name,)), None
        layer, kind = inner.rsplit(".", 1)
        if layer in BLOCK:
            return Move(f"{target}{BLOCK[layer]}.{kind}", (name,)), None
        return None, None
