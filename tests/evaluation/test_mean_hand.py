"""The baseline that a trained model has to beat."""

import numpy as np
import pytest
import torch

from handzoo.evaluation.evaluate_cli import evaluate_submission
from handzoo.evaluation.submission import read_submission
from handzoo.hands.rotations import axis_angle_to_matrix
from handzoo.resources import ASSETS
from tools.mean_hand import main, mean_hand, onto

SAMPLE = ASSETS / "sample"


def random_rotations(count):
    torch.manual_seed(0)
    return axis_angle_to_matrix(2 * torch.randn(count, 3, dtype=torch.float64)).numpy()


def test_onto_finds_the_rotation_and_no_reflection():
    rng = np.random.default_rng(0)
    target = rng.normal(size=(30, 3))
    target -= target.mean(0)
    turned = target @ random_rotations(8)
    np.testing.assert_allclose(turned @ onto(target, turned), target[None].repeat(8, 0), atol=1e-12)
    found = onto(target, turned * [1, 1, -1])
    np.testing.assert_allclose(np.linalg.det(found), 1, atol=1e-12)


def test_one_hand_seen_from_everywhere_is_found_again():
    """Turned onto each other the copies are one hand; as the camera saw them they cancel."""
    rng = np.random.default_rng(1)
    hand = rng.normal(size=(121, 3))
    copies = (hand - hand[0]) @ random_rotations(200) + rng.normal(size=(200, 1, 3))
    joints, vertices = mean_hand(copies[:, :21], copies[:, 21:], "hand")
    points = np.concatenate((joints, vertices))
    assert (points[0] == 0).all() and joints.shape == (21, 3)

    def distances(points):
        return np.linalg.norm(points[:, None] - points, axis=-1)

    np.testing.assert_allclose(distances(points), distances(hand), atol=1e-9)
    flat = np.concatenate(mean_hand(copies[:, :21], copies[:, 21:], "camera"))
    assert distances(flat).mean() < 0.3 * distances(hand).mean()


def test_camera_frame_is_the_best_constant_answer():
    rng = np.random.default_rng(2)
    joints, vertices = rng.normal(size=(50, 21, 3)), rng.normal(size=(50, 9, 3))
    best, _ = mean_hand(joints, vertices, "camera")
    wanted = joints - joints[:, :1]

    def error(answer):
        return ((wanted - answer) ** 2).sum()

    nearby = [best + 1e-3 * rng.normal(size=best.shape) for _ in range(20)]
    assert all(error(best) < error(other) for other in nearby)


@pytest.mark.parametrize(("frame", "better"), [("camera", "MPJPE"), ("hand", "PA-MPJPE")])
def test_command_writes_a_submission(tmp_path, monkeypatch, capsys, frame, better):
    """Each frame is the better answer for its own metric, on the bundled sample."""
    figures = {}
    for name in ("camera", "hand"):
        out = tmp_path / name
        arguments = ["--data", str(SAMPLE), "--frame", name, "--out", str(out)]
        monkeypatch.setattr("sys.argv", ["mean_hand.py", *arguments])
        assert main() == 0 and "200 hands, 100 times" in capsys.readouterr().out
        submission = read_submission(out / "pred.json")
        figures[name] = evaluate_submission(submission, SAMPLE).metrics[better]
    other = {"camera": "hand", "hand": "camera"}[frame]
    assert figures[frame] < 0.8 * figures[other]
