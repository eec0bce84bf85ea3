"""OBJ and GLB read back by trimesh: the same hand, in the stated frame, outside out."""

import numpy as np
import pytest
import torch
import trimesh

from handzoo.hands.models import load_bundled
from handzoo.visualization.export import export_glb, export_obj


@pytest.fixture(scope="module")
def hand():
    model = load_bundled()
    with torch.no_grad():
        vertices = model(torch.zeros(1, 48), None, torch.tensor([[0.1, 0, 0.6]])).vertices[0]
    return vertices.numpy(), model.faces.numpy()


def volume(vertices, faces):
    """Signed volume, closed at the wrist by a fan: positive if the faces point outwards."""
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    centred = mesh.vertices - mesh.vertices.mean(0)
    a, b, c = (centred[mesh.faces[:, k]] for k in range(3))
    return np.einsum("ij,ij->", a, np.cross(b, c)) / 6


@pytest.mark.parametrize("is_right", [True, False])
def test_obj_keeps_the_camera_frame(hand, tmp_path, is_right):
    vertices, faces = hand
    if not is_right:
        vertices = vertices * [-1, 1, 1]
    path = tmp_path / "hand.obj"
    export_obj(path, vertices, faces, is_right)
    read = trimesh.load(path, process=False, force="mesh")
    np.testing.assert_allclose(read.vertices, vertices, atol=1e-6)
    assert volume(read.vertices, read.faces) > 0
    assert "metres" in path.read_text().splitlines()[0]


@pytest.mark.parametrize("is_right", [True, False])
def test_glb_is_the_same_hand_with_y_up(hand, tmp_path, is_right):
    vertices, faces = hand
    if not is_right:
        vertices = vertices * [-1, 1, 1]
    path = tmp_path / "hand.glb"
    export_glb(path, vertices, faces, is_right)
    read = trimesh.load(path, force="mesh", process=False)
    np.testing.assert_allclose(read.vertices, vertices * [1, -1, -1], atol=1e-6)
    assert volume(read.vertices, read.faces) > 0
    # A rotation, not a mirroring: the frames' hands agree.
    assert volume(read.vertices, read.faces) == pytest.approx(
        volume(vertices, faces if is_right else faces[:, [0, 2, 1]]), rel=1e-5
    )
