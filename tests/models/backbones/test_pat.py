"""PAT against a plain formulation of POTTER's block, published sizes, and timm's PoolFormer."""

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from handzoo.errors import ConfigError
from handzoo.models.backbones import PAT
from handzoo.models.layers.pooling_attention import PATBlock, PoolingAttention, bin_edges
from handzoo.registry import BACKBONES
from handzoo.resources import collect_resources


def plain_attention(module: PoolingAttention, x: torch.Tensor) -> torch.Tensor:
    """The definition, with adaptive pools over positions and over tokens as (32, C/32) matrices."""
    batch, channels, height, width = x.shape
    rows = nn.AdaptiveAvgPool2d((None, 4))
    columns = nn.AdaptiveAvgPool2d((4, None))
    patch = torch.einsum("bchk,bckw->bchw", rows(x), columns(x))
    tokens = x.permute(0, 2, 3, 1).reshape(batch, height * width, 32, channels // 32)
    product = torch.einsum("bnak,bnkc->bnac", rows(tokens), columns(tokens))
    embedding = product.reshape(batch, height, width, channels).permute(0, 3, 1, 2)

    def depthwise(conv, y):
        return F.conv2d(y, conv.weight, conv.bias, padding=1, groups=channels)

    mixed = depthwise(module.proj_patch, patch) + depthwise(module.proj_embedding, embedding)
    mean = mixed.mean((1, 2, 3), keepdim=True)
    variance = mixed.var((1, 2, 3), unbiased=False, keepdim=True)
    normed = (mixed - mean) / (variance + module.norm.eps).sqrt()
    normed = normed * module.norm.weight[:, None, None] + module.norm.bias[:, None, None]
    return depthwise(module.proj_out, normed)


@pytest.mark.parametrize("channels", [32, 64, 96, 128, 192, 320, 512])
@pytest.mark.parametrize("size", [(8, 8), (7, 7), (6, 10), (3, 2)])
def test_pooling_attention_equals_plain_formulation(channels, size):
    torch.manual_seed(0)
    module = PoolingAttention(channels).double()
    nn.init.normal_(module.norm.weight)
    x = torch.randn(2, channels, *size, dtype=torch.float64, requires_grad=True)
    found, wanted = module(x), plain_attention(module, x)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    weight = torch.randn_like(found)
    gradients = [
        torch.autograd.grad((y * weight).sum(), [x, *module.parameters()]) for y in (found, wanted)
    ]
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)


def test_channels_last_input_gives_the_same():
    module = PoolingAttention(64)
    x = torch.randn(2, 64, 14, 14)
    torch.testing.assert_close(module(x), module(x.to(memory_format=torch.channels_last)))


def test_trains_after_inference():
    module = PoolingAttention(32)
    x = torch.randn(1, 32, 8, 8)
    with torch.inference_mode():
        module(x)
    module(x.requires_grad_()).sum().backward()
    assert x.grad.any()


def test_bins_are_those_of_adaptive_pooling():
    for size in range(1, 40):
        x = torch.randn(1, 1, size)
        means = torch.stack([x[..., a:b].mean(-1) for a, b in bin_edges(size)], -1)
        torch.testing.assert_close(means, F.adaptive_avg_pool1d(x, 4))


def test_width_must_split_into_32_rows():
    with pytest.raises(ConfigError, match="multiples of 32; got 48"):
        PoolingAttention(48)


@pytest.mark.parametrize(("arch", "millions"), [("S12", 11.510), ("S24", 21.090)])
def test_published_sizes(arch, millions):
    with torch.device("meta"):
        model = PAT(arch, pretrained=False)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 3) == millions


def test_maps_at_224_and_elsewhere():
    model = PAT(depths=(1, 1, 1, 1), widths=(32, 32, 64, 64), pretrained=False).eval()
    for height, width in ((224, 224), (128, 192)):
        maps = model(torch.randn(1, 3, height, width))
        assert [tuple(f.shape[2:]) for f in maps] == [
            (height // s, width // s) for s in model.strides
        ]


def test_block_without_its_mixer_is_poolformers():
    """With a zeroed mixer and the same weights, a block equals timm's with a zeroed pooling."""
    torch.manual_seed(0)
    theirs = timm.create_model("poolformer_s12").stages[0].blocks[0].eval()
    ours = PATBlock(64).eval()
    state = theirs.state_dict()
    ours.load_state_dict(state, strict=False)
    for parameter in ours.token_mixer.parameters():
        nn.init.zeros_(parameter)
    theirs.token_mixer = nn.Identity()
    nn.init.zeros_(theirs.layer_scale1.scale)
    nn.init.zeros_(ours.layer_scale1.scale)
    nn.init.ones_(theirs.layer_scale2.scale)
    nn.init.ones_(ours.layer_scale2.scale)
    x = torch.randn(2, 64, 8, 8)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_initialised_from_poolformer_key_by_key(tmp_path, monkeypatch):
    torch.manual_seed(0)
    source = timm.create_model("poolformer_s12")
    for parameter in source.parameters():
        nn.init.normal_(parameter)
    (tmp_path / "backbones").mkdir()
    save_file(source.state_dict(), str(tmp_path / "backbones" / "poolformer_s12.safetensors"))
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    model = PAT("S12")
    with collect_resources() as report:
        fit = model.init_weights()
    assert [(row["name"], row["status"]) for row in report.rows()] == [
        ("backbone/poolformer_s12", "real")
    ]
    own, given = model.state_dict(), source.state_dict()
    assert all(torch.equal(own[key], given[key]) for key in fit.loaded)
    assert all("token_mixer" in key or key.startswith("norms.") for key in fit.missing)
    assert all(key.startswith("head.") for key in fit.unused)
    assert not fit.mismatched


def test_stand_in_is_random_initialisation(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    monkeypatch.setattr("handzoo.models.backbones.weights.fetch_from_hub", lambda *names: None)
    with collect_resources() as report:
        assert PAT("S12").init_weights() is None
    assert report.rows()[0]["status"] == "stand-in"


def test_layers_drop_out_only_in_training():
    model = PAT(depths=(1, 1, 1, 1), widths=(32,) * 4, drop_path=0.9, layer_scale=1.0,
                pretrained=False)  # fmt: skip
    x = torch.randn(4, 3, 64, 64)
    assert not torch.equal(model(x)[-1], model(x)[-1])
    model.eval()
    assert torch.equal(model(x)[-1], model(x)[-1])


def test_unknown_size_is_named():
    with pytest.raises(ConfigError, match=r"model.backbone.arch.*S12, S24"):
        BACKBONES.build(dict(type="PAT", arch="S36"), key="model.backbone")
