"""METRO against a plain formulation of it, with the authors' tensors through the converter."""

from __future__ import annotations

import copy

import pytest
import torch

from handzoo.errors import ConfigError
from handzoo.hands.conventions import MANO_TO_JOINTS, TIP_JOINTS, TIP_VERTICES, WRIST
from handzoo.hands.models import build_hand_model
from handzoo.hands.topology import build_topology
from handzoo.models.base import Features
from handzoo.models.losses import MeshShapeLoss, MetroLoss, wrist_relative
from handzoo.models.mesh_heads import MetroHead
from handzoo.models.query_heads import TemplateQueries
from handzoo.structures import HandDataSample, HandPrediction, HandTargets, empty_annotation
from handzoo.zoo.convert.metro import MetroConverter
from tests.models.reference_metro import metro_forward, metro_state

CHANNELS, BETWEEN, FEATURE = (32, 16, 8), (24, 12), 40


@pytest.fixture(scope="module")
def hand():
    return build_hand_model("bundled")


@pytest.fixture(scope="module")
def topology(hand):
    return build_topology(hand)


@pytest.fixture(scope="module")
def parts(hand, topology):
    torch.manual_seed(0)
    queries = TemplateQueries((8, 16, 24, FEATURE), topology, hand)
    head = MetroHead(queries.out_channels, topology, CHANNELS, BETWEEN)
    return queries.eval(), head.eval()


def maps(batch: int = 2) -> Features:
    return Features((torch.rand(batch, FEATURE, 7, 7),))


def load(head: MetroHead, state: dict[str, torch.Tensor]) -> None:
    """Load the authors' tensors by the converter's names."""
    ours = {}
    for name, value in state.items():
        if name.startswith("trans_encoder."):
            _, block, inner = name.split(".", 2)
            move, _ = MetroConverter._block(name, inner, f"blocks.{block}.")
            if move is not None:
                ours[move.target] = value
    renamed = {"upsampling": "upsample", "cam_param_fc": "camera_point",
               "cam_param_fc2": "camera_hidden", "cam_param_fc3": "camera_out"}  # fmt: skip
    for theirs, name in renamed.items():
        for kind in ("weight", "bias"):
            ours[f"{name}.{kind}"] = state[f"{theirs}.{kind}"]
    head.load_state_dict(ours, strict=True)


def test_equals_the_plain_formulation(parts):
    queries, head = parts
    state = metro_state(CHANNELS, BETWEEN, FEATURE, words=7)
    load(head, state)
    features = maps()
    with torch.no_grad():
        prediction = head(queries(features).queries, features)
    for index in range(2):
        pooled = features.maps[-1][index].double().mean((1, 2))
        wanted = metro_forward(state, queries.template, pooled)
        got = {
            "camera": prediction.camera[index],
            "joints": prediction.joints[index],
            "coarse": prediction.coarse_vertices[index],
            "fine": prediction.vertices[index],
        }
        for name, value in got.items():
            error = (value.double() - wanted[name]).abs().max() / wanted[name].abs().max()
            assert error < 1e-5, name


def test_every_part_of_the_state_matters(parts):
    """A changed tensor changes the output, so that the parity above says something of each."""
    queries, head = parts
    features = maps(1)
    tokens = queries(features).queries
    for name, parameter in head.named_parameters():
        if name.endswith("key.bias"):  # adds the same to all scores of a query
            continue
        with torch.no_grad():
            before = head(tokens, features)
            parameter.add_(0.1 * torch.randn_like(parameter))
            after = head(tokens, features)
        fields = ("camera", "joints", "vertices")
        moved = [not torch.equal(getattr(before, f), getattr(after, f)) for f in fields]
        assert any(moved), name


def test_every_parameter_gets_a_gradient(parts):
    queries, head = parts
    features = maps()
    head.zero_grad()
    prediction = head(queries(features).queries, features)
    total = (
        prediction.camera.square().sum()
        + prediction.joints.square().sum()
        + prediction.vertices.square().sum()
    )
    total.backward()
    for name, parameter in head.named_parameters():
        assert parameter.grad is not None, name
        if not name.endswith("key.bias"):
            assert parameter.grad.abs().max() > 0, name


def test_template_is_the_mean_hand_at_the_wrist(parts, hand, topology):
    template = parts[0].template
    posed = hand(torch.zeros(1, 48))
    origin = posed.skeleton[0, 0]
    assert template.shape == (216, 3)
    assert torch.equal(template[WRIST], torch.zeros(3))
    chain = torch.cat([posed.skeleton[0], posed.vertices[0, list(hand.tip_vertices)]])
    torch.testing.assert_close(template[:21], chain[list(MANO_TO_JOINTS)] - origin)
    torch.testing.assert_close(template[21:], topology.down @ posed.vertices[0] - origin)
    assert "template" not in parts[0].state_dict()


