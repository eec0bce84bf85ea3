"""Clinical angles to poses and back, and random poses within the limits."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handzoo.hands.articulation import (
    bundled_articulation,
    collision_depth,
    compose_pose,
    load_asset,
    pose_bundled_hand,
    random_pose,
    skeleton,
)


def test_axes_are_right_handed_frames():
    hand = bundled_articulation()
    for axes in (hand.flex_axes, hand.abd_axes, hand.twist_axes):
        np.testing.assert_allclose(np.linalg.norm(axes, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.cross(hand.abd_axes, hand.twist_axes), hand.flex_axes, atol=1e-6)
    # The thumb bends across the palm: its axis is turned about its length by 50 to 80 degrees.
    finger, thumb = hand.flex_axes[3], hand.flex_axes[13]
    along = hand.twist_axes[13]
    flat = finger - along * (finger @ along)
    angle = np.degrees(np.arccos(thumb @ flat / np.linalg.norm(flat)))
    assert 50 < angle < 80


def test_compose_is_the_product_of_single_rotations():
    hand = bundled_articulation()
    rng = np.random.default_rng(0)
    angles = rng.uniform(-0.6, 1.2, (3, 15))
    pose = compose_pose(*angles).reshape(15, 3)
    for joint in range(15):
        flexion, abduction, twist = (
            Rotation.from_rotvec(angles[k, joint] * axes[joint]).as_matrix()
            for k, axes in enumerate((hand.flex_axes, hand.abd_axes, hand.twist_axes))
        )
        turn = Rotation.from_rotvec(pose[joint]).as_matrix()
        np.testing.assert_allclose(turn, abduction @ flexion @ twist, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_decompose_inverts_compose_over_the_whole_range(seed):
    hand = bundled_articulation()
    rng = np.random.default_rng(seed)
    angles = rng.uniform(hand.limits[..., 0], hand.limits[..., 1])
    np.testing.assert_allclose(hand.decompose(hand.compose(*angles.T)), angles, atol=1e-5)


def test_flexion_bends_towards_the_palm_and_abduction_towards_the_thumb():
    rest = skeleton(np.zeros(45))
    for first, tip in ((0, 8), (3, 12), (6, 20), (9, 16)):
        for joint in range(first, first + 3):
            flexion = np.zeros(15)
            flexion[joint] = 0.5
            assert skeleton(compose_pose(flexion))[tip, 1] < rest[tip, 1] - 0.005
        abduction = np.zeros(15)
        abduction[first] = 0.2
        assert skeleton(compose_pose(np.zeros(15), abduction))[tip, 2] > rest[tip, 2] + 0.005
    flexion = np.zeros(15)
    flexion[12:] = 0.5
    assert skeleton(compose_pose(flexion))[4, 2] < rest[4, 2] - 0.02  # the thumb crosses the palm


def test_skeleton_agrees_with_the_skinned_hand():
    rng = np.random.default_rng(1)
    pose = random_pose(rng)
    _, joints = pose_bundled_hand(pose)
    others = np.setdiff1d(np.arange(21), (4, 8, 12, 16, 20))
    np.testing.assert_allclose(skeleton(pose)[others], joints[others], atol=1e-6)
    np.testing.assert_allclose(skeleton(pose), joints, atol=2e-3)


def test_mean_pose_is_relaxed_and_within_limits():
    hand = bundled_articulation()
    angles = hand.decompose(load_asset()["hands_mean"])
    assert (angles >= hand.limits[..., 0] - 1e-5).all()
    assert (angles <= hand.limits[..., 1] + 1e-5).all()
    assert (angles[:12, 0] > np.radians(5)).all()
    assert collision_depth(load_asset()["hands_mean"]) == 0.0


def test_random_poses_are_reproducible_varied_free_and_within_limits():
    hand = bundled_articulation()
    np.testing.assert_array_equal(
        random_pose(np.random.default_rng(7)), random_pose(np.random.default_rng(7))
    )
    rng = np.random.default_rng(0)
    poses = np.stack([random_pose(rng) for _ in range(60)])
    angles = np.stack([hand.decompose(pose) for pose in poses])
    assert (angles >= hand.limits[..., 0] - 1e-5).all()
    assert (angles <= hand.limits[..., 1] + 1e-5).all()
    assert np.mean([collision_depth(pose) <= 0.004 for pose in poses]) > 0.95
    assert (np.ptp(angles[:, [1, 4, 7, 10], 0], axis=0) > np.radians(70)).all()
    middle, end = angles[:, 1, 0], angles[:, 2, 0]
    assert np.corrcoef(middle, end)[0, 1] > 0.8  # one tendon bends both


def test_collision_depth_tells_a_pierced_palm_from_an_open_hand():
    assert collision_depth(np.zeros(45)) == 0.0
    flexion = np.zeros(15)
    flexion[0:3] = np.radians([115, 125, 100])
    assert collision_depth(compose_pose(flexion)) > 0.006
    crossed = np.zeros(15)
    crossed[0], crossed[3] = -0.5, 0.5
    assert collision_depth(compose_pose(np.zeros(15), crossed)) > 0.006
