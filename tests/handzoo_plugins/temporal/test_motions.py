"""The motions that the network learns from: natural, smooth, repeatable; the noise as described."""

import numpy as np
import pytest

from handzoo.hands.articulation import bundled_articulation
from handzoo.hands.models import load_bundled
from handzoo_plugins.temporal.figures import acceleration, measure
from handzoo_plugins.temporal.motions import (
    _angles,
    make_clip,
    minimum_jerk,
    schedule,
    wander,
)


@pytest.fixture(scope="module")
def hand():
    return load_bundled(flat_hand_mean=True)


def test_minimum_jerk_starts_and_ends_at_rest():
    t = np.linspace(-0.2, 1.2, 1401)
    x = minimum_jerk(t)
    assert x[0] == 0 and x[-1] == 1 and (np.diff(x) >= 0).all()
    velocity = np.gradient(x, t)
    assert abs(velocity[[200, 1200]]).max() < 1e-3
    assert velocity.max() == pytest.approx(1.875, abs=1e-3)  # 15/8, in the middle


def test_schedule_is_continuous():
    times = np.arange(3000) / 1000
    key, weight = schedule(np.random.default_rng(0), times)
    assert ((weight >= 0) & (weight <= 1)).all()
    position = key + weight
    assert (np.diff(position) >= 0).all() and np.diff(position).max() < 0.01
    assert (np.diff(position) == 0).mean() > 0.05  # it rests now and then


def test_poses_stay_within_the_joint_limits():
    limits = bundled_articulation().limits
    angles = _angles(np.random.default_rng(1), np.arange(60) / 30)
    assert (angles >= limits[..., 0] - 1e-4).all() and (angles <= limits[..., 1] + 1e-4).all()
    assert np.ptp(angles, axis=0).max() > 0.3  # it moves


def test_clips_repeat_and_truth_is_smooth(hand):
    one, two = (make_clip(np.random.default_rng(5), hand, 48, mesh=True) for _ in range(2))
    for name, value in vars(one).items():
        np.testing.assert_array_equal(value, getattr(two, name))
    assert (one.joints[:, 0] == 0).all() and (one.noisy_joints[:, 0] == 0).all()
    bend = np.linalg.norm(acceleration(one.joints), axis=-1).mean()
    jerky = np.linalg.norm(acceleration(one.noisy_joints), axis=-1).mean()
    assert bend < 0.5 * jerky
    regressed = hand.joint_regressor.numpy() @ one.vertices
    np.testing.assert_allclose(regressed, one.joints, atol=1e-5)


def test_wander_has_the_variance_and_memory_that_it_says():
    times = np.arange(4000) / 30
    noise = wander(np.random.default_rng(0), times, (20,), 0.1)
    assert noise.var() == pytest.approx(1, rel=0.1)
    correlation = (noise[3:] * noise[:-3]).mean() / noise.var()
    assert correlation == pytest.approx(np.exp(-1), abs=0.05)


def test_figures_of_a_known_error(hand):
    """A constant offset of 3 mm in every joint but the wrist: no error of acceleration."""
    clip = make_clip(np.random.default_rng(2), hand, 16, mesh=True)
    clip.noisy_joints = clip.joints.copy()
    clip.noisy_joints[:, 1:, 2] += 0.003
    clip.noisy_vertices = clip.vertices + np.float32([0, 0.002, 0])
    clip.noisy_camera = clip.camera.copy()
    figures = measure(None, [clip])
    assert figures["MPJPE (mm)"] == pytest.approx(3 * 20 / 21, abs=1e-3)
    assert figures["MPVPE (mm)"] == pytest.approx(2, abs=1e-3)
    assert figures["acceleration error (mm/frame^2)"] < 1e-3 and figures["camera (1e-3)"] < 1e-3
