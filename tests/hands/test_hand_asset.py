"""The bundled hand's mesh, rig and blend shapes, and the generator that makes them."""

import numpy as np
import pytest
import torch
from mesh_probe import boundary_loop, buried, vertex_normals, volume, winding_numbers

from handzoo.hands.articulation import compose_pose, load_asset, pose_bundled_hand
from handzoo.hands.conventions import MANO_PARENTS, TIP_VERTICES
from handzoo.hands.generation import build_hand_asset
from handzoo.hands.generation.build import vertex_order
from handzoo.hands.generation.layout import build_layout, edges_of

FIRST = {"index": 1, "middle": 4, "little": 7, "ring": 10, "thumb": 13}
DIGITS = ("thumb", "index", "middle", "ring", "little")


@pytest.fixture(scope="module")
def hand():
    return load_asset()


@pytest.fixture(scope="module")
def loops():
    """Joint (MANO index) -> the ten vertices around it, for every joint that has a loop."""
    layout = build_layout()
    rank = np.argsort(vertex_order(layout))
    rings = {}
    for name, first in FIRST.items():
        middle, end = (3, 7) if name == "thumb" else (2, 6)
        rings[first + 1] = rank[layout.loops[name][middle]]
        rings[first + 2] = rank[layout.loops[name][end]]
    return rings


def bent(joint, share, part=0):
    """Pose (45,) with one joint at a share of its limit; part 0 flexion, 1 abduction, 2 twist."""
    angles = np.zeros((3, 15))
    limits = load_asset()["joint_limits"][joint - 1, part]
    angles[part, joint - 1] = share * (limits[1] if share > 0 else -limits[0])
    return compose_pose(*angles)


def test_sizes_and_types(hand):
    shapes = {
        "v_template": (778, 3), "f": (1538, 3), "shapedirs": (778, 3, 10),
        "posedirs": (778, 3, 135), "J_regressor": (16, 778), "weights": (778, 16),
        "parents": (16,), "hands_mean": (45,), "tip_vertices": (5,), "joint_limits": (15, 3, 2),
        "flex_axes": (15, 3), "abd_axes": (15, 3), "twist_axes": (15, 3), "nails": (778,),
        "palm_side": (778,), "creases": (778,), "part_labels": (778,), "shape_names": (10,),
    }  # fmt: skip
    for name, shape in shapes.items():
        assert hand[name].shape == shape, name
        if hand[name].dtype.kind == "f":
            assert hand[name].dtype == np.float32 and np.isfinite(hand[name]).all(), name
    assert tuple(hand["parents"]) == MANO_PARENTS


def test_topology_is_a_disk_open_at_the_wrist(hand):
    faces = hand["f"]
    directed = faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2)
    assert len(np.unique(directed, axis=0)) == len(directed)  # orientable, at most two a side
    edges = edges_of(faces)
    assert len(edges) == 2315 and 778 - len(edges) + 1538 == 1
    assert set(faces.ravel()) == set(range(778))
    rim = dict(boundary_loop(faces))
    assert len(rim) == 16
    walked, vertex = [], next(iter(rim))
    while vertex not in walked:
        walked.append(vertex)
        vertex = rim[vertex]
    assert len(walked) == 16 and set(walked) == set(hand["boundary"])
    assert hand["v_template"][walked, 0].min() > hand["J"][0, 0]


def test_triangles_are_sound(hand):
    corners = hand["v_template"][hand["f"]].astype(float)
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=-1)
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    quality = 2 * np.sqrt(3) * area / (sides**2).sum(1)  # 1 for an equilateral triangle
    assert quality.min() > 0.2 and np.median(quality) > 0.75
    fingers = hand["part_labels"][hand["f"]].min(1) > 0
    assert np.median(sides[fingers]) < 0.8 * np.median(sides[~fingers])


def test_skin_faces_outwards_and_does_not_cross_itself(hand):
    vertices, faces = hand["v_template"].astype(float), hand["f"]
    assert 2.5e-4 < volume(vertices, faces) < 5e-4  # a quarter to half a litre
    assert not buried(vertices, faces).any()
    inward = vertices - 4e-4 * vertex_normals(vertices, faces)
    np.testing.assert_allclose(winding_numbers(inward, vertices, faces), 1.0, atol=0.05)


