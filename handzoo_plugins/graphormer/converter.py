"""MeshGraphormer's released hand network -> ``graphormer/graphormer_h64_freihand``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from handzoo.errors import CheckpointError
from handzoo.zoo.convert.backbones import backbone_plan, backbone_variant
from handzoo.zoo.convert.base import Converter, Move, Plan
from handzoo.zoo.convert.identify import demand
from handzoo.zoo.convert.metro import HEAD, NUM_TOKENS, MetroConverter

NUM_CELLS = 49
CONFIG = "graphormer/graphormer_h64_freihand"

# Inside one layer, <layer>.graph_conv; the norms' and the convolution's weights keep their names.
GRAPH = {
    "pre_norm.weight": "norm0.weight",
    "pre_norm.bias": "norm0.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
    "lin1.W": "linear1.weight",
    "lin1.b": "linear1.bias",
    "lin2.W": "linear2.weight",
    "lin2.b": "linear2.bias",
    "conv.weight": "conv.weight",
    "conv.bias": "conv.bias",
}
SKIP = "short cut of the graph block, which adds its input as it is"
_BLOCK = re.compile(r"trans_encoder\.(\d+)\.(.+)$")
_GRAPH = re.compile(r"bert\.encoder\.layer\.(\d+)\.graph_conv\.(.+)$")
_LAYER = re.compile(r"(mesh_head\.blocks\.\d+\.layers\.\d+)\.")


class GraphormerConverter(Converter):
    """``graphormer_hand_state_dict.bin`` and hand networks trained with MeshGraphormer's code."""

    source = "microsoft/MeshGraphormer src/modeling/bert/modeling_graphormer.py"

    def plan(self, state: Mapping[str, Tensor]) -> Plan:
        """See :meth:`handzoo.zoo.convert.base.Converter.plan`."""
        demand(state, "a MeshGraphormer")
        if "upsampling2.weight" in state:
            raise CheckpointError("this is not MeshGraphormer's hand network: it is its body one.")
        variant = backbone_variant(state)
        if variant != "h64":
            raise CheckpointError(
                f"the backbone is {variant}; MeshGraphormer's code gives a grid with HRNet only, "
                f"and {CONFIG} has HRNet-W64."
            )
        moves, unused = backbone_plan(state, variant)
        with_graph = {
            found.group(1)
            for name in state
            if ".graph_conv." in name and (found := _BLOCK.match(name))
        }
        head = {**HEAD, "grid_feat_dim": "grid_proj"}
        for name in state:
            found = _BLOCK.match(name)
            if found is not None:
                move, why = _block(name, *found.groups(), found.group(1) in with_graph)
                if move is not None:
                    moves.append(move)
                elif why is not None:
                    unused[name] = why
            elif name.rsplit(".", 1)[0] in head:
                layer, kind = name.rsplit(".", 1)
                moves.append(Move(f"mesh_head.{head[layer]}.{kind}", (name,)))
        return Plan(CONFIG, moves, unused)


def _block(name: str, block: str, inner: str, graph: bool) -> tuple[Move | None, str | None]:
    """The move of one tensor of an encoder block, or why it is unused; neither if unknown."""
    target = f"mesh_head.blocks.{block}."
    found = _GRAPH.match(inner)
    if found is not None:
        number, part = found.groups()
        if part.startswith("skip_conv."):
            return None, SKIP
        if part not in GRAPH:
            return None, None
        return Move(f"{target}layers.{number}.graph.{GRAPH[part]}", (name,)), None
    move, why = MetroConverter._block(name, inner, target)
    if move is not None and graph:
        move = replace(move, target=_LAYER.sub(r"\1.bert.", move.target))
    if move is not None and inner == "bert.position_embeddings.weight":
        tokens = NUM_TOKENS + NUM_CELLS
        note = f"rows {tokens} and up are never read: there are {tokens} tokens"
        move = replace(move, note=note)
    return move, why
