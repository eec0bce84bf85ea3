"""Colour jitter and occluders against plain arithmetic."""

import random

import cv2
import numpy as np
import pytest

from handzoo.datasets.transforms import ColorJitter, RandomOcclusion

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)


def test_channel_gain_is_one_factor_a_channel():
    random.seed(1)
    before = IMAGE.copy()
    out = ColorJitter(channel_gain=0.4)({"image": IMAGE})["image"]
    np.testing.assert_array_equal(IMAGE, before)
    for channel in range(3):
        source = IMAGE[..., channel].astype(float).ravel()
        target = out[..., channel].astype(float).ravel()
        inside = (source > 100) & (target < 255)
        gains = target[inside] / source[inside]
        assert gains.min() >= 0.6 - 0.01 and gains.max() <= 1.4 + 0.01
        assert np.ptp(gains) < 0.011  # rounding only


def test_no_jitter_is_the_identity():
    out = ColorJitter(channel_gain=0)({"image": IMAGE})["image"]
    np.testing.assert_array_equal(out, IMAGE)


def test_same_seed_same_picture():
    pictures = []
    for seed in (3, 3, 4):
        random.seed(seed)
        jitter = ColorJitter(0.4, brightness=0.1, contrast=0.2, saturation=0.3, hue=0.1)
        pictures.append(jitter({"image": IMAGE})["image"])
    np.testing.assert_array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_hue_turns_and_grey_stays_grey():
    red = np.zeros((4, 4, 3), np.uint8)
    red[..., 0] = 200
    random.seed(0)
    out = ColorJitter(channel_gain=0, hue=0.5)({"image": red})["image"]
    hue = cv2.cvtColor(out, cv2.COLOR_RGB2HSV_FULL)[0, 0]
    assert hue[2] == pytest.approx(200, abs=2) and 10 < hue[0] < 246
    grey = np.full((4, 4, 3), 120, np.uint8)
    out = ColorJitter(channel_gain=0, hue=0.5, saturation=0.5)({"image": grey})["image"]
    assert np.ptp(out) <= 1


def test_occluder_covers_its_share():
    shares = []
    for seed in range(60):
        random.seed(seed)
        image = np.full((224, 224, 3), 7, np.uint8)
        out = RandomOcclusion(prob=1.0, area=(0.1, 0.1))({"image": image})["image"]
        shares.append((out != 7).any(axis=2).mean())
    # Part of it may lie outside the crop, and an ellipse fills 79 % of its box.
    assert max(shares) < 0.105 and np.mean(shares) > 0.04
    assert RandomOcclusion(prob=0.0)({"image": IMAGE})["image"] is IMAGE
