"""CausalRefiner: streaming against the whole sequence, window, mesh, shipped weights, training."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from handzoo.errors import CheckpointError
from handzoo.hands.models import load_bundled
from handzoo.hands.topology import build_topology
from handzoo.testing import Context, conformance_checks
from handzoo_plugins.temporal import train
from handzoo_plugins.temporal.causal_refiner import (
    WEIGHTS,
    CausalRefiner,
    load_network,
    vertex_weights,
)
from handzoo_plugins.temporal.figures import apply
from handzoo_plugins.temporal.network import WINDOW, CausalNetwork


@pytest.fixture(scope="module")
def topology():
    return build_topology(load_bundled())


@pytest.fixture(scope="module")
def clips():
    return train.make_clips(2, train.HELD_OUT_SEED, mesh=True)


def random_network(seed=0):
    torch.manual_seed(seed)
    network = CausalNetwork(16)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network.eval()


@pytest.mark.parametrize("check", conformance_checks("prediction_filter"), ids=str)
def test_conformance(check):
    check(dict(type="temporal/CausalRefiner"), Context())


def test_streaming_equals_the_whole_sequence(topology, clips):
    clip = clips[0]
    part = CausalRefiner(topology)
    part.network = random_network()
    found = apply(part, clip)
    times = torch.from_numpy(clip.times).float()
    noisy, camera = (torch.from_numpy(x).float() for x in (clip.noisy_joints, clip.noisy_camera))
    dt = torch.diff(times, prepend=times[:1])
    with torch.no_grad():
        moved, shifted = part.network(noisy[None], camera[None], dt[None])
    assert moved.abs().max() > 1e-3
    np.testing.assert_allclose(found.joints, (noisy + moved[0]).numpy(), atol=2e-5)
    refined = (camera + shifted[0]).numpy()
    np.testing.assert_allclose(np.log(found.camera[:, 0]), refined[:, 0], atol=1e-4)
    np.testing.assert_allclose(found.camera[:, 1:], refined[:, 1:], atol=1e-4)


def test_an_output_depends_on_exactly_sixteen_frames():
    network = random_network()
    generator = torch.Generator().manual_seed(0)
    joints = (0.05 * torch.randn(1, 40, 21, 3, generator=generator)).requires_grad_()
    camera, dt = torch.randn(1, 40, 3, generator=generator), torch.full((1, 40), 1 / 30)
    moved, _ = network(joints, camera, dt)
    (gradient,) = torch.autograd.grad(moved[0, 30].square().sum(), joints)
    seen = gradient[0].abs().amax((1, 2)).nonzero().flatten().tolist()
    assert seen == list(range(30 - WINDOW + 1, 31))


def test_rest_is_left_alone_whatever_the_weights():
    network = random_network()
    joints, camera = torch.randn(1, 1, 21, 3).repeat(1, 20, 1, 1), torch.randn(1, 1, 3)
    moved, shifted = network(joints, camera.repeat(1, 20, 1), torch.rand(1, 20))
    assert (moved == 0).all() and (shifted == 0).all()


def test_mesh_follows_the_joints(topology):
    root = topology.template_joints[:1]
    vertices = (topology.template - root).double().numpy()
    joints = (topology.template_joints - root).double().numpy()
    weights = vertex_weights(vertices, joints)
    np.testing.assert_allclose(weights.sum(1), 1)
    assert (weights >= 0).all()
    # A small turn about the wrist moves the mesh, where it follows bones, as it moves the joints.
    turn = Rotation.from_rotvec([0.03, -0.02, 0.04]).as_matrix()
    wanted = vertices @ turn.T - vertices
    error = np.linalg.norm(weights @ (joints @ turn.T - joints) - wanted, axis=1)
    assert error.mean() < 0.15 * np.linalg.norm(wanted, axis=1).mean()
    # One finger's tip: the mesh near it goes along, the other fingers stay.
    moved = np.zeros((21, 3))
    moved[8] = [0.004, 0, 0]
    shift = weights @ moved
    regressor = topology.joint_regressor.double().numpy()
    regressed = regressor @ shift
    assert regressed[8, 0] > 0.003
    others = [joint for joint in range(21) if joint not in (6, 7, 8)]
    # A neighbour's tip, a finger's breadth away, gets less than a tenth of it.
    assert np.abs(regressed[others]).max() < 4e-4


def test_strength_and_gaps(topology, clips):
    clip = clips[1]
    none = apply(CausalRefiner(topology, strength=0.0), clip)
    np.testing.assert_allclose(none.joints, clip.noisy_joints, atol=1e-7)
    part = CausalRefiner(topology, max_gap=0.25)
    clip_times = clip.times.copy()
    late = clip_times + np.where(np.arange(len(clip_times)) >= 50, 1.0, 0.0)
    whole = apply(part, clip)
    clip.times = late
    try:
        broken = apply(part, clip)
    finally:
        clip.times = clip_times
    # After the gap the first frame passes as it is: it has no past.
    np.testing.assert_array_equal(broken.joints[50], clip.noisy_joints[50])
    np.testing.assert_array_equal(broken.joints[:50], whole.joints[:50])
    assert abs(whole.joints[50] - clip.noisy_joints[50]).max() > 1e-5


def test_shipped_weights_give_the_cards_error_on_motions_that_they_never_saw():
    """All held-out clips, joints alone, whole sequences at once."""
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    data = train.stack(train.make_clips(card["settings"]["held_out"], train.HELD_OUT_SEED))
    dt = torch.diff(data["times"], dim=1, prepend=data["times"][:, :1])
    with torch.no_grad():
        moved, _ = load_network(WEIGHTS)(data["noisy_joints"], data["noisy_camera"], dt)
    found = {"none": data["noisy_joints"], "CausalRefiner": data["noisy_joints"] + moved}
    for name, joints in found.items():
        error = joints - data["joints"]
        bend = error[:, 2:] - 2 * error[:, 1:-1] + error[:, :-2]
        figures = card["metrics"][name]
        mean = 1e3 * error.norm(dim=-1).mean().item()
        assert mean == pytest.approx(figures["MPJPE (mm)"], rel=1e-2)
        jerky = 1e3 * bend.norm(dim=-1).mean().item()
        assert jerky == pytest.approx(figures["acceleration error (mm/frame^2)"], rel=1e-2)
    raw, euro, refined = (card["metrics"][n] for n in ("none", "OneEuro", "CausalRefiner"))
    for name in ("MPJPE (mm)", "MPVPE (mm)", "acceleration error (mm/frame^2)"):
        assert refined[name] < euro[name] < raw[name]


def test_shipped_files_agree():
    """Size, hash, parameters; the README shows the card's figures."""
    assert WEIGHTS.stat().st_size < 500_000
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert card["file"] == WEIGHTS.name
    network = CausalNetwork(card["settings"]["channels"])
    assert sum(p.numel() for p in network.parameters()) == card["parameters"]
    readme = Path(WEIGHTS).parents[1] / "README.md"
    assert train.table(card["metrics"]) in readme.read_text()


