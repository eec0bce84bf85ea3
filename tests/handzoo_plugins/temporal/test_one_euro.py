"""OneEuro against the paper's algorithm written out for one number, and its known properties."""

import math

import numpy as np
import pytest

from handzoo.apis.filters import HandState
from handzoo.errors import ConfigError
from handzoo.hands.models import load_bundled
from handzoo.hands.topology import build_topology
from handzoo.testing import Context, conformance_checks
from handzoo.testing.filters import make_motion
from handzoo_plugins.temporal.one_euro import OneEuro


class LowPass:
    """The paper's LowPassFilter of one number."""

    def __init__(self):
        self.first, self.hatxprev = True, 0.0

    def filter(self, x, alpha):
        if self.first:
            self.first, hatx = False, x
        else:
            hatx = alpha * x + (1 - alpha) * self.hatxprev
        self.hatxprev = hatx
        return hatx


class Scalar:
    """The paper's algorithm 1, line by line."""

    def __init__(self, mincutoff, beta, dcutoff):
        self.mincutoff, self.beta, self.dcutoff = mincutoff, beta, dcutoff
        self.first, self.xfilt, self.dxfilt = True, LowPass(), LowPass()

    @staticmethod
    def alpha(rate, cutoff):
        tau, te = 1.0 / (2 * math.pi * cutoff), 1.0 / rate
        return 1.0 / (1.0 + tau / te)

    def filter(self, x, rate):
        if self.first:
            self.first, dx = False, 0.0
        else:
            dx = (x - self.xfilt.hatxprev) * rate
        edx = self.dxfilt.filter(dx, self.alpha(rate, self.dcutoff))
        cutoff = self.mincutoff + self.beta * abs(edx)
        return self.xfilt.filter(x, self.alpha(rate, cutoff))


def hand_of(joint, vertex=0.0, camera=(4.0, 0.0, 0.0)):
    """A float64 hand whose every joint and vertex is at (x, 0, 0)."""
    joints, vertices = np.zeros((21, 3)), np.zeros((778, 3))
    joints[:, 0], vertices[:, 0] = joint, vertex
    return HandState(joints, vertices, np.array(camera, dtype=np.float64))


def run(part, signal, fps=30.0):
    part.reset()
    return np.array([part(hand_of(x), k / fps).joints[5, 0] for k, x in enumerate(signal)])


@pytest.fixture(scope="module")
def topology():
    return build_topology(load_bundled())


@pytest.mark.parametrize("check", conformance_checks("prediction_filter"), ids=str)
@pytest.mark.parametrize("speed", ["coordinate", "point", "hand"])
def test_conformance(check, speed):
    check(dict(type="temporal/OneEuro", speed=speed), Context())


def test_equals_the_papers_algorithm_number_by_number():
    rng = np.random.default_rng(0)
    times = np.cumsum(rng.uniform(0.01, 0.06, 50))
    joints, vertices = (rng.standard_normal((50, n, 3)).cumsum(0) * 0.02 for n in (21, 778))
    camera = np.stack((np.exp(rng.standard_normal(50)), *rng.standard_normal((2, 50))), axis=1)
    settings = dict(min_cutoff=0.8, beta=7.0, d_cutoff=1.3)
    part = OneEuro(
        **settings, speed="coordinate", camera_min_cutoff=1.7, camera_beta=3.0
    )  # fmt: skip
    found = [
        part(HandState(*frame), time)
        for *frame, time in zip(joints, vertices, camera, times, strict=True)
    ]
    rates = [30.0, *(1 / np.diff(times))]

    def check(signal, ours, mincutoff, beta):
        scalar = Scalar(mincutoff, beta, 1.3)
        wanted = [scalar.filter(x, rate) for x, rate in zip(signal, rates, strict=True)]
        np.testing.assert_allclose(ours, wanted, rtol=1e-12, atol=1e-12)

    for j, c in ((0, 0), (7, 1), (20, 2)):
        check(joints[:, j, c], [f.joints[j, c] for f in found], 0.8, 7.0)
        check(vertices[:, 30 * j, c], [f.vertices[30 * j, c] for f in found], 0.8, 7.0)
    check(np.log(camera[:, 0]), [np.log(f.camera[0]) for f in found], 1.7, 3.0)
    check(camera[:, 2], [f.camera[2] for f in found], 1.7, 3.0)


