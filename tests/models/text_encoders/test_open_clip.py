"""Frozen CLIP: its weights resolved, its features open_clip's, its parameters nobody's."""

import copy
import io

import pytest
import torch

from handzoo.errors import ConfigError, ResourceError
from handzoo.models.text_encoders import OpenCLIP
from handzoo.models.text_encoders.weights import read_small_clip
from handzoo.registry import TEXT_ENCODERS
from handzoo.resources import collect_resources


def test_stand_in_is_reported(stand_in_clip):
    encoder = OpenCLIP()
    with collect_resources() as report:
        encoder.init_weights()
    (row,) = report.rows()
    assert row["name"] == "clip/ViT-B-32" and row["status"] == "stand-in"
    assert encoder.out_channels == 512


def test_weights_are_read_when_used_and_not_before(stand_in_clip):
    with collect_resources() as report:
        encoder = OpenCLIP()
        assert not report.rows()
        encoder.encode_text(["a hand"])
        assert report.rows()


def test_features_are_open_clips(stand_in_clip, prompts):
    import open_clip

    network, config = read_small_clip(stand_in_clip)
    network.eval()
    pixels = torch.rand(len(prompts), 3, 32, 32)
    with torch.no_grad():
        image = network.encode_image((pixels - 0.5) / 0.5)
        tokens = open_clip.SimpleTokenizer(context_length=32)(prompts)
        text = network.encode_text(tokens)
    wanted = torch.cat([x / x.norm(dim=1, keepdim=True) for x in (image, text)], 1)
    torch.testing.assert_close(OpenCLIP()(pixels, prompts), wanted)


def test_a_prompt_is_encoded_once(stand_in_clip, prompts, monkeypatch):
    encoder = OpenCLIP()
    first = encoder.encode_text(prompts)
    monkeypatch.setattr(encoder.frozen().model, "encode_text", None)
    torch.testing.assert_close(encoder.encode_text(prompts[::-1]), first.flip(0))


def test_nothing_of_it_is_in_checkpoints_or_optimisers(stand_in_clip, prompts):
    encoder = OpenCLIP()
    encoder(torch.rand(8, 3, 32, 32), prompts)
    assert not list(encoder.parameters()) and not encoder.state_dict()
    frozen = encoder.frozen().model
    assert not any(parameter.requires_grad for parameter in frozen.parameters())
    encoder.train()
    assert not frozen.training
    torch.save(encoder.state_dict(), file := io.BytesIO())
    assert file.tell() < 2000


def test_copies_work(stand_in_clip):
    encoder = OpenCLIP()
    wanted = encoder.encode_text(["a hand"])
    torch.testing.assert_close(copy.deepcopy(encoder).encode_text(["a hand"]), wanted)


def test_words_out_of_the_prompts_embed_as_zero(stand_in_clip, prompts):
    import open_clip

    network, _ = read_small_clip(stand_in_clip)
    used = open_clip.SimpleTokenizer(context_length=32)(prompts).unique()
    rows = network.token_embedding.weight.abs().sum(1)
    assert (rows[used] > 0).all() and int((rows > 0).sum()) == len(used)


def test_no_weights_at_all(stand_in_clip, tmp_path, monkeypatch):
    monkeypatch.setattr("handzoo.models.text_encoders.weights.BUNDLED", tmp_path)
    with pytest.raises(ResourceError, match="clip/ViT-B-32 is not on this machine.*Let open_clip"):
        OpenCLIP().init_weights()


def test_damaged_stand_in_is_named(stand_in_clip, tmp_path, monkeypatch):
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr("handzoo.models.text_encoders.weights.BUNDLED", tmp_path)
    with pytest.raises(ResourceError, match="train_clip.py"):
        OpenCLIP().init_weights()


def test_a_model_of_another_width_has_no_stand_in(stand_in_clip):
    with pytest.raises(ResourceError, match="features of 512, ViT-L-14 of 768"):
        OpenCLIP("ViT-L-14").init_weights()


def test_unknown_names_are_suggested(stand_in_clip):
    with pytest.raises(ConfigError, match=r"text_encoder.model.*Did you mean 'ViT-B-32'"):
        TEXT_ENCODERS.build(dict(type="OpenCLIP", model="ViT-B32"), key="text_encoder")
    with pytest.raises(ConfigError, match="no weights 'open_ai'"):
        OpenCLIP(pretrained="open_ai").init_weights()
