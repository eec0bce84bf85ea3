"""MeshGraphormer's parts: the conformance kit, and a plain formulation of the method."""

from __future__ import annotations

import pytest
import timm
import torch

from handzoo.engine.config import load_config
from handzoo.errors import ConfigError
from handzoo.models.base import Features
from handzoo.registry import BACKBONES, ESTIMATORS, MESH_HEADS, QUERY_HEADS
from handzoo.structures import HandDataSample, empty_annotation
from handzoo.testing import Context, conformance_checks
from handzoo.zoo.index import get_entry, list_models
from handzoo_plugins.graphormer.converter import _block
from handzoo_plugins.graphormer.graph import GraphResidual, normalized_adjacency
from handzoo_plugins.graphormer.head import GraphormerHead
from handzoo_plugins.graphormer.queries import GraphormerQueries
from tests.handzoo_plugins.graphormer.reference_graphormer import (
    graphormer_forward,
    graphormer_state,
)
from tests.handzoo_plugins.short_training import train_a_few_steps

CHANNELS, BETWEEN, FEATURE, GRID = (32, 24, 16), (24, 12), 40, 20

EXAMPLES = {
    "backbone": (
        dict(type="graphormer/GridHRNet", name="hrnet_w18_small", pretrained=False),
        Context(size=64),
    ),
    "query_head": (dict(type="graphormer/GraphormerQueries", image_channels=32), Context()),
    "mesh_head": (
        dict(
            type="graphormer/GraphormerHead",
            image_channels=32,
            block_channels=(32, 16, 16),
            out_channels=(16, 16),
            num_layers=1,
        ),
        Context(has_camera=False),
    ),
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
def parts(hand, topology):
    torch.manual_seed(0)
    channels = (8, 16, 24, FEATURE + GRID)
    queries = GraphormerQueries(channels, topology, hand, image_channels=FEATURE)
    head = GraphormerHead(
        queries.out_channels,
        channels,
        topology,
        image_channels=FEATURE,
        block_channels=CHANNELS,
        out_channels=BETWEEN,
        num_layers=2,
    )
    return queries.eval(), head.eval()


def load(head: GraphormerHead, state: dict[str, torch.Tensor]) -> None:
    """Load the authors' tensors by the converter's names."""
    ours = {}
    for name, value in state.items():
        if name.startswith("trans_encoder."):
            _, block, inner = name.split(".", 2)
            move, why = _block(name, block, inner, graph=block == "2")
            assert move is not None or why
            if move is not None:
                ours[move.target.removeprefix("mesh_head.")] = value
    renamed = {"upsampling": "upsample", "cam_param_fc": "camera_point",
               "cam_param_fc2": "camera_hidden", "cam_param_fc3": "camera_out",
               "grid_feat_dim": "grid_proj"}  # fmt: skip
    for theirs, name in renamed.items():
        for kind in ("weight", "bias"):
            ours[f"{name}.{kind}"] = state[f"{theirs}.{kind}"]
    head.load_state_dict(ours, strict=True)


def test_equals_the_plain_formulation(parts, neighbours):
    queries, head = parts
    state = graphormer_state(CHANNELS, BETWEEN, FEATURE, GRID, layers=2, words=7)
    load(head, state)
    torch.manual_seed(1)
    maps = torch.rand(2, FEATURE + GRID, 7, 7)
    features = Features((maps,))
    with torch.no_grad():
        prediction = head(queries(features).queries, features)
    for index in range(2):
        image, grid = maps[index].double().split([FEATURE, GRID])
        wanted = graphormer_forward(state, queries.template, image.mean((1, 2)), grid, neighbours)
        got = {
            "camera": prediction.camera[index],
            "joints": prediction.joints[index],
            "coarse": prediction.coarse_vertices[index],
            "fine": prediction.vertices[index],
        }
        for name, value in got.items():
            error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
            assert error < 1e-5, name


def test_every_parameter_of_the_head_matters(parts):
    """A changed tensor changes the output, so that the parity above says something of each."""
    queries, head = parts
    load(head, graphormer_state(CHANNELS, BETWEEN, FEATURE, GRID, layers=2, words=7))
    features = Features((torch.rand(1, FEATURE + GRID, 7, 7),))
    tokens = queries(features).queries
    with torch.no_grad():
        before = head(tokens, features)
        for name, parameter in head.named_parameters():
            if name.endswith("key.bias"):  # adds the same to all scores of a query
                continue
            kept = parameter.clone()
            parameter.add_(0.1 * torch.randn_like(parameter))
            after = head(tokens, features)
            parameter.copy_(kept)
            fields = ("camera", "joints", "vertices")
            assert any(not torch.equal(getattr(before, f), getattr(after, f)) for f in fields), name


def test_last_map_holds_what_the_classifier_pools_and_the_map_before_it():
    torch.manual_seed(0)
    backbone = BACKBONES.build(EXAMPLES["backbone"][0]).eval()
    whole = timm.create_model("hrnet_w18_small", num_classes=0).eval()
    whole.load_state_dict(backbone.net.state_dict())
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        last = backbone(image)[-1]
        feature, grid = last[:, :2048], last[:, 2048:]
        torch.testing.assert_close(feature.mean((2, 3)), whole(image))
        torch.testing.assert_close(backbone.net.final_layer(grid), feature)
    assert backbone.channels[-1] == 3072 and grid.shape == (1, 1024, 2, 2)


def test_adjacency_is_the_mean_over_mesh_neighbours(topology, neighbours):
    adjacency = normalized_adjacency(topology)
    for vertex, near in enumerate(neighbours):
        assert set(adjacency[vertex].nonzero().flatten().tolist()) == near
        expected = torch.full((len(near),), 1 / len(near))
        torch.testing.assert_close(adjacency[vertex, sorted(near)], expected)


def test_the_graph_reaches_one_edge_far(topology):
    torch.manual_seed(0)
    graph = GraphResidual(16, normalized_adjacency(topology))
    for linear in (graph.linear1, graph.linear2):
        torch.nn.init.normal_(linear.weight)
    vertices = torch.randn(1, 195, 16)
    other = vertices.clone()
    other[0, 100] = torch.randn(16)
    with torch.no_grad():
        moved = (graph(vertices) != graph(other)).any(2)[0]
    assert torch.equal(moved, topology.hops[100] <= 1)


def test_the_graph_starts_as_the_identity(topology):
    vertices = torch.randn(1, 195, 64)
    graph = GraphResidual(64, normalized_adjacency(topology))
    assert (graph(vertices) - vertices).abs().max() < 0.05


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"graph_blocks": (3,)}, "graph_blocks.*no block 3"),
        ({"image_channels": 48}, "image_channels.*48 channels"),
        ({"num_heads": 3}, "block_channels"),
        ({"num_posittions": 300}, "num_positions"),
    ],
)
def test_wrong_arguments_are_named(topology, change, named):
    context = Context(has_camera=False)
    with pytest.raises(ConfigError, match=named):
        MESH_HEADS.build({**EXAMPLES["mesh_head"][0], **change}, **context.keywords())


