"""Simplification, sampling and hops on meshes where the answer is known."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array, csc_matrix
from scipy.sparse.csgraph import shortest_path
from toy_hand import toy_hand_data, tube_mesh

from handzoo.errors import ConfigError, ResourceError
from handzoo.hands.models import HandModel
from handzoo.hands.sampling import coarse_mesh
from handzoo.hands.simplify import border_edges, is_manifold, simplify, unique_edges
from handzoo.hands.topology import build_topology, from_metro_npz, hop_distances


def grid(rows, columns):
    """A flat sheet of triangles; vertex (r, c) has number r * columns + c."""
    y, x = np.mgrid[:rows, :columns]
    vertices = np.stack((x, y, 0 * x), -1).reshape(-1, 3).astype(float)
    faces = []
    for r in range(rows - 1):
        for c in range(columns - 1):
            a = r * columns + c
            faces += [(a, a + 1, a + columns), (a + 1, a + columns + 1, a + columns)]
    return vertices, np.array(faces)


def icosphere(level=2):
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=level)
    return np.array(sphere.vertices), np.array(sphere.faces)


def euler(vertices, faces):
    return len(vertices) - len(unique_edges(faces)) + len(faces)


@pytest.fixture(scope="module")
def model():
    return HandModel(toy_hand_data(), "toy")


@pytest.fixture(scope="module")
def topology(model, tmp_path_factory):
    return build_topology(model, cache_dir=tmp_path_factory.mktemp("cache"))


def test_hops_on_a_grid():
    """With diagonals from (r, c+1) to (r+1, c), a step may go right, down, or down-left."""
    rows, columns = 5, 7
    _, faces = grid(rows, columns)
    hops = hop_distances(faces, rows * columns)
    for start in range(rows * columns):
        for end in range(rows * columns):
            dr, dc = (b - a for a, b in zip(divmod(start, columns), divmod(end, columns),
                                            strict=True))  # fmt: skip
            opposite = dr * dc < 0  # along the diagonals, both coordinates change in one step
            expected = max(abs(dr), abs(dc)) if opposite else abs(dr) + abs(dc)
            assert hops[start, end] == expected


def test_hops_on_an_icosphere_equal_scipy():
    vertices, faces = icosphere()
    edges = unique_edges(faces)
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(vertices),) * 2)
    expected = shortest_path(graph.tocsr(), directed=False, unweighted=True)
    np.testing.assert_array_equal(hop_distances(faces, len(vertices)), expected)


def test_hops_between_separate_parts_are_out_of_reach():
    faces = np.array([[0, 1, 2], [3, 4, 5]])
    hops = hop_distances(faces, 6)
    assert hops[0, 2] == 1
    assert hops[0, 3] == 6


def test_manifold_check_knows_a_manifold_when_it_sees_one():
    _, sheet = grid(4, 4)
    _, sphere = icosphere()
    assert is_manifold(sheet) and is_manifold(sphere)
    assert not is_manifold(np.concatenate((sheet, sheet[:1])))  # a face twice
    assert not is_manifold(np.concatenate((sheet[:1], sheet[1:][:, ::-1])))  # winding
    assert not is_manifold(np.array([[0, 1, 2], [0, 1, 3], [0, 1, 4]]))  # three at an edge
    assert not is_manifold(np.array([[0, 1, 2], [0, 3, 4]]))  # two fans at a vertex


@pytest.mark.parametrize(
    "mesh, target", [(icosphere(), 42), (grid(20, 20), 60), (tube_mesh(), 195)]
)
def test_simplified_mesh_is_a_manifold_with_the_same_shape(mesh, target):
    vertices, faces = mesh
    kept, coarse = simplify(vertices, faces, target)
    assert len(kept) == target == len(np.unique(kept))
    assert set(np.unique(coarse)) == set(range(target))
    assert is_manifold(coarse)
    assert euler(kept, coarse) == euler(vertices, faces)
    # Border vertices come from the border, and winding still points the same way.
    assert set(kept[border_edges(coarse).ravel()]) <= set(border_edges(faces).ravel())

    def area_vector_and_volume(v, f):
        a, b, c = (v[f[:, k]] for k in range(3))
        return np.cross(b - a, c - a).sum(0) / 2, np.einsum("ij,ij->", a, np.cross(b, c)) / 6

    before, after = (
        area_vector_and_volume(vertices, faces),
        area_vector_and_volume(vertices[kept], coarse),
    )
    scale = np.ptp(vertices, axis=0).max()
    np.testing.assert_allclose(after[0], before[0], atol=0.03 * scale**2)
    np.testing.assert_allclose(after[1], before[1], atol=0.15 * abs(before[1]) + 1e-9)


def test_a_flat_sheet_keeps_its_outline():
    vertices, faces = grid(20, 20)
    kept, coarse = simplify(vertices, faces, 60)
    a, b, c = (vertices[kept[coarse[:, k]]] for k in range(3))
    assert np.cross(b - a, c - a)[:, 2].sum() / 2 == pytest.approx(19 * 19)


def test_simplification_says_when_it_cannot():
    vertices, faces = icosphere(1)
    with pytest.raises(ValueError, match="cannot simplify 42 vertices to 43"):
        simplify(vertices, faces, 43)
    with pytest.raises(ValueError, match="no collapse is left"):
        simplify(vertices, faces, 2)


def test_counts_and_sampling(model, topology):
    assert topology.up.shape == (778, 195)
    assert topology.down.shape == (195, 778)
    assert topology.hops.shape == (195, 195)
    assert topology.faces.shape == (1538, 3)
    assert is_manifold(topology.coarse_faces.numpy())
    assert (topology.down.sum(1) == 1).all() and (topology.down.max(1).values == 1).all()
    assert ((topology.up != 0).sum(1) <= 3).all()
    torch.testing.assert_close(topology.up.sum(1), torch.ones(778), atol=1e-6, rtol=0)
    # Coarse vertices are carried through unchanged.
    torch.testing.assert_close(topology.down @ topology.up, torch.eye(195), atol=0, rtol=0)
    assert topology.hops.max() < 195 and (topology.hops == topology.hops.T).all()


def test_upsampling_commutes_with_moving_and_turning(topology):
    coarse = topology.template_coarse.double()
    turn = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64))[0]
    shift = torch.tensor([0.3, -0.2, 0.9], dtype=torch.float64)
    fine = topology.upsample(coarse)
    moved = topology.upsample((coarse @ turn.T + shift)[None])[0]
    torch.testing.assert_close(moved, fine @ turn.T + shift, atol=1e-6, rtol=0)


def test_template_is_root_relative_and_consistent(model, topology):
    expected = model(torch.zeros(1, 48))
    wrist = expected.joints[0, :1]
    torch.testing.assert_close(topology.template, expected.vertices[0] - wrist)
    torch.testing.assert_close(topology.template_joints, expected.joints[0] - wrist)
    assert topology.template_joints[0].abs().max() < 1e-7
    torch.testing.assert_close(
        topology.template_coarse, topology.downsample(topology.template[None])[0]
    )
    torch.testing.assert_close(
        topology.template_joints, topology.regress_joints(topology.template[None])[0]
    )


@pytest.mark.parametrize("num_prefix", [21, 22])
@pytest.mark.parametrize("max_hops", [0, 1, 3, 7])
def test_attention_mask_by_definition(topology, max_hops, num_prefix):
    mask = topology.attention_mask(max_hops, num_prefix)
    assert mask.dtype == torch.bool and mask.shape == (num_prefix + 195,) * 2
    assert not mask[:num_prefix].any() and not mask[:, :num_prefix].any()
    hops = hop_distances(topology.coarse_faces.numpy(), 195)
    reached = ~mask[num_prefix:, num_prefix:].numpy()
    np.testing.assert_array_equal(reached, hops <= max_hops)
    assert reached.diagonal().all()
    if max_hops == 0:
        assert reached.sum() == 195
    if max_hops == 1:
        assert reached.sum() == 195 + 2 * len(unique_edges(topology.coarse_faces.numpy()))
    with pytest.raises(ConfigError, match="max_hops"):
        topology.attention_mask(-1)


def test_masked_attention_ignores_what_is_out_of_reach(topology):
    """The mask means to torch what it means here: a far vertex does not change the output."""
    torch.manual_seed(0)
    attention = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    mask = topology.attention_mask(2)
    queries = torch.randn(1, 217, 8)
    far = int(topology.hops[0].argmax())
    changed = queries.clone()
    changed[0, 22 + far] += 10
    with torch.no_grad():
        before = attention(queries, queries, queries, attn_mask=mask)[0][0]
        after = attention(changed, changed, changed, attn_mask=mask)[0][0]
    assert torch.equal(before[22], after[22])
    assert not torch.allclose(before[0], after[0])


def test_cache_is_used_and_survives_damage(model, tmp_path, monkeypatch):
    from handzoo.hands import sampling

    first = coarse_mesh(model, 195, tmp_path)
    (path,) = tmp_path.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(sampling, "compute_coarse_mesh", None)  # may not be called
        again = coarse_mesh(model, 195, tmp_path)
    for name in ("kept", "faces", "up"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
    path.write_bytes(path.read_bytes()[:300])
    repaired = coarse_mesh(model, 195, tmp_path)
    np.testing.assert_array_equal(first.up, repaired.up)
    # Another mesh has another file.
    coarse_mesh(HandModel(toy_hand_data(seed=1), "toy"), 195, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_cache_folder_from_the_environment(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HANDZOO_CACHE", str(tmp_path / "here"))
    build_topology(model)
    assert len(list((tmp_path / "here").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_no_obstacle(model, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    topology = build_topology(model, cache_dir=tmp_path / "file" / "cache")
    assert topology.up.shape == (778, 195)
    assert "computed each time" in caplog.text


def metro_file(path, model, topology, row_sum=1.1):
    levels = {}
    for name, matrix in (("U", row_sum * topology.up), ("D", topology.down)):
        levels[name] = np.empty(1, dtype=object)
        levels[name][0] = csc_matrix(matrix.double().numpy())
    faces = np.empty(2, dtype=object)
    faces[:] = [model.faces.numpy(), topology.coarse_faces.numpy()]
    np.savez(path, F=faces, **levels)


def test_metro_matrices(model, topology, tmp_path):
    path = tmp_path / "mano_downsampling.npz"
    metro_file(path, model, topology)
    published = from_metro_npz(path, model)
    torch.testing.assert_close(published.up, 1.1 * topology.up)
    torch.testing.assert_close(published.down, topology.down)
    assert torch.equal(published.hops, topology.hops)
    assert torch.equal(published.coarse_faces, topology.coarse_faces)
    normalised = from_metro_npz(path, model, normalize_rows=True)
    torch.testing.assert_close(normalised.up, topology.up)


def test_metro_matrices_of_another_mesh_are_refused(model, topology, tmp_path):
    path = tmp_path / "mano_downsampling.npz"
    model_faces = model.faces.clone()
    metro_file(path, model, topology)
    other = HandModel(toy_hand_data(), "toy")
    other.faces[0, 0] = other.faces[5, 1] + 1
    assert not torch.equal(other.faces, model_faces)
    with pytest.raises(ResourceError, match="made for another mesh"):
        from_metro_npz(path, other)
    np.savez(path, U=np.zeros(3))
    with pytest.raises(ResourceError, match="lacks D, F"):
        from_metro_npz(path, model)


@pytest.fixture(scope="module")
def bundled(tmp_path_factory):
    from handzoo.hands.models import load_bundled

    model = load_bundled()
    return model, build_topology(model, cache_dir=tmp_path_factory.mktemp("cache"))


def test_up_and_down_on_the_bundled_hand(bundled):
    """Error of 778 -> 195 -> 778 over joint angles drawn from the whole range of motion."""
    from handzoo.hands.articulation import bundled_articulation

    model, topology = bundled
    articulation = bundled_articulation()
    rng = np.random.default_rng(11)
    low, high = articulation.limits[..., 0], articulation.limits[..., 1]
    fingers = np.stack(
        [articulation.compose(*rng.uniform(low, high).T) for _ in range(100)]
    ) - model.hands_mean.numpy()  # fmt: skip
    pose = torch.from_numpy(np.concatenate((np.zeros((100, 3)), fingers), 1)).float()
    shape = torch.from_numpy(rng.standard_normal((100, 10))).float()
    vertices = model(pose, shape).vertices
    error = 1000 * (topology.upsample(topology.downsample(vertices)) - vertices).norm(dim=-1)
    assert error.mean() < 0.7  # mm; 0.56 measured
    assert np.quantile(error, 0.99) < 4.0  # 3.1 measured
    at_rest = 1000 * (topology.upsample(topology.template_coarse) - topology.template).norm(dim=-1)
    assert at_rest.mean() < 0.3  # 0.22 measured
    # Noise of the coarse vertices is not blown up on the way to the fine mesh.
    assert (topology.up**2).sum(1).mean() < 1
    assert (topology.up**2).sum(1).max() < 4


def test_coarse_hand_is_one_sheet_with_one_border(bundled):
    _, topology = bundled
    coarse = topology.coarse_faces.numpy()
    assert is_manifold(coarse)
    assert euler(range(195), coarse) == 1  # a disk: the hand, open at the wrist
    edges = border_edges(coarse)
    assert len(edges) == len(np.unique(edges)) >= 4
    assert topology.hops.max() < 30
    # Every part of the hand keeps vertices: each finger's joints are near coarse vertices.
    distance = torch.cdist(topology.template_joints, topology.template_coarse).min(1).values
    assert distance.max() < 0.02
