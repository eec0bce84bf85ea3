"""Independent probes of a closed or open triangle mesh, for tests of the bundled hand."""

from __future__ import annotations

import numpy as np


def boundary_loop(faces: np.ndarray) -> list[tuple[int, int]]:
    """Directed edges (a, b) of triangles (F,3) whose opposite (b, a) does not occur."""
    directed = {tuple(edge) for edge in faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2).tolist()}
    return sorted((a, b) for a, b in directed if (b, a) not in directed)


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals (N,3)."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    result = np.zeros_like(vertices)
    for corner in range(3):
        np.add.at(result, faces[:, corner], normal)
    return result / np.linalg.norm(result, axis=1, keepdims=True)


def close_mesh(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mesh with a fan over its hole, around the mean of the hole's rim."""
    rim = boundary_loop(faces)
    center = vertices[[a for a, _ in rim]].mean(0, keepdims=True)
    fan = np.array([(b, a, len(vertices)) for a, b in rim])
    return np.concatenate([vertices, center]), np.concatenate([faces, fan])


def volume(vertices: np.ndarray, faces: np.ndarray) -> float:
    """Signed volume of the closed mesh; positive if normals point outwards."""
    vertices, faces = close_mesh(vertices, faces)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return float((a * np.cross(b, c)).sum() / 6)


def winding_numbers(points: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Generalised winding number (P,) of points around the mesh, its hole closed.

    0 outside, 1 inside, 2 where flesh lies in flesh (van Oosterom and Strackee's solid angles).
    """
    vertices, faces = close_mesh(vertices, faces)
    result = np.zeros(len(points))
    for start in range(0, len(points), 128):
        a, b, c = (vertices[faces[:, k]] - points[start : start + 128, None] for k in range(3))
        la, lb, lc = (np.linalg.norm(side, axis=-1) for side in (a, b, c))
        top = (a * np.cross(b, c)).sum(-1)
        low = la * lb * lc + (a * b).sum(-1) * lc + (b * c).sum(-1) * la + (c * a).sum(-1) * lb
        result[start : start + 128] = np.arctan2(top, low).sum(1) / (2 * np.pi)
    return result


def buried(vertices: np.ndarray, faces: np.ndarray, offset: float = 4e-4) -> np.ndarray:
    """Mask (N,) of vertices that, moved outwards a little, are still inside the mesh."""
    points = vertices + offset * vertex_normals(vertices, faces)
    return winding_numbers(points, vertices, faces) > 0.5
