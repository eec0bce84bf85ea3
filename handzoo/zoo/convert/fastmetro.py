"""FastMETRO's released hand networks -> ``fastmetro_{s,m,l}_{r50,h64}_freihand``."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from handzoo.errors import CheckpointError
from handzoo.registry import CONVERTERS
from handzoo.zoo.convert.backbones import backbone_plan, backbone_variant
from handzoo.zoo.convert.base import Converter, Move, Plan
from handzoo.zoo.convert.identify import demand

SIZES = {1: "s", 2: "m", 3: "l"}

# The three learned tokens become one tensor, in our order of queries.
TOKENS = ("cam_token_embed.weight", "joint_token_embed.weight", "vertex_token_embed.weight")
# At the top.
HEAD = {
    "conv_1x1": "memory_proj",
    "dim_reduce_enc_cam": "reduce_camera.0",
    "dim_reduce_enc_img": "reduce_image.0",
    "dim_reduce_dec": "reduce_points.0",
    "cam_predictor": "camera_out",
    "xyz_regressor": "points_out",
}
# Inside one layer, transformer_<stage>.{encoder,decoder}.layers.<n>.
LAYER = {
    "self_attn": "self_attention",
    "multihead_attn": "cross_attention",
    "linear1": "feedforward.linear1",
    "linear2": "feedforward.linear2",
    "norm1": "norm1",
    "norm2": "norm2",
    "norm3": "norm3",
}
_LAYER = re.compile(r"(encoder|decoder)\.layers\.(\d+)\.(\w+)\.(.+)$")
_NORM = re.compile(r"(encoder|decoder)\.norm\.(weight|bias)$")


@CONVERTERS.register_module(name="fastmetro")
class FastMetroConverter(Converter):
    """``FastMETRO-*_freihand_state_dict.bin`` and hand networks trained with FastMETRO's code."""

    source = "postech-ami/FastMETRO src/modeling/model/{modeling_fastmetro,transformer}.py"

    def plan(self, state: Mapping[str, Tensor]) -> Plan:
        """See :meth:`Converter.plan`."""
        demand(state, "FastMETRO's hand network")
        variant = backbone_variant(state)
        moves, unused = backbone_plan(state, variant)
        moves.append(Move("query_head.tokens", TOKENS))
        for name in state:
            top, _, inner = name.partition(".")
            if top in HEAD:
                moves.append(Move(f"mesh_head.{HEAD[top]}.{inner}", (name,)))
            elif top in ("transformer_1", "transformer_2"):
                stage = int(top[-1]) - 1
                target = self._in_stage(inner)
                if target is not None:
                    moves.append(Move(f"mesh_head.stages.{stage}.{target}", (name,)))
        return Plan(f"fastmetro_{self._size(state)}_{variant}_freihand", moves, unused)

    @staticmethod
    def _size(state: Mapping[str, Tensor]) -> str:
        pattern = re.compile(r"transformer_1\.encoder\.layers\.(\d+)\.")
        layers = {found.group(1) for name in state if (found := pattern.match(name))}
        if len(layers) not in SIZES:
            raise CheckpointError(
                f"this FastMETRO has {len(layers)} layers a stage; S, M and L have 1, 2 and 3."
            )
        return SIZES[len(layers)]

    @staticmethod
    def _in_stage(inner: str) -> str | None:
        """Our name of one tensor of an encoder-decoder; None if it is unknown."""
        found = _NORM.match(inner)
        if found:
            return "{}_norm.{}".format(*found.groups())
        found = _LAYER.match(inner)
        if found is None or found.group(3) not in LAYER:
            return None
        part, number, module, rest = found.groups()
        return f"{part}.{number}.{LAYER[module]}.{rest}"
