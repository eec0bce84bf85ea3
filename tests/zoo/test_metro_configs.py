"""The shipped configs of METRO and FastMETRO: index, schedules, and one step of training each."""

from __future__ import annotations

import pytest
import torch

from handzoo.engine.config import load_config
from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology
from handzoo.registry import ESTIMATORS
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.zoo.index import get_entry, list_models
from tests.zoo.test_convert import COUNTS

SMALL = {
    "metro": {
        "mesh_head.block_channels": (32, 16, 8),
        "mesh_head.out_channels": (24, 12),
        "query_head.mask_ratio": 0.3,
    },
    "fastmetro": {
        "mesh_head.stage_channels": (32, 16),
        "mesh_head.feedforward_channels": (48, 24),
        "mesh_head.num_layers": 1,
        "query_head.channels": 32,
    },
}


@pytest.fixture(scope="module")
def hand():
    return build_hand_model("bundled", tips="metro")


def small_estimator(method: str, hand):
    """A config's estimator with narrow heads and a ResNet-18."""
    options = {f"model.{key}": value for key, value in SMALL[method].items()}
    options["model.backbone.name"] = "resnet18"
    options["model.backbone.pretrained"] = False
    name = {"metro": "metro_r50_freihand", "fastmetro": "fastmetro_s_r50_freihand"}[method]
    model = {**load_config(name, options).model, "hand_model": hand}
    torch.manual_seed(0)
    return ESTIMATORS.build({**model, "topology": build_topology(hand)}, key="model")


def sample(hand, annotated: bool = True) -> HandDataSample:
    """A mean hand half a metre away; without a mesh if not ``annotated``."""
    posed = hand(torch.zeros(1, 48))
    root = posed.joints[0, 0]
    fields = {
        **empty_annotation(),
        "joints3d": posed.joints[0] - root,
        "joints3d_valid": torch.ones(21, dtype=torch.bool),
        "joints2d": 112 + 500 * (posed.joints[0] - root)[:, :2],
        "joints2d_valid": torch.ones(21, dtype=torch.bool),
    }
    if annotated:
        fields |= {"vertices": posed.vertices[0] - root, "vertices_valid": torch.tensor(True)}
    return HandDataSample(**fields)


@pytest.mark.parametrize("name", COUNTS)
def test_index_tells_the_true_size(name):
    entry = get_entry(name)
    assert entry.metadata["Parameters (M)"] == pytest.approx(COUNTS[name][1] / 1e6, abs=0.005)


def test_index_holds_exactly_these():
    assert sorted(list_models("*metro_*", dataset="freihand")) == sorted(COUNTS)
    assert list_models("*metro_*", dataset="rhd") == ["fastmetro_l_h64_rhd", "metro_h64_rhd"]
    assert get_entry("metro_h64_freihand").published["PA-MPJPE"] == 6.6
    assert get_entry("fastmetro_l_h64_freihand").published["PA-MPVPE"] == 7.1
    assert not get_entry("metro_r50_freihand").published


@pytest.mark.parametrize("name", COUNTS)
def test_schedules_are_the_papers(name):
    cfg = load_config(name)
    assert cfg.model_name == name
    optimizer = cfg.optim_wrapper.optimizer
    assert cfg.train_cfg.max_epochs == 200 and optimizer.lr == 1e-4
    if name.startswith("metro"):
        assert optimizer.type == "Adam" and cfg.param_scheduler[0].milestones == [100]
        assert cfg.train_dataloader.batch_size == 32
    else:
        assert optimizer.type == "AdamW" and optimizer.weight_decay == 1e-4
        assert cfg.optim_wrapper.clip_grad.max_norm == 0.3
        assert cfg.train_dataloader.batch_size == 16
        layers = {"s": 1, "m": 2, "l": 3}[name.split("_")[1]]
        assert cfg.model.mesh_head.num_layers == layers
    backbone = {"h64": "hrnet_w64", "r50": "resnet50"}[name.split("_")[-2]]
    assert cfg.model.backbone.name == backbone


@pytest.mark.parametrize("method", SMALL)
def test_a_step_of_training_lowers_the_loss(method, hand):
    model = small_estimator(method, hand)
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    images = torch.randn(2, 3, 64, 64).repeat(2, 1, 1, 1)
    samples = [sample(hand) for _ in range(4)]
    totals = []
    for _ in range(6):
        torch.manual_seed(1)
        losses = model(images, samples, mode="loss")
        total = sum(losses.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(float(total.detach()))
    assert totals[-1] < 0.8 * totals[0]
    wanted = {"loss_vertices", "loss_vertices_coarse", "loss_joints3d", "loss_joints3d_mesh",
              "loss_joints2d", "loss_joints2d_mesh"}  # fmt: skip
    assert set(losses) == wanted | ({"loss_edge", "loss_normal"} if "fast" in method else set())


@pytest.mark.parametrize("method", SMALL)
def test_samples_without_a_mesh_train_joints_only(method, hand):
    model = small_estimator(method, hand).train()
    losses = model(torch.randn(2, 3, 64, 64), [sample(hand, False)] * 2, mode="loss")
    for name, value in losses.items():
        about_mesh = "vertices" in name or name in ("loss_edge", "loss_normal")
        assert (float(value.detach()) == 0) == about_mesh, name
    sum(losses.values()).backward()
    grads = [p.grad for p in model.parameters() if p.grad is not None]
    assert grads and all(torch.isfinite(grad).all() for grad in grads)


def test_predictions_sit_at_the_wrist_where_the_method_leaves_that_open(hand):
    image = torch.randn(1, 3, 64, 64)
    fast = small_estimator("fastmetro", hand).eval()
    with torch.no_grad():
        raw, (done,) = fast(image), fast(image, mode="predict")
    assert raw.joints[0, 0].abs().max() > 1e-3
    assert done.pred_joints[0].abs().max() == 0
    assert done.pred_joints_from_vertices[0].abs().max() == 0
    shift = raw.joints_from_vertices[0, :1]
    torch.testing.assert_close(done.pred_vertices, raw.vertices[0] - shift)
    metro = small_estimator("metro", hand).eval()
    with torch.no_grad():
        raw, (done,) = metro(image), metro(image, mode="predict")
    assert torch.equal(done.pred_vertices, raw.vertices[0])
