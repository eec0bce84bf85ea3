"""The nineteen gestures: what is stretched, what touches, and which side the camera sees."""

import numpy as np
import pytest
from mesh_probe import buried
from scipy.spatial.transform import Rotation

from handzoo.errors import ConfigError
from handzoo.hands.articulation import (
    bundled_articulation,
    load_asset,
    pose_bundled_hand,
    skeleton,
)
from handzoo.hands.gestures import GESTURES, gesture_angles, gesture_pose, gesture_templates

TIPS = {"thumb": 4, "index": 8, "middle": 12, "ring": 16, "little": 20}
STRETCHED = {
    "call": "little", "dislike": "", "fist": "", "four": "index middle ring little", "like": "",
    "mute": "index", "one": "index", "palm": "index middle ring little", "peace": "index middle",
    "rock": "index little", "stop": "index middle ring little",
    "stop_inverted": "index middle ring little", "three": "index middle ring",
    "two_up": "index middle", "two_up_inverted": "index middle", "three2": "index middle",
    "peace_inverted": "index middle",
}  # fmt: skip
THUMB_OUT = {"call", "dislike", "like", "palm", "three2"}


def hand_of(name):
    return pose_bundled_hand(*gesture_pose(name))


def test_names_are_those_of_hagrid_in_its_order():
    assert len(GESTURES) == len(set(GESTURES)) == 19
    assert GESTURES[:5] == ("call", "dislike", "fist", "four", "like")
    assert GESTURES[-1] == "no_gesture"


def test_templates():
    templates = gesture_templates()
    assert templates.shape == (19, 21, 3) and templates.dtype == np.float32
    np.testing.assert_array_equal(templates[:, 0], 0.0)
    for index, name in enumerate(GESTURES):
        _, joints = hand_of(name)
        np.testing.assert_allclose(templates[index], joints - joints[0], atol=1e-6)
    templates[0] = 9.0
    assert np.abs(gesture_templates()).max() < 0.3  # callers cannot spoil the shared copy


def test_templates_are_distinct():
    templates = gesture_templates()
    gap = np.linalg.norm(templates[:, None] - templates[None], axis=-1)
    alike = gap.max(-1)[~np.eye(19, dtype=bool)] < 0.01
    assert not alike.any()


@pytest.mark.parametrize("name", GESTURES)
def test_angles_are_within_the_limits(name):
    limits = bundled_articulation().limits
    angles = np.stack(gesture_angles(name), axis=1)
    assert (angles >= limits[..., 0]).all() and (angles <= limits[..., 1]).all()
    decomposed = bundled_articulation().decompose(gesture_pose(name).articulation)
    np.testing.assert_allclose(decomposed, angles, atol=1e-5)


@pytest.mark.parametrize("name", sorted(STRETCHED))
def test_the_right_fingers_are_stretched(name):
    _, joints = hand_of(name)
    for finger, tip in TIPS.items():
        reach = np.linalg.norm(joints[tip] - joints[tip - 3])
        share = reach / np.linalg.norm(np.diff(joints[tip - 3 : tip + 1], axis=0), axis=1).sum()
        if finger == "thumb":
            bones = skeleton(gesture_pose(name).articulation)
            beside = bones[tip, 2] - bones[5, 2]  # towards the thumb's side of the index finger
            assert (beside > 0.06) == (name in THUMB_OUT), name
        elif finger in STRETCHED[name].split():
            assert share > 0.97, finger
        else:
            assert share < 0.62, finger


@pytest.mark.parametrize("name", GESTURES)
def test_digits_do_not_pass_through_each_other(name):
    """Flesh that is pressed together is fine, a finger inside a finger is not."""
    vertices, _ = hand_of(name)
    hidden = buried(vertices, load_asset()["f"], offset=5e-4)
    assert hidden.sum() <= 45
    tip_parts = np.isin(load_asset()["part_labels"], (3, 6, 9, 12, 15))
    assert (hidden & tip_parts).sum() <= 15


def test_ok_closes_its_ring():
    vertices, joints = hand_of("ok")
    assert np.linalg.norm(joints[4] - joints[8]) < 0.014
    parts = load_asset()["part_labels"]
    thumb, index = vertices[parts == 15], vertices[parts == 3]
    assert np.linalg.norm(thumb[:, None] - index[None], axis=-1).min() < 0.004


def test_two_up_holds_fingers_together_and_peace_apart():
    gap = {}
    for name in ("two_up", "peace"):
        _, joints = hand_of(name)
        gap[name] = np.linalg.norm(joints[8] - joints[12])
    assert gap["two_up"] < 0.028 and gap["peace"] > gap["two_up"] + 0.015


def test_hands_are_held_as_people_hold_them():
    """Camera frame: x right, y down, z away from the camera."""
    for name in GESTURES:
        _, joints = hand_of(name)
        turn = Rotation.from_rotvec(gesture_pose(name).orientation)
        palm = turn.apply([0.0, -1.0, 0.0])
        if name.endswith("_inverted"):
            assert palm[2] > 0.8
        elif name in ("palm", "stop", "four", "three", "one", "peace", "two_up", "fist", "rock"):
            assert palm[2] < -0.8
        if name in ("like", "dislike"):
            up = joints[:, 1].argmin() if name == "like" else joints[:, 1].argmax()
            assert up == 4
        elif name != "call":
            assert joints[9, 1] < joints[0, 1] - 0.06


def test_unknown_gesture_is_named():
    with pytest.raises(ConfigError, match="peace"):
        gesture_pose("peece")