def test_template_tips_follow_the_named_set_on_mano_only(hand, topology, monkeypatch):
    def tips() -> torch.Tensor:
        queries = TemplateQueries((1, 1, 1, 4), topology, hand, template_tips="manopth")
        return queries.template[list(TIP_JOINTS)]

    posed = hand(torch.zeros(1, 48))

    def at(vertices: tuple[int, ...]) -> torch.Tensor:
        return posed.vertices[0, list(vertices)] - posed.skeleton[0, 0]

    assert torch.equal(tips(), at(hand.tip_vertices))  # the bundled hand has tips of its own
    monkeypatch.setattr(hand, "is_stand_in", False)
    assert torch.equal(tips(), at(TIP_VERTICES["manopth"]))
    with pytest.raises(ConfigError, match="template_tips.*'manopth'"):
        TemplateQueries((1, 1, 1, 4), topology, hand, template_tips="manoptf")


def test_masking_hides_up_to_the_given_part(hand, topology):
    queries = TemplateQueries((8, 16, 24, 5), topology, hand, mask_ratio=0.3)
    torch.manual_seed(0)
    hidden = queries.sample_mask(4000, "cpu")
    for part, size in ((hidden[:, :21], 21), (hidden[:, 21:], 195)):
        number = part.sum(1)
        assert number.min() == 0 and number.max() == int(0.3 * size - 1e-9)
        # int(U * 0.3 * size) is uniform over its values, and each token is hidden equally often
        assert abs(number.double().mean() - (0.3 * size - 1) / 2) < 0.05 * size * 0.3
        assert part.double().mean(0).std() < 0.01
    assert not torch.equal(hidden[:, 0], hidden[:, 30])


def test_masked_tokens_are_constant_and_only_in_training(hand, topology):
    torch.manual_seed(0)
    queries = TemplateQueries((8, 16, 24, 5), topology, hand, mask_ratio=1.0)
    features = Features((torch.rand(6, 5, 7, 7),))
    masked = queries.train()(features).queries
    hidden = (masked == 0.01).all(2)
    assert hidden[:, :21].any() and hidden[:, 21:].any() and not hidden.all()
    plain = queries.eval()(features).queries
    assert not (plain == 0.01).all(2).any()
    assert torch.equal(masked[~hidden], plain[~hidden])
    queries.mask_ratio = 0.0
    assert torch.equal(queries.train()(features).queries, plain)


@pytest.mark.parametrize("ratio", [-0.1, 1.5])
def test_mask_ratio_is_a_part(hand, topology, ratio):
    with pytest.raises(ConfigError, match="mask_ratio"):
        TemplateQueries((8, 16, 24, 5), topology, hand, mask_ratio=ratio)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"out_channels": (512,)}, "out_channels"),
        ({"num_heads": 3}, "block_channels"),
        ({"num_positions": 100}, "num_positions"),
        ({"query_channels": None}, "query_head"),
    ],
)
def test_wrong_sizes_are_named(topology, change, named):
    with pytest.raises(ConfigError, match=named):
        MetroHead(**{"query_channels": 2051, "topology": topology, **change})


def random_pair(batch: int = 3) -> tuple[HandPrediction, HandTargets]:
    torch.manual_seed(1)
    joints = 0.1 * torch.randn(batch, 21, 3)
    annotation = empty_annotation()
    samples = [
        HandDataSample(
            **{
                **annotation,
                "joints3d": joints[index] - joints[index, :1],
                "joints3d_valid": torch.rand(21) > 0.3,
                "joints2d": 224 * torch.rand(21, 2),
                "joints2d_valid": torch.rand(21) > 0.3,
                "vertices": 0.1 * torch.randn(778, 3),
                "vertices_valid": torch.tensor(index != 1),
            }
        )
        for index in range(batch)
    ]
    prediction = HandPrediction(
        camera=torch.randn(batch, 3),
        joints=0.1 * torch.randn(batch, 21, 3),
        vertices=0.1 * torch.randn(batch, 778, 3),
        joints_from_vertices=0.1 * torch.randn(batch, 21, 3),
        coarse_vertices=0.1 * torch.randn(batch, 195, 3),
    )
    return prediction, HandTargets.from_samples(samples)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_loss_equals_its_definition_entry_by_entry(topology, norm, relative):
    prediction, targets = random_pair()
    weights = {"vertices": 2.0, "coarse": 3.0, "joints3d": 5.0, "joints2d": 7.0}
    loss = MetroLoss(topology, **weights, joints_norm=norm, relative_mesh=relative)
    got = loss(prediction, targets)
    size = abs if norm == "l1" else (lambda number: number**2)

    def mean(numbers: list[float]) -> float:
        return sum(numbers) / len(numbers)

    origins = {
        "joints": prediction.joints[:, 0],
        "joints_from_vertices": prediction.joints_from_vertices[:, 0],
    }
    for field, suffix in (("joints", ""), ("joints_from_vertices", "_mesh")):
        points = getattr(prediction, field)
        three, two = [], []
        for b in range(len(points)):
            for j in range(21):
                offset = points[b, j] - origins[field][b]
                if targets.joints3d_valid[b, j]:
                    three += [size(float(offset[c] - targets.joints3d[b, j, c])) for c in range(3)]
                if targets.joints2d_valid[b, j]:
                    point = offset if relative else points[b, j]
                    scale, *shift = prediction.camera[b]
                    for c in range(2):
                        wanted = 2 * targets.joints2d[b, j, c] / 224 - 1
                        two.append(size(float(scale * (point[c] + shift[c]) - wanted)))
        assert got[f"loss_joints3d{suffix}"] == pytest.approx(5 * mean(three), rel=1e-4)
        assert got[f"loss_joints2d{suffix}"] == pytest.approx(7 * mean(two), rel=1e-4)
    moved = prediction.joints_from_vertices[:, :1] if relative else 0
    known = [0, 2]
    fine = (prediction.vertices - moved - targets.vertices)[known]
    assert got["loss_vertices"] == pytest.approx(2 * float(fine.abs().mean()), rel=1e-4)
    kept = topology.down.argmax(1)
    coarse = (prediction.coarse_vertices - moved - targets.vertices[:, kept])[known]
    assert got["loss_vertices_coarse"] == pytest.approx(3 * float(coarse.abs().mean()), rel=1e-4)


