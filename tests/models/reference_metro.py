"""METRO and FastMETRO written out from a state dict with the authors' names, head by head.

An independent formulation: no modules, no fused attention, double precision. The fabricated state
dicts have the names and shapes of the files that the authors released.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

State = dict[str, Tensor]

BERT_POSITIONS, BERT_WORDS = 512, 30522


class Maker:
    """Random tensors of given shapes; sizes such that no layer saturates or dies."""

    def __init__(self, seed: int = 0, device: str = "cpu") -> None:
        self.device = device
        self.generator = torch.Generator(device="cpu").manual_seed(seed)
        self.state: State = {}

    def tensor(self, name: str, *shape: int, mean: float = 0.0, std: float | None = None) -> None:
        if self.device == "meta":
            self.state[name] = torch.empty(shape, device="meta")
            return
        if std is None:
            std = 1 / math.sqrt(shape[-1])
        self.state[name] = mean + std * torch.randn(shape, generator=self.generator)

    def linear(self, name: str, into: int, out: int) -> None:
        self.tensor(f"{name}.weight", out, into)
        self.tensor(f"{name}.bias", out, std=0.2)

    def norm(self, name: str, width: int) -> None:
        self.tensor(f"{name}.weight", width, mean=1.0, std=0.2)
        self.tensor(f"{name}.bias", width, std=0.2)


def metro_state(
    channels: tuple[int, ...] = (1024, 256, 64),
    between: tuple[int, ...] = (512, 128),
    feature: int = 2048,
    layers: int = 4,
    seed: int = 0,
    device: str = "cpu",
    words: int = BERT_WORDS,
) -> State:
    """Everything of ``METRO_Hand_Network`` but the backbone, used or not."""
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
            make.linear(inner + "intermediate.dense", width, 4 * width)
            make.linear(inner + "output.dense", 4 * width, width)
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
    return make.state


def fastmetro_state(
    layers: int,
    widths: tuple[int, int] = (512, 128),
    hidden: tuple[int, int] = (2048, 512),
    feature: int = 2048,
    seed: int = 0,
    device: str = "cpu",
) -> State:
    """Everything of ``FastMETRO_Hand_Network`` but the backbone."""
    make = Maker(seed, device)
    for stage, (width, wide) in enumerate(zip(widths, hidden, strict=True), start=1):
        for part, attentions in (
            ("encoder", ("self_attn",)),
            ("decoder", ("self_attn", "multihead_attn")),
        ):
            for layer in range(layers):
                inner = f"transformer_{stage}.{part}.layers.{layer}."
                for attention in attentions:
                    make.tensor(f"{inner}{attention}.in_proj_weight", 3 * width, width)
                    make.tensor(f"{inner}{attention}.in_proj_bias", 3 * width, std=0.2)
                    make.linear(f"{inner}{attention}.out_proj", width, width)
                make.linear(inner + "linear1", width, wide)
                make.linear(inner + "linear2", wide, width)
                for index in range(1, len(attentions) + 2):
                    make.norm(f"{inner}norm{index}", width)
            make.norm(f"transformer_{stage}.{part}.norm", width)
    for name in ("enc_cam", "enc_img", "dec"):
        make.linear(f"dim_reduce_{name}", *widths)
    make.tensor("cam_token_embed.weight", 1, widths[0], std=1.0)
    make.tensor("joint_token_embed.weight", 21, widths[0], std=1.0)
    make.tensor("vertex_token_embed.weight", 195, widths[0], std=1.0)
    make.linear("xyz_regressor", widths[1], 3)
    make.linear("cam_predictor", widths[1], 3)
    make.tensor("conv_1x1.weight", widths[0], feature, 1, 1, std=1 / math.sqrt(feature))
    make.tensor("conv_1x1.bias", widths[0], std=0.2)
    return make.state


def metro_forward(state: State, template: Tensor, feature: Tensor, heads: int = 4) -> State:
    """METRO for one image.

    Args:
        state: see :func:`metro_state`.
        template: (216, 3) metres.
        feature: (2048,) pooled image feature.

    Returns:
        ``camera`` (3,), ``joints``, ``coarse``, ``fine``, float64.
    """
    state = {name: value.double() for name, value in state.items()}
    tokens = torch.stack([torch.cat([point, feature]) for point in template.double()])
    block = 0
    while f"trans_encoder.{block}.cls_head.weight" in state:
        tokens = _metro_block(state, f"trans_encoder.{block}.", tokens, heads)
        block += 1
    one = tokens @ state["cam_param_fc.weight"][0] + state["cam_param_fc.bias"]
    camera = _linear(state, "cam_param_fc3", _linear(state, "cam_param_fc2", one))
    joints, coarse = tokens[:21], tokens[21:]
    fine = state["upsampling.weight"] @ coarse + state["upsampling.bias"][:, None]
    return {"camera": camera, "joints": joints, "coarse": coarse, "fine": fine}


def _metro_block(state: State, name: str, tokens: Tensor, heads: int) -> Tensor:
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
        hidden = _norm(state, inner + "attention.output.LayerNorm", hidden + mixed, 1e-12)
        wide = _linear(state, inner + "intermediate.dense", hidden)
        wide = wide * 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
        mixed = _linear(state, inner + "output.dense", wide)
        hidden = _norm(state, inner + "output.LayerNorm", hidden + mixed, 1e-12)
        layer += 1
    return _linear(state, name + "cls_head", hidden) + _linear(state, name + "residual", tokens)


def fastmetro_forward(
    state: State, feature: Tensor, neighbours: list[set[int]], up: Tensor, heads: int = 8
) -> State:
    """FastMETRO for one image.

    Args:
        state: see :func:`fastmetro_state`.
        feature: (2048, 7, 7) last map of the backbone.
        neighbours: for each coarse vertex the vertices that share an edge with it, and itself.
        up: (778, 195).

    Returns:
        ``camera`` (3,), ``joints``, ``coarse``, ``fine``, float64.
    """
    state = {name: value.double() for name, value in state.items()}
    kernel = state["conv_1x1.weight"][:, :, 0, 0]
    image = (kernel @ feature.double().flatten(1)).T + state["conv_1x1.bias"]
    camera = state["cam_token_embed.weight"]
    points = torch.cat([state["joint_token_embed.weight"], state["vertex_token_embed.weight"]])
    allowed = torch.ones(216, 216, dtype=torch.bool)
    for vertex, near in enumerate(neighbours):
        for other in range(195):
            allowed[21 + vertex, 21 + other] = other in near
    for stage in (1, 2):
        if stage == 2:
            camera = _linear(state, "dim_reduce_enc_cam", camera)
            image = _linear(state, "dim_reduce_enc_img", image)
            points = _linear(state, "dim_reduce_dec", points)
        name = f"transformer_{stage}."
        position = sine_code(image.shape[1], 7, 7)
        camera, image = _encode(state, name + "encoder.", camera, image, position, heads)
        points = _decode(state, name + "decoder.", points, image, position, allowed, heads)
    xyz = _linear(state, "xyz_regressor", points)
    return {
        "camera": _linear(state, "cam_predictor", camera)[0],
        "joints": xyz[:21],
        "coarse": xyz[21:],
        "fine": up.double() @ xyz[21:],
    }


def _encode(
    state: State, name: str, camera: Tensor, image: Tensor, position: Tensor, heads: int
) -> tuple[Tensor, Tensor]:
    tokens = torch.cat([camera, image])
    layer = 0
    while f"{name}layers.{layer}.linear1.weight" in state:
        inner = f"{name}layers.{layer}."
        normed = _norm(state, inner + "norm1", tokens)
        place = torch.cat([normed[:1], normed[1:] + position])
        tokens = tokens + _mha(state, inner + "self_attn", place, place, normed, heads)
        tokens = tokens + _relu_mlp(state, inner, _norm(state, inner + "norm2", tokens))
        layer += 1
    tokens = _norm(state, name + "norm", tokens)
    return tokens[:1], tokens[1:]


def _decode(
    state: State,
    name: str,
    points: Tensor,
    memory: Tensor,
    position: Tensor,
    allowed: Tensor,
    heads: int,
) -> Tensor:
    layer = 0
    while f"{name}layers.{layer}.linear1.weight" in state:
        inner = f"{name}layers.{layer}."
        normed = _norm(state, inner + "norm1", points)
        points = points + _mha(state, inner + "self_attn", normed, normed, normed, heads, allowed)
        normed = _norm(state, inner + "norm2", points)
        key = memory + position
        points = points + _mha(state, inner + "multihead_attn", normed, key, memory, heads)
        points = points + _relu_mlp(state, inner, _norm(state, inner + "norm3", points))
        layer += 1
    return _norm(state, name + "norm", points)


def sine_code(channels: int, height: int, width: int) -> Tensor:
    """DETR's normalised 2D sine code, number by number: (height * width, channels)."""
    half = channels // 2
    code = torch.zeros(height * width, channels, dtype=torch.float64)
    for row in range(height):
        for column in range(width):
            for start, place, size in ((0, row, height), (half, column, width)):
                angle = (place + 1) / (size + 1e-6) * 2 * math.pi
                for index in range(half):
                    phase = angle / 10000 ** (2 * (index // 2) / half)
                    value = math.sin(phase) if index % 2 == 0 else math.cos(phase)
                    code[row * width + column, start + index] = value
    return code


def _linear(state: State, name: str, tokens: Tensor) -> Tensor:
    return tokens @ state[name + ".weight"].T + state[name + ".bias"]


def _norm(state: State, name: str, tokens: Tensor, eps: float = 1e-5) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    variance = centred.square().mean(-1, keepdim=True)
    scaled = centred / (variance + eps).sqrt()
    return scaled * state[name + ".weight"] + state[name + ".bias"]


def _relu_mlp(state: State, name: str, tokens: Tensor) -> Tensor:
    return _linear(state, name + "linear2", _linear(state, name + "linear1", tokens).clamp(min=0))


def _mha(
    state: State,
    name: str,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    heads: int,
    allowed: Tensor | None = None,
) -> Tensor:
    weights = state[name + ".in_proj_weight"].chunk(3)
    biases = state[name + ".in_proj_bias"].chunk(3)
    query, key, value = (
        tokens @ weight.T + bias
        for tokens, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )
    return _linear(state, name + ".out_proj", _attend(query, key, value, heads, allowed))


def _attend(
    query: Tensor, key: Tensor, value: Tensor, heads: int, allowed: Tensor | None = None
) -> Tensor:
    size = query.shape[1] // heads
    parts = []
    for head in range(heads):
        own = slice(head * size, (head + 1) * size)
        score = query[:, own] @ key[:, own].T / math.sqrt(size)
        if allowed is not None:
            score = score.masked_fill(~allowed, -math.inf)
        weight = torch.exp(score - score.max(1, keepdim=True).values)
        parts.append(weight / weight.sum(1, keepdim=True) @ value[:, own])
    return torch.cat(parts, dim=1)
