"""Tracks, masks, names and protocol ids."""

import hand_points
import numpy as np
import pytest

from handzoo.errors import ConfigError, DataError
from handzoo.evaluation import HandSet, Protocol, evaluate_hands, metric_info


@pytest.fixture
def sets():
    rng = np.random.default_rng(11)
    joints, vertices = hand_points.hand_sets(8, rng)
    return (
        joints,
        vertices,
        hand_points.predictions(joints, rng),
        hand_points.predictions(vertices, rng),
    )


def test_root_relative_and_camera_space_in_millimetres(sets):
    joints, vertices, _, _ = sets
    shifted = HandSet(joints + [0.003, 0, 0.004], vertices + [0.003, 0, 0.004])
    found = evaluate_hands(HandSet(joints, vertices), shifted, Protocol()).metrics
    assert found["MPJPE"] == pytest.approx(0, abs=1e-9)
    assert found["MPVPE"] == pytest.approx(0, abs=1e-9)
    assert found["CS-MPJPE"] == pytest.approx(5) and found["CS-MPVPE"] == pytest.approx(5)
    assert found["F@5"] == 1 if "F@5" in found else found["CS-F@15"] == 1


def test_scale_tracks(sets):
    joints, vertices, _, _ = sets
    small = HandSet(joints * 0.8, vertices * 0.8)
    found = evaluate_hands(HandSet(joints, vertices), small, Protocol()).metrics
    for name in ("S-MPJPE", "S-MPVPE", "ST-MPJPE", "ST-MPVPE"):
        assert found[name] == pytest.approx(0, abs=1e-9)
    assert found["MPJPE"] > 5


def test_vertices_are_aligned_at_the_root_joint(sets):
    joints, vertices, joints_p, vertices_p = sets
    found = evaluate_hands(
        HandSet(joints, vertices), HandSet(joints_p, vertices_p), Protocol(root=(9,))
    )
    expected = np.linalg.norm(
        (vertices - joints[:, 9:10]) - (vertices_p - joints_p[:, 9:10]), axis=-1
    ).mean()
    assert found.metrics["MPVPE"] == pytest.approx(expected * 1000)


def test_unannotated_samples_are_left_out_not_counted_as_zero(sets):
    joints, vertices, joints_p, vertices_p = sets
    protocol = Protocol()
    some = evaluate_hands(
        HandSet(joints[:5], vertices[:5]), HandSet(joints_p[:5], vertices_p[:5]), protocol
    )
    known = np.arange(8) < 5
    joints_gap, vertices_gap = joints.copy(), vertices.copy()
    joints_gap[5:], vertices_gap[5:] = np.nan, 0
    gt = HandSet(joints_gap, vertices_gap, np.repeat(known[:, None], 21, 1), known, known)
    found = evaluate_hands(gt, HandSet(joints_p, vertices_p), protocol)
    assert set(found.metrics) == set(some.metrics)
    for name, value in some.metrics.items():
        assert found.metrics[name] == pytest.approx(value), name
    assert found.counts["PA-MPVPE"] == 5 and np.isnan(found.per_sample["PA-MPVPE"][5:]).all()


def test_nothing_annotated_gives_no_metric_and_says_why(sets):
    joints, vertices, joints_p, vertices_p = sets
    none = np.zeros(8, dtype=bool)
    gt = HandSet(joints, vertices, np.zeros((8, 21)), none, none)
    found = evaluate_hands(gt, HandSet(joints_p, vertices_p), Protocol())
    assert found.metrics == {}
    assert {"PA-MPJPE", "CS-MPJPE", "PA-MPVPE"} <= set(found.left_out)


def test_without_camera_the_unaligned_fscore_is_root_relative(sets):
    joints, vertices, joints_p, vertices_p = sets
    pred = HandSet(joints_p, vertices_p, camera_valid=np.zeros(8, dtype=bool))
    found = evaluate_hands(HandSet(joints, vertices), pred, Protocol())
    assert "CS-F@5" not in found.metrics and "CS-MPJPE" in found.left_out
    moved = vertices_p - joints_p[:, :1] + joints[:, :1]
    again = evaluate_hands(
        HandSet(joints, vertices),
        HandSet(joints_p, moved),
        Protocol(tracks=("camera",), fscore_tracks=("camera",)),
    )
    assert found.metrics["F@5"] == pytest.approx(again.metrics["CS-F@5"])


def test_tips_are_pooled_and_need_no_root(sets):
    joints, _, joints_p, _ = sets
    valid = np.zeros((8, 21), dtype=bool)
    valid[:, [4, 8, 12, 16, 20]] = True
    valid[0, 4] = valid[3] = False
    protocol = Protocol(points="tips", tracks=("camera", "root", "centroid"), fscore_tracks=())
    found = evaluate_hands(HandSet(joints, joints_valid=valid), HandSet(joints_p), protocol)
    assert "MPJPE" in found.left_out and found.counts["C-MPJPE"] == 7
    errors = np.linalg.norm(joints - joints_p, axis=-1)
    columns = [errors[valid[:, j], j].mean() for j in (4, 8, 12, 16, 20)]
    assert found.metrics["CS-MPJPE"] == pytest.approx(np.mean(columns) * 1000)


def test_mean_of_samples_is_the_metric(sets):
    joints, vertices, joints_p, vertices_p = sets
    found = evaluate_hands(HandSet(joints, vertices), HandSet(joints_p, vertices_p), Protocol())
    for name, value in found.metrics.items():
        assert found.per_sample[name].shape == (8,)
        assert found.per_sample[name].mean() == pytest.approx(value), name
        assert metric_info(name).name == name
    order = np.random.default_rng(0).permutation(8)
    shuffled = evaluate_hands(
        HandSet(joints[order], vertices[order]),
        HandSet(joints_p[order], vertices_p[order]),
        Protocol(),
    )
    for name, value in found.metrics.items():
        assert shuffled.metrics[name] == pytest.approx(value), name


def test_non_finite_predictions_are_refused(sets):
    joints, vertices, joints_p, vertices_p = sets
    vertices_p[2, 5, 0] = np.nan
    with pytest.raises(DataError, match="vertices of 1 of 8 samples are not finite.*sample 2"):
        evaluate_hands(HandSet(joints, vertices), HandSet(joints_p, vertices_p), Protocol())


def test_protocol_ids_name_everything():
    protocol = Protocol(joints_from="mesh")
    assert protocol.id == "freihand-v2/evaluation/root=wrist/joints=21-freihand/from=mesh/unit=mm"
    assert protocol.metric_id("PA-MPJPE") == (
        "freihand-v2/evaluation/root=wrist/align=procrustes-reflect/joints=21-freihand/from=mesh/unit=mm"
    )
    assert "align=procrustes-det+1" in protocol.metric_id("PA-MPVPE-det+1")
    assert "pck=0-50mm,100,per-keypoint" in protocol.metric_id("PA-AUC-J")
    assert metric_info("F@5").higher_is_better and not metric_info("MPVPE").higher_is_better
    with pytest.raises(ConfigError, match="Did you mean 'PA-MPJPE'"):
        metric_info("PA-MPJP")
    with pytest.raises(ConfigError, match="Did you mean 'procrustes'"):
        Protocol(tracks=("procrustis",))
