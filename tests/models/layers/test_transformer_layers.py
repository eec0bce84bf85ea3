"""Encoder and decoder layers against torch's own attention, written out."""

import torch
from torch import nn

from handzoo.models.layers.transformer import DecoderLayer, EncoderLayer, sine_position


def attend(reference: nn.MultiheadAttention, query, key, value, blocked=None):
    """Scaled dot products, written out with the parameters of ``reference``."""
    channels, heads = reference.embed_dim, reference.num_heads
    weights, biases = reference.in_proj_weight.chunk(3), reference.in_proj_bias.chunk(3)

    def split(x, index):
        y = x @ weights[index].T + biases[index]
        return y.reshape(*y.shape[:2], heads, channels // heads).permute(0, 2, 1, 3)

    scores = split(query, 0) @ split(key, 1).transpose(2, 3) / (channels // heads) ** 0.5
    if blocked is not None:
        scores = scores.masked_fill(blocked, -float("inf"))
    mixed = (scores.softmax(-1) @ split(value, 2)).permute(0, 2, 1, 3).flatten(2)
    return mixed @ reference.out_proj.weight.T + reference.out_proj.bias


def test_encoder_layer():
    torch.manual_seed(0)
    layer = EncoderLayer(32, 4, 48, dropout=0.3).double().eval()
    x = torch.randn(2, 6, 32, dtype=torch.float64)
    position = torch.randn(6, 32, dtype=torch.float64)
    inner = layer.norm1(x)
    y = x + attend(layer.self_attention, inner + position, inner + position, inner)
    y = y + layer.feedforward(layer.norm2(y))
    torch.testing.assert_close(layer(x, position), y)


def test_decoder_layer_with_mask_and_positions():
    torch.manual_seed(0)
    layer = DecoderLayer(32, 4, 48, dropout=0.3).double().eval()
    x = torch.randn(2, 5, 32, dtype=torch.float64)
    memory = torch.randn(2, 7, 32, dtype=torch.float64)
    positions = torch.randn(5, 32, dtype=torch.float64), torch.randn(7, 32, dtype=torch.float64)
    blocked = torch.rand(5, 5) > 0.5
    blocked.fill_diagonal_(False)
    inner = layer.norm1(x)
    placed = inner + positions[0]
    y = x + attend(layer.self_attention, placed, placed, inner, blocked)
    query = layer.norm2(y) + positions[0]
    y = y + attend(layer.cross_attention, query, memory + positions[1], memory)
    y = y + layer.feedforward(layer.norm3(y))
    found = layer(x, memory, positions[1], blocked, positions[0])
    torch.testing.assert_close(found, y)


def test_a_blocked_query_is_not_seen():
    torch.manual_seed(0)
    layer = DecoderLayer(16, 2, 16, dropout=0.0).eval()
    x, memory = torch.randn(1, 4, 16), torch.randn(1, 3, 16)
    blocked = torch.zeros(4, 4, dtype=torch.bool)
    blocked[0, 3] = True
    other = x.clone()
    other[:, 3] = torch.randn(16)
    before, after = layer(x, memory, blocked=blocked), layer(other, memory, blocked=blocked)
    torch.testing.assert_close(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_sine_position_tells_cells_apart():
    code = sine_position(64, 7, 7)
    assert code.shape == (49, 64)
    distance = torch.cdist(code, code) + 10 * torch.eye(49)
    assert distance.min() > 0.1
