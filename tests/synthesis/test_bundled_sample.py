"""The sample that HandZoo ships: size, coverage, and agreement with the hand model it ships."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

import handzoo
from handzoo.hands.gestures import GESTURES
from handzoo.hands.models import build_hand_model

SAMPLE = Path(handzoo.__file__).parent / "assets" / "sample"


def read(name: str) -> list:
    return json.loads((SAMPLE / f"{name}.json").read_text())


def test_size_and_number() -> None:
    files = [path for path in SAMPLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 15e6
    hands = len(read("training_meta"))
    rgb = sorted(path.name for path in (SAMPLE / "training/rgb").iterdir())
    assert rgb == [f"{index:08d}.jpg" for index in range(4 * hands)] and len(rgb) >= 400
    assert len(list((SAMPLE / "training/mask").iterdir())) == hands
    assert len(list((SAMPLE / "evaluation/rgb").iterdir())) == len(read("evaluation_meta")) >= 100


@pytest.mark.parametrize("split", ["training", "evaluation"])
def test_every_gesture_is_there(split: str) -> None:
    assert {sample["gesture"] for sample in read(f"{split}_meta")} == set(GESTURES)


@pytest.mark.parametrize("split", ["training", "evaluation"])
def test_annotation_belongs_to_the_bundled_hand(split: str) -> None:
    """If this fails the hand model was changed: make the sample again (docs/synthetic_data.md)."""
    mano = torch.tensor(read(f"{split}_mano"))[:, 0]
    vertices = torch.tensor(read(f"{split}_verts"))
    out = build_hand_model("bundled")(mano[:, :48], mano[:, 48:58])
    error = (out.vertices - out.joints[:, 9:10]) - (
        vertices - torch.tensor(read(f"{split}_xyz"))[:, 9:10]
    )
    assert error.abs().max() < 3e-5


def test_joints_lie_on_the_masks() -> None:
    shares = []
    for index in range(0, 200, 20):
        joints = np.array(read("training_xyz")[index]) @ np.array(read("training_K")[index]).T
        mask = cv2.imread(str(SAMPLE / f"training/mask/{index:08d}.jpg"), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == (224, 224)
        u, v = np.round(joints[:, :2] / joints[:, 2:]).astype(int).T
        shares.append((cv2.dilate(mask, np.ones((5, 5)))[v, u] > 127).mean())
    assert np.median(shares) > 0.95