def test_step_response_without_beta_is_the_first_orders():
    alpha = 1 / (1 + 30 / (2 * np.pi * 1.5))
    step = run(OneEuro(1.5, beta=0.0), [0.0] * 3 + [1.0] * 20)
    np.testing.assert_allclose(step[3:], 1 - (1 - alpha) ** np.arange(1, 21), atol=1e-12)
    # With beta the same step is followed sooner, and never overshot.
    eager = run(OneEuro(1.5, beta=5.0), [0.0] * 3 + [1.0] * 20)
    assert (eager[3:] > step[3:]).all() and (np.diff(eager) >= 0).all() and eager.max() <= 1


def test_jitter_at_rest_shrinks_as_theory_says():
    """White noise through a first-order low-pass keeps alpha / (2 - alpha) of its variance."""
    noise = np.random.default_rng(1).standard_normal(20000) * 0.002
    part = OneEuro(1.0, beta=0.0)
    alpha = 1 / (1 + 30 / (2 * np.pi * 1.0))
    kept = run(part, noise[:4000])[200:].var() / noise.var()
    assert kept == pytest.approx(alpha / (2 - alpha), rel=0.15)
    assert kept < 0.12


@pytest.mark.parametrize("speed", [0.05, 0.3, 1.0])
def test_lag_is_bounded_by_the_cutoff(speed):
    """Behind a steady motion by speed / (2 pi cutoff) at most, the cut-off grown by beta."""
    times = np.arange(150) / 30
    lag = (speed * times - run(OneEuro(1.0, beta=10.0), speed * times))[-1]
    assert 0 < lag <= speed / (2 * np.pi * (1.0 + 10.0 * speed)) * (1 + 1e-6)
    without = (speed * times - run(OneEuro(1.0, beta=0.0), speed * times))[-1]
    assert without == pytest.approx(speed / (2 * np.pi), rel=1e-3)


def test_the_frame_rate_hardly_matters():
    def after(fps):
        return run(OneEuro(1.0, beta=0.0), [0.0] + [1.0] * int(0.2 * fps), fps)[-1]

    assert after(120.0) == pytest.approx(after(60.0), abs=0.03)
    assert after(60.0) == pytest.approx(after(30.0), abs=0.05)


def test_speed_of_a_point_does_not_depend_on_the_axes(topology):
    states, times = make_motion(topology)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    turned = [HandState(s.joints @ turn, s.vertices @ turn, s.camera) for s in states]
    differences = {}
    for speed in ("coordinate", "point", "hand"):
        one, two = OneEuro(speed=speed), OneEuro(speed=speed)
        pairs = [(one(a, t), two(b, t)) for a, b, t in zip(states, turned, times, strict=True)]
        differences[speed] = max(abs(a.joints @ turn - b.joints).max() for a, b in pairs)
    assert differences["point"] < 1e-6 and differences["hand"] < 1e-6
    assert differences["coordinate"] > 1e-4


def test_speed_of_the_hand_keeps_mesh_and_joints_consistent(topology):
    states, times = make_motion(topology)
    regressor = topology.joint_regressor.numpy()
    part = OneEuro(speed="hand")
    for state, time in zip(states, times, strict=True):
        joints = regressor @ state.vertices
        found = part(HandState(joints, state.vertices, state.camera), time)
        np.testing.assert_allclose(regressor @ found.vertices, found.joints, atol=1e-6)


def test_wrong_settings_are_named():
    with pytest.raises(ConfigError, match="speed.*point"):
        OneEuro(speed="points")
    with pytest.raises(ConfigError, match="d_cutoff"):
        OneEuro(d_cutoff=0.0)
