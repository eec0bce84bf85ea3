"""Alignments, areas under curves and means against closed forms and invariances."""

import hand_points
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from handzoo.evaluation import functional as F


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def _similar(points, rng, scale=1.7):
    turn = hand_points.rotations(len(points), rng)
    return points @ turn * scale + rng.normal(size=(len(points), 1, 3))


def test_procrustes_undoes_any_similarity(rng):
    joints, _ = hand_points.hand_sets(5, rng)
    moved = _similar(joints, rng)
    for reflections in (True, False):
        aligned = F.procrustes_align(joints, moved, reflections=reflections)
        np.testing.assert_allclose(aligned, joints, atol=1e-8)


def test_procrustes_error_is_invariant_to_similarities_of_the_prediction(rng):
    joints, _ = hand_points.hand_sets(5, rng)
    pred = hand_points.predictions(joints, rng)
    first = F.procrustes_align(joints, pred)
    # The 1e-8 of the official code makes scale matter in the eighth digit, not more.
    np.testing.assert_allclose(F.procrustes_align(joints, _similar(pred, rng)), first, atol=1e-7)


def test_rotation_equals_scipys_kabsch(rng):
    joints, _ = hand_points.hand_sets(5, rng)
    pred = hand_points.predictions(joints, rng) * [-1, 1, 1]
    fit = F.fit_similarity(joints, pred, reflections=False)
    np.testing.assert_allclose(np.linalg.det(fit.rotation), 1)
    for index in range(5):
        a, b = joints[index] - joints[index].mean(0), pred[index] - pred[index].mean(0)
        expected = Rotation.align_vectors(a, b)[0].as_matrix()
        np.testing.assert_allclose(fit.rotation[index], expected, atol=1e-9)


def test_masked_procrustes_sees_only_valid_points(rng):
    joints, _ = hand_points.hand_sets(2, rng)
    moved = _similar(joints, rng)
    valid = np.ones((2, 21), dtype=bool)
    valid[:, 15:] = False
    broken = joints.copy()
    broken[:, 15:] = np.nan
    aligned = F.procrustes_align(broken, moved, valid=valid)
    np.testing.assert_allclose(aligned, joints, atol=1e-8)


def test_scale_is_the_least_squares_one(rng):
    joints, _ = hand_points.hand_sets(3, rng)
    gt = F.root_align(joints, joints[:, 0])
    pred = hand_points.predictions(gt, rng)
    scale = F.least_squares_scale(gt, pred)
    for index in range(3):
        best = minimize_scalar(lambda s, i=index: ((gt[i] - s * pred[i]) ** 2).sum())
        assert scale[index] == pytest.approx(best.x, abs=1e-6)
    assert (F.scale_align(gt, np.zeros_like(pred)) == 0).all()


@pytest.mark.parametrize("how", ["least-squares", "mean-distance"])
def test_scale_translation_alignment_does_not_rotate(rng, how):
    joints, _ = hand_points.hand_sets(3, rng)
    moved = joints * 0.4 + [0.1, 0.2, 0.3]
    np.testing.assert_allclose(
        F.scale_translation_align(joints, moved, scale=how), joints, atol=1e-12
    )
    turned = _similar(joints, rng)
    aligned = F.scale_translation_align(joints, turned, scale=how)
    assert F.point_errors(joints, aligned).mean() > 0.01
    # A scale and a shift keep the directions between points.
    first, second = turned[:, 1] - turned[:, 0], aligned[:, 1] - aligned[:, 0]
    cosine = (
        (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)
    )
    np.testing.assert_allclose(np.abs(cosine), 1)


def test_bone_alignment_gives_the_bone_its_length(rng):
    joints, _ = hand_points.hand_sets(3, rng)
    gt = F.root_align(joints, F.root_position(joints, (0, 9)))
    aligned = F.bone_scale_align(gt, gt * 3.0, (9, 10))
    np.testing.assert_allclose(aligned, gt, atol=1e-12)


def test_root_position_averages(rng):
    joints, _ = hand_points.hand_sets(2, rng)
    np.testing.assert_allclose(F.root_position(joints, (0, 9)), (joints[:, 0] + joints[:, 9]) / 2)
    np.testing.assert_allclose(F.root_position(joints, 3), joints[:, 3])


def test_area_by_hand():
    # Thresholds 0, 10, ..., 50 mm; errors 0, 10 and 35 mm: 1, 2, 2, 2, 3, 3 hits of 3.
    errors = np.array([[0.0], [0.010], [0.035]])
    range_ = F.PCKRange(0, 50, 6)
    area, thresholds, curve = F.pck_auc(errors, range_)
    np.testing.assert_allclose(curve, np.array([1, 2, 2, 2, 3, 3]) / 3)
    np.testing.assert_allclose(thresholds, np.arange(6) / 100)
    assert area == pytest.approx((1 + 2 * (2 + 2 + 2 + 3) + 3) / 2 / 3 / 5)
    assert F.sample_auc(errors, range_).mean() == pytest.approx(area)


def test_area_per_key_point_and_pooled_differ_where_annotation_does():
    # Key point 0 is annotated once (hit), key point 1 three times (misses).
    errors = np.array([[0.0, 1.0], [9.0, 1.0], [9.0, 1.0]])
    valid = np.array([[True, True], [False, True], [False, True]])
    assert F.pck_auc(errors, F.PCKRange(), valid)[0] == pytest.approx(0.5)
    assert F.pck_auc(errors, F.PCKRange(pooled=True), valid)[0] == pytest.approx(0.25)
    assert F.mean_error(errors, valid) == pytest.approx(0.5)
    assert F.mean_error(errors, valid, pooled=True) == pytest.approx(0.75)
    np.testing.assert_allclose(F.masked_mean(errors, valid), [0.5, 1, 1])
    with pytest.raises(ValueError, match="no valid point"):
        F.pck_auc(errors, F.PCKRange(), np.zeros_like(valid))


def test_ranges_of_the_field():
    assert len(F.FREIHAND_PCK.thresholds()) == 100
    h3d = F.H3D_PCK_20_50.thresholds() * 1000
    assert len(h3d) == 12 and h3d[0] == pytest.approx(21.0526, abs=1e-4) and h3d[-1] == 50
    np.testing.assert_allclose(F.TIPS_PCK_20_50.thresholds() * 1000, np.arange(20, 51, 2))
    assert F.TIPS_PCK_0_100.thresholds()[-1] == 0.1 and F.TIPS_PCK_0_100.pooled
    area, thresholds, curve = F.pck_auc(np.full((4, 21), 0.03), F.BIHAND_PCK_20_50)
    expected = np.trapezoid((thresholds >= 0.03).astype(float), thresholds) / 0.03
    assert area == pytest.approx(expected)


def test_single_threaded_torch_restores():
    import torch

    before = torch.get_num_threads()
    with F.single_threaded_torch():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_bins_equal_a_search(rng):
    from handzoo.evaluation.functional.pck import threshold_bins

    for range_ in (F.FREIHAND_PCK, F.H3D_PCK_20_50, F.TIPS_PCK_0_100, F.BIHAND_PCK_20_50):
        thresholds = range_.thresholds()
        near = np.concatenate([np.nextafter(thresholds, d) for d in (-1, 1)])
        errors = np.concatenate([thresholds, near, rng.uniform(0, 0.12, 5000), [0, np.inf, np.nan]])
        expected = np.searchsorted(thresholds, errors, side="left")
        np.testing.assert_array_equal(threshold_bins(errors, thresholds), expected)
