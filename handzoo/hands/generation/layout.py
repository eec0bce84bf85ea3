"""The fixed mesh layout of the bundled hand: 778 vertices, 1538 triangles, loops at every joint.

A hand is laid out as modellers do it. The palm is a sleeve of rings that opens into the wrist;
its front ring is pinched at the webs into four loops of ten vertices, and a hole in its thumb side
gives a fifth. A tube of loops grows from each: three around every joint, so that bends stay
round, and a ten-five-one cap at the tip. Loops run around the axis starting at the thumb side and
turning over the back of the hand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

AROUND = 10
COLUMNS = 13
PALM_RINGS = 6  # full rings of 28; row 0 is the web row
CLOSING_RING = 25
WRIST_RING = 16
HOLE_FIRST, HOLE_LAST = 3, 6  # rows between which the thumb leaves the palm
FINGER_LOOPS = 10
THUMB_LOOPS = 11


@dataclass(frozen=True)
class Layout:
    """Indices only, no positions.

    Attributes:
        faces: (1538,3) triangles, outward winding; ``quads`` lists the (K,4) quads among them so
            that their diagonals can be chosen by shape; ``triangles`` are the rest.
        top, bottom: (7,13) vertex of each palm row and column, back and palm side.
        radial, ulnar: (7,) side vertices of the rows (-1 where the thumb's hole is).
        webs: (3,) middle vertices of the webs. closing: (25,), boundary: (16,) rings.
        base_loops, loops, caps: for each finger the loop it grows from (10,), its loops (R,10)
            and its cap: five vertices around the tip vertex.
    """

    quads: np.ndarray
    triangles: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    radial: np.ndarray
    ulnar: np.ndarray
    webs: np.ndarray
    closing: np.ndarray
    boundary: np.ndarray
    base_loops: dict[str, np.ndarray]
    loops: dict[str, np.ndarray]
    caps: dict[str, np.ndarray]
    count: int

    def palm_ring(self, row: int) -> np.ndarray:
        """Ring (28 or fewer,) of a palm row: thumb side, back, little side, palm."""
        ring = [self.radial[row], *self.top[row], self.ulnar[row], *self.bottom[row][::-1]]
        return np.array([vertex for vertex in ring if vertex >= 0])


def _zip_rings(outer: np.ndarray, inner: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles between two closed rings of different length that start side by side."""
    faces, i, j = [], 0, 0
    m, n = len(outer), len(inner)
    while i < m or j < n:
        if j >= n or (i < m and (i + 0.5) / m <= (j + 0.5) / n):
            faces.append((outer[i % m], outer[(i + 1) % m], inner[j % n]))
            i += 1
        else:
            faces.append((outer[i % m], inner[(j + 1) % n], inner[j % n]))
            j += 1
    return faces


def build_layout() -> Layout:
    """Number the vertices and connect them."""
    counter = 0

    def take(number: int) -> np.ndarray:
        nonlocal counter
        counter += number
        return np.arange(counter - number, counter)

    rows = PALM_RINGS + 1
    top, bottom = np.zeros((rows, COLUMNS), int), np.zeros((rows, COLUMNS), int)
    radial, ulnar, webs = np.full(rows, -1), np.zeros(rows, int), np.zeros(3, int)
    for row in range(rows):
        top[row], bottom[row] = take(COLUMNS), take(COLUMNS)
        if not HOLE_FIRST < row < HOLE_LAST:
            radial[row] = take(1)[0]
        ulnar[row] = take(1)[0]
        if row == 0:
            webs[:] = take(3)
    closing, boundary = take(CLOSING_RING), take(WRIST_RING)

    quads: list[tuple[int, int, int, int]] = []
    triangles: list[tuple[int, int, int]] = []
    for row in range(rows - 1):
        for sheet in (top, bottom[:, ::-1]):
            near, far = sheet[row], sheet[row + 1]
            quads += [(near[c], near[c + 1], far[c + 1], far[c]) for c in range(COLUMNS - 1)]
        quads.append((top[row][-1], ulnar[row], ulnar[row + 1], top[row + 1][-1]))
        quads.append((ulnar[row], bottom[row][-1], bottom[row + 1][-1], ulnar[row + 1]))
        if not HOLE_FIRST <= row < HOLE_LAST:
            quads.append((bottom[row][0], radial[row], radial[row + 1], bottom[row + 1][0]))
            quads.append((radial[row], top[row][0], top[row + 1][0], radial[row + 1]))
    last = np.array([radial[-1], *top[-1], ulnar[-1], *bottom[-1][::-1]])
    triangles += _zip_rings(last, closing) + _zip_rings(closing, boundary)

    base_loops, loops, caps = {}, {}, {}
    sides = [radial[0], *webs, ulnar[0]]
    for number, name in enumerate(("index", "middle", "ring", "little")):
        c = 3 * number
        base_loops[name] = np.array(
            [sides[number], *top[0][c : c + 4], sides[number + 1], *bottom[0][c : c + 4][::-1]]
        )
    first, final = HOLE_FIRST, HOLE_LAST
    base_loops["thumb"] = np.array(
        [radial[final], *top[first : final + 1, 0][::-1], radial[first],
         *bottom[first : final + 1, 0]]
    )  # fmt: skip
    for name, base in base_loops.items():
        number = THUMB_LOOPS if name == "thumb" else FINGER_LOOPS
        loops[name] = np.stack([take(AROUND) for _ in range(number)])
        caps[name] = take(6)
        previous = base
        for loop in loops[name]:
            for i in range(AROUND):
                k = (i + 1) % AROUND
                quads.append((loop[i], loop[k], previous[k], previous[i]))
            previous = loop
        five, tip = caps[name][:5], caps[name][5]
        for i in range(5):
            a, b, c = previous[2 * i], previous[2 * i + 1], previous[(2 * i + 2) % AROUND]
            triangles += [
                (a, five[i], b),
                (b, five[i], five[(i + 1) % 5]),
                (b, five[(i + 1) % 5], c),
                (five[i], tip, five[(i + 1) % 5]),
            ]
    return Layout(np.array(quads), np.array(triangles), top, bottom, radial, ulnar, webs, closing,
                  boundary, base_loops, loops, caps, counter)  # fmt: skip


def edges_of(faces: np.ndarray) -> np.ndarray:
    """Unique undirected edges (E,2) of triangles (F,3)."""
    pairs = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    return np.unique(pairs, axis=0)


def split_quads(layout: Layout, vertices: np.ndarray) -> np.ndarray:
    """Triangles (1538,3): each quad is cut along its shorter diagonal."""
    a, b, c, d = layout.quads.T
    first = np.linalg.norm(vertices[a] - vertices[c], axis=1)
    second = np.linalg.norm(vertices[b] - vertices[d], axis=1)
    # A margin keeps the choice the same on both sides of nearly square quads.
    along = (first <= second + 1e-3)[:, None]
    one = np.where(along, np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    two = np.where(along, np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.concatenate([one, two, layout.triangles])[:, ::-1]
