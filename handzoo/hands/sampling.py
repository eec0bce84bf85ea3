"""The 195-vertex mesh of a hand model and the matrix that carries it back to 778 vertices.

Downsampling picks vertices (quadric edge collapse), upsampling writes every fine vertex as an
affine combination of three coarse vertices near it. METRO solves for the three weights on the
template alone, without the condition that they sum to 1; here they sum to 1, so that moving the
coarse mesh moves the fine mesh, and they are fitted over many poses and shapes at once.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

from handzoo.hands.conventions import NUM_SHAPE
from handzoo.hands.models.base import HandModel
from handzoo.hands.simplify import simplify, unique_edges

logger = logging.getLogger(__name__)

# Part of the cache key: raise it when the computation changes.
_VERSION = 2
# Coarse vertices, nearest over the surface, among which the three of a row are chosen.
_CANDIDATES = 13
_NUM_POSES = 48
# Weights are chosen for coarse vertices that are off by this much (metres, each coordinate),
# as an estimator's are: it keeps them from cancelling each other with large opposite signs.
_COARSE_NOISE = 0.5e-3


@dataclass(frozen=True)
class CoarseMesh:
    """A coarse mesh out of a fine one.

    Attributes:
        kept: (C,) int64, fine vertices that are the coarse vertices, ascending.
        faces: (F', 3) int64 over the coarse vertices.
        up: (V, C) float64 with at most three entries in a row, which sum to 1.
    """

    kept: np.ndarray
    faces: np.ndarray
    up: np.ndarray


def coarse_mesh(
    hand_model: HandModel, num_coarse: int, cache_dir: str | Path | None = None
) -> CoarseMesh:
    """Coarse mesh of a hand model, from the cache where it is known.

    Args:
        hand_model: the model.
        num_coarse: number of coarse vertices.
        cache_dir: folder of the cache; HANDZOO_CACHE or the user's cache folder if None.

    Raises:
        ValueError: the mesh cannot be brought down to ``num_coarse`` vertices.
    """
    path = _cache_folder(cache_dir) / f"topology-{_fingerprint(hand_model, num_coarse)}.npz"
    cached = _read_cache(path, len(hand_model.v_template), num_coarse)
    if cached is not None:
        return cached
    computed = compute_coarse_mesh(hand_model, num_coarse)
    _write_cache(path, computed)
    return computed


def compute_coarse_mesh(hand_model: HandModel, num_coarse: int) -> CoarseMesh:
    """Simplify the model's template and fit the upsampling; deterministic."""
    template = hand_model.v_template.detach().cpu().double().numpy()
    faces = hand_model.faces.detach().cpu().numpy()
    kept, coarse_faces = simplify(template, faces, num_coarse)
    up = _fit_upsampling(template, faces, kept, _posed_meshes(hand_model))
    return CoarseMesh(kept, coarse_faces, up)


def _posed_meshes(hand_model: HandModel) -> np.ndarray:
    """(P, V, 3) meshes in random poses and shapes, and in the template's; seeded.

    A joint turns by up to three times its share of the mean pose, which bends fingers the way
    they bend, or a little backwards, and by 0.12 rad about every axis.
    """
    generator = torch.Generator().manual_seed(0)
    mean = hand_model.hands_mean.detach().cpu().view(1, -1, 3)
    bend = 3.5 * torch.rand(_NUM_POSES, mean.shape[1], 1, generator=generator) - 0.5
    fingers = (bend * mean).flatten(1)
    fingers += 0.12 * torch.randn(fingers.shape, generator=generator)
    fingers[0] = 0
    shape = torch.randn(_NUM_POSES, NUM_SHAPE, generator=generator)
    shape[0] = 0
    if not hand_model.flat_hand_mean:
        fingers = fingers - mean.flatten(1)
    pose = torch.cat((torch.zeros(_NUM_POSES, 3), fingers), dim=1).to(hand_model.v_template)
    with torch.no_grad():
        vertices = hand_model(pose, shape.to(pose)).vertices
    return vertices.double().cpu().numpy()


def _fit_upsampling(
    template: np.ndarray, faces: np.ndarray, kept: np.ndarray, posed: np.ndarray
) -> np.ndarray:
    """Weights (V, C) that minimise the expected squared error over poses.

    For a fine vertex v and three coarse vertices c_k with weights w that sum to 1, the error in
    a pose is sum_k w_k (c_k - v). Over all poses its square is w^T G w with the Gram matrix G of
    the differences; independent noise of the coarse vertices adds a multiple of |w|^2. The best
    weights are G^-1 1 / (1^T G^-1 1), with the error 1 / (1^T G^-1 1).
    """
    edges = unique_edges(faces)
    length = np.linalg.norm(template[edges[:, 0]] - template[edges[:, 1]], axis=1)
    graph = coo_array((length, edges.T), shape=(len(template),) * 2).tocsr()
    # Distance over the surface: through the air, a neighbouring finger may be nearer.
    geodesic = dijkstra(graph, directed=False, indices=kept)
    nearest = np.argsort(geodesic, axis=0, kind="stable")[:_CANDIDATES].T
    triples = np.array(list(itertools.combinations(range(nearest.shape[1]), 3)))
    noise = posed.shape[0] * 3 * _COARSE_NOISE**2 * np.eye(3)
    ones = np.ones(3)
    up = np.zeros((len(template), len(kept)))
    up[kept, np.arange(len(kept))] = 1
    for vertex in np.setdiff1d(np.arange(len(template)), kept):
        difference = posed[:, kept[nearest[vertex]]] - posed[:, vertex, None]
        gram = np.einsum("pix,pjx->ij", difference, difference)
        inverse = np.linalg.inv(gram[triples[:, :, None], triples[:, None, :]] + noise)
        unscaled = inverse @ ones
        best = int(np.argmax(unscaled.sum(1)))
        up[vertex, nearest[vertex][triples[best]]] = unscaled[best] / unscaled[best].sum()
    return up


def _cache_folder(cache_dir: str | Path | None) -> Path:
    if cache_dir is not None:
        return Path(cache_dir)
    from handzoo.resources import cache_root  # lies above this room; imports nothing heavy

    return cache_root()


def _fingerprint(hand_model: HandModel, num_coarse: int) -> str:
    """Hash of everything that the result depends on."""
    digest = hashlib.sha256(f"{_VERSION} {num_coarse}".encode())
    for name in sorted(("v_template", "faces", "shapedirs", "posedirs", "weights", "hands_mean")):
        digest.update(np.ascontiguousarray(getattr(hand_model, name).cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


def _read_cache(path: Path, num_fine: int, num_coarse: int) -> CoarseMesh | None:
    try:
        with np.load(path, allow_pickle=False) as archive:
            kept, faces = archive["kept"], archive["faces"]
            columns, weights = archive["up_columns"], archive["up_weights"]
    except FileNotFoundError:
        return None
    except Exception as error:  # whatever is wrong with a cache file, it can be made again
        logger.warning("cannot read %s (%s): computing the topology again", path, error)
        return None
    shapes_fit = kept.shape == (num_coarse,) and columns.shape == weights.shape == (num_fine, 3)
    if not shapes_fit:
        logger.warning("%s does not fit this hand model: computing the topology again", path)
        return None
    up = np.zeros((num_fine, num_coarse))
    np.put_along_axis(up, columns, weights, axis=1)
    return CoarseMesh(kept, faces, up)


def _write_cache(path: Path, mesh: CoarseMesh) -> None:
    """Write atomically, so that processes that start together never read half a file."""
    # The three largest entries of each row, in column order; the others are zero.
    columns = np.sort(np.argsort(-np.abs(mesh.up), axis=1, kind="stable")[:, :3], axis=1)
    weights = np.take_along_axis(mesh.up, columns, axis=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz")
        try:
            with os.fdopen(handle, "wb") as file:
                np.savez(
                    file, kept=mesh.kept, faces=mesh.faces, up_columns=columns, up_weights=weights
                )
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        logger.warning(
            "cannot cache the topology at %s (%s); it is computed each time", path, error
        )
