"""PointHMR's parts: the conformance kit, and a plain formulation of the method and its loss."""

from __future__ import annotations

import pytest
import timm
import torch
import torch.nn.functional as F

from handzoo.engine.config import load_config
from handzoo.errors import ConfigError
from handzoo.models.base import Features
from handzoo.registry import BACKBONES, ESTIMATORS, LOSSES, MESH_HEADS
from handzoo.testing import Context, conformance_checks, make_prediction, make_targets
from handzoo.zoo.index import get_entry, list_models
from handzoo_plugins.pointhmr.head import ProgressiveMaskHead
from handzoo_plugins.pointhmr.loss import PointLoss
from handzoo_plugins.pointhmr.sampling import PointSampling
from tests.handzoo_plugins.pointhmr.reference_pointhmr import (
    our_name,
    pointhmr_forward,
    pointhmr_state,
)
from tests.handzoo_plugins.short_training import losses_on, train_a_few_steps
from tests.models.reference_metro import sine_code

EXAMPLES = {
    "backbone": (
        dict(type="pointhmr/PointHRNet", name="hrnet_w18_small", pretrained=False),
        Context(size=64),
    ),
    "query_head": (dict(type="pointhmr/PointSampling", channels=16, num_blocks=1), Context()),
    "mesh_head": (
        dict(
            type="pointhmr/ProgressiveMaskHead",
            position_channels=16,
            narrow_channels=16,
            feedforward_channels=(32, 16),
            num_layers=1,
        ),
        Context(),
    ),
    "loss": (dict(type="pointhmr/PointLoss"), Context()),
}
CASES = [
    pytest.param(role, check, id=f"{role}-{check}")
    for role in EXAMPLES
    for check in conformance_checks(role)
]


@pytest.mark.parametrize(("role", "check"), CASES)
def test_conformance(role, check):
    check(*EXAMPLES[role])


@pytest.fixture(scope="module")
def state():
    return pointhmr_state()


@pytest.fixture(scope="module")
def parts(topology, state):
    """Query head and mesh head with the authors' tensors under our names, to the last one."""
    queries = PointSampling((6, 7, 8, 10), topology, channels=16)
    head = ProgressiveMaskHead(
        (6, 7, 8, 10),
        16,
        topology,
        position_channels=8,
        narrow_channels=12,
        feedforward_channels=(20, 14),
    )
    for prefix, part in (("query_head.", queries), ("mesh_head.", head)):
        ours = {
            name.removeprefix(prefix): value
            for theirs, value in state.items()
            if (name := our_name(theirs)) is not None and name.startswith(prefix)
        }
        part.load_state_dict(ours, strict=True)
    return queries, head


def test_equals_the_plain_formulation(parts, state, topology, neighbours):
    queries, head = (part.eval() for part in parts)
    torch.manual_seed(0)
    maps = (torch.rand(2, 6, 56, 56), torch.empty(0), torch.empty(0), torch.rand(2, 10, 7, 7))
    with torch.no_grad():
        query = queries(Features(maps))
        prediction = head(query.queries, Features(maps))
    for index in range(2):
        wanted = pointhmr_forward(
            state, maps[0][index], maps[3][index], neighbours, topology.up
        )
        finer = F.interpolate(query.heatmaps["vertices"][index : index + 1], scale_factor=2)
        got = {
            "camera": prediction.camera[index],
            "joints": prediction.joints[index],
            "coarse": prediction.coarse_vertices[index],
            "fine": prediction.vertices[index],
            "heatmaps": finer[0].flatten(1).softmax(1),
        }
        for name, value in got.items():
            error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
            assert error < 1e-5, name


def test_finer_heatmaps_are_for_training(parts):
    queries, _ = parts
    features = Features((torch.rand(2, 6, 56, 56),))
    trained = queries.train()(features).heatmaps
    assert trained["vertices_x2"].shape == (2, 195, 112, 112)
    assert torch.equal(trained["vertices_x2"][..., 1::2, ::2], trained["vertices"])
    assert set(queries.eval()(features).heatmaps) == {"vertices"}