def test_measures_of_an_adult_hand(hand):
    _, joints = pose_bundled_hand(np.zeros(45))
    vertices = hand["v_template"]
    assert 0.180 < np.linalg.norm(joints[12] - joints[0]) < 0.200
    phalanges = np.linalg.norm(np.diff(joints[9:13], axis=0), axis=1)
    np.testing.assert_allclose(phalanges, [0.046, 0.0285, 0.024], atol=1e-3)
    knuckles = (np.abs(vertices[:, 0] - joints[9, 0]) < 0.01) & (hand["part_labels"] < 13)
    assert 0.075 < np.ptp(vertices[knuckles, 2]) < 0.095
    lengths = np.linalg.norm(joints[[8, 12, 16, 20]] - joints[[5, 9, 13, 17]], axis=1)
    assert lengths.argmax() == 1 and lengths.argmin() == 3


def test_it_is_a_right_hand(hand):
    """Fingers x palm points to the thumb; the palm is where bending leads the finger tips."""
    _, rest = pose_bundled_hand(np.zeros(45))
    fingers = rest[12] - rest[0]
    flexion = np.zeros(15)
    flexion[[0, 3, 6, 9]] = 0.6
    _, curled = pose_bundled_hand(compose_pose(flexion))
    palm = (curled - rest)[[8, 12, 16, 20]].mean(0)
    palm -= fingers * (palm @ fingers) / (fingers @ fingers)
    for thumb_side in (rest[4] - rest[0], rest[5] - rest[17]):
        assert np.cross(fingers, palm) @ thumb_side > 0
    # MANO's frame: fingers along -x, palm -y, thumb side +z.
    assert fingers.argmin() == 0 and palm.argmin() == 1 and (rest[5] - rest[17]).argmax() == 2
    facing = vertex_normals(hand["v_template"].astype(float), hand["f"])[:, 1]
    fingers_only = (hand["part_labels"] > 0) & (hand["part_labels"] < 13)
    assert np.corrcoef(hand["palm_side"][fingers_only], facing[fingers_only])[0, 1] < -0.9


def test_weights(hand):
    weights = hand["weights"]
    np.testing.assert_allclose(weights.sum(1), 1.0, atol=1e-6)
    assert weights.min() >= 0
    two = np.sort(weights, axis=1)[:, -2:].sum(1)
    free = hand["part_labels"] % 3 != 1  # beyond the first joint of a digit
    assert two[free & (hand["part_labels"] > 0)].min() > 0.97
    edges = edges_of(hand["f"])
    assert np.abs(weights[edges[:, 0]] - weights[edges[:, 1]]).max() < 0.8
    # Each joint moves the joints behind it: its finger's tip follows the last bone alone.
    for digit, name in enumerate(DIGITS):
        assert weights[hand["tip_vertices"][digit], FIRST[name] + 2] == 1.0


def test_joint_regressor_stays_inside_the_flesh(hand):
    regressor = hand["J_regressor"].astype(float)
    np.testing.assert_allclose(regressor.sum(1), 1.0, atol=1e-6)
    assert regressor.min() >= 0
    assert (regressor > 0).sum(1).max() < 60
    np.testing.assert_allclose(regressor @ hand["v_template"], hand["J"], atol=1e-6)
    rng = np.random.default_rng(0)
    for scale in (0.0, 1.0, 1.0, 2.0):
        vertices = hand["v_template"] + hand["shapedirs"] @ (scale * rng.standard_normal(10))
        inside = winding_numbers(regressor @ vertices, vertices.astype(float), hand["f"])
        np.testing.assert_allclose(inside, 1.0, atol=0.02)


def test_tips_of_every_published_set_lie_at_the_finger_tips(hand):
    vertices = hand["v_template"]
    assert tuple(hand["tip_vertices"]) == TIP_VERTICES["freihand"]
    for tips in TIP_VERTICES.values():
        gap = np.linalg.norm(vertices[list(tips)] - vertices[hand["tip_vertices"]], axis=1)
        assert gap.max() < 0.007


