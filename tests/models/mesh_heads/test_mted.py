"""MTED's masks by mesh hops, its sizes, and the linear heads of the ablation."""

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.models.mesh_heads import MTED, LinearMeshHead, TokenLinearHead
from handzoo.models.mesh_heads.mted import template_code
from handzoo.testing.fixtures import make_features, noise

CHANNELS = (16, 24, 32, 48)


@pytest.fixture
def head(topology):
    torch.manual_seed(0)
    return MTED(CHANNELS, 32, topology, channels=(32, 16), feedforward=(32, 16), num_heads=4).eval()


def masks(head):
    return [
        getattr(stage, f"blocked{index}")
        for stage in head.stages
        for index in range(len(stage.decoder))
    ]


def walk(faces, start, steps):
    """Vertices within ``steps`` edges of ``start``, by sets."""
    neighbours = {}
    for face in faces.tolist():
        for vertex in face:
            neighbours.setdefault(vertex, set()).update(face)
    reached = {start}
    for _ in range(steps):
        reached = reached.union(*(neighbours[v] for v in reached))
    return reached


def test_masks_follow_the_mesh(head, topology):
    for mask, reach in zip(masks(head), (7, 5, 3, 1), strict=True):
        assert not mask[:22].any() and not mask[:, :22].any()
        for vertex in range(0, 195, 13):
            allowed = set((~mask[22 + vertex, 22:]).nonzero()[:, 0].tolist())
            assert allowed == walk(topology.coarse_faces, vertex, reach)


def test_vertices_out_of_reach_have_no_influence(head, topology):
    stage = head.stages[1]
    mask = stage.blocked1.clone()
    mask[22:, :22] = True  # cut that detour for the last layer
    vertex = 60
    far = (topology.hops[vertex] > 1).nonzero()[:, 0] + 22
    queries, memory = noise(1, 217, 16), noise(1, 4, 16, seed=1)
    changed = queries.clone()
    changed[:, far] = noise(1, len(far), 16, seed=2)
    layer = stage.decoder[1]
    before = layer(queries, memory, blocked=mask)
    after = layer(changed, memory, blocked=mask)
    torch.testing.assert_close(before[:, 22 + vertex], after[:, 22 + vertex])
    neighbour = int((topology.hops[vertex] == 1).nonzero()[0]) + 22
    changed[:, neighbour] = noise(1, 16, seed=3)
    after = layer(changed, memory, blocked=mask)
    assert not torch.allclose(before[:, 22 + vertex], after[:, 22 + vertex])


def test_prediction_is_consistent(head, topology):
    prediction = head(noise(2, 217, 32), make_features(2, CHANNELS, None, 64))
    assert prediction.camera.shape == (2, 3)
    torch.testing.assert_close(prediction.vertices, topology.upsample(prediction.coarse_vertices))
    torch.testing.assert_close(
        prediction.joints_from_vertices, topology.regress_joints(prediction.vertices)
    )


def test_nothing_of_the_topology_is_in_checkpoints(head):
    assert not [key for key in head.state_dict() if key.startswith("output.") or "blocked" in key]


def test_published_size(topology):
    with torch.device("meta"):
        head = MTED((64, 128, 320, 512), 512, topology)
    assert 7.7 <= sum(p.numel() for p in head.parameters()) / 1e6 <= 8.0


def test_template_is_the_start_if_asked(topology):
    head = MTED(CHANNELS, 32, topology, channels=(32, 16), feedforward=(32, 16), num_heads=4,
                add_template=True).eval()  # fmt: skip
    torch.nn.init.zeros_(head.points.weight)
    prediction = head(noise(1, 217, 32), make_features(1, CHANNELS, None, 64))
    torch.testing.assert_close(prediction.joints[0], topology.template_joints)
    torch.testing.assert_close(prediction.coarse_vertices[0], topology.template_coarse)


def test_gradients_reach_every_parameter(head):
    head.train()
    prediction = head(noise(2, 217, 32), make_features(2, CHANNELS, None, 64))
    (prediction.vertices.sum() + prediction.joints.sum() + prediction.camera.sum()).backward()
    unseen = [
        name
        for name, parameter in head.named_parameters()
        if parameter.grad is None or parameter.grad.abs().sum() == 0
    ]
    assert not unseen


def test_positions_start_alike_where_the_hand_is_near(topology):
    """Correlation of codes falls with distance on the mean hand; the camera's is its own."""
    torch.manual_seed(0)
    code = template_code(topology, 217, 256)
    points = torch.cat([topology.template_joints, topology.template_coarse])
    distance = torch.cdist(points, points).flatten()
    unit = torch.nn.functional.normalize(code[1:], dim=1)
    likeness = (unit @ unit.T).flatten()
    near, far = likeness[distance < 0.01].mean(), likeness[distance > 0.12].mean()
    assert near > 0.9 and abs(far) < 0.2
    assert (torch.nn.functional.normalize(code[0], dim=0) @ unit.T).abs().max() < 0.35
    assert code[0].std() == pytest.approx(code[1:].std().item(), rel=0.2)
    head = MTED(CHANNELS, 32, topology, channels=(32, 16), feedforward=(32, 16), num_heads=4)
    for stage, width in zip(head.stages, (32, 16), strict=True):
        assert stage.query_position.shape == (217, width) and stage.query_position.requires_grad


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(query_channels=None), "decodes queries"),
        (dict(feedforward=(32,)), "feedforward: one width"),
        (dict(mask_hops=(7, 5, 3)), "mask_hops: 3 decoder layers"),
        (dict(channels=(32, 18)), "channels: 18 must be a multiple of 4"),
    ],
)
def test_stages_that_do_not_fit_are_named(topology, changes, message):
    arguments = dict(query_channels=32, channels=(32, 16), feedforward=(32, 16), num_heads=4)
    with pytest.raises(ConfigError, match=message):
        MTED(CHANNELS, topology=topology, **(arguments | changes))


def test_linear_head_sees_pooled_maps_only(topology):
    head = LinearMeshHead(CHANNELS, topology, high_channels=16)
    features = make_features(2, CHANNELS, 16, 64)
    before = head(None, features)
    flipped = type(features)(tuple(f.flip(3) for f in features.maps), features.high.flip(2))
    torch.testing.assert_close(before.vertices, head(None, flipped).vertices)
    assert head.points.in_features == 48 + 16


def test_token_head_treats_tokens_alone(topology):
    head = TokenLinearHead(32, topology)
    queries = noise(1, 217, 32)
    changed = queries.clone()
    changed[:, 1] += 1
    features = make_features(1, CHANNELS, None, 64)
    before, after = head(queries, features), head(changed, features)
    assert torch.equal(before.coarse_vertices, after.coarse_vertices)
    assert torch.equal(before.joints[:, 1:], after.joints[:, 1:])
    assert not torch.equal(before.joints[:, 0], after.joints[:, 0])
    with pytest.raises(ConfigError, match="reads queries"):
        TokenLinearHead(None, topology)