@pytest.mark.slow
def test_the_cards_figures_come_out_again(topology):
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    clips = train.make_clips(card["settings"]["held_out"], train.HELD_OUT_SEED, mesh=True)
    for name, figures in train.evaluate(WEIGHTS, topology, clips).items():
        assert figures == pytest.approx(card["metrics"][name], rel=1e-2), name


def test_training_learns_and_what_it_writes_is_read(topology, tmp_path, capsys):
    network = CausalNetwork(16)
    history = train.train(network, train.make_clips(4, 0, frames=32), 30, batch_size=8, lr=1e-2)
    assert np.mean(history[-5:]) < 0.9 * np.mean(history[:3])
    out = tmp_path / "new" / "refiner.safetensors"
    arguments = ["--clips", "2", "--steps", "2", "--channels", "8", "--held-out", "1"]
    assert train.main(["--out", str(out), *arguments]) == 0
    assert "CausalRefiner" in capsys.readouterr().out
    card = json.loads(out.with_suffix(".json").read_text())
    assert set(card["metrics"]) == {"none", "OneEuro", "CausalRefiner"}
    assert str(tmp_path) not in out.with_suffix(".json").read_text()
    assert CausalRefiner(topology, str(out)).network.out.weight.shape[1] == 8


def test_wrong_weights_are_named(topology, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="other.safetensors"):
        CausalRefiner(topology, str(path))
    save_file({"out.weight": torch.zeros(66, 8, 1)}, path)
    with pytest.raises(CheckpointError, match="does not fit"):
        CausalRefiner(topology, str(path))
    with pytest.raises(CheckpointError, match="missing"):
        CausalRefiner(topology, str(tmp_path / "missing.safetensors"))
