"""The MMEngine metric: from data samples to figures and files."""

import io
import json

import hand_points
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from rich.console import Console

from handzoo.errors import ConfigError, DataError
from handzoo.evaluation import HandSet, Protocol, evaluate_hands, read_submission
from handzoo.evaluation.evaluate_cli import evaluate_submission
from handzoo.hands.camera import perspective_project, rotation_z
from handzoo.registry import METRICS
from handzoo.structures import HandDataSample, empty_annotation

FOCAL = 450.0


def _samples(count=5, angle=0.0, annotated=True):
    """Samples in a frame rotated by ``angle``; the predicted camera places the wrist exactly."""
    rng = np.random.default_rng(4)
    joints, vertices = hand_points.hand_sets(count, rng)
    joints_p, vertices_p = (
        hand_points.predictions(joints, rng),
        hand_points.predictions(vertices, rng),
    )
    turn = rotation_z(torch.tensor(angle, dtype=torch.float64)).numpy()
    samples = []
    for index in reversed(range(count)):
        root, pred_root = joints[index, :1] @ turn.T, joints_p[index, :1] @ turn.T
        K = np.array([[FOCAL, 0, 112], [0, FOCAL, 112], [0, 0, 1]])
        scale = 2 * FOCAL / (pred_root[0, 2] * 224)
        uv = perspective_project(torch.from_numpy(pred_root)[None], torch.from_numpy(K)[None])[0, 0]
        offset = (uv.numpy() * 2 / 224 - 1) / scale
        values = {name: value.clone() for name, value in empty_annotation().items()}
        if annotated:
            values |= {
                "joints3d": torch.from_numpy(joints[index] @ turn.T - root).float(),
                "joints3d_valid": torch.ones(21, dtype=torch.bool),
                "vertices": torch.from_numpy(vertices[index] @ turn.T - root).float(),
                "vertices_valid": torch.tensor(True),
                "root": torch.from_numpy(root[0]).float(),
                "root_valid": torch.tensor(True),
            }
        values |= {
            "K": torch.from_numpy(K).float(),
            "K_valid": torch.tensor(True),
            "aug_rotation": torch.tensor(angle),
            "pred_camera": torch.tensor([scale, *offset]).float(),
            "pred_joints": torch.from_numpy(joints_p[index] @ turn.T - pred_root).float(),
            "pred_joints_from_vertices": torch.from_numpy(joints[index] @ turn.T - root).float(),
            "pred_vertices": torch.from_numpy(vertices_p[index] @ turn.T - pred_root).float(),
        }
        meta = {"sample_id": index, "dataset": "freihand", "img_path": f"rgb/{index:08d}.jpg"}
        samples.append(HandDataSample(metainfo=meta, **values))
    return samples, (joints, vertices, joints_p, vertices_p)


def _run(samples, kind="HandMetric", **arguments):
    metric = METRICS.build({"type": kind, **arguments})
    evaluator = Evaluator(metric)
    for begin in range(0, len(samples), 2):
        evaluator.process(samples[begin : begin + 2])
    return evaluator.evaluate(len(samples)), metric


@pytest.mark.parametrize("angle", [0.0, 0.7])
def test_figures_are_those_of_the_arrays(angle):
    samples, (joints, vertices, joints_p, vertices_p) = _samples(angle=angle)
    found, metric = _run(samples)
    expected = evaluate_hands(
        HandSet(joints, vertices), HandSet(joints_p, vertices_p), Protocol()
    ).metrics
    assert set(expected) < set(found)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=2e-3), name
    assert found["PA-MPJPE[mesh]"] == pytest.approx(0, abs=1e-3)
    assert metric.result.protocol["dataset"] == "freihand-layout-5"
    assert metric.result.sample_ids == [0, 1, 2, 3, 4]
    assert "EPE-2D" in metric.result.left_out


def test_files_give_the_same_figures(tmp_path):
    samples, (joints, vertices, joints_p, _) = _samples()
    found, _ = _run(samples, out_dir=str(tmp_path))
    submission = read_submission(tmp_path / "pred.json")
    np.testing.assert_allclose(submission.xyz, joints_p, atol=2e-6)  # in evaluation order
    for name, points in (("xyz", joints), ("verts", vertices)):
        (tmp_path / f"evaluation_{name}.json").write_text(json.dumps(points.tolist()))
    again = evaluate_submission(read_submission(tmp_path / "pred.zip"), tmp_path).metrics
    for name, value in again.items():
        assert found[name] == pytest.approx(value, abs=1e-4), name
    written = json.loads((tmp_path / "metrics.json").read_text())
    assert written["metrics"]["PA-MPJPE"] == pytest.approx(found["PA-MPJPE"])
    assert written["protocol"]["joints_from"] == "joints"


def test_joints_from_the_mesh():
    samples, _ = _samples()
    found, metric = _run(samples, joints_from="mesh")
    assert found["PA-MPJPE"] == pytest.approx(0, abs=1e-3) and "PA-MPJPE[mesh]" not in found
    assert "from=mesh" in metric.result.protocol["id"]


