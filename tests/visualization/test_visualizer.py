"""The Visualizer draws what a sample has, and what it draws reaches the backends."""

import cv2
import numpy as np
import pytest
import torch

from handzoo.hands.camera import perspective_project
from handzoo.hands.models import load_bundled
from handzoo.registry import VISUALIZERS
from handzoo.structures import HandDataSample, empty_annotation


@pytest.fixture(scope="module")
def sample():
    model = load_bundled()
    with torch.no_grad():
        hand = model(torch.zeros(1, 48))
    joints, vertices = ((x - hand.joints[:, :1])[0] for x in (hand.joints, hand.vertices))
    annotation = empty_annotation()
    K = torch.tensor([[500.0, 0, 112], [0, 500, 112], [0, 0, 1]])
    root = torch.tensor([0.0, 0.0, 0.6])
    annotation.update(
        joints3d=joints,
        joints3d_valid=torch.ones(21, dtype=torch.bool),
        joints2d=perspective_project((joints + root)[None], K[None])[0],
        joints2d_valid=torch.ones(21, dtype=torch.bool),
        vertices=vertices,
        vertices_valid=torch.tensor(True),
        root=root,
        root_valid=torch.tensor(True),
        K=K,
        K_valid=torch.tensor(True),
    )
    sample = HandDataSample(metainfo=dict(sample_id=0), **annotation)
    sample.pred_camera = torch.tensor([2 * 500 / (0.6 * 224), 0.0, 0.0])
    sample.pred_joints, sample.pred_vertices = joints, vertices
    return sample


@pytest.fixture
def visualizer(tmp_path):
    config = dict(
        type="HandVisualizer",
        hand_model=dict(type="bundled"),
        vis_backends=[dict(type="LocalVisBackend")],
        save_dir=str(tmp_path),
        name=str(tmp_path),
    )
    return VISUALIZERS.build(config)


def test_prediction_above_truth(visualizer, sample):
    image = np.full((224, 224, 3), 90, np.uint8)
    both = visualizer.draw_sample(image, sample)
    one = visualizer.draw_sample(image, sample, draw_gt=False)
    assert one.shape[1] == 4 * 224 + 5 * 4
    assert both.shape[0] > 1.9 * one.shape[0]
    # A right prediction covers the same pixels as the annotation, weak perspective apart.
    crops = np.split(both[4:], [both.shape[0] // 2 - 2])
    overlays = [(row[-228:-8, 4 + 2 * 228 : 4 + 2 * 228 + 224] != 90).any(-1) for row in crops]
    intersection = (overlays[0][:218] & overlays[1][:218]).sum()
    assert intersection > 0.85 * (overlays[0][:218] | overlays[1][:218]).sum()


def test_draws_only_what_is_there(visualizer, sample):
    image = torch.full((3, 224, 224), 90, dtype=torch.uint8)
    bare = HandDataSample(**empty_annotation())
    assert visualizer.draw_sample(image, bare).shape[1] == 224 + 8
    bare.joints2d = sample.joints2d
    bare.joints2d_valid = sample.joints2d_valid
    assert visualizer.draw_sample(image, bare).shape[1] == 2 * 224 + 12
    assert visualizer.draw_sample(image, HandDataSample()).shape[1] == 224 + 8


def test_logged_and_written(visualizer, sample, tmp_path):
    image = np.full((224, 224, 3), 90, np.uint8)
    visualizer.add_datasample("val/0", image, sample, step=3)
    logged = list(tmp_path.rglob("*.png"))
    assert len(logged) == 1 and "3" in logged[0].name
    assert cv2.imread(str(logged[0])).shape[1] == 4 * 224 + 20
    path = tmp_path / "panels" / "one.png"
    visualizer.add_datasample("x", image, sample, out_file=path)
    # RGB in, BGR in cv2's file: the thumb's red bone stays red.
    picture = cv2.imread(str(path))[..., ::-1].astype(int)
    assert ((picture[..., 0] > 200) & (picture[..., 2] < 90)).any()


def test_without_pytorch3d_the_skeleton_is_still_drawn(tmp_path, sample):
    config = dict(type="HandVisualizer", meshes=False, name=str(tmp_path / "flat"))
    flat = VISUALIZERS.build(config)
    panel = flat.draw_sample(np.zeros((224, 224, 3), np.uint8), sample, draw_gt=False)
    assert panel.shape[1] == 2 * 224 + 12
