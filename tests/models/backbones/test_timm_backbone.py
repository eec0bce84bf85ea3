"""timm backbones: maps, names, and weights that are resolved and checked."""

import pytest
import timm
import torch
from safetensors.torch import save_file

from handzoo.errors import ConfigError, ResourceError
from handzoo.models.backbones import TimmBackbone
from handzoo.registry import BACKBONES
from handzoo.resources import collect_resources


def test_maps_are_timms():
    torch.manual_seed(0)
    backbone = TimmBackbone("resnet18", pretrained=False).eval()
    theirs = timm.create_model("resnet18", num_classes=0, global_pool="").eval()
    theirs.load_state_dict(backbone.net.state_dict())
    x = torch.randn(1, 3, 64, 64)
    maps = backbone(x)
    assert backbone.channels == (64, 128, 256, 512)
    assert [f.shape[1] for f in maps] == [64, 128, 256, 512]
    torch.testing.assert_close(maps[-1], theirs.forward_features(x))


def test_hrnets_final_features_are_what_its_classifier_pools():
    torch.manual_seed(0)
    backbone = TimmBackbone("hrnet_w18_small", pretrained=False, final_features=True).eval()
    x = torch.randn(1, 3, 64, 64)
    maps = backbone(x)
    assert tuple(f.shape[1] for f in maps) == backbone.channels
    torch.testing.assert_close(maps[-1], backbone.net.forward_features(x))
    torch.testing.assert_close(backbone.pooled(maps), maps[-1].mean((2, 3)))


def test_weights_from_the_data_folder(tmp_path, monkeypatch):
    torch.manual_seed(1)
    source = timm.create_model("resnet18")
    (tmp_path / "backbones").mkdir()
    where = tmp_path / "backbones" / "resnet18.safetensors"
    save_file(source.state_dict(), str(where))
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    backbone = TimmBackbone("resnet18")
    with collect_resources() as report:
        fit = backbone.init_weights()
    assert report.rows()[0] | {"how": ""} == {
        "name": "backbone/resnet18", "status": "real", "where": str(where), "how": "", "note": "",
    }  # fmt: skip
    assert sorted(fit.unused) == ["fc.bias", "fc.weight"] and not fit.missing
    assert torch.equal(backbone.net.conv1.weight, source.conv1.weight)


def test_weights_of_another_network_are_refused(tmp_path):
    where = tmp_path / "other.safetensors"
    save_file(timm.create_model("resnet10t").state_dict(), str(where))
    with pytest.raises(ResourceError, match="does not fit timm's resnet18"):
        TimmBackbone("resnet18", weights=str(where)).init_weights()


def test_damaged_weights_are_named(tmp_path):
    where = tmp_path / "bad.safetensors"
    where.write_bytes(b"not weights")
    with pytest.raises(ResourceError, match="bad.safetensors cannot be read"):
        TimmBackbone("resnet18", weights=str(where)).init_weights()


def test_unknown_name_is_suggested():
    with pytest.raises(ConfigError, match=r"backbone.name.*resnet5O.*Did you mean 'resnet50"):
        BACKBONES.build(dict(type="TimmBackbone", name="resnet5O"), key="backbone")


def test_four_levels_are_needed():
    with pytest.raises(ConfigError, match="four feature levels"):
        TimmBackbone("resnet18", out_indices=(1, 2), pretrained=False)
