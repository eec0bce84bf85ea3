"""Skeletons land on their joints; panels have the size that their pictures ask for."""

import numpy as np
import pytest

from handzoo.hands.conventions import FINGER_OF_JOINT, TIP_JOINTS
from handzoo.visualization.panels import caption_bar, resize_to_height, tile
from handzoo.visualization.skeleton import FINGER_COLORS, draw_skeleton


def fan(size):
    """A spread hand: fingers as rays from the wrist at the bottom."""
    joints = np.zeros((21, 2))
    joints[0] = (0.5 * size, 0.9 * size)
    for joint in range(1, 21):
        angle = np.deg2rad(-150 + 30 * FINGER_OF_JOINT[joint])
        reach = size * (0.25 + 0.13 * ((joint - 1) % 4))
        joints[joint] = joints[0] + reach * np.array([np.cos(angle), np.sin(angle)])
    return joints


@pytest.mark.parametrize("size", [224, 512])
def test_each_finger_has_its_colour_at_its_joints(size):
    image = np.full((size, size, 3), 128, np.uint8)
    before = image.copy()
    drawn = draw_skeleton(image, fan(size))
    np.testing.assert_array_equal(image, before)
    for joint in range(1, 21):
        x, y = np.round(fan(size)[joint]).astype(int)
        if 0 <= x < size and 0 <= y < size:
            assert tuple(drawn[y, x]) == FINGER_COLORS[FINGER_OF_JOINT[joint]]


def test_thickness_follows_the_picture():
    covered = []
    for size in (224, 896):
        image = np.zeros((size, size, 3), np.uint8)
        # The soft fringe of anti-aliasing is about a pixel wide whatever the size.
        drawn = draw_skeleton(image, fan(size), outline=False)
        covered.append((drawn > 120).any(-1).mean())
    # Lines of one thickness at all sizes would cover a quarter as much at four times the size.
    assert 0.5 < covered[1] / covered[0] < 1.5


def test_invalid_and_far_joints_are_left_out():
    image = np.zeros((100, 100, 3), np.uint8)
    joints = fan(100)
    nothing = draw_skeleton(image, joints, valid=np.zeros(21, bool))
    assert not nothing.any()
    only_tips = np.zeros(21, bool)
    only_tips[list(TIP_JOINTS)] = True
    tips = draw_skeleton(image, joints, valid=only_tips)
    assert 0 < (tips > 0).any(-1).sum() < 0.25 * (draw_skeleton(image, joints) > 0).any(-1).sum()
    joints[4] = np.nan
    joints[8] = 1e12
    joints[12] = (-40, 500)
    assert draw_skeleton(image, joints).any()


def test_tiles():
    a = np.full((50, 80, 3), 10, np.uint8)
    b = np.full((100, 100, 3), 20, np.uint8)
    sheet = tile([[a, b], [b]], height=100, gap=4)
    assert sheet.shape == (100 * 2 + 3 * 4, 160 + 100 + 3 * 4, 3)
    assert (sheet[4:104, 4:164] == 10).all()
    assert (sheet[4:104, 168:268] == 20).all()
    assert (sheet[108:208, 4:104] == 20).all()
    assert (sheet[108:208, 108:] == 255).all()
    named = tile([[a, b]], captions=[["first", "second"]], height=100)
    assert named.shape[0] > 100 + 8
    with pytest.raises(ValueError, match="no picture"):
        tile([])


def test_captions_fit_their_width():
    short, long = caption_bar("hand", 100), caption_bar("hand " * 50, 100)
    assert short.shape == long.shape == (22, 100, 3)
    assert (short < 128).any()
    assert (long[:, :2] > 200).all() and (long[:, -2:] > 200).all()


def test_resizing_keeps_the_shape():
    assert resize_to_height(np.zeros((50, 100, 3), np.uint8), 25).shape == (25, 50, 3)
