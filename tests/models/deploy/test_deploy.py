"""Deployed models: the same function, fewer operations."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from handzoo.errors import ConfigError
from handzoo.evaluation.complexity import count_macs
from handzoo.models.deploy import WinogradConv2d, fold_batch_norms, use_winograd
from handzoo.models.deploy.onnx import named_tensors
from handzoo.models.deploy.winograd import worth_winograd

sys.path.insert(0, str(Path(__file__).parent))

from tiny import FAMILIES, build, images  # noqa: E402


def close(found, expected, tolerance=1e-4):
    found, expected = dict(named_tensors(found)), dict(named_tensors(expected))
    assert found.keys() == expected.keys() and expected
    for name, value in expected.items():
        worst = (found[name] - value).abs().max() / value.abs().max()
        assert worst < tolerance, (name, worst)


def batch_norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("winograd", [True, False])
def test_deployed_equals_eager(family, winograd, monkeypatch):
    # All maps of so small an image are, so that the choice by size does not leave them out.
    monkeypatch.setattr("handzoo.models.deploy.winograd.MIN_TILES", 1)
    monkeypatch.setattr("handzoo.models.deploy.winograd.MIN_CHANNELS", 8)
    monkeypatch.setattr("handzoo.models.deploy.winograd.MIN_MACS", 1)
    model = build(family)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    deployed = model.deploy(image_size=64, winograd=winograd)
    with torch.inference_mode():
        close(deployed(images()), model(images()))
        close(deployed(images(3, seed=5)), model(images(3, seed=5)))  # another batch size
    assert batch_norms(deployed) == 0 < batch_norms(model) + (family == "linear")
    assert any(isinstance(m, WinogradConv2d) for m in deployed.modules()) == winograd
    assert not any(p.requires_grad for p in deployed.parameters())
    after = model.state_dict()  # the model itself is left alone
    assert before.keys() == after.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_deployed_forgets_training():
    model = build("cliphand", guidance=dict(type="CM", channels=16))
    deployed = model.deploy(image_size=64)
    assert deployed.guidance is None and model.guidance is not None
    assert len(deployed.losses) == 0 and len(model.losses) == 1
    with pytest.raises(ConfigError, match="no loss"):
        deployed(images(), [], mode="loss")
    samples = deployed(images(), mode="predict")
    assert samples[0].pred_vertices.shape == (778, 3)


def test_linear_step_moves_behind_the_sampling():
    """512 channels at 56x56 positions become 512 channels of 216 tokens."""
    model = build("cliphand")
    deployed = model.deploy(image_size=64, winograd=False)
    image = images(1)
    saved = count_macs(lambda: model(image)) - count_macs(lambda: deployed(image))
    assert saved == 64 * 64 * (16 * 16 - 216)


@pytest.mark.parametrize("shape", [(64, 64, 56, 56), (3, 20, 13, 7), (5, 4, 1, 30)])
@pytest.mark.parametrize("bias", [True, False])
def test_winograd_equals_the_direct_sum(shape, bias):
    torch.manual_seed(0)
    channels, out_channels, height, width = shape
    conv = nn.Conv2d(channels, out_channels, 3, padding=1, bias=bias)
    x = torch.randn(2, channels, height, width)
    with torch.inference_mode():
        found = WinogradConv2d(conv)(x.to(memory_format=torch.channels_last))
        offset = None if conv.bias is None else conv.bias.double()
        expected = F.conv2d(x.double(), conv.weight.double(), offset, padding=1)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 2e-5 * expected.abs().max()


def test_winograd_is_exact_in_double_precision():
    conv = nn.Conv2d(6, 5, 3, padding=1).double()
    x = torch.randn(1, 6, 12, 12, dtype=torch.float64)
    assert torch.allclose(WinogradConv2d(conv)(x), conv(x), atol=1e-12)


def test_winograd_leaves_other_convolutions_alone():
    layers = [
        nn.Conv2d(64, 64, 3, padding=1, stride=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
    ]
    for layer in layers:
        model = nn.Sequential(layer)
        assert use_winograd(model, lambda m=model: m(torch.zeros(1, 64, 32, 32))) == 0
        with pytest.raises(ValueError, match="plain 3x3"):
            WinogradConv2d(layer)


@pytest.mark.parametrize(
    ("channels", "out_channels", "size", "worth"),
    [(512, 512, 56, True), (64, 512, 56, True), (64, 64, 56, False), (128, 128, 28, False)],
)
def test_winograd_is_for_large_convolutions(channels, out_channels, size, worth):
    """MHF's, and not HRNet's."""
    conv = nn.Conv2d(channels, out_channels, 3, padding=1)
    assert worth_winograd(conv, size, size) == worth


class _Awkward(nn.Module):
    """Batch norms that may not be folded, beside one that may."""

    def __init__(self):
        super().__init__()
        self.shared = nn.Conv2d(4, 4, 1)
        self.after_shared = nn.BatchNorm2d(4)
        self.read_twice = nn.Conv2d(4, 4, 1)
        self.after_read_twice = nn.BatchNorm2d(4)
        self.first = nn.BatchNorm2d(4)
        self.plain = nn.Conv2d(4, 4, 1, bias=False)
        self.after_plain = nn.BatchNorm2d(4, affine=False)

    def forward(self, x):
        x = self.first(x)
        x = self.shared(self.after_shared(self.shared(x)))
        mid = self.read_twice(x)
        x = self.after_read_twice(mid) + mid
        return self.after_plain(self.plain(x))


def test_only_what_may_be_folded_is():
    torch.manual_seed(0)
    model = _Awkward().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        before = model(x)
        assert fold_batch_norms(model, lambda: model(x)) == 1
        assert isinstance(model.after_plain, nn.Identity) and model.plain.bias is not None
        assert torch.allclose(model(x), before, atol=1e-5)


def test_bfloat16_keeps_coordinates_in_float32():
    model = build("metro")
    deployed = model.deploy(dtype="bf16", image_size=64)
    assert deployed.mesh_head.blocks[-1].head.weight.dtype == torch.float32
    assert deployed.mesh_head.blocks[0].embed.weight.dtype == torch.bfloat16
    assert deployed.backbone.net.conv1[0].weight.dtype == torch.bfloat16
    with torch.inference_mode():
        found = deployed(images())
        assert found.vertices.dtype == torch.float32
        close(found, model(images()), 0.05)


def test_bad_options():
    model = build("metro")
    with pytest.raises(ConfigError, match="fp32, bf16, fp16"):
        model.deploy(dtype="int4")
    with pytest.raises(ConfigError, match="winograd"):
        model.deploy(dtype="bf16", winograd=True)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="needs torch.compile")
def test_compiled_equals_eager():
    model = build("cliphand")
    deployed = model.deploy(image_size=64, compile=True)
    with torch.inference_mode():
        close(deployed(images()), model(images()))
