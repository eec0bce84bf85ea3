"""PointHMR written out from a state dict with the authors' names, for one image, in float64.

An independent formulation: convolutions are called on plain tensors, attention is the sum over
heads, masks come from sets of neighbours, the sine code is made number by number.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.reference_metro import Maker, State, _attend, _linear, _norm, sine_code

HOPS = (7, 5, 3, 1)


def pointhmr_state(
    stem: int = 6,
    last: int = 10,
    channels: int = 16,
    position: int = 8,
    narrow: int = 12,
    hidden: tuple[int, int] = (20, 14),
    cells: int = 49,
    layers: int = 2,
    seed: int = 0,
) -> State:
    """Everything of ``PointHMR`` for a hand but the backbone, used or not."""
    make = Maker(seed)
    _make_branch(make, "feature_extract_layer", stem, channels, 2)
    _make_branch(make, "heatmap_layer", stem, 195, 2)
    _make_branch(make, "grid_layer", last, channels, 1)
    make.linear("cam_layer", 195, 1)
    for name, count in (("cam", 1), ("joint", 21), ("vertex", 195)):
        make.tensor(f"{name}_token_embed.weight", count, channels, std=1.0)
    make.tensor("token_position_embed.weight", 1 + cells + 216, position, std=1.0)
    wide = channels + position
    for group in range(4):
        width, inner = (wide, hidden[0]) if group < 2 else (narrow, hidden[1])
        name = f"transformer.transformer_{group + 1}."
        for layer in range(layers):
            own = f"{name}layers.{layer}."
            make.tensor(own + "self_attn.in_proj_weight", 3 * width, width)
            make.tensor(own + "self_attn.in_proj_bias", 3 * width, std=0.2)
            make.linear(own + "self_attn.out_proj", width, width)
            make.linear(own + "linear1", width, inner)
            make.linear(own + "linear2", inner, width)
            make.norm(own + "norm1", width)
            make.norm(own + "norm2", width)
        if group % 2:
            make.norm(name + "norm", width)
    make.linear("transformer.dim_reduce", wide, narrow)
    make.linear("transformer.xyz_regressor", narrow, 3)
    make.linear("transformer.cam_predictor", narrow, 3)
    return make.state


def _make_branch(make: Maker, name: str, into: int, width: int, blocks: int) -> None:
    for block in range(blocks):
        own = f"{name}.{block}."
        first = into if block == 0 else width
        for index, channels in ((1, first), (2, width)):
            std = math.sqrt(1 / (9 * channels))
            make.tensor(f"{own}conv{index}.weight", width, channels, 3, 3, std=std)
            _make_batch_norm(make, f"{own}bn{index}", width)
        if first != width:
            std = math.sqrt(1 / first)
            make.tensor(own + "downsample.0.weight", width, first, 1, 1, std=std)
            _make_batch_norm(make, own + "downsample.1", width)
    make.tensor(f"{name}.{blocks}.weight", width, width, 1, 1, std=3 / math.sqrt(width))


def _make_batch_norm(make: Maker, name: str, width: int) -> None:
    make.norm(name, width)
    make.tensor(name + ".running_mean", width, std=0.2)
    make.tensor(name + ".running_var", width, mean=1.0, std=0.1)
    make.state[name + ".num_batches_tracked"] = torch.tensor(0)


def our_name(theirs: str) -> str | None:
    """Our name (query_head.* or mesh_head.*) of one of their tensors; None if it is never read."""
    if theirs in ("cam_token_embed.weight", "vertex_token_embed.weight"):
        return None
    for branch, ours in (
        ("feature_extract_layer", "query_head.feature_branch"),
        ("heatmap_layer", "query_head.heatmap_branch"),
        ("grid_layer", "mesh_head.grid_branch"),
        ("cam_layer", "query_head.camera_token"),
        ("transformer.dim_reduce", "mesh_head.reduce"),
        ("transformer.xyz_regressor", "mesh_head.points_out"),
        ("transformer.cam_predictor", "mesh_head.camera_out"),
    ):
        if theirs.startswith(branch + "."):
            return ours + theirs.removeprefix(branch).replace("downsample", "shortcut")
    if theirs == "joint_token_embed.weight":
        return "query_head.joint_tokens"
    if theirs == "token_position_embed.weight":
        return "mesh_head.positions"
    _, group, *rest = theirs.split(".")
    number = int(group.removeprefix("transformer_")) - 1
    encoder = f"mesh_head.{'wide' if number < 2 else 'narrow'}"
    if rest[0] == "norm":
        return f"{encoder}.norm.{rest[1]}"
    _, layer, module, *kind = rest
    module = module.replace("self_attn", "self_attention").replace("linear", "feedforward.linear")
    return ".".join([encoder, "groups", str(number % 2), layer, module, *kind])


def pointhmr_forward(
    state: State, first: Tensor, last: Tensor, neighbours: list[set[int]], up: Tensor
) -> State:
    """PointHMR for one image.

    Args:
        state: see :func:`pointhmr_state`.
        first, last: maps (D1, 56, 56) and (D4, 7, 7) of the backbone.
        neighbours: for each coarse vertex the vertices that share an edge with it, and itself.
        up: (778, 195).

    Returns:
        ``camera`` (3,), ``joints``, ``coarse``, ``fine``, ``heatmaps`` (195, 112 * 112), float64.
    """
    state = {name: value.double() for name, value in state.items()}
    first, last = first.double(), last.double()
    logits = _branch(state, "heatmap_layer", first)
    chance = logits.flatten(1).softmax(1)
    fine_logits = logits.repeat_interleave(2, 1).repeat_interleave(2, 2)
    values = _branch(state, "feature_extract_layer", first)
    width = len(values)
    values = values.flatten(1).T + sine_code(width, *first.shape[1:])
    vertices = torch.stack([(weight[:, None] * values).sum(0) for weight in chance])
    camera = state["cam_layer.weight"] @ vertices + state["cam_layer.bias"]
    cells = _branch(state, "grid_layer", last).flatten(1).T + sine_code(width, *last.shape[1:])
    tokens = torch.cat([camera, cells, state["joint_token_embed.weight"], vertices])
    tokens = torch.cat([tokens, state["token_position_embed.weight"]], 1)
    for group, hops in enumerate(HOPS):
        if group == 2:
            tokens = _linear(state, "transformer.dim_reduce", tokens)
        allowed = _allowed(neighbours, hops, len(tokens))
        tokens = _encode(state, f"transformer.transformer_{group + 1}.", tokens, allowed)
    points = _linear(state, "transformer.xyz_regressor", tokens[1 + len(cells) :])
    return {
        "camera": _linear(state, "transformer.cam_predictor", tokens[0]),
        "joints": points[:21],
        "coarse": points[21:],
        "fine": up.double() @ points[21:],
        "heatmaps": fine_logits.flatten(1).softmax(1),
    }


def _branch(state: State, name: str, x: Tensor) -> Tensor:
    x, block = x[None], 0
    while f"{name}.{block}.conv1.weight" in state:
        own = f"{name}.{block}."
        out = _conv(state, own + "conv1", own + "bn1", x).clamp(min=0)
        out = _conv(state, own + "conv2", own + "bn2", out)
        if own + "downsample.0.weight" in state:
            x = _conv(state, own + "downsample.0", own + "downsample.1", x)
        x, block = (out + x).clamp(min=0), block + 1
    return F.conv2d(x, state[f"{name}.{block}.weight"])[0]


def _conv(state: State, conv: str, norm: str, x: Tensor) -> Tensor:
    kernel = state[conv + ".weight"]
    x = F.conv2d(x, kernel, padding=kernel.shape[-1] // 2)
    mean, var = state[norm + ".running_mean"], state[norm + ".running_var"]
    scale = state[norm + ".weight"] / (var + 1e-5).sqrt()
    shift = state[norm + ".bias"] - mean * scale
    return x * scale[:, None, None] + shift[:, None, None]


def _allowed(neighbours: list[set[int]], hops: int, count: int) -> Tensor:
    """What may look (row) at what: everything, but vertices at vertices only ``hops`` far."""
    start = count - len(neighbours)
    allowed = torch.ones(count, count, dtype=torch.bool)
    for vertex in range(len(neighbours)):
        near = {vertex}
        for _ in range(hops):
            near = set().union(*(neighbours[other] for other in near))
        allowed[start + vertex, start:] = False
        allowed[start + vertex, [start + other for other in near]] = True
    return allowed


def _encode(state: State, name: str, tokens: Tensor, allowed: Tensor, heads: int = 4) -> Tensor:
    layer = 0
    while f"{name}layers.{layer}.linear1.weight" in state:
        own = f"{name}layers.{layer}."
        normed = _norm(state, own + "norm1", tokens)
        weights = state[own + "self_attn.in_proj_weight"].chunk(3)
        biases = state[own + "self_attn.in_proj_bias"].chunk(3)
        query, key, value = (normed @ w.T + b for w, b in zip(weights, biases, strict=True))
        mixed = _attend(query, key, value, heads, allowed)
        tokens = tokens + _linear(state, own + "self_attn.out_proj", mixed)
        hidden = _linear(state, own + "linear1", _norm(state, own + "norm2", tokens))
        tokens = tokens + _linear(state, own + "linear2", hidden.clamp(min=0))
        layer += 1
    if name + "norm.weight" in state:
        tokens = _norm(state, name + "norm", tokens)
    return tokens
