"""Fine and coarse mesh of a hand model: sampling between them, mesh hops, attention masks.

Computed once per hand model and cached; METRO's published matrices can be loaded instead
(Lin et al., "End-to-End Human Pose and Mesh Reconstruction with Transformers", 2021).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from handzoo.errors import ConfigError, ResourceError
from handzoo.hands.conventions import NUM_COARSE, NUM_JOINTS, NUM_POSE, NUM_VERTICES
from handzoo.hands.models.base import HandModel
from handzoo.hands.restricted_pickle import load_object_npz, to_array
from handzoo.hands.sampling import CoarseMesh, coarse_mesh

_METRO_HOW = "Take mano_downsampling.npz from the METRO or FastMETRO repository."


@dataclass(frozen=True)
class HandTopology:
    """Everything about a hand model's mesh that does not change with pose; tensors on the CPU.

    Attributes:
        faces: (1538, 3) int64.
        coarse_faces: (F', 3) int64.
        up: (778, 195) float32, coarse to fine; at most 3 entries in a row, rows sum to 1
            (METRO's published rows do not: 0.93 to 1.22).
        down: (195, 778) float32, one-hot rows: the coarse vertices are fine vertices.
        hops: (195, 195) int64, edges on the shortest path over the coarse mesh.
        joint_regressor: (21, 778) float32.
        template: (778, 3) metres, mean pose and shape, relative to the wrist joint.
        template_coarse: (195, 3) metres, ``down @ template``.
        template_joints: (21, 3) metres, ``joint_regressor @ template``.
    """

    faces: Tensor
    coarse_faces: Tensor
    up: Tensor
    down: Tensor
    hops: Tensor
    joint_regressor: Tensor
    template: Tensor
    template_coarse: Tensor
    template_joints: Tensor

    @property
    def num_coarse(self) -> int:
        """Number of coarse vertices."""
        return self.down.shape[0]

    def upsample(self, coarse: Tensor) -> Tensor:
        """(..., 195, C) on the coarse mesh -> (..., 778, C) on the fine mesh."""
        return self.up.to(coarse) @ coarse

    def downsample(self, vertices: Tensor) -> Tensor:
        """(..., 778, C) on the fine mesh -> (..., 195, C) on the coarse mesh."""
        return self.down.to(vertices) @ vertices

    def regress_joints(self, vertices: Tensor) -> Tensor:
        """(..., 778, 3) mesh -> (..., 21, 3) joints."""
        return self.joint_regressor.to(vertices) @ vertices

    def attention_mask(self, max_hops: int, num_prefix: int = 1 + NUM_JOINTS) -> Tensor:
        """Self-attention mask of the queries (camera, joints, coarse vertices).

        A coarse vertex sees the coarse vertices within ``max_hops`` edges (itself included) and
        the prefix; the prefix (camera and joint queries) sees everything. After PointHMR's and
        FastMETRO's neighbourhood masks.

        Args:
            max_hops: reach over the coarse mesh, at least 0.
            num_prefix: queries before the vertices; 22, or 21 without a camera query.

        Returns:
            (num_prefix + 195, num_prefix + 195) bool, True where attention is blocked, as
            ``torch.nn.MultiheadAttention`` takes it.
        """
        if max_hops < 0:
            raise ConfigError(f"max_hops: expected a number of edges >= 0, got {max_hops}.")
        size = num_prefix + self.num_coarse
        blocked = torch.zeros(size, size, dtype=torch.bool)
        blocked[num_prefix:, num_prefix:] = self.hops > max_hops
        return blocked

    def to(self, device: torch.device | str) -> HandTopology:
        """Copy with every tensor on ``device``."""
        moved = {spec.name: getattr(self, spec.name).to(device) for spec in fields(self)}
        return replace(self, **moved)


def hop_distances(faces: np.ndarray, num_vertices: int) -> np.ndarray:
    """Edges on the shortest path between each two vertices of a mesh, by breadth-first search.

    Args:
        faces: (F, 3).
        num_vertices: V.

    Returns:
        (V, V) int64; V (more than any path has) between unconnected parts.
    """
    adjacent = np.zeros((num_vertices, num_vertices), dtype=bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        adjacent[faces[:, a], faces[:, b]] = True
        adjacent[faces[:, b], faces[:, a]] = True
    steps = adjacent.astype(np.float32)
    hops = np.full((num_vertices, num_vertices), num_vertices, dtype=np.int64)
    np.fill_diagonal(hops, 0)
    front = np.eye(num_vertices, dtype=bool)
    reached = front.copy()
    distance = 0
    while front.any():
        distance += 1
        # One step of the search from all vertices at once.
        front = ((front.astype(np.float32) @ steps) > 0) & ~reached
        hops[front] = distance
        reached |= front
    return hops


def build_topology(
    hand_model: HandModel, num_coarse: int = NUM_COARSE, cache_dir: str | Path | None = None
) -> HandTopology:
    """Topology of a hand model; computed on first use (seconds), then read from the cache.

    Args:
        hand_model: the model.
        num_coarse: vertices of the coarse mesh.
        cache_dir: folder of the cache; HANDZOO_CACHE or the user's cache folder if None.

    Raises:
        ConfigError: the mesh cannot be brought down to ``num_coarse`` vertices.
    """
    try:
        coarse = coarse_mesh(hand_model, num_coarse, cache_dir)
    except ValueError as error:
        raise ConfigError(f"num_coarse: {error}.") from error
    return _assemble(hand_model, coarse)


def _assemble(hand_model: HandModel, coarse: CoarseMesh) -> HandTopology:
    template = template_mesh(hand_model)
    down = torch.zeros(len(coarse.kept), NUM_VERTICES)
    down[torch.arange(len(coarse.kept)), torch.from_numpy(coarse.kept)] = 1
    regressor = hand_model.joint_regressor.detach().cpu().float()
    coarse_faces = torch.from_numpy(coarse.faces)
    return HandTopology(
        faces=hand_model.faces.detach().cpu(),
        coarse_faces=coarse_faces,
        up=torch.from_numpy(coarse.up).float(),
        down=down,
        hops=torch.from_numpy(hop_distances(coarse.faces, len(coarse.kept))),
        joint_regressor=regressor,
        template=template,
        template_coarse=down @ template,
        template_joints=regressor @ template,
    )


def template_mesh(hand_model: HandModel) -> Tensor:
    """The mean hand (778, 3) in metres: mean pose and shape, relative to the wrist joint."""
    fingers = hand_model.hands_mean if hand_model.flat_hand_mean else None
    pose = hand_model.v_template.new_zeros(1, NUM_POSE)
    if fingers is not None:  # the mean pose, whether or not the model adds it by itself
        pose[0, 3:] = fingers
    with torch.no_grad():
        posed = hand_model(pose)
    return (posed.vertices - posed.joints[:, :1])[0].cpu().float()


def from_metro_npz(
    path: str | Path, hand_model: HandModel, normalize_rows: bool = False
) -> HandTopology:
    """Topology with METRO's published sampling matrices (MANO only).

    Args:
        path: ``mano_downsampling.npz``; object arrays ``U``, ``D``, ``F`` (``A``, ``V`` unused),
            level 0 of which goes from 778 to 195 vertices.
        hand_model: MANO.
        normalize_rows: divide the rows of ``up`` by their sums. The published rows sum to 0.93
            to 1.22, so upsampling does not commute with translation; weights that were trained
            with them need them as they are.

    Raises:
        ResourceError: the file is missing, damaged, holds anything but matrices, or does not
            belong to a mesh with this model's faces.
    """
    members = load_object_npz(path)
    lacking = [key for key in ("U", "D", "F") if key not in members]
    if lacking:
        raise ResourceError(f"{path}: lacks {', '.join(lacking)}. {_METRO_HOW}")
    up, down = (to_array(np.asarray(members[key]).ravel()[0], str(path)) for key in ("U", "D"))
    levels = np.asarray(members["F"], dtype=object).ravel()
    if len(levels) < 2:
        raise ResourceError(f"{path}: holds the faces of fewer than two levels. {_METRO_HOW}")
    fine_faces, coarse_faces = (to_array(level, str(path)).astype(np.int64) for level in levels[:2])
    if up.shape[0] != NUM_VERTICES or down.shape != up.shape[::-1]:
        raise ResourceError(
            f"{path}: level 0 has shapes {up.shape} and {down.shape}, not (778, n) and (n, 778)."
        )
    if not np.array_equal(_sorted_faces(fine_faces), _sorted_faces(hand_model.faces.cpu().numpy())):
        raise ResourceError(
            f"{path}: made for another mesh than hand model '{hand_model.name}'; METRO's matrices "
            "fit MANO only. Leave mesh_sampling out to have them computed."
        )
    if normalize_rows:
        up = up / up.sum(1, keepdims=True)
    kept = down.argmax(1).astype(np.int64)
    topology = _assemble(hand_model, CoarseMesh(kept, coarse_faces, up))
    down_published = torch.from_numpy(down).float()
    return replace(
        topology, down=down_published, template_coarse=down_published @ topology.template
    )


def _sorted_faces(faces: np.ndarray) -> np.ndarray:
    """Faces as sets, in one order, so that two lists of the same faces are equal."""
    faces = np.sort(faces.astype(np.int64), axis=1)
    return faces[np.lexsort(faces.T)]
