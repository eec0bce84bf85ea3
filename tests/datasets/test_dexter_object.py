"""Dexter+Object's text format, calibration and partial annotation."""

import json

import numpy as np
import pytest
from fabricate import DEXTER_LINES as LINES
from fabricate import make_dexter_object
from mmengine.config import Config

from handzoo.datasets import DexterObject
from handzoo.datasets.dexter_object import parse_tips, to_color_camera
from handzoo.errors import DataError


@pytest.fixture
def root(tmp_path):
    make_dexter_object(tmp_path)
    return tmp_path


def build(root, **kwargs):
    steps = Config.fromfile("configs/_base_/datasets/dexter_object.py").test_pipeline
    return DexterObject(root, sequences=("Grasp1", "Pinch"), pipeline=steps, **kwargs)


def test_lines_are_read():
    tips = parse_tips(LINES)
    assert tips.shape == (2, 5, 3)
    np.testing.assert_array_equal(tips[0, 4], [-50, -30, 440])
    assert np.isnan(tips[1, [1, 3]]).all() and not np.isnan(tips[1, [0, 2, 4]]).any()


@pytest.mark.parametrize("line", ["1,2,3;4,5,6", "a,b,c;" * 5, "1,2;1,2;1,2;1,2;1,2"])
def test_bad_lines_are_named(line):
    with pytest.raises(DataError, match="Pinch3D.txt, line 2"):
        parse_tips(LINES.splitlines()[0] + "\n" + line, "Pinch3D.txt")


def test_calibration_by_hand():
    # (-x, -y, z), then rotation and translation, in millimetres, written out.
    x, y, z = 10.0, 20.0, 400.0
    expected = [
        0.9999 * x + 0.0034 * y + 0.0161 * z + 19.0473,
        -0.0033 * x + 1.0 * y - 0.0079 * z - 1.8514,
        -0.0162 * x + 0.0079 * y + 0.9998 * z - 4.7501,
    ]
    got = to_color_camera(np.array([-10.0, -20.0, 400.0]))
    np.testing.assert_allclose(got * 1000, expected)


def test_only_valid_tips_are_flagged(root):
    dataset = build(root)
    assert len(dataset) == 4 and dataset.num_valid_tips == 2 * (5 + 3)
    sample = dataset[1]["data_samples"]
    assert sample.sample_id == "Grasp1/2"
    assert sample.joints3d_valid.nonzero()[:, 0].tolist() == [4, 12, 20]
    assert sample.joints3d[sample.joints3d_valid].mean(0).abs().max() < 1e-6
    assert not sample.vertices_valid and sample.flipped
    points = (sample.joints3d + sample.root)[sample.joints3d_valid].double() @ sample.K.double().T
    np.testing.assert_allclose(
        points[:, :2] / points[:, 2:], sample.joints2d[sample.joints2d_valid], atol=2e-3
    )


def test_mirrored_left_hand(root):
    plain = DexterObject(root, sequences=("Grasp1",)).get_data_info(0)
    sample = build(root)[0]["data_samples"]
    np.testing.assert_allclose(sample.root[0], -plain["root"][0], atol=1e-6)
    valid = plain["joints2d_valid"]
    mapped = plain["joints2d"][valid] @ sample.affine[:, :2].T + sample.affine[:, 2]
    np.testing.assert_allclose(mapped, sample.joints2d[valid], atol=2e-3)


def test_training_takes_2d_only(root):
    sample = build(root, test_mode=False)[0]["data_samples"]
    assert sample.joints2d_valid.sum() == 5
    assert not sample.joints3d_valid.any() and not sample.root_valid


def test_frames_with_too_few_tips_are_left_out(root):
    assert len(build(root, min_tips=4)) == 2


def test_boxes_of_a_file(root):
    boxes = {f"{s}/{f}": [100, 50, 200, 150] for s in ("Grasp1", "Pinch") for f in (1, 2)}
    path = root / "boxes.json"
    path.write_text(json.dumps(boxes))
    sample = build(root, boxes=path)[0]["data_samples"]
    centre = sample.affine[:, :2] @ [150, 100] + sample.affine[:, 2]
    np.testing.assert_allclose(centre, [112, 112], atol=1e-6)
    path.write_text(json.dumps({"Grasp1/1": [0, 0, 1, 1]}))
    with pytest.raises(DataError, match="no box for 'Grasp1/2'"):
        build(root, boxes=path)[1]
    path.write_text(json.dumps({"Grasp1/1": [0, 0, 1]}))
    with pytest.raises(DataError, match=r"not \[x0, y0, x1, y1\]"):
        build(root, boxes=path)