def test_too_few_positions_for_the_grid_are_named(parts, hand, topology):
    queries, _ = parts
    head = GraphormerHead(
        queries.out_channels,
        (FEATURE + GRID,),
        topology,
        image_channels=FEATURE,
        block_channels=CHANNELS,
        out_channels=BETWEEN,
        num_positions=220,
    )
    features = Features((torch.rand(1, FEATURE + GRID, 7, 7),))
    with pytest.raises(ConfigError, match="num_positions: 220.*49 cells"):
        head(queries(features).queries, features)


def test_queries_read_the_image_feature_only(parts):
    queries, _ = parts
    maps = torch.rand(1, FEATURE + GRID, 7, 7)
    before = queries(Features((maps,))).queries
    maps[:, FEATURE:] += 1
    assert torch.equal(queries(Features((maps,))).queries, before)


def test_masking_is_metros(hand, topology):
    config = {**EXAMPLES["query_head"][0], "mask_ratio": 1.0}
    context = Context()
    queries = QUERY_HEADS.build(config, **context.keywords()).train()
    assert (queries(context.features(4)).queries == 0.01).all(2).any()


def test_index_and_configs(hand, topology):
    names = list_models(plugin="graphormer")
    assert names == ["graphormer/graphormer_h64_freihand", "graphormer/graphormer_tiny_sample"]
    entry = get_entry(names[0])
    assert entry.published["PA-MPJPE"] == 5.9
    cfg = load_config(names[0])
    assert cfg.model_name == names[0]
    assert cfg.optim_wrapper.optimizer.type == "Adam" and cfg.train_cfg.max_epochs == 200
    assert cfg.param_scheduler[0].milestones == [100] and cfg.train_dataloader.batch_size == 32
    with torch.device("meta"):
        model = ESTIMATORS.build({**cfg.model, "hand_model": hand, "topology": topology})
    count = sum(parameter.numel() for parameter in model.parameters())
    # The authors' network has 213,666,312, of which no output depends on 44,900,264.
    assert count == 168_766_048
    assert entry.metadata["Parameters (M)"] == pytest.approx(count / 1e6, abs=0.005)


def test_a_few_steps_lower_the_loss(hand, topology):
    cfg = load_config("graphormer/graphormer_tiny_sample")
    torch.manual_seed(0)
    model = ESTIMATORS.build({**cfg.model, "hand_model": hand, "topology": topology}).train()
    posed = hand(torch.zeros(1, 48))
    root = posed.joints[0, 0]
    sample = HandDataSample(
        **{
            **empty_annotation(),
            "joints3d": posed.joints[0] - root,
            "joints3d_valid": torch.ones(21, dtype=torch.bool),
            "vertices": posed.vertices[0] - root,
            "vertices_valid": torch.tensor(True),
        }
    )
    images = torch.randn(2, 3, 64, 64)
    totals, _ = train_a_few_steps(
        model, lambda: model(images, [sample] * 2, mode="loss")
    )
    assert totals[-1] < 0.8 * totals[0]
    assert all(parameter.grad is not None for parameter in model.parameters())
