"""The figures are those of FreiHAND's own evaluation, on good, mirrored and empty predictions."""

import hand_points as hands
import numpy as np
import official_freihand as official
import pytest
from scipy.linalg import orthogonal_procrustes

from handzoo.evaluation import HandSet, Protocol, evaluate_hands
from handzoo.evaluation.functional import fscore


def _evaluate(xyz, verts, xyz_pred, verts_pred, **protocol):
    return evaluate_hands(HandSet(xyz, verts), HandSet(xyz_pred, verts_pred), Protocol(**protocol))


def _cases():
    rng = np.random.default_rng(3)
    joints, vertices = hands.hand_sets(6, rng)
    yield "good", hands.predictions(joints, rng), hands.predictions(vertices, rng)
    yield "fine", hands.predictions(joints, rng, 1e-4), hands.predictions(vertices, rng, 1e-4)
    yield "random", rng.normal(size=joints.shape), rng.normal(size=vertices.shape)
    yield "mirrored", joints * [-1, 1, 1], vertices * [-1, 1, 1]
    yield "zeros", np.zeros_like(joints), np.zeros_like(vertices)
    flat_joints, flat_vertices = joints.copy(), vertices.copy()
    flat_joints[..., 2] = flat_vertices[..., 2] = 0.6
    yield "flat", flat_joints, flat_vertices
    yield "one point", np.full_like(joints, 0.3), np.full_like(vertices, 0.3)
    yield "perfect", joints.copy(), vertices.copy()


@pytest.mark.parametrize("case", [name for name, *_ in _cases()])
def test_equals_the_official_evaluation(case):
    rng = np.random.default_rng(3)
    joints, vertices = hands.hand_sets(6, rng)
    xyz_pred, verts_pred = next((j, v) for name, j, v in _cases() if name == case)
    expected = official.evaluate(joints, vertices, xyz_pred, verts_pred)
    found = _evaluate(joints, vertices, xyz_pred, verts_pred).metrics
    assert len(expected) == 12
    for name, value in expected.items():
        assert np.isfinite(found[name])
        assert found[name] == pytest.approx(value, abs=1e-6), name


def test_mirrored_hand_fits_only_with_reflections():
    joints, vertices = hands.hand_sets(4, np.random.default_rng(0))
    mirror = [-1, 1, 1]
    found = _evaluate(joints, vertices, joints * mirror, vertices * mirror).metrics
    assert found["PA-MPJPE"] < 1e-4 and found["PA-MPVPE"] < 1e-4
    assert found["PA-MPJPE-det+1"] > 5 and found["PA-MPVPE-det+1"] > 5


def test_fscore_decides_points_near_a_threshold_exactly():
    # Isolated points, each with a partner at almost exactly 5 mm, far from the origin.
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(*[np.arange(6)] * 3), -1).reshape(1, -1, 3) * 0.1 + 3.0
    offset = 0.005 + rng.uniform(-1, 1, grid.shape[1]) * 1e-10
    direction = rng.normal(size=grid.shape)
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    pred = grid + direction * offset[None, :, None]
    expected = official.f_score(grid[0], pred[0], 0.005)
    assert 0.3 < expected < 0.7
    assert fscore(grid, pred)[0][0, 0] == pytest.approx(expected, abs=1e-12)


def test_fscore_of_other_sizes_and_far_meshes():
    rng = np.random.default_rng(2)
    gt, pred = rng.normal(size=(70, 50, 3)) * 0.01, rng.normal(size=(70, 131, 3)) * 0.01
    pred[::2] += 5.0
    score, precision, recall = fscore(gt, pred, (0.002, 0.005, 0.015), workers=2)
    assert (score[::2] == 0).all() and (precision[::2] == 0).all() and (recall[::2] == 0).all()
    for index in range(1, 70, 10):
        for column, threshold in enumerate((0.002, 0.005, 0.015)):
            expected = official.f_score(gt[index], pred[index], threshold)
            assert score[index, column] == pytest.approx(expected, abs=1e-12)
    with pytest.raises(ValueError, match="not finite"):
        fscore(gt, pred * np.nan)


def test_mesh_of_another_topology_uses_the_alignment_of_the_joints():
    rng = np.random.default_rng(5)
    joints, vertices = hands.hand_sets(3, rng)
    joints_p, mesh_p = hands.predictions(joints, rng), hands.predictions(vertices, rng)[:, :500]
    scores = _evaluate(joints, vertices, joints_p, mesh_p)
    expected = []
    for gt, pred, mesh, true in zip(joints, joints_p, mesh_p, vertices, strict=True):
        a, b = gt - gt.mean(0), pred - pred.mean(0)
        a_norm, b_norm = np.linalg.norm(a), np.linalg.norm(b)
        rotation, scale = orthogonal_procrustes(a / a_norm, b / b_norm)
        moved = (mesh - mesh.mean(0)) @ rotation.T * scale * a_norm / b_norm
        moved += gt.mean(0) - pred.mean(0) + mesh.mean(0)
        expected.append(official.f_score(true, moved, 0.015))
    assert np.mean(expected) > 0.5
    assert scores.metrics["PA-F@15"] == pytest.approx(np.mean(expected), abs=1e-9)
    assert "500 vertices" in scores.left_out["PA-MPVPE"] and "PA-MPVPE" not in scores.metrics