def test_a_delta_samples_its_own_place(topology):
    """A vertex whose heatmap is one cell gets the feature and the sine code of that cell."""
    torch.manual_seed(0)
    queries = PointSampling((6, 7, 8, 10), topology, channels=16).eval()
    features = Features((torch.rand(1, 6, 56, 56),))
    logits = torch.full((1, 195, 56, 56), -1e4)
    logits[0, :100, 20, 30] = logits[0, 100:, 40, 3] = 0
    queries.heatmap_branch.forward = lambda x: logits
    with torch.no_grad():
        vertices = queries(features).queries[0, 22:]
        values = queries.feature_branch(features.maps[0])[0]
    code = sine_code(16, 56, 56).float()
    for vertex, (row, column) in ((0, (20, 30)), (99, (20, 30)), (100, (40, 3))):
        wanted = values[:, row, column] + code[row * 56 + column]
        torch.testing.assert_close(vertices[vertex], wanted)


def test_masks_narrow_from_group_to_group(parts, topology):
    _, head = parts
    masks = [
        encoder.get_buffer(f"blocked{index}")
        for encoder in (head.wide, head.narrow)
        for index in (0, 1)
    ]
    for mask, reach in zip(masks, (7, 5, 3, 1), strict=True):
        assert not mask[:71].any() and not mask[:, :71].any()
        assert torch.equal(mask[71:, 71:], topology.hops > reach)
    assert not any("blocked" in name for name in head.state_dict())


def test_backbone_is_timms_at_both_ends():
    torch.manual_seed(0)
    backbone = BACKBONES.build(EXAMPLES["backbone"][0]).eval()
    whole = timm.create_model("hrnet_w18_small", features_only=True, feature_location="").eval()
    lacking, surplus = whole.load_state_dict(backbone.net.state_dict(), strict=False)
    assert not surplus
    assert lacking and all(".fuse_layers.1." in n or ".fuse_layers.2." in n for n in lacking)
    assert all(name.startswith("stage4.") for name in lacking)
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        ours, theirs = backbone(image), whole(image)[1:]
    assert backbone.channels == (16, 32, 64, 128)
    for level in (0, 3):
        torch.testing.assert_close(ours[level], theirs[level])
    assert [feature.shape for feature in ours] == [feature.shape for feature in theirs]


def test_pretrained_weights_fit(tmp_path):
    torch.manual_seed(0)
    whole = timm.create_model("hrnet_w18_small")
    path = tmp_path / "hrnet_w18_small.pth"
    torch.save(whole.state_dict(), path)
    config = {**EXAMPLES["backbone"][0], "pretrained": True, "weights": str(path)}
    backbone = BACKBONES.build(config)
    report = backbone.init_weights()
    assert not report.missing and not report.mismatched
    assert torch.equal(backbone.net.conv1.weight, whole.conv1.weight)


@pytest.mark.parametrize("camera", ["annotated", "predicted"])
def test_loss_equals_its_definition_map_by_map(topology, camera):
    targets = make_targets(2, topology)
    targets.vertices_valid[1] = camera == "predicted"
    prediction = make_prediction(2, topology)
    prediction = prediction.replace(camera=torch.tensor([[6.0, 0.01, 0.0], [9.0, 0.0, -0.02]]))
    logits = 3 * torch.randn(2, 195, 28, 28)
    prediction = prediction.replace(heatmaps={"vertices_x2": logits})
    loss = PointLoss(topology, weight=2.0, entropy=50.0, camera=camera)
    found = loss(prediction, targets)["loss_points"]

    terms = []
    for index in range(2):
        for vertex in range(195):
            place = (topology.down @ targets.vertices[index])[vertex]
            if camera == "annotated":
                x, y, depth = targets.K[index] @ (place + targets.root[index])
                x, y = x / depth, y / depth
            else:
                scale, tx, ty = prediction.camera[index]
                x = (scale * (place[0] + tx) + 1) * 112
                y = (scale * (place[1] + ty) + 1) * 112
            column, row = int(torch.floor(x / 8)), int(torch.floor(y / 8))
            inside = 0 <= column < 28 and 0 <= row < 28
            if not (inside and targets.vertices_valid[index]):
                continue
            target = torch.zeros(28, 28)
            target[row, column] = 1
            chance = logits[index, vertex].flatten().softmax(0).view(28, 28)
            overlap = (chance * target).sum()
            dice = 2 * (overlap + 1e-5) / (chance.sum() + target.sum() + 2e-5)
            terms.append(1 - dice + 50 * F.binary_cross_entropy(chance, target))
    assert len(terms) > 150
    torch.testing.assert_close(found, 2 * torch.stack(terms).mean())