def test_loss_norm_is_checked(topology):
    with pytest.raises(ConfigError, match="joints_norm"):
        MetroLoss(topology, joints_norm="huber")


def test_shape_loss_vanishes_for_a_moved_mesh_and_grows_with_a_twist(topology):
    _, targets = random_pair(2)
    mesh = topology.template.expand(2, -1, -1).clone()
    targets.vertices = mesh
    targets.vertices_valid = torch.tensor([True, True])

    def value(vertices: torch.Tensor) -> dict[str, torch.Tensor]:
        joints = torch.zeros(2, 21, 3)
        prediction = HandPrediction(torch.zeros(2, 3), joints, vertices, joints)
        return MeshShapeLoss(topology, edge=100.0, normal=10.0)(prediction, targets)

    same = value(mesh + torch.tensor([0.1, -0.2, 0.3]))
    assert same["loss_edge"] < 1e-3 and same["loss_normal"] < 1e-3
    edges = torch.cat([topology.faces[:, [0, 1]], topology.faces[:, [0, 2]],
                       topology.faces[:, [1, 2]]])  # fmt: skip
    length = (topology.template[edges[:, 0]] - topology.template[edges[:, 1]]).norm(dim=1)
    grown = value(2 * mesh)
    assert grown["loss_edge"] == pytest.approx(100 * float(length.mean()), rel=1e-2)
    assert grown["loss_normal"] < 1e-3  # normals do not know the size
    flat = mesh.clone()
    flat[..., 2] *= -1  # mirrored: lengths stay, directions do not
    assert value(flat)["loss_normal"] > 1


def test_wrist_relative_moves_joints_and_mesh_each_to_its_wrist():
    prediction, _ = random_pair()
    moved = wrist_relative(prediction)
    assert torch.equal(moved.joints[:, 0], torch.zeros(3, 3))
    assert torch.equal(moved.joints_from_vertices[:, 0], torch.zeros(3, 3))
    shift = prediction.joints_from_vertices[:, :1]
    assert torch.equal(moved.vertices, prediction.vertices - shift)
    assert torch.equal(moved.coarse_vertices, prediction.coarse_vertices - shift)
    assert torch.equal(moved.camera, prediction.camera)


@pytest.mark.parametrize("whole_model", [False, True])
def test_low_precision_runs_and_autocast_keeps_coordinates_fine(parts, whole_model):
    queries, head = parts
    load(head, metro_state(CHANNELS, BETWEEN, FEATURE, words=7))
    features = maps()
    tokens = queries(features).queries
    with torch.no_grad():
        exact = head(tokens, features)
        if whole_model:
            rough = copy.deepcopy(head).bfloat16()(tokens.bfloat16(), features)
            assert rough.vertices.dtype == torch.bfloat16
        else:
            with torch.autocast("cpu", dtype=torch.bfloat16):
                rough = head(tokens, features)
            assert rough.vertices.dtype == torch.float32
            # The joints of the mesh are the regressor's, to float32: nothing was rounded between.
            regressed = head.joint_regressor @ rough.vertices
            assert torch.equal(rough.joints_from_vertices, regressed)
    error = (rough.vertices.float() - exact.vertices).abs().max() / exact.vertices.abs().max()
    assert error < 0.1
