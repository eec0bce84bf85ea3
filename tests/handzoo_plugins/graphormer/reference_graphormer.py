"""MeshGraphormer written out from a state dict with the authors' names, vertex by vertex.

An independent formulation: no modules, no adjacency matrix, double precision. The fabricated state
dict has the names and shapes of the file that the authors released.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tests.models.reference_metro import (
    BERT_POSITIONS,
    BERT_WORDS,
    Maker,
    State,
    _attend,
    _linear,
    _norm,
)

EPS = 1e-12


def graphormer_state(
    channels: tuple[int, ...] = (1024, 256, 64),
    between: tuple[int, ...] = (512, 128),
    feature: int = 2048,
    grid: int = 1024,
    layers: int = 4,
    seed: int = 0,
    device: str = "cpu",
    words: int = BERT_WORDS,
) -> State:
    """Everything of ``Graphormer_Hand_Network`` but the backbone, used or not."""
    make = Maker(seed, device)
    into = (3 + feature, *between)
    out = (*between, 3)
    for block, width in enumerate(channels):
        name = f"trans_encoder.{block}."
        bert = name + "bert."
        make.tensor(bert + "embeddings.word_embeddings.weight", words, width)
        make.tensor(bert + "embeddings.position_embeddings.weight", BERT_POSITIONS, width)
        make.tensor(bert + "embeddings.token_type_embeddings.weight", 2, width)
        make.norm(bert + "embeddings.LayerNorm", width)
        for layer in range(layers):
            inner = f"{bert}encoder.layer.{layer}."
            for projection in ("query", "key", "value"):
                make.linear(f"{inner}attention.self.{projection}", width, width)
            make.linear(inner + "attention.output.dense", width, width)
            make.norm(inner + "attention.output.LayerNorm", width)
            if block == len(channels) - 1:
                _make_graph(make, inner + "graph_conv.", width)
            make.linear(inner + "intermediate.dense", width, 2 * width)
            make.linear(inner + "output.dense", 2 * width, width)
            make.norm(inner + "output.LayerNorm", width)
        make.linear(bert + "pooler.dense", width, width)
        make.tensor(bert + "position_embeddings.weight", BERT_POSITIONS, width)
        make.linear(bert + "img_embedding", into[block], width)
        make.linear(name + "cls_head", width, out[block])
        make.linear(name + "residual", into[block], out[block])
    make.linear("upsampling", 195, 778)
    make.linear("cam_param_fc", 3, 1)
    make.linear("cam_param_fc2", 216, 150)
    make.linear("cam_param_fc3", 150, 3)
    make.linear("grid_feat_dim", grid, into[0])
    return make.state


def _make_graph(make: Maker, name: str, width: int) -> None:
    half = width // 2
    for linear, into, out in (
        ("lin1", width, half),
        ("lin2", half, width),
        ("skip_conv", width, width),
    ):
        make.tensor(f"{name}{linear}.W", out, into)
        make.tensor(f"{name}{linear}.b", out, std=0.2)
    make.tensor(name + "conv.weight", half, half)
    make.tensor(name + "conv.bias", half, std=0.2)
    make.norm(name + "pre_norm", width)
    make.norm(name + "norm1", half)
    make.norm(name + "norm2", half)


def graphormer_forward(
    state: State,
    template: Tensor,
    feature: Tensor,
    grid: Tensor,
    neighbours: list[set[int]],
    heads: int = 4,
) -> State:
    """MeshGraphormer for one image.

    Args:
        state: see :func:`graphormer_state`.
        template: (216, 3) metres.
        feature: (2048,) pooled image feature.
        grid: (1024, 7, 7) map.
        neighbours: for each coarse vertex the vertices that share an edge with it, and itself.

    Returns:
        ``camera`` (3,), ``joints``, ``coarse``, ``fine``, float64.
    """
    state = {name: value.double() for name, value in state.items()}
    feature, grid = feature.double(), grid.double()
    points = [torch.cat([point, feature]) for point in template.double()]
    cells = [
        _linear(state, "grid_feat_dim", grid[:, row, column])
        for row in range(grid.shape[1])
        for column in range(grid.shape[2])
    ]
    tokens = torch.stack(points + cells)
    block = 0
    while f"trans_encoder.{block}.cls_head.weight" in state:
        tokens = _block(state, f"trans_encoder.{block}.", tokens, neighbours, heads)
        block += 1
    joints, coarse = tokens[:21], tokens[21:216]
    one = tokens[:216] @ state["cam_param_fc.weight"][0] + state["cam_param_fc.bias"]
    camera = _linear(state, "cam_param_fc3", _linear(state, "cam_param_fc2", one))
    fine = state["upsampling.weight"] @ coarse + state["upsampling.bias"][:, None]
    return {"camera": camera, "joints": joints, "coarse": coarse, "fine": fine}


def _block(
    state: State, name: str, tokens: Tensor, neighbours: list[set[int]], heads: int
) -> Tensor:
    bert = name + "bert."
    positions = state[bert + "position_embeddings.weight"]
    hidden = _linear(state, bert + "img_embedding", tokens) + positions[: len(tokens)]
    layer = 0
    while f"{bert}encoder.layer.{layer}.output.dense.weight" in state:
        inner = f"{bert}encoder.layer.{layer}."
        query, key, value = (
            _linear(state, f"{inner}attention.self.{part}", hidden)
            for part in ("query", "key", "value")
        )
        mixed = _attend(query, key, value, heads)
        mixed = _linear(state, inner + "attention.output.dense", mixed)
        hidden = _norm(state, inner + "attention.output.LayerNorm", hidden + mixed, EPS)
        if inner + "graph_conv.conv.weight" in state:
            hidden[21:216] = _graph(state, inner + "graph_conv.", hidden[21:216], neighbours)
        wide = _linear(state, inner + "intermediate.dense", hidden)
        wide = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
        mixed = _linear(state, inner + "output.dense", wide)
        hidden = _norm(state, inner + "output.LayerNorm", hidden + mixed, EPS)
        layer += 1
    return _linear(state, name + "cls_head", hidden) + _linear(state, name + "residual", tokens)


def _graph(state: State, name: str, vertices: Tensor, neighbours: list[set[int]]) -> Tensor:
    """Each vertex hears the mean of what it and its neighbours say."""
    said = []
    for vertex in vertices:
        hidden = _norm(state, name + "pre_norm", vertex, EPS).clamp(min=0)
        hidden = state[name + "lin1.W"] @ hidden + state[name + "lin1.b"]
        hidden = _norm(state, name + "norm1", hidden, EPS).clamp(min=0)
        said.append(hidden @ state[name + "conv.weight"])
    out = []
    for vertex, near in zip(vertices, neighbours, strict=True):
        heard = sum(said[other] for other in near) / len(near) + state[name + "conv.bias"]
        heard = _norm(state, name + "norm2", heard, EPS).clamp(min=0)
        out.append(vertex + state[name + "lin2.W"] @ heard + state[name + "lin2.b"])
    return torch.stack(out)
