"""Quadric edge collapse that keeps a subset of the vertices where they are.

Source: Garland and Heckbert, "Surface Simplification Using Quadric Error Metrics" (1997), as the
mesh sampling of Ranjan et al. (CoMA, 2018) that METRO uses: every collapse u -> v keeps v's
position, so that coarse vertices are fine vertices.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np

# How strongly a border edge resists being left, relative to the faces beside it.
_BORDER_WEIGHT = 10.0
# A collapse may not turn a face by more than this cosine (about 80 degrees).
_MIN_NORMAL_COSINE = 0.2
# Weight of the collapsed edge's length beside the quadric's: on a flat part, where every quadric
# is zero, the shortest edges go first, and the coarse vertices stay evenly spread.
_LENGTH_WEIGHT = 0.2


def border_edges(faces: np.ndarray) -> np.ndarray:
    """Edges of exactly one face.

    Args:
        faces: (F, 3).

    Returns:
        (E, 2), each edge once, lower vertex first.
    """
    edges, counts = _edges(faces)
    return edges[counts == 1]


def unique_edges(faces: np.ndarray) -> np.ndarray:
    """All edges (E, 2), each once, lower vertex first."""
    return _edges(faces)[0]


def _edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    pairs = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    return np.unique(np.sort(pairs, axis=1), axis=0, return_counts=True)


def is_manifold(faces: np.ndarray) -> bool:
    """Whether every edge has one or two faces of consistent winding, and every vertex one fan."""
    directed = np.concatenate((faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]))
    if len(np.unique(directed, axis=0)) != len(directed):  # three faces, or clashing winding
        return False
    link: dict[int, dict[int, int]] = defaultdict(dict)
    for a, b, c in faces.tolist():
        for apex, start, end in ((a, b, c), (b, c, a), (c, a, b)):
            link[apex][start] = end
    for successor in link.values():
        # Walk the fan from its open end if it has one: it must pass every face of the vertex.
        starts = sorted(set(successor) - set(successor.values())) or [min(successor)]
        if len(starts) > 1:
            return False
        here, steps = starts[0], 0
        while here in successor and steps < len(successor):
            here, steps = successor[here], steps + 1
        if steps != len(successor):
            return False
    return True


class _Collapser:
    """A mesh under simplification; the vertices keep their numbers."""

    def __init__(self, vertices: np.ndarray, faces: np.ndarray) -> None:
        self.position = np.asarray(vertices, dtype=np.float64)
        self.faces: dict[int, tuple[int, int, int]] = dict(enumerate(map(tuple, faces.tolist())))
        self.around: dict[int, set[int]] = defaultdict(set)
        for index, face in self.faces.items():
            for vertex in face:
                self.around[vertex].add(index)
        self.border = set(border_edges(faces).ravel().tolist())
        self.scale = float(np.linalg.norm(np.ptp(self.position, axis=0)))
        self.quadric = self._quadrics(faces)
        self.version: dict[int, int] = dict.fromkeys(self.around, 0)

    def _quadrics(self, faces: np.ndarray) -> np.ndarray:
        """(V, 4, 4): sum over a vertex's faces of the squared distance to the plane.

        Every face weighs as much as the mean face's area, not as its own: on a hand that keeps
        vertices on the fingers, whose faces are small, where the error per vertex is made.
        """
        a, b, c = (self.position[faces[:, k]] for k in range(3))
        normal = np.cross(b - a, c - a)
        double_area = np.linalg.norm(normal, axis=1)
        unit = normal / np.maximum(double_area, 1e-20)[:, None]
        plane = np.concatenate((unit, -(unit * a).sum(1, keepdims=True)), axis=1)
        face_quadric = double_area.mean() / 2 * plane[:, :, None] * plane[:, None, :]
        quadric = np.zeros((len(self.position), 4, 4))
        for corner in range(3):
            np.add.at(quadric, faces[:, corner], face_quadric)
        # A plane through each border edge, upright on its face, keeps the border's outline.
        edge_face = {}
        for index, (i, j, k) in enumerate(faces.tolist()):
            for edge in ((i, j), (j, k), (k, i)):
                edge_face[tuple(sorted(edge))] = index
        for i, j in border_edges(faces).tolist():
            along = self.position[j] - self.position[i]
            upright = np.cross(along, unit[edge_face[i, j]])
            length = np.linalg.norm(upright)
            upright = upright / max(length, 1e-20)
            plane = np.append(upright, -upright @ self.position[i])
            weighted = _BORDER_WEIGHT * (along @ along) * np.outer(plane, plane)
            quadric[i] += weighted
            quadric[j] += weighted
        return quadric

    def neighbours(self, vertex: int) -> set[int]:
        found = {other for index in self.around[vertex] for other in self.faces[index]}
        found.discard(vertex)
        return found

    def cost(self, gone: int, kept: int) -> float:
        point = np.append(self.position[kept], 1.0)
        edge = self.position[gone] - self.position[kept]
        squared = float(edge @ edge)
        distance = float(point @ (self.quadric[gone] + self.quadric[kept]) @ point)
        return max(distance, 0.0) + _LENGTH_WEIGHT * squared * squared

    def allowed(self, gone: int, kept: int) -> bool:
        """Whether the collapse leaves a manifold with the same border, without folded faces."""
        shared = self.around[gone] & self.around[kept]
        on_border = gone in self.border
        if on_border and (kept not in self.border or len(shared) != 1):
            return False  # the border only shrinks along itself
        # Link condition: besides the vanishing faces' apexes nothing may be shared.
        common = self.neighbours(gone) & self.neighbours(kept)
        if len(common) != len(shared) or not shared:
            return False
        if on_border and len(self.border) <= 3:
            return False
        for index in self.around[gone] - shared:
            before = self._normal(self.faces[index])
            moved = tuple(kept if vertex == gone else vertex for vertex in self.faces[index])
            after = self._normal(moved)
            lengths = np.linalg.norm(before) * np.linalg.norm(after)
            if lengths <= 0 or before @ after < _MIN_NORMAL_COSINE * lengths:
                return False
        return True

    def _normal(self, face: tuple[int, ...]) -> np.ndarray:
        a, b, c = (self.position[vertex] for vertex in face)
        return np.cross(b - a, c - a)

    def collapse(self, gone: int, kept: int) -> set[int]:
        """Carry the collapse out; return the vertices whose edges have new costs."""
        for index in list(self.around[gone]):
            face = self.faces[index]
            if kept in face:
                for vertex in face:
                    self.around[vertex].discard(index)
                del self.faces[index]
            else:
                self.faces[index] = tuple(kept if vertex == gone else vertex for vertex in face)
                self.around[kept].add(index)
        del self.around[gone]
        self.border.discard(gone)
        self.quadric[kept] += self.quadric[gone]
        return self.neighbours(kept) | {kept}


def simplify(vertices: np.ndarray, faces: np.ndarray, target: int) -> tuple[np.ndarray, np.ndarray]:
    """Simplify a triangle mesh to exactly ``target`` of its own vertices.

    The result is a manifold if the mesh was, has the same border loops, and is the same on every
    run: ties are broken by vertex number.

    Args:
        vertices: (V, 3).
        faces: (F, 3), a manifold, possibly with borders.
        target: number of vertices to keep.

    Returns:
        Kept vertices (target,), ascending, and faces (F', 3) that index into them.

    Raises:
        ValueError: the mesh has fewer vertices, or cannot be brought down to ``target``.
    """
    mesh = _Collapser(vertices, np.asarray(faces, dtype=np.int64))
    if target > len(mesh.around):
        raise ValueError(f"cannot simplify {len(mesh.around)} vertices to {target}")
    heap: list[tuple[float, int, int, int, int]] = []
    size_at_refill = -1

    def push(gone: int, kept: int) -> None:
        entry = (mesh.cost(gone, kept), gone, kept, mesh.version[gone], mesh.version[kept])
        heapq.heappush(heap, entry)

    while len(mesh.around) > target:
        if not heap:
            # At the start, and when refused edges may have become possible again.
            if len(mesh.around) == size_at_refill:
                raise ValueError(
                    f"no collapse is left at {size_at_refill} vertices, above {target}"
                )
            size_at_refill = len(mesh.around)
            for vertex in sorted(mesh.around):
                for other in sorted(mesh.neighbours(vertex)):
                    push(vertex, other)
        _, gone, kept, gone_version, kept_version = heapq.heappop(heap)
        current = gone in mesh.around and kept in mesh.around
        if not current or (mesh.version[gone], mesh.version[kept]) != (gone_version, kept_version):
            continue  # an older entry of an edge that has a newer one
        if not mesh.allowed(gone, kept):
            continue  # offered again as soon as something around it changes
        touched = mesh.collapse(gone, kept)
        for vertex in touched:
            mesh.version[vertex] += 1
        for vertex in sorted(touched):
            for other in sorted(mesh.neighbours(vertex)):
                push(vertex, other)
                if other not in touched:
                    push(other, vertex)
    kept_vertices = np.array(sorted(mesh.around), dtype=np.int64)
    renumber = np.full(len(mesh.position), -1, dtype=np.int64)
    renumber[kept_vertices] = np.arange(target)
    coarse = renumber[np.array([mesh.faces[index] for index in sorted(mesh.faces)])]
    return kept_vertices, coarse
