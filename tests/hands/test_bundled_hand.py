"""The bundled hand through the public builder: sizes, names, order of joints, tips."""

import numpy as np
import pytest
import torch

from handzoo.errors import ConfigError, ResourceError
from handzoo.hands.conventions import JOINT_PARENTS, NUM_JOINTS, TIP_JOINTS
from handzoo.hands.models import build_hand_model, read_hand_npz
from handzoo.resources import collect_resources


@pytest.fixture(scope="module")
def hand():
    return build_hand_model("bundled", flat_hand_mean=True)


@pytest.fixture(scope="module")
def rest(hand):
    with torch.no_grad():
        return hand(torch.zeros(1, 48))


def test_sizes(hand, rest):
    assert rest.vertices.shape == (1, 778, 3)
    assert rest.joints.shape == (1, 21, 3)
    assert hand.faces.shape == (1538, 3)
    assert hand.is_stand_in and hand.name == "bundled"


def test_bones_have_the_lengths_of_a_hand(rest):
    joints = rest.joints[0]
    for joint in range(1, NUM_JOINTS):
        length = (joints[joint] - joints[JOINT_PARENTS[joint]]).norm()
        assert 0.01 < length < 0.12, joint
    middle = joints[12]
    assert 0.15 < (middle - joints[0]).norm() < 0.23


def test_each_tip_ends_its_own_finger(hand, rest):
    """From its base, a finger's tip is its farthest joint, and no other finger's is nearer."""
    joints, vertices = rest.joints[0], rest.vertices[0]
    for tip, vertex in zip(TIP_JOINTS, hand.tip_vertices, strict=True):
        torch.testing.assert_close(joints[tip], vertices[vertex])
        base = joints[tip - 3]
        along = [(joints[tip - k] - base).norm() for k in (2, 1, 0)]
        assert along == sorted(along)
        nearest_last_joint = min(
            (t - 1 for t in TIP_JOINTS), key=lambda last: (joints[last] - joints[tip]).norm()
        )
        assert nearest_last_joint == tip - 1
        # Nothing of the hand reaches further along the last bone than the tip, but skin's width.
        direction = joints[tip] - joints[tip - 1]
        direction = direction / direction.norm()
        near = (vertices - joints[tip]).norm(dim=1) < 0.02
        assert ((vertices[near] - joints[tip]) @ direction).max() < 0.003


def test_fingers_lie_in_order_across_the_palm(rest):
    joints = rest.joints[0]
    across = joints[5] - joints[17]  # little knuckle to index knuckle
    positions = [float(joints[base] @ across) for base in (17, 13, 9, 5)]
    assert positions == sorted(positions)
    assert float(joints[4] @ across) > positions[-1]  # the thumb is on the index's side


def test_bending_a_joint_moves_its_own_finger_only(hand, rest):
    """MANO's order: joints 7-9 are the little finger, 13-15 the thumb."""
    for first, finger in ((1, 1), (4, 2), (7, 4), (10, 3), (13, 0)):
        pose = torch.zeros(1, 48)
        pose[0, 3 * (first + 1) : 3 * (first + 1) + 3] = torch.tensor([0.2, 0.0, 0.5])
        with torch.no_grad():
            moved = (hand(pose).skeleton - rest.skeleton).norm(dim=-1)[0]
            tips = (hand(pose).joints - rest.joints).norm(dim=-1)[0, list(TIP_JOINTS)]
        assert moved.nonzero().ravel().tolist() == [first + 2]
        assert tips.argmax() == finger
        assert tips[finger] > 5 * tips.sort().values[-2]


def test_choice_is_reported(monkeypatch, tmp_path):
    monkeypatch.delenv("HANDZOO_MANO", raising=False)
    monkeypatch.setenv("HANDZOO_DATA", str(tmp_path))
    for name in ("auto", "bundled"):
        with collect_resources() as report:
            assert build_hand_model(name).is_stand_in
        assert [row["status"] for row in report.rows()] == ["stand-in"]
    with pytest.raises(ResourceError, match="MANO is asked for"):
        build_hand_model("mano")
    with collect_resources(require_real=True), pytest.raises(ResourceError):
        build_hand_model("bundled")


def test_unknown_names_and_damaged_files(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'mano'"):
        build_hand_model("manno")
    path = tmp_path / "hand.npz"
    np.savez(path, f=np.zeros(3))
    with pytest.raises(ResourceError, match="lacks v_template"):
        read_hand_npz(path)
    path.write_bytes(b"nothing")
    with pytest.raises(ResourceError, match="cannot read"):
        read_hand_npz(path)