def test_shape_directions(hand):
    vertices, faces = hand["v_template"].astype(float), hand["f"]
    directions = hand["shapedirs"].reshape(-1, 10).astype(float)
    size = np.sqrt((directions**2).sum(0) / 778)
    assert size.min() > 1e-4 and size.argmax() == 0
    cosines = (directions / size).T @ (directions / size) / 778
    assert np.abs(cosines - np.eye(10)).max() < 0.7
    assert np.abs(cosines[0, 1:]).max() < 1e-5
    assert volume(vertices + hand["shapedirs"][..., 0], faces) > 1.1 * volume(vertices, faces)
    rng = np.random.default_rng(1)
    for _ in range(3):
        shaped = vertices + hand["shapedirs"] @ rng.standard_normal(10)
        assert buried(shaped, faces).sum() <= 4
    _, plain = pose_bundled_hand(np.zeros(45))
    names = hand["shape_names"].tolist()
    for name, first, last in (("thumb_length", 1, 4), ("finger_length", 9, 12)):
        shape = np.zeros(10)
        shape[names.index(name)] = 2.0
        _, joints = pose_bundled_hand(np.zeros(45), shape=shape)
        grown = np.linalg.norm(joints[last] - joints[first])
        assert grown > 1.03 * np.linalg.norm(plain[last] - plain[first])


def _loop_area(points):
    """Area enclosed by a closed loop (K,3), seen along its own normal."""
    return 0.5 * np.linalg.norm(np.cross(points, np.roll(points, -1, axis=0)).sum(0))


def test_correctives_vanish_at_rest(hand):
    vertices, _ = pose_bundled_hand(np.zeros(45))
    np.testing.assert_allclose(vertices, hand["v_template"], atol=1e-7)
    assert np.abs(hand["posedirs"]).max() > 1e-3


def test_no_joint_collapses_when_it_bends(hand, loops, monkeypatch):
    """The loop around a bent joint keeps its area; without correctives it visibly loses some."""
    plain = dict(hand, posedirs=np.zeros_like(hand["posedirs"]))
    rest = hand["v_template"].astype(float)
    for joint, loop in loops.items():
        for share in (0.5, 1.0):
            vertices, _ = pose_bundled_hand(bent(joint, share))
            kept = _loop_area(vertices[loop]) / _loop_area(rest[loop])
            assert 0.75 < kept < 1.35, (joint, share)
        with monkeypatch.context() as patch:
            patch.setattr("handzoo.hands.articulation._asset", lambda: plain)
            linear, _ = pose_bundled_hand(bent(joint, 1.0))
        assert _loop_area(linear[loop]) < 0.93 * _loop_area(vertices[loop]), joint


@pytest.mark.parametrize("part", [0, 1, 2])
def test_volume_survives_every_joint(hand, part):
    whole = volume(hand["v_template"].astype(float), hand["f"])
    for joint in range(1, 16):
        for share in (-1.0, 1.0):
            vertices, _ = pose_bundled_hand(bent(joint, share, part))
            assert 0.95 < volume(vertices, hand["f"]) / whole < 1.05, joint


def test_torch_model_agrees_with_the_numpy_reference(hand):
    from handzoo.hands.models import build_hand_model

    model = build_hand_model("bundled", flat_hand_mean=True).double()
    rng = np.random.default_rng(3)
    pose, shape = 0.5 * rng.standard_normal(48), rng.standard_normal(10)
    vertices, joints = pose_bundled_hand(pose[3:], pose[:3], shape)
    output = model(torch.tensor(pose)[None], torch.tensor(shape)[None])
    np.testing.assert_allclose(output.vertices[0].numpy(), vertices, atol=1e-6)
    np.testing.assert_allclose(output.skeleton[0].numpy()[:16], joints[_mano_rows()], atol=1e-6)


def _mano_rows():
    from handzoo.hands.conventions import MANO_TO_JOINTS

    return np.argsort(MANO_TO_JOINTS)[:16]


def test_nails_lie_on_the_finger_tips(hand):
    nails = np.flatnonzero(hand["nails"] > 0.5)
    assert len(nails) >= 10
    assert set(hand["part_labels"][nails]) == {3, 6, 9, 12, 15}
    assert hand["palm_side"][nails].mean() < 0.25
    for digit, center in enumerate(hand["nail_centers"]):
        assert np.linalg.norm(hand["v_template"][hand["tip_vertices"][digit]] - center) < 0.016


def test_generator_reproduces_the_shipped_asset(hand):
    made = build_hand_asset()
    assert set(made) == set(hand)
    for name, value in made.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(value, hand[name], atol=1e-6, rtol=1e-5, err_msg=name)
        else:
            np.testing.assert_array_equal(value, hand[name], err_msg=name)
