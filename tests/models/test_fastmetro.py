"""FastMETRO against a plain formulation of it, with the authors' tensors through the converter."""

from __future__ import annotations

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology
from handzoo.models.base import Features
from handzoo.models.mesh_heads import FastMetroHead
from handzoo.models.query_heads import LearnedQueries
from handzoo.zoo.convert.fastmetro import HEAD, TOKENS, FastMetroConverter
from tests.models.reference_metro import fastmetro_forward, fastmetro_state, sine_code

WIDTHS, HIDDEN, FEATURE = (32, 16), (48, 24), 40


@pytest.fixture(scope="module")
def topology():
    return build_topology(build_hand_model("bundled"))


def build(topology, layers: int = 2) -> tuple[LearnedQueries, FastMetroHead]:
    torch.manual_seed(0)
    queries = LearnedQueries(topology, WIDTHS[0])
    head = FastMetroHead(
        (8, 16, 24, FEATURE), WIDTHS[0], topology, WIDTHS, HIDDEN, num_layers=layers
    )
    return queries.eval(), head.eval()


def load(queries: LearnedQueries, head: FastMetroHead, state: dict[str, torch.Tensor]) -> None:
    """Load the authors' tensors by the converter's names."""
    ours = {}
    for name, value in state.items():
        top, _, inner = name.partition(".")
        if top in HEAD:
            ours[f"{HEAD[top]}.{inner}"] = value
        elif top.startswith("transformer_"):
            target = FastMetroConverter._in_stage(inner)
            ours[f"stages.{int(top[-1]) - 1}.{target}"] = value
    head.load_state_dict(ours, strict=True)
    tokens = torch.cat([state[name] for name in TOKENS])
    queries.load_state_dict({"tokens": tokens}, strict=True)


def neighbours(topology) -> list[set[int]]:
    near = [{vertex} for vertex in range(195)]
    for face in topology.coarse_faces.tolist():
        for vertex in face:
            near[vertex].update(face)
    return near


@pytest.mark.parametrize("layers", [1, 2])
def test_equals_the_plain_formulation(topology, layers):
    queries, head = build(topology, layers)
    state = fastmetro_state(layers, WIDTHS, HIDDEN, FEATURE)
    load(queries, head, state)
    features = Features((torch.randn(2, FEATURE, 7, 7),))
    with torch.no_grad():
        prediction = head(queries(features).queries, features)
    for index in range(2):
        feature = features.maps[-1][index]
        wanted = fastmetro_forward(state, feature, neighbours(topology), topology.up)
        got = {
            "camera": prediction.camera[index],
            "joints": prediction.joints[index],
            "coarse": prediction.coarse_vertices[index],
            "fine": prediction.vertices[index],
        }
        for name, value in got.items():
            error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
            assert error < 1e-5, name


def test_mask_lets_vertices_see_mesh_neighbours_and_joints(topology):
    _, head = build(topology)
    near = neighbours(topology)
    visible = ~head.blocked
    assert visible.shape == (216, 216)
    assert visible[:21].all() and visible[:, :21].all()
    assert int(visible[21:, 21:].sum()) == sum(len(vertices) for vertices in near)
    for vertex, vertices in enumerate(near):
        assert set(visible[21 + vertex, 21:].nonzero().flatten().tolist()) == vertices


@pytest.mark.parametrize("grid", [(7, 7), (5, 9)])
def test_positions_are_the_sine_code_for_any_grid(topology, grid):
    _, head = build(topology)
    got = head._position(1, grid)
    torch.testing.assert_close(got.double(), sine_code(WIDTHS[1], *grid), atol=1e-5, rtol=0)


def test_other_crop_sizes_run(topology):
    queries, head = build(topology)
    features = Features((torch.randn(1, FEATURE, 8, 6),))
    assert head(queries(features).queries, features).vertices.shape == (1, 778, 3)


def test_every_parameter_gets_a_gradient(topology):
    queries, head = build(topology)
    features = Features((torch.randn(2, FEATURE, 7, 7),))
    prediction = head.train()(queries(features).queries, features)
    total = (
        prediction.camera.square().sum()
        + prediction.joints.square().sum()
        + prediction.vertices.square().sum()
    )
    total.backward()
    for name, parameter in [*head.named_parameters(), *queries.named_parameters()]:
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name
    assert (queries.tokens.grad.abs().sum(1) > 0).all()  # camera, every joint, every vertex


def test_the_camera_depends_on_image_and_camera_token_only(topology):
    queries, head = build(topology)
    features = Features((torch.randn(1, FEATURE, 7, 7),))
    tokens = queries(features).queries.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(head(tokens, features).camera.sum(), tokens)
    assert gradient[0, 0].abs().max() > 0
    assert gradient[0, 1:].abs().max() == 0


def test_buffers_stay_out_of_checkpoints(topology):
    _, head = build(topology)
    parameters = {name for name, _ in head.named_parameters()}
    assert set(head.state_dict()) == parameters


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"query_channels": 64}, "query_head"),
        ({"query_channels": None}, "query_head"),
        ({"feedforward_channels": (48,)}, "feedforward_channels"),
        ({"num_heads": 5}, "stage_channels"),
    ],
)
def test_wrong_sizes_are_named(topology, change, named):
    arguments = {
        "feature_channels": (1, 1, 1, 4),
        "query_channels": 32,
        "topology": topology,
        "stage_channels": WIDTHS,
        "feedforward_channels": HIDDEN,
    }
    with pytest.raises(ConfigError, match=named):
        FastMetroHead(**{**arguments, **change})