def test_loss_stays_finite_where_a_heatmap_is_certain(topology):
    targets = make_targets(1, topology)
    logits = torch.zeros(1, 195, 28, 28)
    logits[..., 3, 4] = 200.0  # certain, and wrong
    logits.requires_grad_()
    prediction = make_prediction(1, topology).replace(heatmaps={"vertices": logits})
    value = PointLoss(topology)(prediction, targets)["loss_points"]
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


def test_no_mesh_no_loss(topology):
    targets = make_targets(2, topology)
    targets.vertices_valid[:] = False
    assert PointLoss(topology)(make_prediction(2, topology), targets)["loss_points"] == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"hops": (3, 2, 1)}, "hops.*even"),
        ({"num_heads": 5}, "num_heads.*48"),
        ({"grid_token": 16}, "grid_tokens"),
    ],
)
def test_wrong_arguments_are_named(change, named):
    with pytest.raises(ConfigError, match=named):
        MESH_HEADS.build({**EXAMPLES["mesh_head"][0], **change}, **Context().keywords())


def test_what_does_not_fit_together_is_named(topology):
    with pytest.raises(ConfigError, match="PointSampling"):
        MESH_HEADS.build(EXAMPLES["mesh_head"][0], **Context(query_channels=None).keywords())
    with pytest.raises(ConfigError, match="camera.*'predictd'"):
        LOSSES.build(dict(type="pointhmr/PointLoss", camera="predictd"), topology=topology)
    bare = make_prediction(1, topology).replace(heatmaps=None)
    with pytest.raises(ConfigError, match="heatmaps"):
        PointLoss(topology)(bare, make_targets(1, topology))
    context = Context(size=128)
    head = MESH_HEADS.build(EXAMPLES["mesh_head"][0], **context.keywords())
    with pytest.raises(ConfigError, match="grid_tokens: f4 has 16 cells"):
        head(context.queries(1), context.features(1))


def test_index_and_configs(hand, topology):
    names = list_models(plugin="pointhmr")
    assert names == ["pointhmr/pointhmr_h32_freihand", "pointhmr/pointhmr_tiny_sample"]
    cfg = load_config(names[0])
    assert cfg.model_name == names[0]
    assert cfg.optim_wrapper.optimizer.type == "Adam" and cfg.train_cfg.max_epochs == 200
    with torch.device("meta"):
        model = ESTIMATORS.build({**cfg.model, "hand_model": hand, "topology": topology})
    count = sum(parameter.numel() for parameter in model.parameters())
    # The authors' network for a hand has 54,725,220; no output depends on 297,152 of them.
    assert count == 54_725_220 - 297_152
    entry = get_entry(names[0])
    assert entry.metadata["Parameters (M)"] == pytest.approx(count / 1e6, abs=0.005)


@pytest.mark.slow
def test_macs_are_those_of_the_index(hand, topology):
    from handzoo.evaluation.complexity import count_macs, unreached_parameters

    name = "pointhmr/pointhmr_h32_freihand"
    config = {**load_config(name).model, "hand_model": hand, "topology": topology}
    model = ESTIMATORS.build(config, key="model").eval()
    image = torch.zeros(1, 3, 224, 224)
    macs = count_macs(lambda: model(image))
    assert get_entry(name).metadata["MACs (G)"] == pytest.approx(macs / 1e9, abs=0.005)
    assert unreached_parameters(model, lambda: model(image)) == []


def test_a_few_steps_lower_the_loss(hand, topology):
    cfg = load_config("pointhmr/pointhmr_tiny_sample")
    torch.manual_seed(0)
    model = ESTIMATORS.build({**cfg.model, "hand_model": hand, "topology": topology}).train()
    targets = make_targets(2, topology, size=128)
    images = torch.randn(2, 3, 128, 128)
    totals, losses = train_a_few_steps(
        model, lambda: losses_on(model, images, targets)
    )
    assert totals[-1] < 0.8 * totals[0]
    assert losses["loss_points"] > 0
    assert all(parameter.grad is not None for parameter in model.parameters())
