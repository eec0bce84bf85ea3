"""Fixtures of the model tests: the bundled hand's topology, a small random CLIP."""

import open_clip
import pytest
import torch

from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology
from handzoo.models.text_encoders.weights import small_clip, write_small_clip

SMALL_CLIP = {
    "embed_dim": 512,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 32, "layers": 1, "head_width": 16},
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 49408,
        "width": 16,
        "heads": 2,
        "layers": 1,
    },
    "preprocess": {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}
PROMPTS = [
    f"an image of a hand on a {color} background in a gesture that means {gesture}."
    for color in ("red", "green", "blue", "white")
    for gesture in ("peace", "fist")
]


@pytest.fixture(scope="session")
def hand_model():
    return build_hand_model("bundled")


@pytest.fixture(scope="session")
def topology(hand_model, tmp_path_factory):
    return build_topology(hand_model, cache_dir=tmp_path_factory.mktemp("topology"))


@pytest.fixture(scope="session")
def small_clip_folder(tmp_path_factory):
    """A random CLIP in the layout of ``handzoo/assets/clip``."""
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    tokens = open_clip.SimpleTokenizer(context_length=32)(PROMPTS).unique()
    text_cfg = {**SMALL_CLIP["text_cfg"], "vocab_size": len(tokens)}
    model = small_clip({**SMALL_CLIP, "text_cfg": text_cfg})
    write_small_clip(model, SMALL_CLIP, tokens, folder)
    return folder


@pytest.fixture
def stand_in_clip(small_clip_folder, monkeypatch):
    """No hub and no local CLIP: the small random one stands in."""
    monkeypatch.setenv("HANDZOO_DATA", str(small_clip_folder / "nothing"))
    monkeypatch.setattr(
        "handzoo.models.text_encoders.weights.fetch_from_hub", lambda *arguments: None
    )
    monkeypatch.setattr("handzoo.models.text_encoders.weights.BUNDLED", small_clip_folder)
    return small_clip_folder


@pytest.fixture
def prompts():
    return PROMPTS
