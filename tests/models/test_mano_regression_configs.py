"""The shipped configs of MANO regression: parts, schedule, and a few steps on annotated hands."""

from __future__ import annotations

import pytest
import torch

from handzoo.engine.build import build_estimator
from handzoo.engine.config import load_config
from handzoo.structures import HandDataSample, empty_annotation

NAMES = ("mano_regression_r50_freihand", "mano_regression_iterative_r50_freihand")


def small_estimator(name):
    cfg = load_config(name)
    cfg.model.hand_model = dict(type="bundled")
    cfg.model.backbone = dict(type="TimmBackbone", name="resnet10t", pretrained=False)
    cfg.model.mesh_head.update(channels=(64,), dropout=0.0)
    torch.manual_seed(0)
    return build_estimator(cfg)


def annotated(hand, seed, mano=True):
    """A sample of the hand model itself, as FreiHAND annotates it; or with joints alone."""
    generator = torch.Generator().manual_seed(seed)
    pose, shape = (torch.randn(n, generator=generator) * 0.3 for n in (48, 10))
    posed = hand(pose[None], shape[None])
    joints, wrist = posed.joints[0], posed.joints[0, :1]
    fields = empty_annotation()
    fields.update(joints3d=joints - wrist, joints3d_valid=torch.ones(21, dtype=torch.bool))
    if mano:
        yes = torch.tensor(True)
        fields.update(vertices=posed.vertices[0] - wrist, vertices_valid=yes)
        fields.update(pose=pose, shape=shape, mano_valid=yes)
    return HandDataSample(**fields)


@pytest.mark.parametrize("name", NAMES)
def test_parts_and_sizes(name):
    cfg = load_config(name)
    head = cfg.model.mesh_head
    iterative = "iterative" in name
    assert (head.rotation, head.iterations) == (("6d", 3) if iterative else ("axis_angle", 1))
    assert cfg.model.backbone.name == "resnet50" and cfg.train_dataloader.batch_size == 32
    numbers = 16 * (6 if iterative else 3) + 10 + 3
    cfg.model.backbone.pretrained = False
    model = build_estimator(cfg)
    assert model.mesh_head.layers[-1].out_features == numbers
    trained = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    from handzoo.zoo.index import get_entry

    assert trained == pytest.approx(get_entry(name).metadata["Parameters (M)"], abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_steps_of_training_lower_the_loss(name, hand_model):
    model = small_estimator(name).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randn(4, 3, 64, 64)
    samples = [annotated(hand_model, seed, mano=seed != 3) for seed in range(4)]
    totals = []
    for _ in range(8):
        losses = model(images, samples, mode="loss")
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.8 * totals[0]
    assert {"loss_vertices", "loss_joints3d", "loss_mano_pose", "loss_mano_shape"} <= set(losses)
    assert losses["loss_joints2d"] == 0  # nothing is annotated in the image
    predicted = model.eval()(images, None, mode="predict")
    assert predicted[0].pred_vertices.shape == (778, 3)
    assert predicted[0].pred_joints[0].abs().max() < 1e-6