def test_unannotated_run_returns_nothing_but_writes_the_submission(tmp_path):
    samples, _ = _samples(annotated=False)
    found, metric = _run(samples, out_dir=str(tmp_path))
    assert found == {} and metric.result.left_out["PA-MPJPE"]
    assert len(read_submission(tmp_path / "pred.json")) == 5


def test_projection_error_where_only_2d_is_annotated():
    samples, _ = _samples(annotated=False)
    for sample in samples:
        projected = sample.pred_camera[0] * (sample.pred_joints[:, :2] + sample.pred_camera[1:])
        sample.joints2d = (projected + 1) * 112 + torch.tensor([3.0, 4.0])
        sample.joints2d_valid = torch.ones(21, dtype=torch.bool)
    found, _ = _run(samples)
    assert set(found) == {"EPE-2D"} and found["EPE-2D"] == pytest.approx(5, abs=1e-3)


def test_without_camera_matrix_no_submission(tmp_path):
    samples, _ = _samples()
    samples[0].K_valid = torch.tensor(False)
    found, metric = _run(samples, out_dir=str(tmp_path))
    assert not (tmp_path / "pred.json").exists()
    assert "camera matrix" in metric.result.left_out["submission"]
    assert metric.result.counts["CS-MPJPE"] == 4 and found["PA-MPJPE"] > 0


def test_no_submission_with_holes(tmp_path):
    samples, _ = _samples()
    _, metric = _run(samples, out_dir=str(tmp_path / "whole"))
    assert "5 samples" in metric.result.notes[0]
    _, metric = _run(samples[:2] + samples[3:], out_dir=str(tmp_path / "holes"))
    assert not (tmp_path / "holes" / "pred.json").exists()
    assert "images 0 to 3" in metric.result.left_out["submission"]


def test_rhd_and_dexter_protocols():
    samples, (joints, _, joints_p, _) = _samples()
    for sample in samples:
        sample.vertices_valid = torch.tensor(False)
    found, metric = _run(samples, "RHDMetric")
    root, root_p = (joints[:, 0] + joints[:, 9]) / 2, (joints_p[:, 0] + joints_p[:, 9]) / 2
    a, b = joints - root[:, None], joints_p - root_p[:, None]
    scale = np.linalg.norm(a[:, 9] - a[:, 10], axis=1) / np.linalg.norm(b[:, 9] - b[:, 10], axis=1)
    errors = np.linalg.norm(a - b * scale[:, None, None], axis=-1)
    assert found["B-MPJPE"] == pytest.approx(errors.mean() * 1000, abs=2e-3)
    thresholds = np.linspace(0, 0.05, 20)[8:]
    curve = [(errors <= t).mean() for t in thresholds]
    area = np.trapezoid(curve, thresholds) / (thresholds[-1] - thresholds[0])
    assert found["B-AUC-J[20-50]"] == pytest.approx(area, abs=1e-6)
    assert "MPVPE" not in found and metric.result.left_out["MPVPE"]

    tips = torch.zeros(21, dtype=torch.bool)
    tips[[4, 8, 12, 16, 20]] = True
    for sample in samples:
        sample.joints3d_valid = tips
    found, metric = _run(samples, "DexterObjectMetric")
    assert {"CS-AUC-J[0-100]", "C-AUC-J[20-50]"} <= set(found)
    assert "points=tips" in metric.result.protocol["id"]


def test_config_errors_and_missing_predictions():
    with pytest.raises(ConfigError, match="joints_from"):
        METRICS.build({"type": "HandMetric", "joints_from": "meshes"})
    with pytest.raises(ConfigError, match="Did you mean"):
        METRICS.build({"type": "HandMetric", "protocol": {"tracks": ["procrustess"]}})
    with pytest.raises(DataError, match="mode='predict'"):
        _run([HandDataSample(metainfo={"sample_id": 0}, **empty_annotation())])


def test_result_table_names_stand_ins():
    samples, _ = _samples()
    _, metric = _run(samples)
    metric.result.resources = [{"name": "data/freihand", "status": "stand-in"}]
    table = metric.result.table()
    assert "NOT on the real resources: data/freihand" in table.title
    text = _text(table)
    assert table.row_count == 6 and f"{metric.result.metrics['PA-MPVPE']:.2f}" in text
    assert "EPE-2D left out: no sample has annotated 2D joints" in text


def test_result_table_of_other_protocols_shows_counts_and_ranges():
    samples, _ = _samples()
    samples[0].joints3d_valid = torch.zeros(21, dtype=torch.bool)
    _, metric = _run(samples, "RHDMetric")
    text = _text(metric.result.table())
    assert "AUC-J[20-50-bihand]" in text and f"{metric.result.metrics['B-MPJPE']:.2f} (4)" in text


def _text(table):
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()
