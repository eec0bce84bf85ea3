"""HFA: sizes, figure 3's order of fusion, gradients."""

import pytest
import torch

from handzoo.models.necks import HFA
from handzoo.testing.fixtures import make_features

CHANNELS = (32, 64, 96, 128)


@pytest.mark.parametrize("size", [64, 128])
def test_high_resolution_map(size):
    neck = HFA(CHANNELS, out_channels=32)
    features = make_features(2, CHANNELS, None, size)
    assert neck(features.maps).shape == (2, 32, size // 4, size // 4)


def test_published_size():
    with torch.device("meta"):
        neck = HFA((64, 128, 320, 512))
    assert neck.out_channels == 64
    assert abs(sum(p.numel() for p in neck.parameters()) / 1e6 - 2.65) < 0.06


def test_every_map_and_parameter_counts():
    neck = HFA(CHANNELS, out_channels=32, layer_scale=0.1)
    maps = [f.requires_grad_() for f in make_features(2, CHANNELS, None, 64).maps]
    (neck(maps) ** 2).sum().backward()
    for tensor in (*maps, *neck.parameters()):
        assert tensor.grad is not None and tensor.grad.abs().sum() > 0


def test_finer_maps_are_fused_first():
    """f12 depends on f1 and f2 only, f123 not on f4."""
    neck = HFA(CHANNELS, out_channels=32)
    maps = list(make_features(1, CHANNELS, None, 64).maps)
    outputs = []
    neck.reductions[1].register_forward_hook(lambda m, i, out: outputs.append(out))
    neck(maps)
    neck([*maps[:3], maps[3] + 1])
    neck([*maps[:2], maps[2] + 1, maps[3]])
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])
